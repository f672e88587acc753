"""What helps to weigh a request besides its content: who would get it, the evidence, where it comes from, what became of its like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.web.console import audience, evidence, exact, media, sources, when, words
from stagewarden.web.console.changes import Changes, changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.gate.people import Around
    from stagewarden.model import Hold

_DECIDED_BY_REASON = frozenset({"rejected", "sent_back"})


@dataclass(frozen=True, slots=True)
class Row:
    """One thing compared between two holds: never left to the eye."""

    name: str
    before: str
    now: str

    @property
    def same(self) -> bool:
        """Whether nothing changed."""
        return self.before == self.now


@dataclass(frozen=True, slots=True)
class Descent:
    """The hold this one took the place of. `edited`: what its editor changed, for whoever may see the bytes."""

    id: str
    short_id: str
    editor: str | None
    rows: tuple[Row, ...]
    edited: Changes | None


@dataclass(frozen=True, slots=True)
class Like:
    """An earlier hold of the same agent, kind and upstream, and what became of it."""

    id: str
    short_id: str
    at: when.Moment
    asset: str | None
    tone: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Weighed:
    """All of it; what tells of the content is None or empty for readers without a right to payloads."""

    audience: audience.Audience | None
    unknown_audience: bool
    evidence: evidence.Evidence
    media: tuple[media.File, ...]
    descent: Descent | None
    alike: tuple[Like, ...]
    sources: sources.Sources | None


def weighed(hold: Hold, around: Around, now_ns: int, held: frozenset[str], *, payload: bool) -> Weighed:
    """For one reader, who holds these functions."""
    to_customers = around.destination is not None and around.destination.channel == "customer"
    reached = audience.audience(hold) if payload else None
    return Weighed(
        audience=reached,
        unknown_audience=payload and reached is None and to_customers,
        evidence=evidence.evidence(hold, around, now_ns, payload=payload),
        media=media.files(hold) if payload else (),
        descent=_descent(hold, around.predecessor, payload=payload),
        alike=tuple(_like(each, now_ns) for each in around.alike),
        sources=sources.sources(words.asserted(hold), held) if payload else None,
    )


def _descent(hold: Hold, before: Hold | None, *, payload: bool) -> Descent | None:
    if hold.predecessor is None:
        return None
    edited = changes(hold.request, hold.original, body_only=True) if payload and hold.original is not None else None
    rows = tuple(_rows(before, hold)) if before is not None else ()
    return Descent(hold.predecessor, exact.short_id(hold.predecessor), hold.editor, rows, edited)


def binding(hold: Hold) -> tuple[tuple[str, str], ...]:
    """What a vote binds, by name."""
    return (
        ("Exact bytes", _digest(hold.digest)),
        ("Content at the upstream", _digest(hold.lookup_digest)),
        ("Tier", str(hold.tier)),
        ("Reasons", ", ".join(sorted({reason.code for reason in hold.reasons})) or "none"),
        ("Seats", ", ".join(f"{seat.count} {' or '.join(seat.functions)}" for seat in hold.seats) or "none"),
    )


def _rows(before: Hold, now: Hold) -> Iterator[Row]:
    """What a vote on the one would bind, against the other."""
    return (Row(name, then, stands) for (name, then), (_, stands) in zip(binding(before), binding(now), strict=True))


def _digest(digest: str | None) -> str:
    return " … ".join(exact.digest_parts(digest)) if digest else "not looked up"


def _like(hold: Hold, now_ns: int) -> Like:
    standing = words.STANDINGS[hold.state]
    why = f": {words.reason(hold.ended_by)}" if str(hold.state) in _DECIDED_BY_REASON and hold.ended_by else ""
    about = exact.asset(hold.asset) if hold.asset else None
    return Like(hold.id, exact.short_id(hold.id), when.moment(hold.asked_at_ns, now_ns), about, standing.tone, f"{standing.label}{why}")
