"""Wakes those who wait for a hold, without polling: the release loop, and agents that prefer to wait.

Rung only after the entries of a move are in the log (lifecycles.md: before anybody is told). Holds no state of holds.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable


class Bell:
    """One event per waited-for hold, and one for the watcher of all. `tell` hears of every move made here, for those in other processes."""

    def __init__(self) -> None:
        self.tell: Callable[[tuple[str, ...]], None] | None = None
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._any = asyncio.Event()

    def ring(self, holds: Iterable[str]) -> None:
        """A move made here: wake whoever waits for one of these holds, and the watcher of all, wherever they are."""
        moved = tuple(holds)
        self.wake(moved)
        if self.tell is not None and moved:
            self.tell(moved)

    def wake(self, holds: Iterable[str]) -> None:
        """Wake whoever waits in this process."""
        for hold in holds:
            for event in self._waiting.get(hold, ()):
                event.set()
        self._any.set()

    def wake_all(self) -> None:
        """Something may have moved without our hearing of it: everybody looks."""
        self.wake(tuple(self._waiting))

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

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait for a move of any hold, at most so long; at once when one moved since the last call. For one watcher, the release loop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._any.wait()
        moved = self._any.is_set()
        self._any.clear()
        return moved
