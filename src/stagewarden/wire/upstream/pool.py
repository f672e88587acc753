"""Connections to upstreams, pooled per key, so that nobody gets an answer meant for another agent (CVE-2026-71324).

Must never read a proxy variable, resolve a name twice for one connection, or hand out a connection that has anything to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from stagewarden.errors import UpstreamUnavailable
from stagewarden.wire.tls import client_context
from stagewarden.wire.upstream.addresses import OwnListeners, Resolved, resolve
from stagewarden.wire.upstream.connection import Connection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable
    from types import TracebackType

    from stagewarden.clock import Clock
    from stagewarden.wire.upstream.endpoint import Endpoint

_IDLE_PER_KEY = 16
_IDLE = 256


class Upstreams:
    """All connections of this process to upstreams. Built outside a loop, used in one."""

    def __init__(self, clock: Clock, own_addresses: Iterable[tuple[str, int]] = (), *, idle_timeout: float = 4.0) -> None:
        """`own_addresses` are refused; idle below Node's 5 s, so that we close first."""
        self._clock = clock
        self._own = OwnListeners(own_addresses)
        self._tls: dict[str | None, ssl.SSLContext] = {}  # by the authorities trusted; the system's are 2 MB, so only where they are wanted
        self._idle_timeout = idle_timeout
        self._idle: dict[tuple[Endpoint, tuple[str, ...]], list[Connection]] = {}
        self._idle_count = 0
        self._open: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self._all_gone: asyncio.Future[None] | None = None

    def trust(self, endpoint: Endpoint) -> None:
        """Read now whose word counts for this upstream, so that no request waits for it."""
        if endpoint.scheme == "https":
            self._trusting(endpoint.ca)

    def refuse(self, addresses: Iterable[tuple[str, int]]) -> None:
        """More listeners of ours, for ports that are known only once bound."""
        self._own.add(addresses)

    def lease(self, key: tuple[str, ...], endpoint: Endpoint, connect_deadline: float, *, fresh: bool = False) -> Lease:
        """A connection for one borrower: an idle one of this key unless `fresh`, else a new one. Raises UpstreamUnavailable."""
        return Lease(self, (endpoint, key), connect_deadline, fresh=fresh)

    async def close(self) -> None:
        """End every connection, leased ones too, and wait until they are gone."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._idle.clear()
        self._idle_count = 0
        if self._open:
            self._all_gone = asyncio.get_running_loop().create_future()
            for connection in tuple(self._open):
                connection.close()
            await self._all_gone

    def take(self, key: tuple[Endpoint, tuple[str, ...]]) -> Connection | None:
        """The idle connection used last, if one is young and quiet; the others met on the way are closed."""
        idle = self._idle.get(key)
        while idle:
            connection = idle.pop()
            self._idle_count -= 1
            if self._clock.monotonic() - connection.idle_since < self._idle_timeout and connection.quiet:
                return connection
            connection.close()
        return None

    def give_back(self, key: tuple[Endpoint, tuple[str, ...]], connection: Connection) -> None:
        """Keep a clean connection for the next borrower of the key; close any other."""
        idle = self._idle.setdefault(key, [])
        if self._closed or not connection.clean or len(idle) >= _IDLE_PER_KEY or self._idle_count >= _IDLE:
            connection.close()
            return
        connection.rest(self._clock.monotonic())
        idle.append(connection)
        self._idle_count += 1
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_timeout, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle too long or was ended by the other side; again later while anything is idle."""
        self._sweeper = None
        now = self._clock.monotonic()
        for key, idle in tuple(self._idle.items()):
            keep = [connection for connection in idle if now - connection.idle_since < self._idle_timeout and connection.clean]
            for connection in set(idle) - set(keep):
                connection.close()
            self._idle_count -= len(idle) - len(keep)
            if keep:
                idle[:] = keep
            else:
                del self._idle[key]
        if self._idle:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_timeout, self._sweep)

    async def connect(self, endpoint: Endpoint, deadline: float) -> Connection:
        """A new connection, in numbered steps; nothing of a request has been written. Raises UpstreamUnavailable."""
        if self._closed:
            raise UpstreamUnavailable("shutting down")
        try:
            async with asyncio.timeout(deadline):
                # (1) Resolve once. (2) Connect to one of those addresses. (3) Not to ourselves. (4) TLS, with the name checked.
                return await self._secure(endpoint, await self._reach(endpoint, await resolve(endpoint.host, endpoint.port)))
        except TimeoutError:
            raise UpstreamUnavailable(f"{endpoint.authority} was not reached inside {deadline:g} s") from None
        except OSError as error:  # ssl.SSLError and its certificate errors are OSErrors
            raise UpstreamUnavailable(f"{endpoint.authority}: {str(error) or type(error).__name__}") from None

    async def _reach(self, endpoint: Endpoint, addresses: tuple[Resolved, ...]) -> socket.socket:
        loop = asyncio.get_running_loop()
        refusals: list[str] = []
        for address in addresses:
            connected = socket.socket(address.family, socket.SOCK_STREAM)
            with contextlib.ExitStack() as closing:
                closing.callback(connected.close)
                connected.settimeout(0)
                try:
                    await loop.sock_connect(connected, address.sockaddr)
                except OSError as error:
                    refusals.append(f"{address.ip}: {error.strerror or error}")
                    continue
                self._own.check(connected)
                closing.pop_all()
                return connected
        raise UpstreamUnavailable(f"{endpoint.authority} is not reachable ({'; '.join(refusals)})")

    async def _secure(self, endpoint: Endpoint, connected: socket.socket) -> Connection:
        encrypted = endpoint.scheme == "https"
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self._forget),
                sock=connected,
                ssl=self._trusting(endpoint.ca) if encrypted else None,
                server_hostname=endpoint.host if encrypted else None,
            )
        except BaseException:
            connected.close()
            raise
        if self._closed or not connection.clean:
            connection.close()
            raise UpstreamUnavailable("shutting down" if self._closed else f"{endpoint.authority} spoke or hung up before it was asked")
        self._open.add(connection)
        return connection

    def _trusting(self, ca: str | None) -> ssl.SSLContext:
        context = self._tls.get(ca)
        if context is None:
            context = self._tls[ca] = _tls_context(ca)
        return context

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        if self._all_gone is not None and not self._open and not self._all_gone.done():
            self._all_gone.set_result(None)


class Lease:
    """`async with` it, or `open` and `close`. At the end the connection goes back if it is clean, and is closed if anything is left over."""

    __slots__ = ("_connection", "_deadline", "_fresh", "_key", "_pool")

    def __init__(self, pool: Upstreams, key: tuple[Endpoint, tuple[str, ...]], deadline: float, *, fresh: bool) -> None:
        self._pool = pool
        self._key = key
        self._deadline = deadline
        self._fresh = fresh
        self._connection: Connection | None = None

    async def open(self) -> Connection:
        """The connection. Raises UpstreamUnavailable."""
        connection = None if self._fresh else self._pool.take(self._key)
        if connection is None:
            connection = await self._pool.connect(self._key[0], self._deadline)
        self._connection = connection
        return connection

    def close(self) -> None:
        """Give it back; safe where it was never opened, and to call twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(self._key, connection)

    async def __aenter__(self) -> Connection:
        return await self.open()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _tls_context(ca: str | None) -> ssl.SSLContext:
    context = client_context(ca)
    context.set_alpn_protocols(["http/1.1"])
    return context
