"""Accepts connections, owns the task of each request, and looks at every deadline a few times a second. Must never outlive its `close`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stagewarden.wire.listener.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from stagewarden.config import Limits
    from stagewarden.errors import Refused
    from stagewarden.wire.listener.connection import Timeouts
    from stagewarden.wire.listener.exchange import Exchange
    from stagewarden.wire.listener.reply import Reply

_SWEEP = 0.25  # seconds: how late a deadline may be noticed


class Server:
    """A protocol factory for `loop.create_server`; made inside the loop it serves in."""

    def __init__(
        self, handle: Callable[[Exchange], Coroutine[None, None, None]], refuse: Callable[[Refused, str], Reply], limits: Limits, timeouts: Timeouts
    ) -> None:
        self.limits = limits
        self.timeouts = timeouts
        self.draining = False
        self._handle = handle
        self.refuse = refuse
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def __call__(self) -> Connection:
        """One connection."""
        return Connection(self)

    def __len__(self) -> int:
        return len(self._connections)

    def opened(self, connection: Connection) -> None:
        """It is there."""
        self._connections.add(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP, self._sweep)

    def closed(self, connection: Connection) -> None:
        """It is gone."""
        self._connections.discard(connection)

    def serve(self, exchange: Exchange) -> None:
        """Answer it in a task of its own."""
        task = self._loop.create_task(self._handle(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def drain(self) -> None:
        """From now on every connection ends with its next answer."""
        self.draining = True

    async def close(self, grace: float) -> None:
        """End everything: what is under way has `grace` seconds, then its connection is cut and its task cancelled."""
        self.drain()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for connection in tuple(self._connections):
            connection.abort()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _sweep(self) -> None:
        now = self.now()
        for connection in [one for one in self._connections if one.deadline is not None and one.deadline <= now]:
            connection.deadline = None
            connection.expire()
        self._sweeper = self._loop.call_later(_SWEEP, self._sweep) if self._connections else None
