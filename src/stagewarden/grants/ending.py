"""Ends of a grant: revoked, completed, out of time. Each is felt by the next request, because each use is reserved in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import or_

from stagewarden.grants.desk import Desk, fetch
from stagewarden.grants.grant import Changed, GrantState
from stagewarden.grants.lifecycle import Event
from stagewarden.store.tables import grants

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden.grants.desk import Pen
    from stagewarden.grants.grant import Grant


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
        async with self._store.reading() as connection:
            if not await self._due(connection):
                return ()
        async with self._writing() as pen:
            found = await self._due(pen.connection)
            moved = [await _end(pen, grant) for grant in found]
        for grant in found:
            self.known.ended(grant.id)
        return tuple(moved)

    async def _due(self, connection: AsyncConnection) -> tuple[Grant, ...]:
        now, active = self._clock.now_ns(), grants.c.state == str(GrantState.ACTIVE)
        over = or_(
            (grants.c.state == str(GrantState.REQUESTED)) & (grants.c.decide_by_ns <= now),
            active & (grants.c.expires_at_ns <= now),
            active & (grants.c.review_by_ns > 0) & (grants.c.review_by_ns <= now),
            active & grants.c.id.in_(self.known.passed()),
        )
        return await fetch(connection, over)


async def _end(pen: Pen, grant: Grant) -> Changed:
    """The one end that is due."""
    if grant.state is GrantState.REQUESTED:
        return await pen.move(grant, Event.DECIDE_BY_PASSED, None, "decide_by")
    if grant.review_by_ns and grant.review_by_ns < grant.expires_at_ns:
        return await pen.move(grant, Event.LAPSED, None, "review_window")
    return await pen.move(grant, Event.EXPIRED, None, "ttl")
