"""Accepts connections, owns the task of each request and handshake, and looks at every deadline a few times a second. Must never outlive its `close`.

Over `limits.connections` those that have waited longest for their client are ended, some at once, for the one that came: idle ones and
slow heads never keep anybody out. Where every connection is at work, the new one is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

from stagewarden.wire.listener.arrival import Arrival
from stagewarden.wire.listener.connection import Connection

if TYPE_CHECKING:
    import ssl

    from stagewarden.config import Limits
    from stagewarden.errors import Refused
    from stagewarden.wire.listener.connection import Timeouts
    from stagewarden.wire.listener.exchange import Exchange
    from stagewarden.wire.listener.reply import Reply

_SWEEP = 0.25  # seconds: how late a deadline may be noticed
_SHARE = 16  # one in so many connections is ended for a new one: looking for them costs more than ending them


class Door(Protocol):
    """Who answers."""

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request."""

    def refuse(self, refused: Refused, peer: str) -> Reply:
        """The answer to what is not a request."""

    def ended(self, idle: int, new: int) -> None:
        """So many connections were ended because there were too many: waiting for their client, or just come."""

    def unsecured(self, cause: str, peer: str) -> None:
        """A client's TLS was not made."""


class Server:
    """A protocol factory for `loop.create_server`, which is never given the TLS itself; made inside the loop it serves in."""

    def __init__(self, door: Door, limits: Limits, timeouts: Timeouts, tls: ssl.SSLContext | None = None) -> None:
        self.limits = limits
        self.timeouts = timeouts
        self.draining = False
        self.refuse = door.refuse
        self._door = door
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._tls = tls
        self._connections: set[Connection | Arrival] = set()
        self._arrivals: dict[Connection, Arrival] = {}  # whose place a connection takes once its TLS is made
        self._tasks: set[asyncio.Task[None]] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self._all_gone: asyncio.Future[None] | None = None

    def __call__(self) -> Connection | Arrival:
        """One connection."""
        return Connection(self) if self._tls is None else Arrival(self)

    def __len__(self) -> int:
        return len(self._connections)

    def arrived(self, arrival: Arrival) -> None:
        """It is there, and its handshake begins."""
        assert self._tls is not None
        connection = Connection(self)
        self._arrivals[connection] = arrival
        self._enter(arrival)
        task = self._loop.create_task(self._secure(arrival, connection, self._tls))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    def opened(self, connection: Connection) -> None:
        """It is there."""
        arrival = self._arrivals.pop(connection, None)
        if arrival is not None:
            self._connections.discard(arrival)
        self._enter(connection)

    def _enter(self, connection: Connection | Arrival) -> None:
        self._connections.add(connection)
        if self._closed or (len(self._connections) > self.limits.connections and not self._make_room(connection)):
            connection.abort()
        if self._sweeper is None and not self._closed:
            self._sweeper = self._loop.call_later(_SWEEP, self._sweep)

    async def _secure(self, arrival: Arrival, connection: Connection, tls: ssl.SSLContext) -> None:
        try:
            await arrival.handshake(connection, tls)
        finally:
            if self._arrivals.pop(connection, None) is not None:  # it was not opened
                self.closed(arrival)
                if arrival.cause != "":
                    self._door.unsecured(arrival.cause or "left", arrival.peer)

    def closed(self, connection: Connection | Arrival) -> None:
        """It is gone."""
        self._connections.discard(connection)
        if self._all_gone is not None and not self._connections and not self._all_gone.done():
            self._all_gone.set_result(None)

    def serve(self, exchange: Exchange) -> None:
        """Answer it in a task of its own."""
        task = self._loop.create_task(self._door.handle(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def drain(self) -> None:
        """From now on every connection ends with its next answer, and one that asks nothing more by itself, in a moment."""
        self.draining = True
        soon = self.now() + self.timeouts.linger
        for connection in self._connections:
            if connection.waiting and connection.deadline is not None:
                connection.deadline = min(connection.deadline, soon)

    async def written(self) -> None:
        """Until every answer has left this process; clients that do not read are cut at their deadline."""
        while any(connection.unread for connection in self._connections):  # noqa: ASYNC110 - transports do not tell
            await asyncio.sleep(_SWEEP)

    async def close(self, grace: float) -> None:
        """End everything: what is under way, and what is being written, has `grace` seconds; then it is cut and its task cancelled."""
        self.drain()
        self._closed = True
        over = self.now() + grace
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for connection in tuple(self._connections):
            connection.quit()
        if self._connections:
            self._all_gone = self._loop.create_future()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(over - self.now()):
                    await self._all_gone
        for connection in tuple(self._connections):
            connection.abort()
        left = self._tasks | self._handshakes
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _make_room(self, newcomer: Connection | Arrival) -> bool:
        """End those that have waited longest for their client, a share of all; False: all are at work."""
        waiting = [one for one in self._connections if not one.at_work and one is not newcomer and one.deadline is not None]
        waiting.sort(key=attrgetter("deadline"))
        leaving = waiting[: 1 + self.limits.connections // _SHARE]
        for connection in leaving:
            self._connections.discard(connection)  # now: the loop tells us later
            connection.abort()
        self._door.ended(idle=len(leaving), new=int(not leaving))
        return bool(leaving)

    def _sweep(self) -> None:
        now = self.now()
        # First: the next look must come whatever one connection does.
        self._sweeper = self._loop.call_later(_SWEEP, self._sweep) if self._connections else None
        for connection in [one for one in self._connections if one.deadline is not None and one.deadline <= now]:
            connection.deadline = None
            connection.expire()
