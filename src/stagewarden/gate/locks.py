"""One request at a time per key, first come first served: from look-up to the upstream's answer nobody else touches the asset."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

Key = tuple[str, ...]


class Locks(Protocol):
    """Whoever keeps the keys: this process, or the house for all its workers (remote_locks.py)."""

    async def acquire(self, key: Key) -> None:
        """Wait for the key."""

    def release(self, key: Key) -> None:
        """Hand it on."""


class KeyedLocks:
    """Fair locks that exist only while somebody holds or awaits them."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, ...], deque[asyncio.Future[None]]] = {}

    async def acquire(self, key: tuple[str, ...]) -> None:
        """Wait for the key; released with `release`, also by whoever is cancelled while waiting."""
        queue = self._waiting.get(key)
        if queue is None:
            self._waiting[key] = deque()
            return
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(key)  # the turn had come: pass it on
            else:
                queue.remove(turn)
            raise

    def release(self, key: tuple[str, ...]) -> None:
        """Hand the key to the next in line."""
        queue = self._waiting[key]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[key]

    def __len__(self) -> int:
        return len(self._waiting)
