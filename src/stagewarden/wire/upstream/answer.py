"""One upstream's answer: httptools reports to it, whoever asked reads from it. Must never be read past its own connection's use.

Its life: HEAD (nothing yet, or only 1xx) → BODY → WHOLE, or FAILED from anywhere but WHOLE. Bodies arrive as they are sent:
no decoding, trailers dropped, framing checked and left behind.
"""

from __future__ import annotations

import re
from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from httptools import HttpResponseParser

from stagewarden.errors import OutcomeUnknown, UpstreamTimeout
from stagewarden.wire.upstream.opening import Opening

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from stagewarden.errors import UpstreamFailed
    from stagewarden.model import Headers

MOST_HEADERS = 200
HEAD_BYTES = 64 << 10
MOST_INTERIM = 8  # 1xx answers before the real one
HIGH_WATER = 256 << 10  # bytes waiting for the reader at which the upstream has to wait
LOW_WATER = 64 << 10

_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")  # no control: an upstream must not split our answer (CVE-2026-34519)
_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_BLOCK = re.compile(rb"(?:%b: %b\r\n)*" % (_NAME, _VALUE.pattern))
_LENGTH = re.compile(rb"[0-9]{1,18}")
_PAIR = re.compile(r"([^:]+): ([^\r]*)\r\n")  # in a block that matched
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
# Status line and fields as nearly every upstream writes them: one space, and a value that neither is empty nor ends in white space.
_USUAL = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9][0-9]) (%b)\r\n((?:%b: [\x21-\x7e\x80-\xff](?:%b[\x21-\x7e\x80-\xff])?\r\n)*)\r\n"
    % (_VALUE.pattern, _NAME, _VALUE.pattern)
)
# Names that say something of the framing or of the connection; Content-Length alone is usual.
_UNUSUAL = re.compile(rb"\n(?:transfer-encoding|connection|proxy-connection|upgrade):", re.IGNORECASE)
_USUAL_LENGTH = re.compile(rb"\ncontent-length: ([^\r]*)", re.IGNORECASE)
_NO_CONTENT, _NOT_MODIFIED, _FINAL, _SWITCHING, _LARGEST = 204, 304, 200, 101, 599


class Phase(Enum):
    """Where an answer is."""

    HEAD = auto()
    BODY = auto()
    WHOLE = auto()
    FAILED = auto()


