"""What somebody asks a grant for, as terms that could be granted; and the seats they take: those of the action they cover.

The policy is asked what it says of such an action without the grant, and with it. Refused before anybody votes: what no grant lifts, what
is wider than the workflow, and what would be held or denied all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from stagewarden.clock import rfc3339
from stagewarden.config import units
from stagewarden.errors import Invalid
from stagewarden.grants import Bound, Terms, bounds
from stagewarden.model import QUESTION_VERSION, Allow, Ask, DataClass, Deny, Question, Seat, Stage, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagewarden.gate.rooms import Rooms
    from stagewarden.model import JSON, Document
    from stagewarden.registry import RegistryData, Workflow

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[^*\x00-\x1f]{1,200}")
_MOST = 200  # fields, bounds
_LONGEST_EVIDENCE = 500
_LIFTED: Final = frozenset({"stage_not_granted", "publish_not_granted", "restricted"})  # what a grant takes the place of
# Governance section 3: whose decision a class of data is, whatever else asks for people.
_CLASS_SEATS: Final = {
    "consent": ("business", "privacy", "security"), "identity": ("business", "privacy", "security"),
    "billing": ("business", "privacy", "security"), "inferred_trait": ("privacy",), "segment": ("business",),
}  # fmt: skip
NO_DIGEST = "sha256:" + "0" * 64


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A grant as somebody asks for it; durations as in the configuration."""

    agent: str
    workflow: str
    stage: str
    kind: str
    upstream: str
    ttl: str
    evidence: str
    uses: int = 1
    asset: str | None = None
    fields: tuple[str, ...] = ()
    classes: tuple[DataClass, ...] = ()
    purpose: str | None = None
    digest: str | None = None
    content: str | None = None
    template: bool = False
    bounds: tuple[Bound, ...] = ()
    review_within: str | None = None
    completes_on: str | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """Terms, and what they take."""

    terms: Terms
    seats: tuple[Seat, ...]
    tier: Tier


def terms_of(wanted: Wanted, rooms: Rooms) -> Terms:
    """The terms, or Invalid naming the member: (1) known parties, (2) no wider than the workflow, (3) with an end, (4) what leaves leaves once."""
    data = rooms.registry.data
    workflow = _parties(wanted, rooms)
    _inside_the_workflow(wanted, workflow)
    ttl = _duration("ttl", wanted.ttl)
    if ttl > units.seconds(data.grants.max_ttl):
        raise Invalid(f"ttl: at most {data.grants.max_ttl} (registry: grants.max_ttl)")
    if not 1 <= wanted.uses <= data.grants.max_uses:
        raise Invalid(f"uses: from 1 to {data.grants.max_uses} (registry: grants.max_uses)")
    review = None if wanted.review_within is None else _duration("review_within", wanted.review_within)
    if not wanted.evidence.strip() or len(wanted.evidence) > _LONGEST_EVIDENCE:
        raise Invalid(f"evidence: on what it is asked, 1 to {_LONGEST_EVIDENCE} characters")
    for name, digest in (("digest", wanted.digest), ("content", wanted.content)):
        if digest is not None and _DIGEST.fullmatch(digest) is None:
            raise Invalid(f"{name}: sha256: and 64 hex digits, as a ruling names it")
    bounds.check(wanted.bounds)
    if wanted.template and (not wanted.bounds or wanted.digest is not None):
        raise Invalid("template: takes bounds, and no digest: each request inside them has its own")
    terms = Terms(
        agent=wanted.agent, workflow=wanted.workflow, stage=Stage(wanted.stage), kind=wanted.kind, upstream=wanted.upstream,
        destination=rooms.config.upstreams[wanted.upstream].destination, fields=tuple(sorted({*wanted.fields})),
        classes=tuple(sorted({*wanted.classes})), purpose=workflow.purpose, evidence=wanted.evidence, ttl=ttl, uses=wanted.uses,
        asset=wanted.asset, digest=wanted.digest, content=wanted.content, template=wanted.template, bounds=wanted.bounds, review_within=review,
        completes_on=wanted.completes_on,
    )  # fmt: skip
    _leaves_once(terms, rooms)
    return terms


async def ask(terms: Terms, by: str, shown: Document, rooms: Rooms) -> Asking:
    """What the policy says of such an action: the seats it takes, or Invalid where a grant would change nothing."""
    without = await rooms.decider.decide(_question(terms, by, rooms, []))
    if isinstance(without, Allow):
        raise Invalid("the policy allows this without a grant")
    _only_lifted(without, "no grant lifts this")
    if terms.template:
        if isinstance(without, Deny):
            raise Invalid("template: the policy denies this; a template is an approval in advance of what is held")
    else:
        answer = await rooms.decider.decide(_question(terms, by, rooms, [shown]))
        if not isinstance(answer, Allow):
            raise Invalid(f"with this grant it would still be refused: {', '.join(sorted({reason.code for reason in answer.reasons}))}")
    tier = Tier.MEDIUM if without.tier is Tier.LOW else without.tier
    return Asking(terms, _seats(without.seats if isinstance(without, Ask) else (), terms, tier, rooms.registry.data), tier)


def _parties(wanted: Wanted, rooms: Rooms) -> Workflow:
    data = rooms.registry.data
    agent = data.agents.get(wanted.agent)
    if agent is None:
        raise Invalid("agent: not registered")
    workflow = data.workflows.get(wanted.workflow)
    if workflow is None or wanted.workflow not in agent.workflows:
        raise Invalid("workflow: not one of this agent's")
    if wanted.upstream not in rooms.config.upstreams:
        raise Invalid("upstream: not configured")
    if wanted.stage not in {*map(str, Stage)}:
        raise Invalid(f"stage: one of {', '.join(Stage)}")
    return workflow


