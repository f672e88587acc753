"""Holds as rows, grouped by when they are due. No row needs the content: the sentence comes from the hold's own record."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from stagewarden.model import HoldState
from stagewarden.web.console import seats, when, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stagewarden.gate.people import HoldView
    from stagewarden.web.console.seats import Place


@dataclass(frozen=True, slots=True)
class Row:
    """One hold. `standing`: how it stands, once it is no longer waiting."""

    id: str
    tier: str
    effect: words.Sentence
    workflow: str
    agent: str
    mode: str
    why: str
    seats: tuple[Place, ...]
    due: when.Due
    standing: words.Standing | None
    ended: when.Moment
    escalated: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one heading."""

    name: str
    rows: tuple[Row, ...]


def waits_for(view: HoldView, person: str | None) -> bool:
    """Whether this person could still fill a seat of it."""
    hold = view.hold
    voted = any(vote.person == person for vote in hold.votes)
    return hold.state is HoldState.PENDING and view.why_not is None and not voted


def groups(views: Iterable[HoldView], person: str | None, modes: Mapping[str, str], now_ns: int) -> tuple[Group, ...]:
    """Open holds by when they are due; then those under way; then what has ended, latest first."""
    rows = [_row(view, person, modes, now_ns) for view in views]
    waiting = sorted((row for row in rows if row.standing is None), key=lambda row: row.due.at.iso)
    rest = sorted((row for row in rows if row.standing is not None), key=lambda row: row.ended.iso, reverse=True)
    due = tuple(Group(name, tuple(group)) for name, group in groupby(waiting, key=lambda row: row.due.group))
    return (*due, Group("Decided", tuple(rest))) if rest else due


def _row(view: HoldView, person: str | None, modes: Mapping[str, str], now_ns: int) -> Row:
    hold = view.hold
    return Row(
        id=hold.id,
        tier=str(hold.tier),
        effect=words.effect(hold, payload=view.payload and hold.payload),
        workflow=hold.workflow,
        agent=hold.agent,
        mode=modes.get(hold.agent, "active"),
        why=", ".join(reason.code.replace("_", " ") for reason in hold.reasons),
        seats=seats.places(view, person, now_ns),
        due=when.due(hold.asked_at_ns, hold.expires_at_ns, now_ns),
        standing=None if hold.state is HoldState.PENDING else words.STANDINGS[hold.state],
        ended=when.moment(hold.ended_at_ns or hold.approved_at_ns or hold.asked_at_ns, now_ns),
        escalated=hold.escalated_at_ns > 0,
    )
