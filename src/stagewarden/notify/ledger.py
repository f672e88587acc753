"""The rows of deliveries: written with the notice they come from, claimed with a lease by one replica, settled once.

At least once: a claim whose replica is gone is over with its lease, and the message goes out again under the same id. Decides neither whom
to tell nor what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, false, func, insert, or_, select, update

from stagewarden.clock import NANOSECONDS, new_id
from stagewarden.errors import Conflict, NotFound
from stagewarden.store.places import Places
from stagewarden.store.tables import deliveries, notices, silenced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden.clock import Clock
    from stagewarden.model import Document
    from stagewarden.notify.channels import Outcome
    from stagewarden.store import Store

LEASE = 120.0  # seconds: longer than any attempt may take (config/rules/notify.py bounds it)
MOST_WAITING = 5000  # of one channel; what comes on top is dead at once, and can be sent again
KEPT, KEPT_DEAD, KEPT_NOTICES = 7 * 86_400, 30 * 86_400, 3 * 86_400  # seconds
_KEY = "notify"
PLACES = Places(deliveries, "n")
STATES = ("waiting", "sending", "delivered", "dead")


@dataclass(frozen=True, slots=True)
class Pending:
    """A notice nobody has turned into deliveries yet."""

    entry: str
    hold: str
    event: str
    state: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One message to one target of one channel; `once` is the same wherever it would be the same message again."""

    once: str
    channel: str
    target: str
    event: str
    subject: str
    document: Document


@dataclass(frozen=True, slots=True)
class Delivery:
    """One as it stands. `next_ns`: when it is due; `code`: what the last attempt came to."""

    id: str
    channel: str
    target: str
    event: str
    subject: str
    document: Document
    state: str
    attempts: int
    asked_at_ns: int
    next_ns: int
    ended_ns: int
    code: str | None
    resent_by: str | None
    claim: str | None


