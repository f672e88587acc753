"""The evidence cards: what speaks for a request and what is missing, worst first, each in one sentence with dates and numbers.

Computed from what the policy found (the hold's reasons), from the question's facts and from the registry in force. What an agent
asserts never makes a card: a fact read from the bytes to be sent can make one worse, never good. Only the registry and the policy can.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stagewarden.web.console import media, when
from stagewarden.web.console.exact import Run, reveal, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.gate.people import Around
    from stagewarden.model import JSON, Document, Hold, Reason
    from stagewarden.registry import Destination, Workflow

State = Literal["fails", "check", "missing", "good"]
STATES: tuple[State, ...] = ("fails", "check", "missing", "good")  # worst first
_READ: tuple[State, ...] = ("good", "check", "missing", "fails")

_YEAR = 365  # days a drill or an attestation counts for: the attestation's limit is the policy's (destinations.rego)
_PERSONAL = frozenset({"contact", "consent", "segment", "identity", "inferred_trait", "billing", "regulated"})
_LISTED = 3  # ids named in a sentence
_NOT_REQUIRED = "The policy in force does not require it."
_REQUIRED = "The policy in force requires it."
# What a reason's code says about which card (governance section 2).
_CODES: dict[str, tuple[str, State]] = {
    "claim_unsubstantiated": ("claims", "fails"), "attendance_unproven": ("claims", "fails"), "legal_or_price": ("claims", "check"),
    "offer_expired": ("offer", "fails"),
    "consent_missing": ("consent", "missing"), "consent_expired": ("consent", "fails"), "consent_purpose_mismatch": ("consent", "fails"),
    "source_tainted": ("source", "fails"),
    "rights_unclear": ("rights", "missing"), "rights_expired": ("rights", "fails"),
    "provenance_incomplete": ("provenance", "missing"),
    "rollback_missing": ("rollback", "missing"), "rollback_untested": ("rollback", "check"), "drill_overdue": ("rollback", "fails"),
    "destination_unknown": ("systems", "fails"), "destination_cannot_enforce": ("systems", "fails"), "attestation_stale": ("systems", "fails"),
}  # fmt: skip
_TITLES = {
    "claims": "Claims", "offer": "Offer", "consent": "Consent", "source": "Source and dates", "rights": "Rights and licence",
    "provenance": "Provenance", "rollback": "Rollback", "systems": "Systems touched",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Card:
    """One card. `text` is ours; `named` are ids of the request's facts, the agent's writing, shown in quotes; `foot` a digest, an age or an owner."""

    key: str
    title: str
    state: State
    text: str
    named: tuple[tuple[Run, ...], ...] = ()
    foot: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The cards, worst first. `changed`: the registry is another one than when it was asked."""

    cards: tuple[Card, ...]
    changed: bool

    @property
    def counts(self) -> tuple[tuple[State, int], ...]:
        """How many of each state, where there are any; best first, as it is read aloud."""
        found = [(state, sum(card.state == state for card in self.cards)) for state in _READ]
        return tuple((state, number) for state, number in found if number)


def evidence(hold: Hold, around: Around, now_ns: int, *, payload: bool) -> Evidence:
    """Every card that concerns this hold; without `payload` none says anything of the content."""
    cards = _from_reasons(hold, payload=payload)
    facts = _document(hold.question.get("facts")) if payload else {}
    for card in (*_from_facts(hold, facts, around, now_ns), _rollback(hold, around.workflow, now_ns), _systems(hold, around.destination, now_ns)):
        cards.setdefault(card.key, card)
    if payload:
        for card in _of_media(hold):
            cards.setdefault(card.key, card)
    state = _document(hold.question.get("state")).get("registry")
    order = [*_TITLES]
    listed = sorted(cards.values(), key=lambda card: (STATES.index(card.state), order.index(card.key)))
    return Evidence(tuple(listed), changed=state is not None and state != around.registry)


def _from_reasons(hold: Hold, *, payload: bool) -> dict[str, Card]:
    """What the policy found, which nothing else outweighs; of several about one card the worst."""
    cards: dict[str, Card] = {}
    for reason in hold.reasons:
        key, state = _CODES.get(reason.code, ("", "good"))
        if key and (key not in cards or STATES.index(state) < STATES.index(cards[key].state)):
            text = f"{reason.text}." + (f" {_REQUIRED}" if state == "missing" else "")
            cards[key] = Card(key, _TITLES[key], state, text, _detail(reason) if payload else (), f"rule {reason.rule}")
    return cards


def _detail(reason: Reason) -> tuple[tuple[Run, ...], ...]:
    """What the rule adds, name by name."""
    return tuple(reveal(f"{name}: {short(_spoken(value))}") for name, value in list((reason.detail or {}).items())[:_LISTED])


