"""A gallery in which everything that comes from outside says something hostile: bytes, names, answers, notes, reasons, a registry's prose.

Never touched: ids and closed sets, which the product makes or refuses to take, and by which pages are found.
"""

from __future__ import annotations

from itertools import count, cycle
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
import orjson
from msgspec.structs import replace

from stagewarden.model import Answer, Reason
from stagewarden.registry import Registry, RegistryData

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.model import Hold
    from tests.fakes import FakeGate

SIGN = "qz7battery"  # stands in every hostile text, so that a page can be seen to show one
# Members of documents that hold ids, codes, times or one of a closed set.
CLOSED = frozenset({
    "ruling", "effect", "tier", "code", "rule", "kind", "stage", "state", "id", "digest", "v", "seq", "time", "boot", "prev", "response_fields",
    "review", "agent", "workflow", "upstream", "final", "expires", "functions", "verified", "reversible", "peer", "hold", "took_us", "policy",
    "registry", "configuration",
})  # fmt: skip
# Where a registry takes any text at all, `*` for an id or a place in a list. All else of it is an id (a-z, 0-9, `.`, `_`, `-`), a kind, a date, a
# duration, an address, one of a closed set or the name of another entry; tests/unit/registry/test_open_texts.py holds the registry to this list.
OPEN = frozenset({
    "people/*/name", "people/*/aliases/*", "people/*/group", "people/*/identity/issuer", "people/*/identity/subject",
    "processes/*/summary", "processes/*/review_cycle",
    "workflows/*/summary", "workflows/*/purpose", "workflows/*/rollback/steps", "workflows/*/rollback/rto", "workflows/*/approved/*/evidence",
    "workflows/*/scope/fields/read/*", "workflows/*/scope/fields/write/*",
    "agents/*/identity/key", "agents/*/identity/issuer", "agents/*/identity/subject", "agents/*/owners/service_account",
    "triggers/legal_or_price/patterns/*",
})  # fmt: skip
_MAPS = ("people", "processes", "workflows", "agents")


def texts(payloads: tuple[str, ...]) -> Iterator[str]:
    """Without end: texts that hold all of these payloads, each time beginning at another."""
    for number in count():
        start = number % len(payloads)
        yield f"{SIGN} " + " ".join((*payloads[start:], *payloads[:start]))


def poison(gate: FakeGate, payloads: tuple[str, ...]) -> None:
    """Everything in the gate."""
    said = texts(payloads)
    kinds = cycle((lambda hold, _: hold, in_parts, as_form))
    for identifier, hold in list(gate.holds.items()):
        gate.holds[identifier] = next(kinds)(poisoned(hold, said), said)
    # Every other ruling keeps its agent, by whom pages find it.
    gate.recorded[:] = [deep(strange(item, said) if number % 2 else item, said) for number, item in enumerate(gate.recorded)]
    gate.modes = {agent: (mode, next(said), next(said)) for agent, (mode, _, _) in gate.modes.items()}
    gate.engaged[:] = [msgspec_or(kill, by=next(said), reason=next(said)) for kill in gate.engaged]
    gate.past[:] = [msgspec_or(each, by=next(said), reason=next(said)) for each in gate.past]
    gate.registry = named(gate.registry, said)
    gate.revisions[:] = [msgspec_or(one, registry=named(one.registry, said)) for one in gate.revisions]
    for identifier, grant in list(gate.grants.items()):
        terms = replace(grant.terms, fields=(next(said),), purpose=next(said), evidence=next(said))
        ended = {} if grant.ended_by is None else {"ended_by": next(said), "ended_why": next(said)}
        gate.grants[identifier] = replace(grant, terms=terms, requested_by=next(said), **ended)