def _inside_the_workflow(wanted: Wanted, workflow: Workflow) -> None:
    listed = {*workflow.actions.allowed, *workflow.actions.restricted} - {*workflow.actions.prohibited}
    if wanted.kind not in listed:
        raise Invalid("kind: the workflow prohibits it, or does not list it; no grant lifts that")
    if wanted.completes_on is not None and wanted.completes_on not in listed:
        raise Invalid("completes_on: a kind this workflow lists")
    if wanted.purpose is not None and wanted.purpose != workflow.purpose:
        raise Invalid(f"purpose: the workflow's is {workflow.purpose!r}; another purpose is another workflow")
    if len(wanted.fields) > _MOST or len(wanted.bounds) > _MOST:
        raise Invalid(f"fields, bounds: at most {_MOST}")
    if any(_NAME.fullmatch(name) is None for name in (*wanted.fields, *([] if wanted.asset is None else [wanted.asset]))):
        raise Invalid("fields, asset: names, never `*`")
    write = workflow.scope.fields.write
    if write and (wider := sorted({*wanted.fields} - {*write})):
        raise Invalid(f"fields: the workflow does not write {', '.join(wider)}")
    classes = workflow.scope.classes.write
    if classes and (more := sorted({*wanted.classes} - {*classes})):
        raise Invalid(f"classes: the workflow does not write {', '.join(more)}")


def _leaves_once(terms: Terms, rooms: Rooms) -> None:
    """What leaves the house under a grant leaves by one use of one digest, and not for an agent that also generates."""
    if terms.template or terms.stage is not Stage.EXPORT or not rooms.is_external(terms.destination):
        return
    if terms.uses != 1 or terms.digest is None:
        raise Invalid("uses, digest: what leaves the house takes one use of one digest")
    if Stage.GENERATE in rooms.registry.data.agents[terms.agent].stages:
        raise Invalid("stage: an agent that generates never holds export; what its people approve is sent for it")


def _only_lifted(verdict: Ask | Deny, otherwise: str) -> None:
    codes = {reason.code for reason in verdict.reasons} - _LIFTED
    if codes and isinstance(verdict, Deny):
        raise Invalid(f"{otherwise}: {', '.join(sorted(codes))}")


def _seats(asked: Iterable[Seat], terms: Terms, tier: Tier, data: RegistryData) -> tuple[Seat, ...]:
    """The union of what the policy asks for, what every grant takes and what its data classes take; of the tier's own only what is missing.

    A template takes every seat its requests will take: its votes stand in their holds.
    """
    own: list[tuple[str, ...]] = []
    if not terms.template and tier in data.tiers:
        own = [tuple(sorted(seat.functions)) for seat in data.tiers[tier].seats for _ in range(seat.count)]
    places: dict[tuple[str, ...], int] = {}

    def want(functions: tuple[str, ...], count: int) -> None:
        places[functions] = max(places.get(functions, 0), count)

    for seat in data.grants.seats:
        want(tuple(sorted(seat.functions)), seat.count)
    for name in sorted({name for one in terms.classes for name in _CLASS_SEATS.get(one, ())}):
        want((name,), 1)
    for each in asked:
        if (extra := each.count - own.count(each.functions)) > 0:
            want(each.functions, extra)
    for functions in own[: max(0, len(own) - sum(places.values()))]:
        places[functions] = places.get(functions, 0) + 1
    return tuple(Seat(functions, count) for functions, count in sorted(places.items()))


def _duration(name: str, text: str) -> int:
    try:
        found = units.seconds(text)
    except units.Misfit as misfit:
        raise Invalid(f"{name}: {misfit.message}; {misfit.remedy}") from None
    if found < 1:
        raise Invalid(f"{name}: at least 1s")
    return int(found)


def _question(terms: Terms, by: str, rooms: Rooms, grants: list[JSON]) -> Question:
    """Such an action, with nothing in it: its fields without values, started by somebody who may start the workflow."""
    now = rooms.circumstances(terms.agent, terms.workflow)
    initiators = rooms.registry.data.workflows[terms.workflow].initiators
    chain: list[JSON] = [
        {"kind": "human", "id": initiators[0] if initiators else by, "verified": True}, {"kind": "agent", "id": terms.agent, "verified": True}
    ]  # fmt: skip
    upstream = rooms.routes.upstreams[terms.upstream]
    fields: list[JSON] = [*terms.fields]
    classes: list[JSON] = [*terms.classes]
    body: Document = dict.fromkeys(terms.fields)
    return Question(
        {
            "version": QUESTION_VERSION, "time": rfc3339(now.now_ns), "time_ns": now.now_ns,
            "request": {
                "method": "POST", "upstream": terms.upstream, "host": "", "path": [], "raw_path": "", "query": {}, "headers": {},
                "body": body or None, "size": 0, "digest": terms.digest or NO_DIGEST,
            },
            "principal": {
                "agent": terms.agent, "workflow": terms.workflow, "credential": {"kind": "key", "issuer": "", "expires_ns": 0}, "chain": chain,
                "trigger": None,
            },
            "action": {
                "upstream": terms.upstream, "route": "", "stage": str(terms.stage), "kind": terms.kind,
                "asset": {"id": terms.asset, "digest": terms.content, "state": "untracked"}, "fields": fields, "data_classes": classes,
                "destination": terms.destination, "external": rooms.is_external(terms.destination), "reversible": "compensate",
                "loopback": upstream.loopback,
            },
            "facts": {"claims": [], "offers": [], "content": None}, "asserted": {}, "grants": grants, "approval": None, "state": now.state(),
        }
    )  # fmt: skip
