"""An answer of ours to an agent as a value, and the bytes of any answer's head. Must never let a value become a second line."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagewarden.model import Headers

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_NO_BODY = frozenset({204, 304})  # RFC 9110 section 6.4.1: no content, and so no framing of ours


class Reply(msgspec.Struct, frozen=True):
    """A whole answer; Content-Length is added when it is written."""

    status: int
    headers: Headers
    body: bytes = b""


def has_body(status: int, method: str) -> bool:
    """Whether an answer with this status to this method has content at all."""
    return method != "HEAD" and status not in _NO_BODY


def head_bytes(status: int, reason: str | None, fields: Iterable[tuple[str, str]]) -> bytes:
    """Status line and fields with the empty line. Raises ValueError for what would break a line (CVE-2026-34519)."""
    lines = [f"HTTP/1.1 {status} {_PHRASES.get(status, '') if reason is None else reason}", *[f"{name}: {value}" for name, value in fields]]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a header field with a line break")
    return f"{text}\r\n\r\n".encode("latin-1")
