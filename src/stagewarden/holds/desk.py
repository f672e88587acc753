"""The desk all acts on holds are done at: reading, one write transaction per act, the outbox, waiting for news.

A move is one conditional UPDATE and its entry, in one transaction; there is no other way to write a state. Entries go from
the outbox into the log by the gate's hand; only then is anybody told.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from stagewarden.errors import Conflict, NotFound
from stagewarden.holds import bodies, lifecycle, rows, titles
from stagewarden.holds.bell import Bell
from stagewarden.holds.deadlines import Deadlines
from stagewarden.holds.entries import Cause, Moved, hold_body, people_hear, vote_body
from stagewarden.holds.hours import over_at
from stagewarden.holds.lots import Lots, lot_of
from stagewarden.holds.paging import PLACES, named
from stagewarden.holds.resending import doubtful
from stagewarden.model import HoldState, Tier
from stagewarden.store import writes
from stagewarden.store.notices import Heard, note
from stagewarden.store.outbox import OutboxEntry, put
from stagewarden.store.tables import holds, outbox, votes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Sequence

    from sqlalchemy import ColumnElement, RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden import config
    from stagewarden.clock import Clock
    from stagewarden.holds.crypto import Vault
    from stagewarden.holds.lifecycle import Event
    from stagewarden.holds.lots import Lot
    from stagewarden.holds.paging import Filter
    from stagewarden.model import Document, Hold, Vote
    from stagewarden.store import Store

_LIGHT = tuple(column for column in holds.c if column.name not in {*rows.SEALED, "data_key"})
_BATCH = 500  # ids in one statement
CHANNEL = "holds"  # on which replicas tell each other which holds moved, after the name of the one that moved them
TOLD_AT_ONCE = 200  # ids in one notice, which has 8000 bytes


async def fetch(
    connection: AsyncConnection, vault: Vault | None, *where: ColumnElement[bool], order: Sequence[Any] = (), limit: int | None = None
) -> list[Hold]:
    """Holds as values; without a vault their payload is left unread.

    In a transaction that writes they are ours until its end, taken in one order so that two such transactions do not wait for each other:
    a vote must see the vote before it (SQLite has one writer, and knows no such lock).
    """
    columns = tuple(holds.c) if vault is not None else _LIGHT
    query = select(*columns).where(*where).limit(limit)
    query = query.order_by(*(order or (holds.c.number,))).with_for_update(key_share=True) if writes(connection) else query.order_by(*order)
    found = (await connection.execute(query)).mappings().all()
    cast: dict[str, list[Any]] = {row["id"]: [] for row in found}
    for batch in _batches(tuple(cast)):
        query = select(votes).where(votes.c.hold.in_(batch), votes.c.void_at_ns == 0).order_by(votes.c.number)
        for vote in (await connection.execute(query)).mappings():
            cast[vote["hold"]].append(vote)
    return [
        rows.restored(row, cast[row["id"]], None if vault is None or row["data_key"] is None else vault.unwrap(row["id"], row["data_key"]))
        for row in found
    ]


class Pen:
    """One write transaction on holds: what it moved, and the entries it wrote."""

    def __init__(self, connection: AsyncConnection, vault: Vault, lots: Lots, now_ns: int) -> None:
        self.connection = connection
        self.now_ns = now_ns
        self.touched: dict[str, Hold] = {}
        self.lots: dict[str, Lot] = {}
        self._vault = vault
        self._lots = lots

    async def load(self, hold_id: str, *, payload: bool = False) -> Hold:
        """The hold as it stands in this transaction; NotFound."""
        found = await fetch(self.connection, self._vault if payload else None, named(holds.c.id, hold_id))
        if not found:
            raise NotFound(f"hold {hold_id}: no such hold")
        return found[0]

    async def move(self, hold: Hold, event: Event, cause: Cause, **columns: object) -> Moved:
        """(1) Allowed by the table. (2) Still where, and in whose hands, it was read. (3) Entry. Conflict otherwise."""
        state = lifecycle.move(hold.state, event, doubtful=doubtful(hold))
        if state in lifecycle.ENDED:
            columns = {"ended_at_ns": self.now_ns, "ended_by": cause.reason, **columns}
        unchanged = (holds.c.id == hold.id, holds.c.state == str(hold.state), holds.c.attempt == hold.attempt)
        result = await self.connection.execute(update(holds).where(*unchanged).values(state=str(state), **columns))
        if result.rowcount != 1:
            raise Conflict(f"hold {hold.id} is no longer {hold.state}")
        moved = await self.load(hold.id, payload=hold.payload)
        if moved.state is HoldState.PENDING:  # votes were cast, or became void
            await self.sort(moved)
        self.touched[hold.id] = moved
        return Moved(moved, (await self._entry("hold", moved, hold_body(moved, hold.state, event, cause)),))

    async def remark(self, hold: Hold, what: str, cause: Cause, members: Document, **columns: object) -> Moved:
        """Something about a hold that stays where it is: nobody else has moved it or said so already, then its entry. Conflict otherwise."""
        unchanged = [holds.c.id == hold.id, holds.c.state == str(hold.state)]
        unchanged += [holds.c[name].is_not_distinct_from(getattr(hold, name)) for name in ("attempt", *columns)]
        result = await self.connection.execute(update(holds).where(*unchanged).values(**columns))
        if result.rowcount != 1:
            raise Conflict(f"hold {hold.id} is no longer {hold.state}")
        noted = await self.load(hold.id, payload=hold.payload)
        self.touched[hold.id] = noted
        return Moved(noted, (await self._entry("hold", noted, {**hold_body(noted, hold.state, what, cause), **members}),))

    async def add(self, hold: Hold, cause: Cause) -> Moved:
        """Store a fresh hold; Clash where one stands for the same repeat."""
        row = rows.stored(hold, self._vault)
        await self.connection.execute(insert(holds).values({**row, "lot": await self._lot(hold)}))
        payload = self._vault.unwrap(hold.id, row["data_key"])
        await titles.store(self.connection, hold, payload)
        if not isinstance(hold.request.body, bytes):
            await bodies.store(self.connection, hold.id, payload, hold.request.body)
        self.touched[hold.id] = hold
        return Moved(hold, (await self._entry("hold", hold, hold_body(hold, None, "opened", cause)),))

    async def record_vote(self, hold: Hold, vote: Vote) -> OutboxEntry:
        """Store a vote with its note sealed, and its entry; Clash where this person's vote stands already."""
        await self.lay_down(hold, vote)
        return await self._entry("vote", hold, vote_body(hold, vote))

    async def lay_down(self, hold: Hold, vote: Vote) -> None:
        """Store a vote that was cast elsewhere, and is in the log there."""
        wrapped = await self.connection.scalar(select(holds.c.data_key).where(holds.c.id == hold.id))
        if wrapped is None:
            raise Conflict(f"hold {hold.id}: its payload is deleted")
        await self.connection.execute(insert(votes).values(rows.vote_row(vote, hold.id, self._vault.unwrap(hold.id, wrapped))))

    async def sort(self, hold: Hold) -> None:
        """Into its lot, as it stands in this transaction."""
        await self.connection.execute(update(holds).where(holds.c.id == hold.id).values(lot=await self._lot(hold)))

    async def seal(self, hold: Hold, column: str, plain: bytes) -> bytes | None:
        """Ciphertext for a column of this hold; None where its payload is deleted already."""
        wrapped = await self.connection.scalar(select(holds.c.data_key).where(holds.c.id == hold.id))
        return None if wrapped is None else self._vault.unwrap(hold.id, wrapped).seal(column, plain)

    async def _lot(self, hold: Hold) -> str:
        lot = lot_of(hold)
        identifier = await self._lots.put(self.connection, lot)
        self.lots[identifier] = lot
        return identifier

    async def _entry(self, kind: Any, hold: Hold, body: Document) -> OutboxEntry:
        return await put(self.connection, kind, hold.id, body, self.now_ns)


