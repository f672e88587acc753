"""Reading one reply of an OPA server from bytes: an exact grammar, bounded, sans I/O.

Only what OPA's server really sends is a reply: HTTP/1.1, status 200 or an error, JSON, one framing. Everything else is a
BadReply, which is a no. Never repairs, never guesses a length, never keeps more than the cap.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_HEAD = 8 << 10
MAX_BODY = 64 << 10
MAX_HEADERS = 50

_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) [\x20-\x7e]*\Z")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?[ \t]*\Z")
_LENGTH = re.compile(rb"[0-9]{1,6}\Z")
_CHUNK = re.compile(rb"[0-9a-fA-F]{1,5}\Z")
_TYPE = re.compile(rb"application/json(?:[ \t]*;[ \t]*charset=\"?utf-8\"?)?\Z", re.IGNORECASE)
_SINGLE = frozenset({b"content-type", b"content-length", b"transfer-encoding", b"content-encoding", b"connection"})
_CRLF = b"\r\n"
_LINE = 256  # bytes a chunk's size line may take to end


class BadReply(Exception):
    """Not a reply of an OPA server."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply; `keep` says whether the connection may be asked again."""

    status: int
    body: bytes
    keep: bool


class Reader:
    """Bytes in, one Reply out. A reader reads one reply."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._status = 0
        self._length: int | None = None  # what is missing of the body, or of the chunk; None: a chunk's size comes next
        self._chunked = False
        self._body = bytearray()
        self._close = False

    def feed(self, data: bytes) -> Reply | None:
        """The reply once it is whole; raises BadReply."""
        self._buffer += data
        if not self._status and not self._head():
            return None
        return self._chunks() if self._chunked else self._sized()

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD + 4)
        if end < 0:
            if len(self._buffer) > MAX_HEAD or self._buffer.find(b"\n\n") >= 0:
                raise BadReply("has no head that ends within bounds")
            return False
        first, *lines = bytes(self._buffer[:end]).split(_CRLF)
        del self._buffer[: end + 4]
        status = _STATUS.match(first)
        if status is None or len(lines) > MAX_HEADERS:
            raise BadReply("has no HTTP/1.1 status line, or too many header fields")
        self._frame(_fields(lines))
        self._status = int(status[1])
        return True

    def _frame(self, fields: dict[bytes, bytes]) -> None:
        if not _TYPE.match(fields.get(b"content-type", b"")):
            raise BadReply("is not application/json")
        if b"content-encoding" in fields:
            raise BadReply("is encoded, which was not asked for")
        length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
        if (length is None) == (coding is None):
            raise BadReply("has no framing, or two")
        if length is not None:
            if not _LENGTH.match(length) or int(length) > MAX_BODY:
                raise BadReply("has a Content-Length that is no number or over the cap")
            self._length = int(length)
        elif coding is not None and coding.lower() == b"chunked":
            self._chunked = True
        else:
            raise BadReply("has an unknown Transfer-Encoding")
        self._close = fields.get(b"connection", b"keep-alive").lower() != b"keep-alive"

    def _sized(self) -> Reply | None:
        assert self._length is not None  # set with the head
        if len(self._buffer) < self._length:
            return None
        return self._done(bytes(self._buffer[: self._length]), len(self._buffer) - self._length)

    def _chunks(self) -> Reply | None:
        """RFC 9112 section 7.1 without extensions and trailers, which OPA does not send."""
        while True:
            if self._length is None:
                end = self._buffer.find(_CRLF, 0, _LINE)
                if end < 0:
                    if len(self._buffer) >= _LINE:
                        raise BadReply("has a chunk whose size does not end")
                    return None
                size = bytes(self._buffer[:end])
                if not _CHUNK.match(size):
                    raise BadReply("has a chunk size that is no number")
                self._length = int(size, 16)
                del self._buffer[: end + 2]
                if len(self._body) + self._length > MAX_BODY:
                    raise BadReply("is over the cap")
            if len(self._buffer) < self._length + 2:
                return None
            if self._buffer[self._length : self._length + 2] != _CRLF:
                raise BadReply("has a chunk longer than it says, or trailers")
            last = self._length == 0
            self._body += self._buffer[: self._length]
            del self._buffer[: self._length + 2]
            self._length = None
            if last:
                return self._done(bytes(self._body), len(self._buffer))

    def _done(self, body: bytes, left_over: int) -> Reply:
        return Reply(self._status, body, not self._close and not left_over)


def _fields(lines: list[bytes]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for line in lines:
        match = _FIELD.match(line)
        if match is None:
            raise BadReply("has a malformed header field")
        name = match[1].lower()
        if name in fields and name in _SINGLE:
            raise BadReply(f"has {name.decode()} twice")
        fields[name] = match[2] or b""
    return fields
