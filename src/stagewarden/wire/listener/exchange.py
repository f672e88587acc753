"""One request and its answer on a client's connection. Must never end an answer cleanly that broke off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from stagewarden.errors import Ambiguous, Refused
from stagewarden.wire.listener.chunked import Chunked
from stagewarden.wire.listener.reply import has_body, head_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from stagewarden.model import Headers
    from stagewarden.wire.listener.heading import Heading
    from stagewarden.wire.listener.reply import Reply

_AHEAD = 64 << 10  # bytes of a body that may wait here before somebody reads it
_MIB = 1 << 20
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Line(Protocol):
    """What an exchange needs of the connection it is on."""

    transport: asyncio.Transport | None
    deadline: float | None

    @property
    def peer(self) -> str:
        """The client's address."""

    @property
    def certificate(self) -> bytes | None:
        """The verified client certificate, DER."""

    @property
    def draining(self) -> bool:
        """Whether the listener takes no more."""

    def body_due(self) -> float:
        """When the next MiB of a body has to be here."""

    def streamed(self) -> None:
        """Something of an answer is out."""

    async def drained(self) -> None:
        """Return when more may be written."""

    def abort(self) -> None:
        """End it now."""

    def next(self, *, keep: bool, rest: bytes, more: bool) -> None:
        """The exchange is over."""