class Desk:
    """Reading and waiting; the acts are added by opening, voting, ending and releasing."""

    def __init__(self, store: Store, vault: Vault, clock: Clock, terms: config.Holds, limits: config.Limits) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._terms = terms
        self._limits = limits
        self._deadlines = Deadlines(clock)
        self._lots = Lots()
        self.changed = Bell()
        self.heard = False  # whether anybody delivers notices of what is struck off the outbox; said by the wiring

    async def get(self, hold_id: str) -> Hold:
        """One hold with its payload; NotFound."""
        async with self._store.reading() as connection:
            found = await fetch(connection, self._vault, named(holds.c.id, hold_id))
        if not found:
            raise NotFound(f"hold {hold_id}: no such hold")
        return found[0]

    async def without_payload(self, hold_id: str) -> Hold:
        """One hold without its payload; NotFound."""
        async with self._store.reading() as connection:
            found = await fetch(connection, None, named(holds.c.id, hold_id))
        if not found:
            raise NotFound(f"hold {hold_id}: no such hold")
        return found[0]

    async def list(self, wanted: Filter, cursor: str | None = None, limit: int = 50) -> tuple[tuple[Hold, ...], str | None]:
        """Newest first, without payload; the place the next page begins after, or None at the end. Invalid for a place not ours."""
        where = wanted.where() if cursor is None else (*wanted.where(), PLACES.after(cursor))
        async with self._store.reading() as connection:
            found = await fetch(connection, None, *where, order=PLACES.order(), limit=limit + 1)
        page = tuple(found[:limit])
        return page, PLACES.at(page[-1].asked_at_ns, page[-1].id) if len(found) > limit else None

    async def states(self, ids: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Where these holds stand now, and their tiers; nothing else of them is read."""
        stand: dict[str, tuple[str, str]] = {}
        async with self._store.reading() as connection:
            for batch in _batches(tuple(ids)):
                found = await connection.execute(select(holds.c.id, holds.c.state, holds.c.tier).where(holds.c.id.in_(batch)).order_by(holds.c.id))
                stand |= {row.id: (row.state, row.tier) for row in found}
        return stand

    async def waiting(self) -> dict[Tier, tuple[int, int]]:
        """Per tier how many holds wait for people, and when the oldest was asked for (ns)."""
        asked = (holds.c.state == "pending", holds.c.asked)
        query = select(holds.c.tier, func.count(), func.min(holds.c.asked_at_ns)).where(*asked).group_by(holds.c.tier)
        async with self._store.reading() as connection:
            return {Tier(tier): (count, oldest) for tier, count, oldest in await connection.execute(query)}

    async def proposed(self) -> int:
        """How many proposals nobody has taken up."""
        async with self._store.reading() as connection:
            return await connection.scalar(select(func.count()).where(holds.c.state == "pending", ~holds.c.asked)) or 0

    async def outcome(self, hold_id: str, seconds: float) -> Hold:
        """The hold once nothing more will be sent for it and the log says so, or as it stands after so many seconds; no polling."""
        async with self.changed.listen(hold_id) as news:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while await self._goes_on(hold_id):
                        await news.wait()
                        news.clear()
        return await self.get(hold_id)

    async def _goes_on(self, hold_id: str) -> bool:
        """Whether it is open, or what ended it is not in a log yet: then the bell rings once more."""
        async with self._store.reading() as connection:
            state = await connection.scalar(select(holds.c.state).where(named(holds.c.id, hold_id)))
            if state is None:
                raise NotFound(f"hold {hold_id}: no such hold")
            return state in lifecycle.OPEN or await connection.scalar(select(outbox.c.number).where(outbox.c.hold == hold_id).limit(1)) is not None

    async def undelivered(self, limit: int = 1000) -> tuple[OutboxEntry, ...]:
        """Entries of this instance that are not known to be in its log, oldest first. Others bring theirs into their own."""
        ours = () if self._store.exclusive else (outbox.c.origin == self._store.instance,)
        async with self._store.reading() as connection:
            found = (await connection.execute(select(outbox).where(*ours).order_by(outbox.c.number).limit(limit))).mappings().all()
        return tuple(OutboxEntry(row["id"], row["kind"], row["body"]) for row in found)

    async def delivered(self, ids: Iterable[str]) -> None:
        """These entries are durable in the log: forget them, and wake whoever waits for their holds."""
        wanted = tuple(ids)
        rung: set[str] = set()
        async with self._store.writing() as connection:
            for batch in _batches(wanted):
                # What somebody else strikes off at this moment (an instance that was taken for gone) is theirs to tell of.
                gone = (await connection.execute(delete(outbox).where(outbox.c.id.in_(batch)).returning(outbox))).mappings().all()
                struck = sorted(gone, key=lambda row: row["number"])
                rung.update(row["hold"] for row in struck)
                if self.heard:
                    await note(connection, [heard for row in struck if (heard := _heard(row)) is not None])
            for batch in _batches(tuple(rung), TOLD_AT_ONCE):
                await self._store.notify(connection, CHANNEL, " ".join((self._store.instance, *batch)))
        self.changed.ring(rung)

    async def adopt(self, living: Collection[str]) -> int:
        """Entries of instances that are gone belong into our log from now on: by id, and to one of us alone. How many."""
        gone = outbox.c.origin.not_in(sorted({*living, self._store.instance}))
        async with self._store.writing() as connection:
            return int((await connection.execute(update(outbox).where(gone).values(origin=self._store.instance))).rowcount)

    async def heed(self, ids: Iterable[str]) -> None:
        """Another process moved these holds: from now on this one's clocks watch their deadlines too."""
        async with self._store.reading() as connection:
            for hold in await fetch(connection, None, holds.c.id.in_(tuple(ids))):
                self._watch(hold)

    async def heed_all(self) -> None:
        """Others may have moved any: the deadlines of all that are open are watched here."""
        async with self._store.reading() as connection:
            for hold in await fetch(connection, None, holds.c.state.in_(lifecycle.WAITING)):
                self._watch(hold)

    def leave(self, ids: Iterable[str]) -> None:
        """Another process watches the deadlines of these holds: forget them here."""
        for hold in ids:
            self._deadlines.forget(hold)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Pen]:
        """One transaction; afterwards the clocks know the deadlines of what it moved."""
        async with self._store.writing() as connection:
            pen = Pen(connection, self._vault, self._lots, self._clock.now_ns())
            yield pen
        self._lots.learn(pen.lots)
        for hold in pen.touched.values():
            self._watch(hold)

    def _watch(self, hold: Hold) -> None:
        if hold.state not in lifecycle.OPEN:
            self._deadlines.forget(hold.id)
            return
        if hold.state is HoldState.SENT:
            self._deadlines.rest(hold.id, comes_back=hold.resend)
            return
        self._deadlines.note(hold)
        if hold.state is not HoldState.CLAIMED:
            self._deadlines.forget_lease(hold.id)
        self._deadlines.note_calls(hold, self._calls_at(hold))

    def _calls_at(self, hold: Hold) -> tuple[int, ...]:
        """When people are called to this hold; no moment where they were, or nobody is asked, or nobody waits any longer."""
        if hold.state is not HoldState.PENDING or not hold.asked:
            return ()
        calls = ((self._terms.escalate_at, hold.escalated_at_ns), (self._terms.remind_at, hold.reminded_at_ns))
        return tuple(self._call_moment(hold.asked_at_ns, share) for share, done in calls if share is not None and not done)

    def _call_moment(self, asked_at_ns: int, share: float) -> int:
        return over_at(asked_at_ns, self._terms.decide_within * share, self._terms.hours)

    def _claimed_by(self, hold: Hold, attempt: str) -> None:
        """Conflict unless this attempt holds the claim."""
        if hold.state is not HoldState.CLAIMED or hold.attempt != attempt:
            raise Conflict(f"hold {hold.id} is {hold.state} and not claimed by this attempt")

    def _in_time(self, hold: Hold) -> None:
        """Conflict when the deadline that runs for this hold is over on either clock; the release loop will expire it."""
        if self._deadlines.over(hold):
            raise Conflict(f"hold {hold.id}: its time is over")


def _heard(row: RowMapping) -> Heard | None:
    event = people_hear(row["body"]) if row["kind"] == "hold" else None
    return None if event is None else Heard(row["id"], row["hold"], event, str(row["body"]["state"]), row["created_ns"])


def _batches(ids: Sequence[str], size: int = _BATCH) -> Iterable[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
