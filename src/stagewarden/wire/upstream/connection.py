"""One connection to one upstream, one exchange at a time. Must never write a byte it was not given, nor write anything twice."""

from __future__ import annotations

import asyncio
import select
import ssl
from contextlib import aclosing
from typing import TYPE_CHECKING

from stagewarden.errors import OutcomeUnknown, UpstreamUnavailable
from stagewarden.wire.upstream.answer import Phase, UpstreamAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

_ONE_WRITE = 64 << 10  # up to this, head and body leave in one piece


class Connection(asyncio.Protocol):
    """Connected, TLS done. `exchange` while leased; the pool owns it otherwise."""

    def __init__(self, on_lost: Callable[[Connection], None]) -> None:
        self.idle_since = 0.0
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()  # kept: asking anew costs a system call on Python 3.11
        self._transport: asyncio.Transport | None = None
        self._answer: UpstreamAnswer | None = None
        self._poll = select.poll()
        self._encrypted = False
        self._due: float | None = None  # when what is waited for is late
        self._timer: asyncio.TimerHandle | None = None
        self._usable = False
        self._looked = False  # just now, by `quiet`: nothing waits to be read
        self._full = False  # the upstream does not take more for now

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = transport  # type: ignore[assignment]  # a full Transport; uvloop's do not derive from asyncio's
        self._encrypted = transport.get_extra_info("sslcontext") is not None
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        self._usable = True

    def data_received(self, data: bytes) -> None:
        """Bytes; before any request and after a whole answer they belong to nobody, and the connection is done for (row 46)."""
        if self._answer is None:
            self.abort()
        else:
            self._answer.feed(data)

    def eof_received(self) -> bool:
        """The upstream closed its side; ours follows."""
        self._usable = False
        if self._answer is not None and self._ended_in_order():
            self._answer.eof()
        return False  # what was cut off is told by connection_lost

    def _ended_in_order(self) -> bool:
        """Whether TLS itself says this is the end: asyncio reports a line that was cut alike (RFC 9112 section 9.8)."""
        if not self._encrypted or self._transport is None:
            return True
        try:
            return bool(self._transport.get_extra_info("ssl_object").read(1) == b"")
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLError:
            return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._usable = False
        if self._timer is not None:
            self._timer.cancel()
        if self._answer is not None:
            self._answer.fail(OutcomeUnknown(f"the connection broke: {exc or 'closed'}"))
            self._answer = None  # they know each other
        self._on_lost(self)

    def pause_writing(self) -> None:
        """More than enough waits to be written."""
        self._full = True

    def resume_writing(self) -> None:
        """Write on."""
        self._full = False
        if self._answer is not None:
            self._answer.writable()

    # The answer's side.

    def pause(self) -> None:
        """Read no more for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def expect(self, seconds: float | None) -> None:
        """One timer serves all waits of a connection: it looks when the first one would be late, and again when the last one is."""
        if seconds is None:
            self._due = None
            return
        self._due = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._due:
            self._wind(self._due)

    def _wind(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due is None or self._answer is None:
            return
        if self._due <= self._loop.time():
            self._answer.late()
        else:
            self._wind(self._due)

    def abort(self) -> None:
        """End it at once."""
        self._usable = False
        if self._transport is not None:
            self._transport.abort()

    # The borrower's side.

    async def exchange(self, head: bytes, body: bytes, deadline: float) -> UpstreamAnswer:
        """Write these bytes once and return when the answer's head is there; `deadline` seconds for it, and between its pieces.

        Raises UpstreamUnavailable when nothing left, OutcomeUnknown or UpstreamTimeout when anything may have.
        """
        transport, answer = self._begin(head, deadline)
        if len(body) <= _ONE_WRITE:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
        # (3) Once. Whatever happens now is told, not mended.
        await answer.head()
        return answer

    async def exchange_pieces(self, head: bytes, body: AsyncGenerator[bytes, None], deadline: float) -> UpstreamAnswer:
        """The same for a body in pieces: the next is written when the upstream has taken the last, each inside the deadline.

        An upstream that answers before it has everything gets no more of it, and the connection is not used again (RFC 9112 section 9.3).
        """
        transport, answer = self._begin(head, deadline)
        transport.write(head)
        try:
            async with aclosing(body):
                async for piece in body:
                    if answer.phase is not Phase.HEAD:
                        answer.early = True
                        break
                    transport.write(piece)
                    while self._full and answer.phase is Phase.HEAD:
                        await answer.stirred()
            answer.early = answer.early or (answer.phase is not Phase.HEAD and transport.get_write_buffer_size() > 0)
            self._usable = self._usable and not answer.early
        except BaseException:
            self.abort()  # what has left must not look whole
            raise
        await answer.head()
        return answer

    def _begin(self, head: bytes, deadline: float) -> tuple[asyncio.Transport, UpstreamAnswer]:
        transport = self._transport
        # (1) Clean: nobody may have answered before we asked. What TLS has to say (session tickets) is not an answer.
        looked, self._looked = self._looked, False
        if transport is None or not (looked or (self.clean and (self._encrypted or not self._poll.poll(0)))):
            self.abort()
            raise UpstreamUnavailable("the connection was closed, or the upstream spoke before it was asked")
        # (2) From here on bytes may have left.
        answer = self._answer = UpstreamAnswer(self, self._loop, deadline, head_request=head.startswith(b"HEAD "))
        return transport, answer

    @property
    def clean(self) -> bool:
        """Open, and nothing under way or left over from the last exchange."""
        return (
            self._usable
            and self._transport is not None
            and not self._transport.is_closing()
            and (
                self._answer is None or (self._answer.phase is Phase.WHOLE and self._answer.reusable and not self._transport.get_write_buffer_size())
            )
        )

    @property
    def quiet(self) -> bool:
        """Clean, and nothing waits to be read, an end of stream included. For idle connections, on their way to a borrower who uses them at once."""
        self._looked = self.clean and not self._poll.poll(0)
        return self._looked

    def rest(self, now: float) -> None:
        """Go idle: forget the last answer."""
        self._answer = None
        self.idle_since = now

    def close(self) -> None:
        """End it: the borrower's word that nobody shall use it again."""
        self.abort()
