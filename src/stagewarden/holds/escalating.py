"""Escalation: when part of the time to decide is gone, the functions' other people and declared delegates are called (`holds.escalate_at`).

It records whom a hold calls and moves nothing. Nobody gains a right by it: a delegate votes in a function of their own or not at all
(lifecycles.md, "No function, administrator or override stands in for another").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import Conflict
from stagewarden.holds.desk import Desk, fetch
from stagewarden.holds.eligibility import candidates, functions_held
from stagewarden.holds.entries import Cause, Moved
from stagewarden.model import HoldState
from stagewarden.store.tables import holds

if TYPE_CHECKING:
    from stagewarden.holds.desk import Pen
    from stagewarden.holds.eligibility import Directory
    from stagewarden.model import JSON, Document, Hold

_AT_ONCE = 100
_WAITS = (holds.c.state == str(HoldState.PENDING), holds.c.asked, holds.c.escalated_at_ns == 0)


class Escalating(Desk):
    """The act of the clock."""

    async def escalate_due(self, registry: Directory) -> tuple[Moved, ...]:
        """Once for each hold that still waits when its share of the time is gone on either clock."""
        due = await self._due()
        if not due:
            return ()
        async with self._writing() as pen:
            still = (holds.c.id.in_(due), *_WAITS)
            called = [await _call(pen, hold, registry) for hold in await fetch(pen.connection, None, *still, order=(holds.c.asked_at_ns,))]
        for hold_id in due:
            self._deadlines.forget_call(hold_id)
        return tuple(moved for moved in called if moved is not None)

    async def _due(self) -> tuple[str, ...]:
        """Ids, longest asked first. Working time is never shorter than time on the wall, which bounds what is read."""
        share = self._terms.escalate_at
        if share is None:
            return ()
        now, called = self._clock.now_ns(), self._deadlines.called()
        long_ago = now - int(self._terms.decide_within * share * NANOSECONDS)
        query = select(holds.c.id, holds.c.asked_at_ns).where(*_WAITS, or_(holds.c.asked_at_ns <= long_ago, holds.c.id.in_(called)))
        async with self._store.reading() as connection:
            rows = (await connection.execute(query.order_by(holds.c.asked_at_ns).limit(_AT_ONCE))).all()
        decided = set(called) - {row.id for row in rows} if len(rows) < _AT_ONCE else set()
        for hold_id in decided:
            self._deadlines.forget_call(hold_id)
        return tuple(row.id for row in rows if row.id in called or self._call_moment(row.asked_at_ns, share) <= now)


async def _call(pen: Pen, hold: Hold, registry: Directory) -> Moved | None:
    try:
        return await pen.remark(hold, "escalated", Cause(reason="escalated"), whom(hold, registry), escalated_at_ns=pen.now_ns)
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
