"""What waits, as lists show it: counted by lot, ordered by when it is due, read a page at a time.

However many holds wait, what is read is one row for each lot and one page. Of what was sent, only what it is called is ever read here, and
only where the caller says for which holds.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import and_, case, func, or_, select, text, true

from stagewarden.holds import lifecycle, titles
from stagewarden.holds.desk import Desk, fetch
from stagewarden.holds.paging import BY_DUE, BY_END, DUE_LAST, contains, named
from stagewarden.model import HoldState, Tier
from stagewarden.store.tables import WAITS, holds, votes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from sqlalchemy import ColumnElement, TextClause
    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden.holds.crypto import Vault
    from stagewarden.holds.lots import Lot, Lots
    from stagewarden.holds.paging import Narrowed
    from stagewarden.model import Hold
    from stagewarden.store.places import Places

    Where: TypeAlias = tuple[ColumnElement[bool] | TextClause, ...]

_STRAYS = 500  # holds of an earlier release that get their lots in one transaction
_LATELY = 1000  # ended holds whose lots say what there is to filter by
_UNDER_WAY = tuple(sorted(map(str, lifecycle.OPEN - {HoldState.PENDING})))


@dataclass(frozen=True, slots=True)
class Tally:
    """Holds of one lot that wait: how many, since when the first of them, how many are due soon. `asked` False: proposals."""

    id: str
    lot: Lot
    asked: bool
    count: int
    oldest_ns: int
    soon: int


@dataclass(frozen=True, slots=True)
class Which:
    """Holds that wait: of these lots, due by then, asked for after then; `text`: in an id or asset, or of the lots it was `found` in."""

    asked: bool
    lots: frozenset[str]
    due_by_ns: int | None = None
    after_ns: int | None = None
    text: str = ""
    found: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands around one hold in the order of what waits: how many before it, and the ids of its neighbours."""

    ahead: int
    before: str | None
    after: str | None


