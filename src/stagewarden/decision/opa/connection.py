"""Connections to an OPA server: a small pool that asks each question once, on a connection with no leftovers.

Who speaks before being asked is not OPA: such a connection is closed, never read. No retries, no queue: past the bound
the question is refused at once. Knows HTTP's bytes, nothing of policy.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stagewarden.decision.opa.reply import BadReply, Reader, Reply

if TYPE_CHECKING:
    from pathlib import Path

MAX_OPEN = 256
WATCH = 0.02  # seconds a fresh connection is watched for bytes nobody asked for; paid once, connections are kept
_TURNS = 10  # of the loop, so that what arrived meanwhile is seen on a loaded machine too


class NoAnswer(Exception):
    """OPA could not be reached, or the connection ended before a reply."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where OPA listens: a unix socket, or a host and port, with TLS or not."""

    socket: str | None
    host: str
    port: int
    tls: bool

    @classmethod
    def parse(cls, url: str, base: Path) -> Address:
        """`unix:PATH` (relative to the configuration), `http://host:port` on loopback, or `https://host:port`; raises ValueError."""
        if url.startswith("unix:"):
            return cls(str(base / url.removeprefix("unix:")), "localhost", 0, tls=False)
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.username:
            raise ValueError("is not unix:PATH, http://host:port or https://host:port")
        if parts.scheme == "http" and not _loopback(parts.hostname):
            raise ValueError("is plain HTTP to another machine; use a unix socket, loopback or https")
        return cls(None, parts.hostname, parts.port or (443 if parts.scheme == "https" else 8181), parts.scheme == "https")

    @property
    def authority(self) -> str:
        """The Host header's value."""
        return "localhost" if self.socket is not None else f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Pool:
    """Connections to one address."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._dialling = 0
        self._tls = _context() if address.tls else None

    async def ask(self, request: bytes) -> Reply:
        """The reply to these bytes, written once; raises NoAnswer or BadReply. The caller sets the deadline."""
        connection = self._take() or await self._dial()
        try:
            reply = await connection.ask(request)
        except BaseException:  # a cancelled question leaves a reply on its way: the connection must go, whatever ended it
            self._drop(connection)
            raise
        if reply.keep:
            self._idle.append(connection)
        else:
            self._drop(connection)
        return reply

    async def close(self) -> None:
        """Close every connection."""
        for connection in tuple(self._open):
            self._drop(connection)
        await asyncio.sleep(0)  # transports close in the next turn of the loop

    def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.clean():
                return connection
            self._drop(connection)
        return None

    async def _dial(self) -> _Connection:
        if len(self._open) + self._dialling >= MAX_OPEN:
            raise NoAnswer("too many questions are waiting for OPA")
        loop = asyncio.get_running_loop()
        address = self._address
        self._dialling += 1
        try:
            if address.socket is not None:
                _, connection = await loop.create_unix_connection(_Connection, address.socket)
            else:
                _, connection = await loop.create_connection(_Connection, address.host, address.port, ssl=self._tls)
        except (OSError, ssl.SSLError) as error:
            raise NoAnswer(f"OPA cannot be reached: {error}") from None
        finally:
            self._dialling -= 1
        self._open.add(connection)
        try:
            await connection.watched()
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def _drop(self, connection: _Connection) -> None:
        connection.abort()
        self._open.discard(connection)


class _Connection(asyncio.Protocol):
    """One question at a time; anything unasked spoils it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader: Reader | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._spoilt: NoAnswer | BadReply | None = None
        self._poll = select.poll()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream transport; uvloop's is no subclass of asyncio.Transport
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done() or self._reader is None:
            self._spoil(BadReply("came before anybody had asked"))
            return
        try:
            reply = self._reader.feed(data)
        except BadReply as error:
            waiter.set_exception(error)
            return
        if reply is not None:
            waiter.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        gone = NoAnswer("OPA closed the connection" if exc is None else f"OPA broke the connection: {exc}")
        self._spoil(gone)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(gone)

    async def watched(self) -> None:
        """Wait a moment on a fresh connection; raises BadReply when somebody speaks first, NoAnswer when it is closed."""
        await asyncio.sleep(WATCH)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if not self.clean():
            raise self._spoilt or BadReply("came before anybody had asked")

    def clean(self) -> bool:
        """Whether an idle connection is open and has nothing to be read, in our hands or in the kernel's."""
        return self._spoilt is None and not self._poll.poll(0)

    async def ask(self, request: bytes) -> Reply:
        """Write these bytes, and wait for one reply."""
        assert self._transport is not None  # it was connected
        if self._spoilt is not None:
            raise self._spoilt
        self._reader = Reader()
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiter
        finally:
            self._waiter = self._reader = None

    def abort(self) -> None:
        """Close at once; nothing is flushed."""
        if self._transport is not None:
            self._transport.abort()

    def _spoil(self, why: NoAnswer | BadReply) -> None:
        self._spoilt = self._spoilt or why
        self.abort()


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
