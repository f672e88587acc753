"""The desk all acts on grants are done at: reading, and one write transaction per act.

A move is one conditional UPDATE and its outbox entry, in one transaction; there is no other way to write a state.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from stagewarden.errors import Conflict, NotFound
from stagewarden.grants import lifecycle, rows
from stagewarden.grants.grant import Changed, Grant, GrantState, Use
from stagewarden.grants.known import Known
from stagewarden.store import writes
from stagewarden.store.outbox import put
from stagewarden.store.places import Places
from stagewarden.store.tables import grant_uses, grant_votes, grants

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden.clock import Clock
    from stagewarden.grants.lifecycle import Event
    from stagewarden.model import Document, Vote
    from stagewarden.store import Store
    from stagewarden.store.outbox import Kind, OutboxEntry

_PLACES = Places(grants, "g")
_BATCH = 500


async def fetch(
    connection: AsyncConnection, *where: ColumnElement[bool], order: Sequence[Any] = (), limit: int | None = None
) -> tuple[Grant, ...]:  # fmt: skip
    """Grants with their votes; in a transaction that writes they are ours until its end, as holds are (holds/desk.py)."""
    query = select(grants).where(*where).limit(limit)
    query = query.order_by(*(order or (grants.c.number,))).with_for_update(key_share=True) if writes(connection) else query.order_by(*order)
    found = (await connection.execute(query)).mappings().all()
    cast: dict[str, list[Any]] = {row["id"]: [] for row in found}
    ids = tuple(cast)
    for start in range(0, len(ids), _BATCH):
        query = select(grant_votes).where(grant_votes.c.grant.in_(ids[start : start + _BATCH])).order_by(grant_votes.c.number)
        for vote in (await connection.execute(query)).mappings():
            cast[vote["grant"]].append(vote)
    return tuple(rows.restored(row, cast[row["id"]]) for row in found)


class Pen:
    """One write transaction on grants."""

    def __init__(self, connection: AsyncConnection, now_ns: int) -> None:
        self.connection = connection
        self.now_ns = now_ns

    async def load(self, grant_id: str) -> Grant:
        """The grant as it stands in this transaction, and until its end; NotFound."""
        found = await fetch(self.connection, grants.c.id == grant_id)
        if not found:
            raise NotFound(f"grant {grant_id}: no such grant")
        return found[0]

    async def move(self, grant: Grant, event: Event, by: str | None, why: str | None, **columns: object) -> Changed:
        """(1) Allowed by the table. (2) Still where it was read. (3) Entry. Conflict otherwise."""
        state = lifecycle.move(grant.state, event)
        if state in lifecycle.ENDED:
            columns = {"ended_at_ns": self.now_ns, "ended_by": by, "ended_why": why or str(event), **columns}
        unchanged = (grants.c.id == grant.id, grants.c.state == str(grant.state))
        result = await self.connection.execute(update(grants).where(*unchanged).values(state=str(state), **columns))
        if result.rowcount != 1:
            raise Conflict(f"grant {grant.id} is no longer {grant.state}")
        moved = await self.load(grant.id)
        return Changed(moved, (await self.enter("grant", moved, rows.body(moved, grant.state, event, by, why)),))

    async def add(self, grant: Grant) -> Changed:
        """Store a request for a grant."""
        await self.connection.execute(insert(grants).values(rows.stored(grant)))
        entry = await self.enter("grant", grant, rows.body(grant, None, "requested", grant.requested_by, grant.terms.evidence))
        return Changed(grant, (entry,))

    async def record_vote(self, grant: Grant, vote: Vote) -> OutboxEntry:
        """Store a vote; Clash where this person's stands already."""
        await self.connection.execute(insert(grant_votes).values(rows.vote_row(vote, grant.id)))
        return await self.enter("vote", grant, rows.vote_body(grant, vote))

    async def enter(self, kind: Kind, grant: Grant, body: Document) -> OutboxEntry:
        """One entry for the log, about the grant itself: until it is there, nothing of the grant can be used."""
        return await put(self.connection, kind, grant.id, body, self.now_ns)

    async def enter_use(self, grant: Grant, event: str, use: Use) -> OutboxEntry:
        """One entry for the log, about a use: it keeps nobody from the other uses."""
        return await put(self.connection, "grant", use.id, rows.use_body(grant, event, use), self.now_ns)


class Desk:
    """Reading; the acts are added by asking, ending and using."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.known = Known(clock)

    async def get(self, grant_id: str) -> Grant:
        """One grant; NotFound."""
        async with self._store.reading() as connection:
            found = await fetch(connection, grants.c.id == grant_id)
        if not found:
            raise NotFound(f"grant {grant_id}: no such grant")
        return found[0]

    async def list(
        self, states: frozenset[GrantState], agent: str | None, cursor: str | None = None, limit: int = 50
    ) -> tuple[tuple[Grant, ...], str | None]:
        """Newest first, and the place the next page begins after; no state named: any. Invalid for a place not ours."""
        where: list[ColumnElement[bool]] = [] if cursor is None else [_PLACES.after(cursor)]
        if states:
            where.append(grants.c.state.in_(sorted(map(str, states))))
        if agent is not None:
            where.append(grants.c.agent == agent)
        async with self._store.reading() as connection:
            found = await fetch(connection, *where, order=_PLACES.order(), limit=limit + 1)
        page = found[:limit]
        return page, _PLACES.at(page[-1].asked_at_ns, page[-1].id) if len(found) > limit else None

    async def uses(self, *grant_ids: str) -> tuple[Use, ...]:
        """Every use of these grants, oldest first."""
        async with self._store.reading() as connection:
            query = select(grant_uses).where(grant_uses.c.grant.in_(grant_ids)).order_by(grant_uses.c.number)
            return tuple(rows.use(row) for row in (await connection.execute(query)).mappings())

    async def active(self) -> dict[str, int]:
        """How many are active, by stage."""
        query = select(grants.c.stage, func.count()).where(grants.c.state == str(GrantState.ACTIVE)).group_by(grants.c.stage)
        async with self._store.reading() as connection:
            return {str(stage): count for stage, count in await connection.execute(query)}

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Pen]:
        """One transaction; afterwards this process reads anew who could have a grant."""
        async with self._store.writing() as connection:
            yield Pen(connection, self._clock.now_ns())
        self.known.forget()