class Glance:
    """One consistent view of what waits."""

    def __init__(self, connection: AsyncConnection, vault: Vault, lots: Lots) -> None:
        self._connection = connection
        self._vault = vault
        self._lots = lots
        self._every: dict[bool, frozenset[str]] = {}

    async def tallies(self, soon_ns: int) -> tuple[Tally, ...]:
        """Of all that waits, proposals included. Must come first: what a list leaves out depends on it."""
        soon = func.sum(case((holds.c.expires_at_ns <= soon_ns, 1), else_=0))
        counted = select(holds.c.asked, holds.c.lot, func.count(), func.min(holds.c.asked_at_ns), soon)
        query = counted.where(text(WAITS)).group_by(holds.c.asked, holds.c.lot)
        found = [tuple(row) for row in await self._connection.execute(query)]
        known = await self._lots.read(self._connection, {row[1] for row in found if row[1] is not None})
        told = tuple(Tally(lot, known[lot], bool(asked), count, oldest, int(soon)) for asked, lot, count, oldest, soon in found if lot in known)
        self._every = {asked: frozenset(tally.id for tally in told if tally.asked is asked) for asked in (True, False)}
        return told

    async def page(self, which: Which, place: str | None, limit: int) -> tuple[tuple[Hold, ...], str | None]:
        """Those due first, without payload; the place the next page begins after, or None at the end. Invalid for a place not ours."""
        if not which.lots:
            return (), None
        return await self._page(BY_DUE, self._where(which), place, limit)

    async def count(self, which: Which) -> int:
        """How many."""
        if not which.lots:
            return 0
        return await self._connection.scalar(select(func.count()).where(*self._where(which))) or 0

    async def under_way(self, limit: int) -> tuple[Hold, ...]:
        """Decided, and not yet at its end."""
        return tuple(await fetch(self._connection, None, holds.c.state.in_(_UNDER_WAY), order=(holds.c.approved_at_ns.desc(),), limit=limit))

    async def ended(self, wanted: Narrowed, place: str | None, limit: int) -> tuple[tuple[Hold, ...], str | None]:
        """What ended last comes first."""
        return await self._page(BY_END, (holds.c.ended_at_ns > 0, *wanted.where()), place, limit)

    async def ended_lots(self) -> frozenset[Lot]:
        """Of what ended lately."""
        lately = select(holds.c.lot).where(holds.c.ended_at_ns > 0).order_by(*BY_END.order()).limit(_LATELY).subquery()
        found = (await self._connection.execute(select(lately.c.lot).distinct())).scalars()
        return frozenset((await self._lots.read(self._connection, {lot for lot in found if lot is not None})).values())

    async def ended_since(self, since_ns: int) -> int:
        """How many have ended since then."""
        return await self._connection.scalar(select(func.count()).where(holds.c.ended_at_ns >= max(1, since_ns))) or 0

    async def high_votes(self, ids: Collection[str], since_ns: int) -> int:
        """How many holds of high tier a human being has decided since then, under whichever of these ids."""
        theirs = (votes.c.person.in_(ids), votes.c.at_ns >= since_ns, holds.c.tier == str(Tier.HIGH))
        return await self._connection.scalar(select(func.count()).select_from(votes.join(holds, votes.c.hold == holds.c.id)).where(*theirs)) or 0

    async def last_voted(self, ids: Collection[str]) -> Hold | None:
        """The hold that a human being with these ids voted on last."""
        last = select(votes.c.hold).where(votes.c.person.in_(ids)).order_by(votes.c.at_ns.desc(), votes.c.number.desc()).limit(1)
        found = await fetch(self._connection, None, holds.c.id == last.scalar_subquery())
        return found[0] if found else None

    async def titles(self, ids: Collection[str]) -> dict[str, str]:
        """What these holds are called, as far as it is kept: a piece of their content, which the caller records as read."""
        return await titles.load(self._connection, self._vault, ids)

    async def beside(self, which: Which, hold_id: str) -> Beside | None:
        """Its neighbours among these; None where it is none of them."""
        if not which.lots:
            return None
        where = self._where(which)
        row = (await self._connection.execute(select(holds.c.expires_at_ns).where(named(holds.c.id, hold_id), *where))).first()
        if row is None:
            return None
        place = BY_DUE.at(row.expires_at_ns, hold_id)
        ahead = await self._connection.scalar(select(func.count()).where(*where, DUE_LAST.after(place)))
        before, after = [
            await self._connection.scalar(select(holds.c.id).where(*where, order.after(place)).order_by(*order.order()).limit(1))
            for order in (DUE_LAST, BY_DUE)
        ]
        return Beside(ahead or 0, before, after)

    async def place_of(self, hold_id: str) -> str | None:
        """Where a hold stands, or stood, in the order of what waits."""
        row = (await self._connection.execute(select(holds.c.expires_at_ns).where(named(holds.c.id, hold_id)))).first()
        return None if row is None else BY_DUE.at(row.expires_at_ns, hold_id)

    async def _page(self, order: Places, where: Where, place: str | None, limit: int) -> tuple[tuple[Hold, ...], str | None]:
        """Walked in the index first: a row is wide, and most of those passed over are not shown."""
        after = () if place is None else (order.after(place),)
        wanted = select(holds.c.id).where(*where, *after).order_by(*order.order()).limit(limit + 1)
        found = await fetch(self._connection, None, holds.c.id.in_(wanted), order=order.order())
        page = tuple(found[:limit])
        return page, order.at(getattr(page[-1], order.time), page[-1].id) if len(found) > limit else None

    def _where(self, which: Which) -> Where:
        conditions: list[ColumnElement[bool] | TextClause] = [text(WAITS), holds.c.asked.is_(which.asked), self._among(which)]
        if which.due_by_ns is not None:
            conditions.append(holds.c.expires_at_ns <= which.due_by_ns)
        if which.after_ns is not None:
            conditions.append(holds.c.asked_at_ns > which.after_ns)
        if which.text:
            anywhere = or_(*(contains(holds.c[name], which.text) for name in ("id", "asset")))
            conditions.append(or_(anywhere, _lot().in_(which.found)) if which.found else anywhere)
        return tuple(conditions)

    def _among(self, which: Which) -> ColumnElement[bool]:
        """By the shorter of two lists: the lots that are meant, and those that are not."""
        others = self._every[which.asked] - which.lots
        if not others:
            return true()
        return _lot().in_(which.lots) if len(which.lots) <= len(others) else _lot().not_in(others)


class Inbox(Desk):
    """Reading what waits."""

    @asynccontextmanager
    async def glance(self) -> AsyncIterator[Glance]:
        """One consistent view."""
        await self._sort_strays()
        async with self._store.reading() as connection:
            yield Glance(connection, self._vault, self._lots)

    async def _sort_strays(self) -> None:
        """What waits and has no lot was opened by an earlier release: it gets one. Once a process: no release beside us writes any."""
        stray = and_(text(WAITS), holds.c.lot.is_(None))
        while not self._lots.complete:
            async with self._writing() as pen:
                found = await fetch(pen.connection, None, stray, limit=_STRAYS)
                for hold in found:
                    await pen.sort(hold)
            self._lots.complete = len(found) < _STRAYS


def _lot() -> ColumnElement[str]:
    """Lists are walked in the order they are shown in: an index on lots would have every hold of them sorted first."""
    return func.coalesce(holds.c.lot, "")
