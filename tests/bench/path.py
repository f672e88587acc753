"""`python -m tests.bench.path`: CPU of the serving thread per allowed request, without sockets and without a disk.

The product in this process: one strict reader, identity, Wasm, both audit entries, metrics. Only what the system does is left out: clients
and upstream are transports that answer at once, and nothing is synced. On a busy machine it repeats within two hundredths, where the
table moves by a tenth. The best round counts: what else runs only adds.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import uvloop

from stagewarden import config as configuration
from stagewarden.app import running, settle
from stagewarden.audit.disk import SystemDisk
from stagewarden.clock import SystemClock
from stagewarden.web.agents import AgentsDoor
from stagewarden.wire import listener, upstream
from tests.bench.arms.ours import written
from tests.bench.load import answered
from tests.bench.parts import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTIONS = 16
NOWHERE = 9  # the port of an upstream nobody connects to


class Transport:
    """As much of a transport as a connection asks of it; `written` is told of every write."""

    def __init__(self, written: Callable[[bytes], object]) -> None:
        self.write = written
        self._pair = socket.socketpair()  # an upstream's connection looks at its socket before each use

    def get_extra_info(self, name: str) -> object:
        """Its socket; of anything else nothing."""
        return self._pair[0] if name == "socket" else None

    def is_closing(self) -> bool:
        """Never while it is used."""
        return False

    def get_write_buffer_size(self) -> int:
        """Whatever is written has left."""
        return 0

    def abort(self) -> None:
        """Over."""
        for end in self._pair:
            end.close()


class Clients:
    """Connections in a closed loop: as many requests as one round has."""

    def __init__(self, server: listener.Server, make: Callable[[], bytes]) -> None:
        self._loop = asyncio.get_running_loop()
        self._make = make
        self._left = self._open = 0
        self._done = self._loop.create_future()
        self._connections = [self._connected(server) for _ in range(CONNECTIONS)]

    def _connected(self, server: listener.Server) -> listener.Connection:
        connection = server()
        connection.connection_made(Transport(lambda data: self._answered(connection, data)))
        return connection

    def _answered(self, connection: listener.Connection, data: bytes) -> None:
        assert answered(data) == 200, data[:200]  # in one write, as everything small leaves
        self._ask(connection)

    def _ask(self, connection: listener.Connection) -> None:
        if self._left:
            self._left -= 1
            self._loop.call_soon(connection.data_received, self._make())
            return
        self._open -= 1
        if not self._open:
            self._done.set_result(None)

    async def round(self, requests: int) -> float:
        """CPU microseconds of this thread per request."""
        self._left, self._open, self._done = requests, CONNECTIONS, self._loop.create_future()
        before = time.thread_time()
        for connection in self._connections:
            self._ask(connection)
        await self._done
        return (time.thread_time() - before) / requests * 1e6


async def connect(pool: upstream.Upstreams, *_: object) -> upstream.Connection:
    """A connection to an upstream that answers as soon as it is written to."""
    connection = upstream.Connection(pool._forget)
    loop = asyncio.get_running_loop()
    connection.connection_made(Transport(lambda _: loop.call_soon(connection.data_received, WHOLE)))
    return connection


def unsynced(_disk: SystemDisk, _handle: int) -> None:
    """What was written stays where it is."""


async def measure(rounds: int, requests: int) -> list[float]:
    """The rounds, after one that warms up."""
    with tempfile.TemporaryDirectory() as folder:
        made = written(Path(folder) / "house", NOWHERE)
        config = configuration.load(made.house.config)
        with mock.patch.object(upstream.Upstreams, "connect", connect), mock.patch.object(SystemDisk, "sync", unsynced):
            async with running(config) as sidecar:
                door = AgentsDoor(config, sidecar.judge, SystemClock(), frozenset({"localhost"}))
                clients = Clients(listener.Server(door, config.limits, listener.Timeouts(10, 10, 10)), made.arm("", []).request)
                await clients.round(requests)
                settle()
                return [await clients.round(requests) for _ in range(rounds)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=1000, help="of one round")
    options = parser.parse_args()
    found = uvloop.run(measure(options.rounds, options.requests))
    best, middle = min(found), statistics.median(found)
    print(f"CPU of the serving thread, no socket, no disk: {best:.1f} us/request, the best of {len(found)} rounds (median {middle:.1f})")


if __name__ == "__main__":
    main()