class Exchange:
    """One request and its answer. `body` once; then `answer`, or `begin`, `write` … and `end`; `cut` where the answer breaks off."""

    __slots__ = (
        "_ahead", "_begun", "_chunks_out", "_connection", "_decoder", "_failure", "_held", "_keep", "_left", "_on_gone", "_over", "_paused", "_rest",
        "_taken", "_waiter", "due", "gone", "heading",
    )  # fmt: skip

    def __init__(self, connection: Line, heading: Heading) -> None:
        self.heading = heading
        self.gone = False  # the client is
        self.due: float | None = None  # when more of the body has to be here, while somebody waits for it
        self._connection = connection
        self._decoder = Chunked() if heading.length is None else None
        self._left = heading.length or 0
        self._ahead: list[bytes] = []  # pieces of body nobody has read yet
        self._held = 0  # bytes in them
        self._taken = False  # the body was read to its end: what comes now is another request
        self._rest = b""
        self._failure: Refused | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._on_gone: Callable[[], None] | None = None
        self._begun = False
        self._over = False
        self._chunks_out = False
        self._keep = heading.keep_alive

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._connection.peer

    @property
    def certificate(self) -> bytes | None:
        """The verified client certificate of the connection, DER."""
        return self._connection.certificate

    @property
    def empty(self) -> bool:
        """Whether the head says that there is no body."""
        return self.heading.length == 0

    # -- the request's body --------------------------------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether all of the body has arrived."""
        return not self._left if self._decoder is None else self._decoder.whole

    def feed(self, data: bytes) -> None:
        """Bytes after the head; what is wrong with them is told to whoever reads the body."""
        if not data or self._failure is not None:
            return
        if len(data) == self._left <= _AHEAD and not self._held:  # all of a body at once, as most come
            self._left = 0
            self._ahead.append(data)
            self._held = len(data)
            self._wake()
            return
        if self._taken:
            self._rest += data
            self._pause()
            return
        if self._decoder is not None and not self._decoder.whole:
            try:
                pieces = self._decoder.feed(data)
            except Ambiguous as refused:
                self._fail(refused)
                return
            data = self._decoder.rest
        else:
            pieces = [data[: self._left]] if self._left else []
            data, self._left = data[self._left :], max(0, self._left - len(data))
        if pieces:
            # As one: a body of many small chunks must not cost many times its bytes.
            piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._ahead.append(piece)
            self._held += len(piece)
        if data:
            self._fail(Ambiguous("framing", "bytes after the message"))
        if self._held > _AHEAD:
            self._pause()
        self._wake()

    async def body(self, limit: int) -> bytes:
        """The whole body. Refused `body_too_large` over the limit, before anything is read where the length says so."""
        if self.complete and self._failure is None and self._held <= limit:
            self._taken = True
            return self._ahead[0] if len(self._ahead) == 1 else b"".join(self._ahead)
        return b"".join([piece async for piece in self.pieces(limit)])

    async def pieces(self, limit: int) -> AsyncGenerator[bytes, None]:
        """The body as it arrives; raises Refused over the limit, and where it never comes whole."""
        if (self.heading.length or 0) > limit:
            raise _too_large(limit)
        if not self.complete and self._failure is None and self.heading.named.get("expect") and not self.heading.http10:  # RFC 9110 section 10.1.1
            self._write(_CONTINUE)
        size, due, granted = 0, self._connection.body_due(), _MIB
        while True:
            ahead, self._ahead, self._held = self._ahead, [], 0
            for piece in ahead:
                size += len(piece)
                if size > limit:
                    raise _too_large(limit)
                yield piece
            if self._failure is not None:
                raise self._failure
            if self._ahead:
                continue
            if self.complete:
                self._taken = True
                return
            if size >= granted:
                due, granted = self._connection.body_due(), size + _MIB
            await self._more(due)

    async def _more(self, due: float) -> None:
        """Until anything changes, at the latest until `due`."""
        self._resume()
        self._waiter = asyncio.get_running_loop().create_future()
        self.due = self._connection.deadline = due
        try:
            await self._waiter
        finally:
            self._waiter = None
            self.due = None
            if not self._over:
                self._connection.deadline = None

    def eof(self) -> None:
        """The client sends no more."""
        self._keep = False
        if not self.complete:
            self._fail(Ambiguous("body", "the client left before its end"))

    def late(self) -> None:
        """The next piece did not come in time."""
        self._fail(Ambiguous("body", "it did not arrive inside the deadline"))

    def lost(self) -> None:
        """The connection is gone."""
        self.gone = True
        self.eof()
        if self._on_gone is not None:
            self._on_gone()

    def when_gone(self, act: Callable[[], None] | None) -> None:
        """What to do once the client is gone while its answer streams, at once where it is; None: nothing any more."""
        self._on_gone = act
        if self.gone and act is not None:
            act()

    def _fail(self, failure: Refused) -> None:
        if self._failure is None:
            self._failure = failure
        self._keep = False
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _pause(self) -> None:
        if not self._paused and self._connection.transport is not None and not self._connection.transport.is_closing():
            self._paused = True
            self._connection.transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and self._connection.transport is not None and not self._connection.transport.is_closing():
            self._paused = False
            self._connection.transport.resume_reading()

    # -- the answer ----------------------------------------------------------------------------------------------------

    def answer(self, reply: Reply, *, close: bool = False) -> None:
        """A whole answer of ours, in one write; `close` ends the connection after it."""
        self._keep = self._keep and not close and self.complete and not self._connection.draining
        fields = reply.headers
        if has_body(reply.status, "GET"):
            fields = (*fields, ("Content-Length", str(len(reply.body))))
        head = head_bytes(reply.status, None, (*fields, *self._persistence()))
        self._write(head + reply.body if has_body(reply.status, self.heading.method) else head)
        self._begun = True
        self._end()

    def begin(self, status: int, reason: str, fields: Headers, *, sized: bool, body: bytes | None = None) -> None:
        """The head of an upstream's answer, with its whole body where that is there already. `sized`: its fields say how long it is."""
        self._keep = self._keep and self.complete and not self._connection.draining
        framing: Headers = ()
        if has_body(status, self.heading.method) and not sized:
            if self.heading.http10:
                self._keep = False  # the end of the connection is the end of the body
            else:
                self._chunks_out = True
                framing = (("Transfer-Encoding", "chunked"),)
        head = head_bytes(status, reason, (*fields, *framing, *self._persistence()))
        self._begun = True
        self._write(head + self._framed(body) if body else head)
        if body is None:
            self._connection.streamed()

    async def write(self, piece: bytes) -> None:
        """A piece of the body; waits while the client does not read. Raises ConnectionError once it is gone."""
        if self.gone:
            raise ConnectionResetError("the client is gone")
        self._write(self._framed(piece))
        self._connection.streamed()
        await self._connection.drained()

    def end(self) -> None:
        """The answer is whole."""
        if self._chunks_out:
            self._write(b"0\r\n\r\n")
        self._end()

    def cut(self) -> None:
        """The answer broke off half-way: the client must see that, so nothing ends cleanly. After the end there is nothing to cut."""
        if not self._over:
            self._connection.abort()
            self._end()

    @property
    def begun(self) -> bool:
        """Whether anything of the answer has been written."""
        return self._begun

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        self._on_gone = None
        self._resume()
        if self._waiter is not None:
            self._fail(Ambiguous("body", "it was answered before its end"))
        else:
            self._failure = None  # once raised it knows frames that know us: nothing may wait for the garbage collector
        self._connection.next(keep=self._keep, rest=self._rest, more=not self.complete)

    def _framed(self, piece: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunks_out and piece else piece

    def _persistence(self) -> Headers:
        if not self._keep:
            return (("Connection", "close"),)
        return (("Connection", "keep-alive"),) if self.heading.http10 else ()

    def _write(self, data: bytes) -> None:
        """Nothing after the end: the connection may be another exchange's by now."""
        transport = self._connection.transport
        if not self._over and transport is not None and not transport.is_closing():
            transport.write(data)


def _too_large(limit: int) -> Refused:
    return Refused("body_too_large", f"the body is over {limit} bytes")
