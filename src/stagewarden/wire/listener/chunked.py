"""Takes the chunk framing off a body, strictly (RFC 9112 section 7.1). Must never read a size in two ways.

Extensions and trailers are read past within a bound and dropped: nobody judges them, so nobody gets to see them.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from stagewarden.errors import Ambiguous

_LONGEST_LINE = 256  # a chunk's size with its extensions (CVE-2023-39326: extensions are bytes nobody counts)
_MOST_EXTENSIONS = 4096  # bytes of them in one body
_LONGEST_TRAILER = 8192
# Up to 2^48 - 1; extensions are `;name` or `;name=value` of tokens and quoted strings, nothing else may stand behind a size.
_SIZE = re.compile(
    rb"([0-9A-Fa-f]{1,12})((?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|\"[\t\x20\x21\x23-\x5b\x5d-\x7e]*\"))?)*)"
)
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e]*")
_PART = "framing"


class _At(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    END = auto()


class Chunked:
    """Feed it bytes in order; `whole` once the last chunk and its trailers were read, what follows the body is then in `rest`."""

    __slots__ = ("_at", "_extensions", "_held", "_left", "_trailer", "rest")

    def __init__(self) -> None:
        self._at = _At.SIZE
        self._held = b""
        self._left = 0
        self._extensions = 0
        self._trailer = 0
        self.rest = b""

    @property
    def whole(self) -> bool:
        """Whether the body has ended."""
        return self._at is _At.END

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces of body in these bytes; raises Ambiguous for what is not exactly a chunked body."""
        pieces: list[bytes] = []
        data, self._held = self._held + data, b""
        at = 0
        while self._at is not _At.END:
            if self._at is _At.DATA:
                piece = data[at : at + self._left]
                if not piece:
                    return pieces
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._at = _At.DATA_END
                continue
            end = data.find(b"\n", at, at + _LONGEST_LINE + 2)
            if end < 0:
                self._hold(data[at:])
                return pieces
            line, at = data[at : end + 1], end + 1
            if not line.endswith(b"\r\n"):
                raise Ambiguous(_PART, "a line of a chunked body ends with CRLF")
            self._line(line[:-2])
        self.rest = data[at:]
        return pieces

    def _hold(self, unfinished: bytes) -> None:
        """Part of a line; what cannot become a good one is refused now, not when it ends."""
        line = unfinished.removesuffix(b"\r")
        if len(line) > _LONGEST_LINE or b"\r" in line or (line and self._at is _At.DATA_END):
            raise Ambiguous(_PART, "a line of a chunked body does not end with CRLF, or stands where none belongs")
        self._held = unfinished

    def _line(self, line: bytes) -> None:
        match self._at:
            case _At.SIZE:
                self._size(line)
            case _At.DATA_END:
                if line:
                    raise Ambiguous(_PART, "a chunk is longer than its size")
                self._at = _At.SIZE
            case _:
                self._trailer_line(line)

    def _size(self, line: bytes) -> None:
        size = _SIZE.fullmatch(line)
        if size is None:
            raise Ambiguous(_PART, "a chunk's size is not a hexadecimal number")
        self._extensions += len(size[2])
        if self._extensions > _MOST_EXTENSIONS:
            raise Ambiguous(_PART, f"more than {_MOST_EXTENSIONS} bytes of chunk extensions")
        self._left = int(size[1], 16)
        self._at = _At.DATA if self._left else _At.TRAILER

    def _trailer_line(self, line: bytes) -> None:
        if not line:
            self._at = _At.END
            return
        self._trailer += len(line)
        if self._trailer > _LONGEST_TRAILER or not _TRAILER.fullmatch(line):
            raise Ambiguous(_PART, "a trailer that is not a header field, or too many of them")