class Ledger:
    """Over the state database; every replica that delivers has one."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def pending(self, limit: int = 100) -> tuple[Pending, ...]:
        """Notices, oldest first."""
        async with self._store.reading() as connection:
            rows = (await connection.execute(select(notices).order_by(notices.c.number).limit(limit))).mappings().all()
        return tuple(Pending(row["entry"], row["hold"], row["event"], row["state"], row["at_ns"]) for row in rows)

    async def enter(self, entry: str | None, wanted: Sequence[NewDelivery], addresses: dict[str, str]) -> int:
        """The deliveries of one notice, and the notice is gone, in one transaction; how many are new. Another replica may have been quicker.

        `addresses` are the channels' own: what goes to a silenced one is dead from the start.
        """
        async with self._store.writing() as connection:
            await self._store.alone(connection, _KEY)
            if entry is not None and (await connection.execute(delete(notices).where(notices.c.entry == entry))).rowcount != 1:
                return 0
            there = await _taken(connection, [each.once for each in wanted])
            fresh = list({each.once: each for each in wanted if each.once not in there}.values())
            full, now = await self._full(connection, sorted({each.channel for each in fresh}), addresses), await self._now_ns(connection)
            for each in fresh:
                await connection.execute(insert(deliveries).values(_row(each, full.get(each.channel), now)))
        return len(fresh)

    async def claim(self, channel: str, limit: int) -> tuple[Delivery, ...]:
        """Up to so many that are due, ours until their lease is over."""
        async with self._store.writing() as connection:
            now = await self._now_ns(connection)
            due = or_(
                and_(deliveries.c.state == "waiting", deliveries.c.next_ns <= now),
                and_(deliveries.c.state == "sending", deliveries.c.lease_until_ns <= now),
            )
            query = select(deliveries).where(deliveries.c.channel == channel, due).order_by(deliveries.c.next_ns).limit(limit)
            claimed = []
            for row in (await connection.execute(query)).mappings().all():
                ours = {"state": "sending", "claim": new_id("c", now), "attempts": row["attempts"] + 1}
                lease = now + int(LEASE * NANOSECONDS)
                same = (deliveries.c.id == row["id"], deliveries.c.state == row["state"], deliveries.c.attempts == row["attempts"])
                if (await connection.execute(update(deliveries).where(*same).values(**ours, lease_until_ns=lease))).rowcount == 1:
                    claimed.append(_delivery({**row, **ours}))
        return tuple(claimed)

    async def settle(self, delivery: Delivery, outcome: Outcome, pause: float | None, address: str) -> str | None:
        """What came of our attempt: its state now; None where it is ours no longer. `pause` None: nothing more is tried."""
        ours = (deliveries.c.id == delivery.id, deliveries.c.state == "sending", deliveries.c.claim == delivery.claim)
        async with self._store.writing() as connection:
            now = await self._now_ns(connection)
            stands = _settled(outcome, pause, now)
            if (await connection.execute(update(deliveries).where(*ours).values(**stands, code=outcome.code, claim=None))).rowcount != 1:
                return None
            if outcome.result == "gone":
                await self._silence(connection, delivery.channel, address, now)
        return str(stands["state"])

    async def next_due(self, channel: str) -> float | None:
        """Seconds until the next is due, also below zero; None where none waits."""
        query = select(
            func.min(deliveries.c.next_ns).filter(deliveries.c.state == "waiting"),
            func.min(deliveries.c.lease_until_ns).filter(deliveries.c.state == "sending"),
        ).where(deliveries.c.channel == channel)
        async with self._store.reading() as connection:
            moments = [each for each in (await connection.execute(query)).one() if each is not None]
            return (min(moments) - await self._now_ns(connection)) / NANOSECONDS if moments else None

    async def page(self, state: str | None, cursor: str | None, limit: int) -> tuple[tuple[Delivery, ...], str | None]:
        """Newest first, and the place the next page begins after. Invalid for a place that is not ours."""
        where: list[ColumnElement[bool]] = [] if state is None else [deliveries.c.state == state]
        if cursor is not None:
            where.append(PLACES.after(cursor))
        async with self._store.reading() as connection:
            query = select(deliveries).where(*where).order_by(*PLACES.order()).limit(limit + 1)
            rows = (await connection.execute(query)).mappings().all()
        page = tuple(_delivery(row) for row in rows[:limit])
        return page, PLACES.at(page[-1].asked_at_ns, page[-1].id) if len(rows) > limit else None

    async def get(self, delivery_id: str) -> Delivery:
        """One; NotFound."""
        async with self._store.reading() as connection:
            row = (await connection.execute(select(deliveries).where(_is(delivery_id)))).mappings().first()
        if row is None:
            raise NotFound("no such delivery")
        return _delivery(row)

    async def resend(self, delivery_id: str, by: str) -> Delivery:
        """Due now, with all its attempts before it, and its channel speaks again. NotFound; Conflict while it is being sent."""
        async with self._store.writing() as connection:
            now = await self._now_ns(connection)
            row = (await connection.execute(select(deliveries).where(_is(delivery_id)))).mappings().first()
            if row is None:
                raise NotFound("no such delivery")
            again = {"state": "waiting", "attempts": 0, "next_ns": now, "ended_ns": 0, "resent_by": by}
            changed = await connection.execute(
                update(deliveries).where(deliveries.c.id == row["id"], deliveries.c.state != "sending").values(**again)
            )
            if changed.rowcount != 1:
                raise Conflict("it is being sent just now")
            await connection.execute(delete(silenced).where(silenced.c.channel == row["channel"]))
        return _delivery({**row, **again})

    async def standing(self) -> dict[str, int]:
        """How many deliveries wait, and how many are dead."""
        shown = deliveries.c.state.in_(("waiting", "dead"))
        query = select(deliveries.c.state, func.count().label("held")).where(shown).group_by(deliveries.c.state)
        async with self._store.reading() as connection:
            return {row.state: row.held for row in await connection.execute(query)}

    async def purge(self) -> None:
        """Forget what nobody looks for any more: what arrived, what is dead for long, and notices that nobody here delivers.

        What was due days ago and has not been tried is of a channel that is configured nowhere any more: dead, and shown as such.
        """
        async with self._store.writing() as connection:
            now = await self._now_ns(connection)
            left = and_(deliveries.c.state.in_(("waiting", "sending")), deliveries.c.next_ns < now - KEPT_NOTICES * NANOSECONDS)
            nobodys = (left, deliveries.c.lease_until_ns <= now)
            await connection.execute(update(deliveries).where(*nobodys).values(state="dead", ended_ns=now, code="no_channel", claim=None))
            for state, kept in (("delivered", KEPT), ("dead", KEPT_DEAD)):
                over = and_(deliveries.c.state == state, deliveries.c.ended_ns < now - kept * NANOSECONDS)
                await connection.execute(delete(deliveries).where(over))
            await connection.execute(delete(notices).where(notices.c.at_ns < now - KEPT_NOTICES * NANOSECONDS))

    async def _now_ns(self, connection: AsyncConnection) -> int:
        """What is due, and for whom, is one question of all replicas: by the clock they share, wherever it is asked or answered."""
        return await self._store.now_ns(connection, self._clock.now_ns())

    async def _full(self, connection: AsyncConnection, channels: list[str], addresses: dict[str, str]) -> dict[str, str]:
        """Channels that take nothing more now, and why."""
        off = {row.channel: row.address for row in await connection.execute(select(silenced).where(silenced.c.channel.in_(channels)))}
        waiting = (deliveries.c.channel.in_(channels), deliveries.c.state == "waiting")
        query = select(deliveries.c.channel, func.count()).where(*waiting).group_by(deliveries.c.channel)
        full = {channel: "queue_full" for channel, count in await connection.execute(query) if count >= MOST_WAITING}
        return full | {channel: "silenced" for channel, address in off.items() if addresses.get(channel) == address}

    @staticmethod
    async def _silence(connection: AsyncConnection, channel: str, address: str, now: int) -> None:
        await connection.execute(delete(silenced).where(silenced.c.channel == channel))
        await connection.execute(insert(silenced).values(channel=channel, address=address, since_ns=now))
        waiting = (deliveries.c.channel == channel, deliveries.c.state == "waiting")
        await connection.execute(update(deliveries).where(*waiting).values(state="dead", ended_ns=now, code="silenced"))


def _row(new: NewDelivery, dead: str | None, now: int) -> dict[str, object]:
    fresh = {"state": "waiting", "ended_ns": 0, "code": None} if dead is None else {"state": "dead", "ended_ns": now, "code": dead}
    return {
        "id": new_id("n", now), "once": new.once, "channel": new.channel, "target": new.target, "event": new.event, "subject": new.subject,
        "body": new.document, "asked_at_ns": now, "next_ns": now, **fresh,
    }  # fmt: skip


def _settled(outcome: Outcome, pause: float | None, now: int) -> dict[str, object]:
    if outcome.result == "delivered":
        return {"state": "delivered", "ended_ns": now}
    return {"state": "dead", "ended_ns": now} if pause is None else {"state": "waiting", "next_ns": now + int(pause * NANOSECONDS)}


async def _taken(connection: AsyncConnection, keys: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(keys), 500):
        found |= set((await connection.execute(select(deliveries.c.once).where(deliveries.c.once.in_(keys[start : start + 500])))).scalars())
    return found


def _is(delivery_id: str) -> ColumnElement[bool]:
    """Nothing has an id with a NUL in it: PostgreSQL's text cannot hold one (its manual, section 8.3)."""
    return false() if "\0" in delivery_id else deliveries.c.id == delivery_id


def _delivery(row: RowMapping | dict[str, object]) -> Delivery:
    names = (
        "id", "channel", "target", "event", "subject", "body", "state", "attempts", "asked_at_ns", "next_ns", "ended_ns", "code", "resent_by",
        "claim",
    )  # fmt: skip
    return Delivery(*(row[name] for name in names))  # type: ignore[arg-type]  # the columns' own types
