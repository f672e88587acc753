"""Holds as rows, grouped by when they are due.

No row needs the content: the sentence comes from the hold's own record, and names its thing where the gate lets this reader see that.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from stagewarden.model import HoldState
from stagewarden.web.console import seats, when, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.gate.inbox import Shown
    from stagewarden.gate.people import HoldView
    from stagewarden.model import Hold
    from stagewarden.web.console.seats import Place


@dataclass(frozen=True, slots=True)
class Row:
    """One hold. `standing`: how it stands, once it is no longer waiting; `depth`: how it is to be looked at; `may_ask`: the reader may take it up."""

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
    age: str
    depth: str
    may_ask: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one heading."""

    name: str
    rows: tuple[Row, ...]


def waiting(shown: Shown, person: str | None, modes: Mapping[str, str], now_ns: int) -> tuple[Group, ...]:
    """What waits, in the order it comes in, grouped by when it is due."""
    rows = [_row(view, person, modes, now_ns) for view in shown.views]
    return tuple(Group(name, tuple(group)) for name, group in groupby(rows, key=lambda row: row.due.group))


def decided(shown: Shown, person: str | None, modes: Mapping[str, str], now_ns: int) -> tuple[Group, ...]:
    """What is under way; then what has ended, by day."""
    under_way = tuple(_row(view, person, modes, now_ns) for view in shown.under_way)
    ended = [(when.ago(view.hold.ended_at_ns, now_ns), _row(view, person, modes, now_ns)) for view in shown.views]
    days = tuple(Group(name, tuple(row for _, row in group)) for name, group in groupby(ended, key=itemgetter(0)))
    return (Group("Under way", under_way), *days) if under_way else days


def _row(view: HoldView, person: str | None, modes: Mapping[str, str], now_ns: int) -> Row:
    hold = view.hold
    return Row(
        id=hold.id,
        tier=str(hold.tier),
        effect=words.effect(hold, payload=view.payload and hold.payload, called=view.title),
        workflow=hold.workflow,
        agent=hold.agent,
        mode=modes.get(hold.agent, "active"),
        why=", ".join(words.code(reason.code) for reason in hold.reasons),
        seats=seats.places(view, person, now_ns),
        due=when.due(hold.asked_at_ns, hold.expires_at_ns, now_ns),
        standing=None if hold.state is HoldState.PENDING else words.STANDINGS[hold.state],
        ended=when.moment(hold.ended_at_ns or hold.approved_at_ns or hold.asked_at_ns, now_ns),
        escalated=hold.escalated_at_ns > 0,
        age=when.span(now_ns - hold.asked_at_ns),
        depth=_depth(hold),
        may_ask=not hold.asked and view.why_not is None,
    )


def _depth(hold: Hold) -> str:
    if not hold.asked:
        return "proposal"
    return "sample" if {reason.code for reason in hold.reasons} == {"sampled"} else "full review"
