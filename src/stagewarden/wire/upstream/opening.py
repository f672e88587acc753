"""The first bytes of every head an upstream writes. Must never let another protocol pass as an answer to what we asked.

llhttp also takes RTSP, ICE and other versions of HTTP, frames them as HTTP/1.x, and does not say which protocol it was.
"""

from __future__ import annotations

import re

_LINE = re.compile(rb"HTTP/1\.[01] [1-9]")
_SIZE = len(b"HTTP/1.1 2")
_INTERIM = b"1"  # 1xx: another head follows this one, and no body stands between them (RFC 9110 section 15.2)


class Opening:
    """Fed with what the parser is fed with, until the answer's own head has begun."""

    __slots__ = ("_interim", "_left", "_over")

    def __init__(self) -> None:
        self._left = b""  # seen, and to be looked at again with what follows
        self._interim = False  # within the head of a 1xx
        self._over = False

    def holds(self, data: bytes) -> bool:
        """Whether every head so far begins as HTTP/1.0 and HTTP/1.1 do, as far as it is here."""
        data = self._left + data
        while not self._over:
            if self._interim:
                end = data.find(b"\r\n\r\n")
                if end < 0:
                    self._left = data[-3:]
                    return True
                data = data[end + 4 :]
                self._interim = False
            if len(data) < _SIZE:
                self._left = data
                return _LINE.match(data + b"HTTP/1.1 2"[len(data) :]) is not None
            if not _LINE.match(data):
                return False
            self._interim = data[_SIZE - 1 : _SIZE] == _INTERIM
            self._over = not self._interim
        return True