def poisoned(hold: Hold, said: Iterator[str]) -> Hold:
    """A hold with it wherever an agent, an upstream or a person writes."""
    text = next(said)
    body = {
        "title": text, next(said): next(said), "content": f"{next(said)}\n{next(said)}", "list": [next(said)], "deep": {next(said): next(said)},
        "status": "publish",
    }  # fmt: skip
    before = {"title": {"raw": f"{next(said)} before"}, "content": {"raw": f"{next(said)}\nbefore"}, next(said): next(said), "other": next(said)}
    headers = (("Content-Type", f"application/json; x={next(said)}"), ("X-Said", next(said)), (f"X-{next(said)}", "x"))
    request = replace(hold.request, target=f"/posts/{next(said)}?q={next(said)}", authority=next(said), headers=headers, body=orjson.dumps(body))
    principal = {"chain": [{"kind": "agent", "id": next(said), "verified": True}], "trigger": None}
    asserted = {next(said): next(said), "rationale": next(said), "claims": [next(said)], "nested": {next(said): next(said)}}
    facts = {"recipients": {"count": 12, "tier": next(said), "segment": next(said)}, "claims": [next(said)], "offers": [next(said)]}
    action = {**hold.question["action"], "destination": next(said), "fields": [next(said)]} if isinstance(hold.question["action"], dict) else {}
    return replace(
        hold, request=request, question={**hold.question, "principal": principal, "asserted": asserted, "facts": facts, "action": action},
        before=orjson.dumps(before), initiator=next(said), asset=next(said), kind=next(said),
        reasons=tuple(Reason(reason.code, reason.rule, next(said), {"of": next(said)}) for reason in hold.reasons),
        votes=tuple(replace(vote, person=next(said), note=next(said)) for vote in hold.votes),
        response=None if hold.response is None else answer(hold.response, said),
        evidence=next(said), ended_by=next(said) if hold.ended_by is not None else None, editor=next(said), authors=(next(said),),
        original=orjson.dumps({"title": next(said)}),
    )  # fmt: skip


def answer(given: Answer, said: Iterator[str]) -> Answer:
    """An upstream's, hostile in every part but its status."""
    return Answer(given.status, (("X-Said", next(said)), (f"X-{next(said)}", "x")), next(said).encode())


def in_parts(hold: Hold, said: Iterator[str]) -> Hold:
    """The same as multipart: hostile names, file names and types, as `wire.multipart` describes them."""
    head = (("Content-Type", "multipart/form-data; boundary=b"), ("X-Said", next(said)))
    part = {"name": next(said), "filename": next(said), "type": next(said), "size": 12, "digest": "sha256:" + "0" * 64}
    described = {"fields": {next(said): next(said)}, "parts": [part]}
    question = {**hold.question, "request": {"body": described}}
    return replace(hold, request=replace(hold.request, headers=head, body=next(said).encode()), question=question)


def as_form(hold: Hold, said: Iterator[str]) -> Hold:
    """The same as a form: hostile names and values."""
    body = urlencode({next(said): next(said), "title": next(said)}).encode()
    return replace(hold, request=replace(hold.request, headers=(("Content-Type", "application/x-www-form-urlencoded"),), body=body))


def deep(value: Any, said: Iterator[str], key: str = "") -> Any:
    """A document with it in every open text, and as a member of every object that agents may add members to."""
    if isinstance(value, dict):
        made = {name: deep(each, said, name) for name, each in value.items()}
        return {**made, next(said): next(said)} if key == "asserted" else made
    if isinstance(value, list):
        return [deep(each, said, key) for each in value]
    return next(said) if isinstance(value, str) and key not in CLOSED and not value.startswith("not_") else value


def named(registry: Registry, said: Iterator[str]) -> Registry:
    """A registry with it in every text of OPEN, also in those that nobody wrote, but for what an agent is known by."""

    def told(value: Any, place: str) -> Any:
        if place in OPEN:
            return value if value is None and "/identity/" in place else next(said)
        if f"{place}/*" in OPEN:
            return [next(said)]
        if isinstance(value, dict):
            return {name: told(each, f"{place}/*" if place in _MAPS else f"{place}/{name}".lstrip("/")) for name, each in value.items()}
        if isinstance(value, list):
            return [told(each, f"{place}/*") for each in value]
        return value

    return Registry.of(msgspec.convert(told(msgspec.to_builtins(registry.data), ""), RegistryData))


def strange(entry: Any, said: Iterator[str]) -> Any:
    """A ruling on a token whose issuer names an agent and a workflow that nobody registered: the policy refuses them, and the log says the names."""
    if entry["kind"] != "ruling" or not isinstance(entry["principal"], dict):
        return entry
    return {**entry, "workflow": next(said), "principal": {**entry["principal"], "agent": next(said)}}


def msgspec_or(value: Any, **changes: object) -> Any:
    """A struct or a dataclass with some members changed."""
    if isinstance(value, msgspec.Struct):
        return replace(value, **changes)
    from dataclasses import replace as other  # noqa: PLC0415 - the one kind or the other

    return other(value, **changes)
