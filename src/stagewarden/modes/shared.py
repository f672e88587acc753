"""The stops as all replicas know them: one sequence of orders in the state database, which every replica brings into its own file.

To stop, the local file comes first and the shared state is told after it; to loosen, the shared state decides, and nothing is loosened while
it cannot be reached. So whatever is engaged in either is engaged. A replica pushes what the shared state lacks, takes what it lacks itself,
and says how long ago it last heard: past `max_staleness` it lets no write through (`Modes.stop`).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

import structlog
from msgspec.structs import asdict, replace
from sqlalchemy import func, insert, select

from stagewarden.errors import CannotTell, Conflict, StateUnavailable
from stagewarden.modes.orders import MODES, Change
from stagewarden.store import Clash
from stagewarden.store.tables import stops

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stagewarden.clock import Clock
    from stagewarden.modes.folding import InForce
    from stagewarden.modes.modes import Modes
    from stagewarden.store import Ear, Store

T = TypeVar("T")
CHANNEL = "stops"
_LOOKS = 5  # within `max_staleness`
_TRIES = 20  # for the next number, while others take it
_ROUNDS = 3
_COLUMNS = tuple(column.name for column in stops.columns)


class Shared:
    """One replica's end of the shared sequence. `told` is called after anything new is in force here."""

    def __init__(self, modes: Modes, store: Store, clock: Clock, max_staleness: float) -> None:
        """`max_staleness` in seconds."""
        self._modes = modes
        self._store = store
        self._clock = clock
        self._max_staleness = max_staleness
        self._one = asyncio.Lock()
        self._logger = structlog.get_logger("stagewarden.stops")
        self._heard_at: float | None = None
        self.told: Callable[[], Awaitable[object]] | None = None
        self.ear: Ear = store.listen((CHANNEL,), clock)  # a connection of its own: a stop waits behind nothing
        self._news = asyncio.Event()

    @property
    def age(self) -> float | None:
        """Seconds since the shared state was last heard; None: never yet."""
        return None if self._heard_at is None else self._clock.monotonic() - self._heard_at

    async def run(self) -> None:
        """Until cancelled: hear when told, and now and then without."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            trouble = False
            while True:
                self._news.clear()
                try:
                    await self.hear()
                    trouble = False
                except CannotTell as failure:
                    if not trouble:
                        self._logger.warning("stops_not_heard", cause=str(failure))
                    trouble = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._max_staleness / _LOOKS):
                        await self._news.wait()

    async def _listen(self) -> None:
        """Whatever is said says only that there is something to read."""
        try:
            async for _ in self.ear.notices():
                self._news.set()
        finally:
            await self.ear.close()

    async def hear(self) -> None:
        """(1) Take what others ordered. (2) Tell them what they lack of ours. Raises StateUnavailable, or CannotTell where it is not written here."""
        async with self._one:
            fresh = await self._within(self._exchange())
        if fresh and self.told is not None:
            await self.told()

    async def order(self, change: Change) -> None:
        """An order that is in no file of ours, told all the same."""
        async with self._one:
            await self._within(self._tell(change))

    async def loosen(self, make: Callable[[InForce], Change]) -> None:
        """Order something looser: only with the next number after all that is heard, so that it never undoes what it has not seen."""
        async with self._one:
            await self._within(self._loosen(make))
        if self.told is not None:
            await self.told()

    async def _within(self, work: Awaitable[T]) -> T:
        """No longer than the shared state may be silent. A database that hangs is one that is gone."""
        try:
            async with asyncio.timeout(self._max_staleness):
                return await work
        except TimeoutError as failure:
            raise StateUnavailable("the shared state of the stops does not answer") from failure

    async def _loosen(self, make: Callable[[InForce], Change]) -> bool:
        for _ in range(_TRIES):
            await self._exchange()
            file = self._modes.standing()
            numbered = replace(make(file), number=file.heard + 1)
            try:
                await self._insert(numbered)
            except Clash:
                continue
            await self._modes.take((numbered,))
            return True
        raise Conflict("others are ordering at the same time; ask again")

    async def _exchange(self) -> bool:
        """Whether anything new came into force here. Telling comes first: news that cannot be written here keep nobody from hearing ours."""
        fresh = False
        for _ in range(_ROUNDS):
            for change in self._lacking():
                await self._tell(change)
            fresh = await self._pull() or fresh
            if not self._lacking():
                break
        return fresh

    def _lacking(self) -> tuple[Change, ...]:
        """What the shared state has not been told: of the file, and of what could not be written into it."""
        return (*self._modes.standing().pending, *(change for change in self._modes.unwritten if not change.number))

    def lacks(self, change_id: str) -> bool:
        """Whether the shared state has not been told of this order."""
        return any(change.id == change_id for change in self._lacking())

    async def _tell(self, change: Change) -> None:
        """An order that does not loosen, under whatever number comes next."""
        for _ in range(_TRIES):
            async with self._store.reading() as connection:
                if await connection.scalar(select(stops.c.number).where(stops.c.id == change.id)) is not None:
                    break  # told by another process that shares our file
                last = await connection.scalar(select(func.max(stops.c.number)))
            try:
                await self._insert(replace(change, number=(last or 0) + 1))
                break
            except Clash:
                continue
        else:
            raise StateUnavailable("the shared state of the stops is written by others without end")
        held = self._modes.unwritten
        if any(each.id == change.id for each in held):
            self._modes.overlay(replace(each, number=(last or 0) + 1) if each.id == change.id else each for each in held)

    async def _pull(self) -> bool:
        """Everything after what is heard, in one reading. Another database than before is read from its beginning, and told what stands here."""
        asked = self._clock.monotonic()
        file = self._modes.standing()
        rows = await self._rows(file.heard)
        same = file.heard > 0 and bool(rows) and rows[0].id == file.heard_id
        if not same and file.heard > 0:
            rows = await self._rows(0)
        news = rows[1:] if same else rows
        if news or not same:
            await self._modes.take(news, anew=not same)
        self._modes.heard(self._max_staleness - (self._clock.monotonic() - asked))
        self._heard_at = asked
        return bool(news)

    async def _rows(self, start: int) -> list[Change]:
        async with self._store.reading() as connection:
            found = await connection.execute(select(stops).where(stops.c.number >= start).order_by(stops.c.number))
            return [_change(row._asdict()) for row in found]

    async def _insert(self, numbered: Change) -> None:
        values = {name: value for name, value in asdict(numbered).items() if name in _COLUMNS}
        async with self._store.writing() as connection:
            await connection.execute(insert(stops).values(**values))
            await self._store.notify(connection, CHANNEL, str(numbered.number))


def _change(row: dict[str, object]) -> Change:
    """A row of the sequence. A word of a later release is not understood, and so it was not heard."""
    if row["act"] not in {"kill", "unkill", "mode"} or (row["act"] == "mode" and row["mode"] not in MODES):
        raise StateUnavailable("the shared state of the stops holds an order this release does not know")
    return Change(epoch=0, **row)  # type: ignore[arg-type]  # the columns are the members
