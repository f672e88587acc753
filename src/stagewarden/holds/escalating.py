"""Calling people when part of the time to decide is gone: once the functions' others and declared delegates (`holds.escalate_at`).

Later, once, whoever could still decide is reminded (`holds.remind_at`). It records whom a hold calls and moves nothing. Nobody gains a
right by it: a delegate votes in a function of their own or not at all (lifecycles.md, "No function, administrator or override stands in
for another").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import Conflict
from stagewarden.holds.desk import Desk, fetch
from stagewarden.holds.eligibility import candidates, functions_held
from stagewarden.holds.entries import Cause, Moved
from stagewarden.model import HoldState
from stagewarden.store.tables import holds

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

    from stagewarden.holds.desk import Pen
    from stagewarden.holds.eligibility import Directory
    from stagewarden.model import JSON, Document, Hold

_AT_ONCE = 100
_WAITS = (holds.c.state == str(HoldState.PENDING), holds.c.asked)


@dataclass(frozen=True, slots=True)
class _Call:
    """One kind: its event in the log, after which share of the time to decide, and the column that says when it was made."""

    event: str
    share: float
    made: str


class Escalating(Desk):
    """The acts of the clock."""

    async def escalate_due(self, registry: Directory) -> tuple[Moved, ...]:
        """Once of each kind for each hold that still waits when its share of the time is gone on either clock."""
        due = await self._due()
        if not due:
            return ()
        async with self._writing() as pen:
            waiting = await fetch(pen.connection, None, holds.c.id.in_(due), *_WAITS, order=(holds.c.asked_at_ns,))
            called = [await _call(pen, hold, registry, call) for hold in waiting for call in due[hold.id] if not getattr(hold, call.made)]
        made = tuple(moved for moved in called if moved is not None)
        for hold_id in due.keys() - {moved.hold.id for moved in made}:
            self._deadlines.forget_call(hold_id)
        return made

    async def _due(self) -> dict[str, tuple[_Call, ...]]:
        """Ids with what is due, longest asked first. Working time is never shorter than time on the wall, which bounds what is read."""
        calls = self._kinds()
        if not calls:
            return {}
        now, called = self._clock.now_ns(), self._deadlines.called()
        begun = [
            and_(
                holds.c[call.made] == 0,
                or_(holds.c.asked_at_ns <= now - int(self._terms.decide_within * call.share * NANOSECONDS), holds.c.id.in_(called)),
            )
            for call in calls
        ]
        query = select(holds.c.id, holds.c.asked_at_ns, *(holds.c[call.made] for call in calls)).where(*_WAITS, or_(*begun))
        async with self._store.reading() as connection:
            rows = (await connection.execute(query.order_by(holds.c.asked_at_ns).limit(_AT_ONCE))).mappings().all()
        decided = set(called) - {row["id"] for row in rows} if len(rows) < _AT_ONCE else set()
        for hold_id in decided:
            self._deadlines.forget_call(hold_id)
        found = {row["id"]: tuple(call for call in calls if not row[call.made] and self._is_time(row, call, now)) for row in rows}
        return {hold_id: due for hold_id, due in found.items() if due}

    def _kinds(self) -> tuple[_Call, ...]:
        shares = (("escalated", self._terms.escalate_at, "escalated_at_ns"), ("reminded", self._terms.remind_at, "reminded_at_ns"))
        return tuple(_Call(event, share, made) for event, share, made in shares if share is not None)

    def _is_time(self, row: RowMapping, call: _Call, now: int) -> bool:
        moment = self._call_moment(row["asked_at_ns"], call.share)
        return moment <= now or self._deadlines.reached(row["id"], moment)


async def _call(pen: Pen, hold: Hold, registry: Directory, call: _Call) -> Moved | None:
    try:
        return await pen.remark(hold, call.event, Cause(reason=call.event), whom(hold, registry), **{call.made: pen.now_ns})
    except Conflict:
        return None  # another replica was quicker


def whom(hold: Hold, registry: Directory) -> Document:
    """Who is called: everybody who could still fill a seat; and for whom among them somebody declared them to stand by."""
    voted = [vote.person for vote in hold.votes]
    people = sorted(name for name in candidates(hold, registry) if not any(registry.same_human(name, person) for person in voted))
    delegates: dict[str, JSON] = {}
    for name, person in registry.data.people.items():
        absent = {function for seat in hold.seats for function in seat.functions} & set(person.functions)
        delegate = next((other for other in people if person.delegate is not None and registry.same_human(other, person.delegate)), None)
        if delegate is not None and absent & functions_held(delegate, hold, registry):
            delegates[name] = delegate
    return {"called": [*people], "delegates": delegates}
