"""Wakes those who wait for a hold, without polling: the release loop, and agents that prefer to wait.

Rung only after the entries of a move are in the log (lifecycles.md: before anybody is told). Holds no state of holds.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator


class Moves:
    """Which holds moved since they were last taken."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.missed = False
        self._ids: set[str] = set()

    def note(self, holds: Iterable[str]) -> None:
        """These moved."""
        self._ids.update(holds)
        self.news.set()

    def miss(self) -> None:
        """Some may have moved, and nobody can say which."""
        self.missed = True
        self.news.set()

    def take(self) -> frozenset[str]:
        """Those that moved, once."""
        taken, self._ids = frozenset(self._ids), set()
        self.news.clear()
        return taken


class Bell:
    """One event per waited-for hold, one for the watcher of all, and who follows each move.

    `tell` hears of every move made here, for those in other processes.
    """

    def __init__(self) -> None:
        self.tell: Callable[[tuple[str, ...]], None] | None = None
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._any = asyncio.Event()
        self._followers: list[Moves] = []

    def ring(self, holds: Iterable[str]) -> None:
        """A move made here: wake whoever waits for one of these holds, and the watcher of all, wherever they are."""
        moved = tuple(holds)
        self.wake(moved)
        if self.tell is not None and moved:
            self.tell(moved)

    def wake(self, holds: Iterable[str]) -> None:
        """Wake whoever waits in this process."""
        moved = tuple(holds)
        for hold in moved:
            for event in self._waiting.get(hold, ()):
                event.set()
        self._any.set()
        for follower in self._followers:
            follower.note(moved)

    def wake_all(self) -> None:
        """Something may have moved without our hearing of it: everybody looks."""
        self.wake(tuple(self._waiting))
        for follower in self._followers:
            follower.miss()

    @asynccontextmanager
    async def listen(self, hold: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set at this hold's next move; listen first, then read, so that no move is missed."""
        event = asyncio.Event()
        self._waiting.setdefault(hold, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[hold].discard(event)
            if not self._waiting[hold]:
                del self._waiting[hold]

    @contextmanager
    def follow(self) -> Iterator[Moves]:
        """Every move from here on, by id; moves of one hold in quick succession are one."""
        moves = Moves()
        self._followers.append(moves)
        try:
            yield moves
        finally:
            self._followers.remove(moves)

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait for a move of any hold, at most so long; at once when one moved since the last call. For one watcher, the release loop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._any.wait()
        moved = self._any.is_set()
        self._any.clear()
        return moved