def _spoken(value: JSON) -> str:
    if isinstance(value, list) and all(isinstance(each, str | int) for each in value):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _from_facts(hold: Hold, facts: Document, around: Around, now_ns: int) -> Iterator[Card]:
    """What the request names and nothing here can confirm: no feed of evidence is part of this release."""
    if claims := _list(facts.get("claims")):
        text = f"{_number(len(claims), 'claim')} named in the request; no record here says what backs {'it' if len(claims) == 1 else 'them'}."
        yield Card("claims", _TITLES["claims"], "missing", f"{text} {_NOT_REQUIRED}", _names(claims))
    if offers := _list(facts.get("offers")):
        yield _offer(offers, now_ns)
    personal = not _PERSONAL.isdisjoint(_strings(_document(hold.question.get("action")).get("data_classes")))
    to_customers = around.destination is not None and around.destination.channel == "customer"
    if personal or to_customers or facts.get("recipients") is not None:
        why = "It goes to customers" if to_customers else "It concerns personal data"
        yield Card("consent", _TITLES["consent"], "missing", f"{why}; no record of consent is connected. {_NOT_REQUIRED}")
        yield Card("source", _TITLES["source"], "missing", f"Where the data comes from, and of which dates, is not recorded. {_NOT_REQUIRED}")


def _offer(offers: list[JSON], now_ns: int) -> Card:
    """By the request's own dates an offer can be over; it cannot be good."""
    ends = [day for each in offers if isinstance(each, dict) and (day := when.day(str(each.get("valid_to"))))]
    over = [day for day in ends if when.days_since(day, now_ns) > 0]
    count = _number(len(offers), "offer")
    if over:
        ago = when.days_since(min(over), now_ns)
        text = f"{count} named; by its own dates one ended on {when.written(min(over))}, {when.distance(ago)}."
        return Card("offer", _TITLES["offer"], "fails", text, _names(offers))
    says = f"; by its own dates valid to {when.written(min(ends))}, in {_number(-when.days_since(min(ends), now_ns), 'day')}" if ends else ""
    return Card("offer", _TITLES["offer"], "missing", f"{count} named{says}. No record of offers is connected. {_NOT_REQUIRED}", _names(offers))


def _of_media(hold: Hold) -> Iterator[Card]:
    found = media.files(hold)
    if not found:
        return
    count = _number(len(found), "file")
    yield Card("rights", _TITLES["rights"], "missing", f"{count} to be sent; no licence for it is on record. {_NOT_REQUIRED}")
    looked = [file for file in found if file.manifest is not None]
    marked = sum(file.manifest is True for file in looked)
    if marked:
        yield Card(
            "provenance", _TITLES["provenance"], "check", f"{marked} of {count} with a record of origin inside; nobody has verified its signature."
        )
    else:
        none = "carries no record of origin" if looked else "is not looked into for a record of origin"
        yield Card("provenance", _TITLES["provenance"], "missing", f"{count} to be sent; what is sent {none}. {_NOT_REQUIRED}")


def _rollback(hold: Hold, workflow: Workflow | None, now_ns: int) -> Card:
    key, title = "rollback", _TITLES["rollback"]
    if workflow is None:
        return Card(key, title, "missing", f"The workflow {hold.workflow} is not in the registry, so no way back is on record. {_NOT_REQUIRED}")
    plan = workflow.rollback
    ways = {"restore": "The earlier version can be put back", "compensate": "A second act takes it back", "none": "Nothing can be recalled"}
    way = ways[plan.kind] + (f": {plan.steps.rstrip('.')}" if plan.steps else "") + (f"; within {plan.rto}" if plan.rto else "")
    foot = f"owner {plan.owner}" if plan.owner else None
    tested = when.day(plan.tested_at or "")
    if tested is None:
        return Card(key, title, "missing" if plan.kind != "none" else "check", f"{way}. It was never tested. {_NOT_REQUIRED}", (), foot)
    age = when.days_since(tested, now_ns)
    good = plan.kind != "none" and 0 <= age <= _YEAR
    return Card(key, title, "good" if good else "check", f"{way}. Last tested {when.written(tested)}, {when.distance(age)}.", (), foot)


def _systems(hold: Hold, destination: Destination | None, now_ns: int) -> Card:
    key, title = "systems", _TITLES["systems"]
    name = _document(hold.question.get("action")).get("destination") or hold.upstream
    if destination is None:
        return Card(key, title, "missing", f"{name}, through {hold.upstream}. Nobody has vouched for what it can take back. {_NOT_REQUIRED}")
    can = destination.capabilities
    cut = "It can be cut off" if can.revoke else "It cannot be cut off"
    back = "what it took can be taken back there" if can.rollback else "what it took stays"
    told = f"{name} ({destination.channel}), through {hold.upstream}. {cut}; {back}."
    vouched = destination.attested
    day = when.day(vouched.at) if vouched else None
    if vouched is None or day is None:
        return Card(key, title, "check" if can.revoke else "missing", f"{told} Nobody has vouched for that. {_NOT_REQUIRED}")
    age = when.days_since(day, now_ns)
    good = can.revoke and 0 <= age <= _YEAR
    return Card(key, title, "good" if good else "check", f"{told} Vouched for on {when.written(day)}, {when.distance(age)}.", (), f"by {vouched.by}")


def _names(entries: list[JSON]) -> tuple[tuple[Run, ...], ...]:
    """The first few ids, and how many more."""
    ids = [str(each.get("id") or each.get("name") or "no id") if isinstance(each, dict) else str(each) for each in entries]
    more = (reveal(f"and {len(ids) - _LISTED:,} more"),) if len(ids) > _LISTED else ()
    return (*(reveal(short(each)) for each in ids[:_LISTED]), *more)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _document(value: JSON) -> Document:
    return value if isinstance(value, dict) else {}


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []


def _strings(value: JSON) -> list[str]:
    return [each for each in _list(value) if isinstance(each, str)]
