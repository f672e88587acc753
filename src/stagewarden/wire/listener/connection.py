"""One connection of one client: requests in, one at a time; answers out, with back-pressure. Must never judge.

Must never take two requests for one: what arrives with other bytes behind it is refused (hardening.md, "framing").

Its life: a heading is awaited until `head` seconds are over, then the exchange has it until the answer's end, then the next one. Deadlines
are checked by the server's sweep, not by timers of their own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec

from stagewarden.errors import Ambiguous, Refused
from stagewarden.wire.listener.exchange import Exchange
from stagewarden.wire.listener.heading import read_heading
from stagewarden.wire.listener.reply import head_bytes
from stagewarden.wire.tls import peer_certificate

if TYPE_CHECKING:
    from stagewarden.config import Limits
    from stagewarden.wire.listener.reply import Reply

_START_MARGIN = 64  # bytes of a start line beside its target


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds a client may take: to a whole head (from accept, and between requests), for each MiB of a body, to read on, and to close at the end."""

    head: float
    body: float
    write: float
    linger: float = 2.0


class Owner(Protocol):
    """What a connection asks of the server that accepted it."""

    limits: Limits
    timeouts: Timeouts
    draining: bool

    def now(self) -> float:
        """Monotonic seconds, of the loop."""

    def opened(self, connection: Connection) -> None:
        """It is there."""

    def closed(self, connection: Connection) -> None:
        """It is gone."""

    def serve(self, exchange: Exchange) -> None:
        """A request came; answer it."""

    def refuse(self, refused: Refused, peer: str) -> Reply:
        """The answer to what is not a request."""


class Connection(asyncio.Protocol):
    """The transport's side of a client."""

    __slots__ = ("_buffer", "_exchange", "_lingering", "_owner", "_resume", "certificate", "deadline", "peer", "transport")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._buffer = b""
        self._exchange: Exchange | None = None
        self._lingering = False
        self._resume: asyncio.Future[None] | None = None  # somebody waits for the client to read on
        self.transport: asyncio.Transport | None = None
        self.peer = ""
        self.certificate: bytes | None = None  # the verified client certificate, DER
        self.deadline: float | None = None  # by the owner's clock; None: not waiting for the client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self.transport = transport  # type: ignore[assignment]  # a full Transport; uvloop's do not derive from asyncio's
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if peer else ""
        self.certificate = peer_certificate(transport)
        self.deadline = self._owner.now() + self._owner.timeouts.head
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Bytes: of a head, of the body under way, or after the answer's end of nothing that anybody reads."""
        if self._lingering:
            return
        if self._exchange is not None:
            self._exchange.feed(data)
            return
        self._read(self._buffer + data if self._buffer else data)

    def eof_received(self) -> bool:
        """The client sends no more. It may still read the answer to what it sent whole; half a body is not judged."""
        if self._exchange is None or self._lingering or self.transport is None:
            return False
        self._exchange.eof()
        return self.transport.can_write_eof()  # TLS has no half of a connection

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the transport's signature
        """Gone; whoever is at work for it hears of it."""
        self._owner.closed(self)
        self.deadline = None
        if self._resume is not None and not self._resume.done():
            self._resume.set_result(None)
        if self._exchange is not None:
            self._exchange.lost()

    def pause_writing(self) -> None:
        """The client reads slower than we write: whoever writes waits, for `write` seconds at most."""
        self._resume = asyncio.get_running_loop().create_future()
        self.deadline = self._owner.now() + self._owner.timeouts.write

    def resume_writing(self) -> None:
        """It reads on."""
        if self._resume is not None and not self._resume.done():
            self._resume.set_result(None)
        self._resume = None
        self.deadline = self._owner.now() + self._owner.timeouts.linger if self._lingering else None

    async def drained(self) -> None:
        """Return when more may be written; at once once the client is gone."""
        if self._resume is not None:
            await self._resume

    # -- requests ------------------------------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        """A head, if it is whole."""
        end = data.find(b"\r\n\r\n")
        try:
            if end < 0:
                if not self._buffer:
                    self.deadline = self._owner.now() + self._owner.timeouts.head
                self._buffer = self._unfinished(data)
                return
            heading = read_heading(data[: end + 2], self._owner.limits)
            exchange = Exchange(self, heading)
            exchange.feed(data[end + 4 :])
        except Refused as refused:
            self._refuse(refused, headless=data.startswith(b"HEAD "))
            return
        self._buffer = b""
        self.deadline = None
        self._exchange = exchange
        self._owner.serve(exchange)

    def _unfinished(self, data: bytes) -> bytes:
        """Bytes of a head still under way; what can no more become one inside the limits is refused now."""
        limits = self._owner.limits
        line = data.find(b"\r\n")
        if (line < 0 and len(data) > limits.target + _START_MARGIN) or line > limits.target + _START_MARGIN:
            raise Refused("target_too_long", f"the target is over {limits.target} bytes")
        if len(data) > limits.target + limits.header_bytes + _START_MARGIN:
            raise Refused("headers_too_large", f"more than {limits.header_bytes} bytes of header fields")
        if data.count(b"\n") != data.count(b"\r\n"):
            raise Ambiguous("framing", "a line that does not end with CRLF")
        return data

    def _refuse(self, refused: Refused, *, headless: bool = False) -> None:
        reply = self._owner.refuse(refused, self.peer)
        fields = (*reply.headers, ("Content-Length", str(len(reply.body))), ("Connection", "close"))
        self._write_last(head_bytes(reply.status, None, fields) + (b"" if headless else reply.body))

    def next(self, *, keep: bool, rest: bytes) -> None:
        """The answer is out: await the next request, or end. Called by the exchange."""
        self._exchange = None
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if not keep:
            self._linger()
            return
        self.deadline = self._owner.now() + self._owner.timeouts.head
        if rest:
            self._read(rest)

    def _write_last(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)
            self._linger()

    def _linger(self) -> None:
        """End in order: our side first, then read past what was still coming, so that no reset eats the answer (RFC 9112 section 9.6)."""
        assert self.transport is not None
        self._lingering = True
        self._buffer = b""
        if self.transport.can_write_eof():
            self.transport.write_eof()
            timeouts = self._owner.timeouts
            self.deadline = self._owner.now() + (timeouts.write if self.transport.get_write_buffer_size() else timeouts.linger)
        else:
            self.transport.close()

    def expire(self) -> None:
        """The deadline is over. Called by the owner's sweep."""
        if self._lingering or self._resume is not None or self.transport is None:
            self.abort()
        elif self._exchange is not None:
            self._exchange.late()
        elif self._buffer:
            late = Ambiguous("framing", "the head did not arrive inside the deadline")
            self._refuse(late, headless=self._buffer.startswith(b"HEAD "))
        else:
            self.transport.close()

    def abort(self) -> None:
        """Cut it."""
        if self.transport is not None:
            self.transport.abort()

    @property
    def draining(self) -> bool:
        """Whether this answer is the connection's last one."""
        return self._owner.draining

    def body_due(self) -> float:
        """When the next MiB of a body has to be here."""
        return self._owner.now() + self._owner.timeouts.body
