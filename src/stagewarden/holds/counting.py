"""Holds counted by day: asked, said no to, failed, unknown. Reads no payload and moves nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from stagewarden.clock import NANOSECONDS
from stagewarden.holds import lifecycle
from stagewarden.holds.desk import Desk
from stagewarden.holds.paging import named
from stagewarden.model import HoldState
from stagewarden.store.tables import holds

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

DAY = 24 * 3600 * NANOSECONDS
_NO = frozenset({HoldState.REJECTED, HoldState.SENT_BACK})
_BAD = frozenset({HoldState.FAILED, HoldState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Days:
    """`open` now; then one number for each of the last days (UTC), today last: asked, rejected or sent back, failed or unknown."""

    open: int
    asked: tuple[int, ...]
    rejected: tuple[int, ...]
    failed: tuple[int, ...]


class Counting(Desk):
    """Counts."""

    async def daily(self, *, agent: str | None = None, workflow: str | None = None, days: int) -> Days:
        """Of one agent, of one workflow, or of all; what became of them on the day it did."""
        where: list[ColumnElement[bool]] = []
        if agent is not None:
            where.append(named(holds.c.agent, agent))
        if workflow is not None:
            where.append(named(holds.c.workflow, workflow))
        today = self._clock.now_ns() // DAY
        first = (today - days + 1) * DAY
        asked_on, ended_on = holds.c.asked_at_ns // DAY, holds.c.ended_at_ns // DAY
        states = holds.c.state.in_(sorted(map(str, lifecycle.OPEN)))
        async with self._store.reading() as connection:
            waiting = await connection.scalar(select(func.count()).where(states, *where)) or 0
            asked = await connection.execute(select(asked_on, func.count()).where(holds.c.asked_at_ns >= first, *where).group_by(asked_on))
            opened = {int(day): int(number) for day, number in asked}
            over = await connection.execute(
                select(ended_on, holds.c.state, func.count()).where(holds.c.ended_at_ns >= first, *where).group_by(ended_on, holds.c.state)
            )
            ended = [(int(day), str(state), int(number)) for day, state, number in over]
        span = range(today - days + 1, today + 1)
        return Days(waiting, tuple(opened.get(day, 0) for day in span), _row(ended, _NO, span), _row(ended, _BAD, span))


def _row(ended: list[tuple[int, str, int]], states: frozenset[HoldState], span: range) -> tuple[int, ...]:
    return tuple(sum(number for on, state, number in ended if on == day and state in states) for day in span)
