"""Ends of a grant: revoked, completed, out of time. Each is felt by the next request, because each use is reserved in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select

from stagewarden.clock import NANOSECONDS
from stagewarden.grants.desk import Desk, fetch
from stagewarden.grants.grant import Changed, GrantState
from stagewarden.grants.lifecycle import Event
from stagewarden.store.tables import grants

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden.grants.desk import Pen
    from stagewarden.grants.grant import Grant

_REQUESTED, _ACTIVE = grants.c.state == str(GrantState.REQUESTED), grants.c.state == str(GrantState.ACTIVE)


class Ending(Desk):
    """Acts that end grants."""

    async def revoke(self, grant_id: str, by: str, reason: str) -> Changed:
        """Nothing is permitted by it any more; one that was only asked for is taken back."""
        async with self._writing() as pen:
            return await pen.move(await pen.load(grant_id), Event.REVOKED, by, reason or None)

    async def complete(self, grant_id: str, by: str, reason: str) -> Changed:
        """The task is done: a person says so."""
        async with self._writing() as pen:
            return await pen.move(await pen.load(grant_id), Event.COMPLETED, by, reason or None)

    async def complete_on(self, agent: str, workflow: str, kind: str) -> tuple[Changed, ...]:
        """An act of this kind succeeded: the grants that waited for it are done."""
        theirs = (
            grants.c.state == str(GrantState.ACTIVE), grants.c.agent == agent, grants.c.workflow == workflow, grants.c.completes_on == kind,
        )  # fmt: skip
        async with self._store.reading() as connection:
            if not await fetch(connection, *theirs, limit=1):
                return ()
        async with self._writing() as pen:
            found = await fetch(pen.connection, *theirs)
            return tuple([await pen.move(grant, Event.COMPLETED, None, f"done: {kind}") for grant in found])

    async def end_due(self) -> tuple[Changed, ...]:
        """End what is out of time on either clock. A use already under way is not undone; the next one is refused long before this."""
        passed = self.known.passed()
        async with self._store.reading() as connection:
            due = await self._due(connection, passed)
        moved: list[Changed] = []
        if due:
            async with self._writing() as pen:
                moved = [await _end(pen, grant) for grant in await self._due(pen.connection, passed)]
        for grant in {*passed, *(changed.grant.id for changed in moved)}:  # ended now, or before
            self.known.ended(grant)
        return tuple(moved)

    async def next_end(self) -> float | None:
        """Seconds until one is out of time, on the clock that says so first; 0 when one is; None when none will be."""
        now = self._clock.now_ns()
        soonest = (
            select(func.min(grants.c.decide_by_ns)).where(_REQUESTED),
            select(func.min(grants.c.expires_at_ns)).where(_ACTIVE),
            select(func.min(grants.c.review_by_ns)).where(_ACTIVE, grants.c.review_by_ns > 0),
        )
        async with self._store.reading() as connection:
            moments = [await connection.scalar(query) for query in soonest]
        left = [(moment - now) / NANOSECONDS for moment in moments if moment is not None]
        if (monotonic := self.known.soonest()) is not None:
            left.append(monotonic)
        return max(0.0, min(left)) if left else None

    async def _due(self, connection: AsyncConnection, passed: tuple[str, ...]) -> tuple[Grant, ...]:
        now = self._clock.now_ns()
        over = or_(
            _REQUESTED & (grants.c.decide_by_ns <= now),
            _ACTIVE & (grants.c.expires_at_ns <= now),
            _ACTIVE & (grants.c.review_by_ns > 0) & (grants.c.review_by_ns <= now),
            _ACTIVE & grants.c.id.in_(passed),
        )
        return await fetch(connection, over)


async def _end(pen: Pen, grant: Grant) -> Changed:
    """The one end that is due."""
    if grant.state is GrantState.REQUESTED:
        return await pen.move(grant, Event.DECIDE_BY_PASSED, None, "decide_by")
    if grant.review_by_ns and grant.review_by_ns < grant.expires_at_ns:
        return await pen.move(grant, Event.LAPSED, None, "review_window")
    return await pen.move(grant, Event.EXPIRED, None, "ttl")