class Flow(Protocol):
    """What an answer may ask of its connection."""

    def pause(self) -> None:
        """Read no more for now."""

    def resume(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """End it at once."""

    def expect(self, seconds: float | None) -> None:
        """Call the answer's `late` unless told otherwise inside so many seconds; None: nothing is waited for."""


class UpstreamAnswer:
    """Status, reason and headers as they came; then `chunks`, or `read`. `reusable`: nothing is left over on the connection."""

    __slots__ = (
        "_buffered",
        "_deadline",
        "_failure",
        "_fields",
        "_flow",
        "_head_request",
        "_interim",
        "_loop",
        "_opening",
        "_parser",
        "_paused",
        "_pieces",
        "_reason_bytes",
        "_seen",
        "_skip",
        "_until_eof",
        "_waiter",
        "_what",
        "early",
        "headers",
        "phase",
        "reason",
        "reusable",
        "sized",
        "status",
    )  # fmt: skip

    def __init__(self, flow: Flow, loop: asyncio.AbstractEventLoop, deadline: float, *, head_request: bool) -> None:
        self.status = 0
        self.reason = ""
        self.headers: Headers = ()
        self.phase = Phase.HEAD
        self.reusable = False
        self.early = False  # it came before all of the request had left, and the rest stayed here
        self.sized = False  # its fields say how long the body is
        self._flow = flow
        self._loop = loop
        self._deadline = deadline
        self._head_request = head_request
        self._parser: HttpResponseParser | None = None  # made for the first bytes that `_usual` leaves to it
        self._opening: Opening | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._reason_bytes = b""
        self._seen = 0  # bytes fed before the head was whole
        self._interim = 0
        self._skip = False  # the message under way is a 1xx
        self._until_eof = False
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._paused = False
        self._failure: UpstreamFailed | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._what = ""

    # What the reader does.

    async def head(self) -> None:
        """Return when status and headers are there. Raises OutcomeUnknown or UpstreamTimeout."""
        if self.phase is Phase.HEAD:
            await self._wait("no answer")
        if self._failure is not None and self.status == 0:
            raise self._failure

    def take(self) -> bytes | None:
        """The rest of the body, where all of it has arrived; None: read it piece by piece."""
        if self.phase is not Phase.WHOLE:
            return None
        pieces, self._pieces = self._pieces, deque()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The body's pieces as they arrive. Raises OutcomeUnknown where it is cut short, UpstreamTimeout where it stalls."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self.phase is Phase.WHOLE:
                raise StopAsyncIteration
            if self._failure is not None:
                raise self._failure
            await self._wait("the answer stalled")
        piece = self._pieces.popleft()
        self._buffered -= len(piece)
        if self._paused and self._buffered <= LOW_WATER:
            self._paused = False
            self._flow.resume()
        return piece

    async def read(self, limit: int) -> bytes:
        """The whole body; OutcomeUnknown when it is over `limit` bytes or does not come whole."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self:
            size += len(piece)
            if size > limit:
                self.fail(OutcomeUnknown(f"the answer is over {limit} bytes"))
                raise OutcomeUnknown(f"the answer is over {limit} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def stirred(self) -> None:
        """Until the upstream takes more of the request, answers or fails; at the deadline it has failed."""
        await self._wait("the request was not taken")

    def writable(self) -> None:
        """The upstream takes more of the request. Called by the connection."""
        self._wake()

    async def _wait(self, what: str) -> None:
        """Until anything changes, at most for the deadline."""
        self._waiter = self._loop.create_future()
        self._what = what
        self._flow.expect(self._deadline)
        try:
            await self._waiter
        finally:
            self._flow.expect(None)
            self._waiter = None

    def late(self) -> None:
        """What was waited for did not come in time."""
        self.fail(UpstreamTimeout(f"{self._what} inside {self._deadline:g} s"))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the connection does.

    def feed(self, data: bytes) -> None:
        """Bytes from the upstream, in order."""
        if self.phase is Phase.WHOLE:
            self.reusable = False  # bytes after the end belong to nobody (response-queue poisoning, row 46)
            self._flow.abort()
            return
        if self.phase is Phase.FAILED:
            return
        if self.phase is Phase.HEAD:
            if not self._seen and self._usual(data):
                return
            self._seen += len(data)
            if self._opening is None:
                self._opening = Opening()
            if not self._opening.holds(data):
                self._broken("not an HTTP/1.1 answer: another protocol, or another version")
                return
        if self._parser is None:
            self._parser = HttpResponseParser(self)
        try:
            self._parser.feed_data(data)
        except Exception as error:  # noqa: BLE001 - httptools wraps what its callbacks raise; whatever it is, this is not an answer
            self._broken(f"not an HTTP/1.1 answer: {error.__context__ or error}")
            return
        if self.phase is Phase.HEAD and self._seen > HEAD_BYTES:
            self._broken(f"the answer's head is over {HEAD_BYTES} bytes")

    def _usual(self, data: bytes) -> bool:
        """Take an answer that came whole and plain: one Content-Length, all of its body, nothing more. The parser reads all others."""
        head = _USUAL.match(data)
        if head is None or self._head_request:
            return False
        status, fields = int(head[1]), b"\n" + head[3]
        lengths = _USUAL_LENGTH.findall(fields)
        if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]) or status in {_NO_CONTENT, _NOT_MODIFIED} or _UNUSUAL.search(fields):
            return False
        length = int(lengths[0])
        if length > LOW_WATER or len(data) != head.end() + length or head.end() > HEAD_BYTES or head[3].count(b"\n") > MOST_HEADERS:
            return False
        self.status = status
        self.reason = head[2].decode("latin-1")
        self.headers = tuple(_PAIR.findall(head[3].decode("latin-1")))
        self.sized = True
        if length:
            self._pieces.append(data[head.end() :])
            self._buffered = length
        self._finish(reusable=True)
        return True

    def _broken(self, why: str) -> None:
        if self.phase is Phase.WHOLE:
            self.reusable = False
            self._flow.abort()
        else:
            self.fail(OutcomeUnknown(why))

    def eof(self) -> None:
        """The upstream sends no more."""
        if self.phase is Phase.BODY and self._until_eof:
            self._finish(reusable=False)
        else:
            self.reusable = False
            self.fail(OutcomeUnknown("the connection ended before a whole answer"))

    def fail(self, failure: UpstreamFailed) -> None:
        """End it here, unless it is already whole. What had arrived can still be read."""
        if self.phase in {Phase.HEAD, Phase.BODY}:
            self.phase = Phase.FAILED
            self._failure = failure
            self._parser = None
            self._flow.abort()
            self._wake()

    def _finish(self, *, reusable: bool) -> None:
        self.phase = Phase.WHOLE
        self.reusable = reusable
        self._parser = None  # it knows us: nothing of an exchange may wait, with all it holds, for the garbage collector
        self._wake()

    # What httptools does.

    def on_message_begin(self) -> None:
        """Another message starts: fine after a 1xx only."""
        if self.phase is not Phase.HEAD:
            self.reusable = False
            raise ValueError("bytes after the answer")

    def on_status(self, reason: bytes) -> None:
        """A piece of the reason phrase."""
        self._reason_bytes += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field; a trailer where the body has begun."""
        if self.phase is Phase.HEAD:
            self._fields.append((name, value))
            if len(self._fields) > MOST_HEADERS:
                raise ValueError(f"more than {MOST_HEADERS} header fields")

    def on_headers_complete(self) -> None:
        """The head is whole: 1xx are skipped within a bound, framing is checked, then the reader may have it."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status < _FINAL:
            self._interim += 1
            if status == _SWITCHING or self._interim > MOST_INTERIM:
                raise ValueError("101 Switching Protocols was not asked for" if status == _SWITCHING else f"more than {MOST_INTERIM} interim answers")
            self._skip = True
            self._fields.clear()
            self._reason_bytes = b""
            return
        if status > _LARGEST:
            raise ValueError(f"status {status}")
        block = self._block()
        reusable = self._check_framing(status)
        # Isomorphic decoding: whatever the upstream meant by a byte beyond ASCII, the agent gets the same byte (RFC 9110 section 5.5).
        headers = tuple(_PAIR.findall(block.decode("latin-1")))
        self.reason = self._reason_bytes.decode("latin-1")
        self.headers = headers
        self.status = status
        self.reusable = reusable
        self.phase = Phase.BODY
        if self._head_request:
            self._finish(reusable=reusable)
        else:
            self._wake()

    def _block(self) -> bytes:
        """All fields in one go, each ended as on the wire. Raises ValueError where one has an illegal byte."""
        block = b"".join([b"%b: %b\r\n" % field for field in self._fields])
        if block.count(b"\n") != len(self._fields) or not _BLOCK.fullmatch(block):
            raise ValueError("a header field with an illegal byte")
        if len(block) > HEAD_BYTES or not _VALUE.fullmatch(self._reason_bytes):
            raise ValueError("a head too large, or an illegal byte in the reason")
        return block

    def _check_framing(self, status: int) -> bool:
        """Raise ValueError for a body whose end could be seen in two places; say whether the connection may be used again."""
        assert self._parser is not None
        framing = [(key, value) for name, value in self._fields if (key := name.lower()) in _FRAMING]
        lengths = [value for key, value in framing if key == b"content-length"]
        codings = [value for key, value in framing if key == b"transfer-encoding"]
        if len(lengths) > 1 or (lengths and (codings or not _LENGTH.fullmatch(lengths[0]))):
            raise ValueError("Content-Length twice, not decimal, or beside Transfer-Encoding")
        if codings and (len(codings) > 1 or codings[0].lower() != b"chunked" or self._parser.get_http_version() != "1.1"):
            raise ValueError("Transfer-Encoding other than chunked")
        bodiless = self._head_request or status in {_NO_CONTENT, _NOT_MODIFIED}
        self.sized = bool(lengths)
        self._until_eof = not (lengths or codings or bodiless)
        return not self._until_eof and (self._head_request or self._parser.should_keep_alive())

    def on_body(self, piece: bytes) -> None:
        """A piece of the body, chunk framing taken off."""
        if self.phase is not Phase.BODY:
            raise ValueError("a body where none belongs")
        self._pieces.append(piece)
        self._buffered += len(piece)
        if self._buffered > HIGH_WATER and not self._paused:
            self._paused = True
            self._flow.pause()
        self._wake()

    def on_message_complete(self) -> None:
        """The end of this message."""
        if self._skip:
            self._skip = False
        elif self.phase is Phase.BODY:
            self._finish(reusable=self.reusable)
