"""One connection of one client: requests in, one at a time; answers out, with back-pressure. Must never judge.

Must never take two requests for one: what arrives with other bytes behind it is refused (hardening.md, "framing"). Must never take a request
while the answer before it waits to be read: answers would pile up in our memory.

Its life: a heading is awaited until `head` seconds are over, then the exchange has it until the answer's end, then the next one, until it
lingers: our side has ended, the client's bytes go nowhere. Deadlines are checked by the server's sweep, not by timers of their own.
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

    __slots__ = ("_buffer", "_ended", "_exchange", "_lingering", "_owner", "_resume", "certificate", "deadline", "peer", "transport")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._buffer = b""  # of a head, seen and not whole; or, while an answer waits to be read, whatever came
        self._exchange: Exchange | None = None
        self._ended = False  # the client sends no more
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
        elif self._resume is not None:
            self._buffer += data
        else:
            self._read(self._buffer + data if self._buffer else data)

    def eof_received(self) -> bool:
        """The client sends no more. It may still read the answer to what it sent whole; half a body is not judged."""
        self._ended = True
        if self._exchange is None or self._lingering or self.transport is None:
            return False
        self._exchange.eof()
        if self._exchange.begun:
            self.streamed()
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
        waiting, self._resume = self._resume, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        if self._lingering:
            self.deadline = self._owner.now() + self._owner.timeouts.linger
        elif self._exchange is not None:
            self.deadline = self._exchange.due
            self.streamed()
        elif self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
            rest, self._buffer = self._buffer, b""
            self.next(keep=True, rest=rest, more=False)

    def streamed(self) -> None:
        """Something of a streamed answer is out. A client that has ended its side counts as gone once there was nothing for it for a while.

        Half a connection cannot be told from none until something is written to it; nginx and Go's server do not even wait.
        """
        if self._ended and self._resume is None:
            self.deadline = self._owner.now() + self._owner.timeouts.linger

    async def drained(self) -> None:
        """Return when more may be written; at once once the client is gone."""
        if self._resume is not None:
            await self._resume

    # -- requests ------------------------------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        """A head, if it is whole. `data` begins with what was looked at before."""
        seen = len(self._buffer)
        end = data.find(b"\r\n\r\n", max(0, seen - 3))
        try:
            if end < 0:
                if not seen:
                    self.deadline = self._owner.now() + self._owner.timeouts.head
                self._buffer = self._unfinished(data, seen)
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

    def _unfinished(self, data: bytes, seen: int) -> bytes:
        """Bytes of a head still under way, `seen` of them fine; what can no more become one inside the limits is refused now."""
        limits = self._owner.limits
        line = data.find(b"\r\n")
        if (line < 0 and len(data) > limits.target + _START_MARGIN) or line > limits.target + _START_MARGIN:
            raise Refused("target_too_long", f"the target is over {limits.target} bytes")
        if len(data) > limits.target + limits.header_bytes + _START_MARGIN:
            raise Refused("headers_too_large", f"more than {limits.header_bytes} bytes of header fields")
        new = data[max(0, seen - 1) :]
        if new.count(b"\n", 1 if seen else 0) != new.count(b"\r\n"):
            raise Ambiguous("framing", "a line that does not end with CRLF")
        return data

    def _refuse(self, refused: Refused, *, headless: bool = False) -> None:
        reply = self._owner.refuse(refused, self.peer)
        fields = (*reply.headers, ("Content-Length", str(len(reply.body))), ("Connection", "close"))
        self._write_last(head_bytes(reply.status, None, fields) + (b"" if headless else reply.body))

    def next(self, *, keep: bool, rest: bytes, more: bool) -> None:
        """The answer is out: await the next request, of which `rest` is here, or end. `more`: bytes of the last one are still to come."""
        self._exchange = None
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if not keep:
            self._linger(more=more)
        elif self._resume is not None:
            self._buffer = rest
            transport.pause_reading()
        else:
            owner = self._owner
            self.deadline = owner.now() + (owner.timeouts.linger if owner.draining else owner.timeouts.head)
            if rest:
                self._read(rest)

    def _write_last(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)
            self._linger(more=True)

    def _linger(self, *, more: bool) -> None:
        """End in order: our side first, then read past what was still coming, so that no reset eats the answer (RFC 9112 section 9.6).

        TLS has no half of a connection to end: it is closed, or left open for so long where more was coming.
        """
        assert self.transport is not None
        self._lingering = True
        self._buffer = b""
        timeouts = self._owner.timeouts
        self.deadline = self._owner.now() + (timeouts.write if self.transport.get_write_buffer_size() else timeouts.linger)
        if not self._ended and self.transport.can_write_eof():
            self.transport.write_eof()
        elif self._ended or not more:
            self.transport.close()

    def expire(self) -> None:
        """The deadline is over. Called by the owner's sweep."""
        if self._lingering or self._resume is not None or self.transport is None or self.transport.is_closing():
            self.abort()
        elif self._exchange is not None:
            if self._exchange.begun:
                self.abort()
            else:
                self._exchange.late()
        elif self._buffer:
            late = Ambiguous("framing", "the head did not arrive inside the deadline")
            self._refuse(late, headless=self._buffer.startswith(b"HEAD "))
        else:
            self._linger(more=False)

    @property
    def at_work(self) -> bool:
        """Whether a request of it is being answered."""
        return self._exchange is not None

    @property
    def waiting(self) -> bool:
        """Whether the client may ask."""
        return self._exchange is None and not self._lingering and self._resume is None

    @property
    def unread(self) -> bool:
        """Whether something written has not left yet."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def quit(self) -> None:
        """The process ends: nothing more is read; what was answered is still written."""
        if self._exchange is None and not self._lingering and self.transport is not None:
            self._lingering = True
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
