"""Reads one request head from its raw bytes, once: start line, fields, Host, framing, persistence (RFC 9112 sections 3, 5, 6, 9.3).

Must never repair, merge, guess or normalise: what is not exactly one reading is refused, in this order: method, version, target,
fields, Host.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

import msgspec

from stagewarden.errors import Ambiguous
from stagewarden.wire import headers as fields
from stagewarden.wire.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.config import Limits
    from stagewarden.model import Headers, Target

_START = re.compile(rb"([A-Z][A-Z0-9!#$%&'*+.^_`|~-]{0,31}) ([^ ]+) HTTP/1\.([01])")
_METHOD = re.compile(rb"[A-Z][A-Z0-9!#$%&'*+.^_`|~-]{0,31}")


class Heading(msgspec.Struct, frozen=True):
    """A request head. `named` holds the first value by lower-case name; `length` is the body's in bytes, None where it comes in chunks."""

    method: str
    target: Target
    host: str
    headers: Headers
    named: Mapping[str, str]
    length: int | None
    keep_alive: bool
    http10: bool


def read_heading(block: bytes, limits: Limits) -> Heading:
    """The head: `block` is its lines, each with its CRLF, without the empty one. Raises Refused, Ambiguous."""
    first, _, lines = block.partition(b"\r\n")
    # (1) The start line is three words, each in its one spelling.
    start = _START.fullmatch(first)
    if start is None:
        _refuse_start(first)
    http10 = start[3] == b"0"
    target = parse_target(start[2], limits.target)
    # (2) The fields, and with them the framing.
    found = fields.read(lines, limits, http10=http10)
    named = found.named
    # (3) One Host, by grammar.
    if "host" not in named:
        raise Ambiguous("host", "there is no Host header")
    host = fields.parse_host(named["host"])
    # (4) One length: `read` has let through a decimal Content-Length, or `chunked`, or neither, which is none.
    length = None if "transfer-encoding" in named else int(named.get("content-length", 0))
    return Heading(start[1].decode("ascii"), target, host, found.headers, named, length, _keeps_alive(named.get("connection"), http10=http10), http10)


def _keeps_alive(connection: str | None, *, http10: bool) -> bool:
    """RFC 9112 section 9.3, from the first Connection field: a second one that says `close` costs a client its connection, nothing else."""
    if connection is None:
        return not http10
    options = [option.strip() for option in connection.lower().split(",")]
    return "close" not in options and (not http10 or "keep-alive" in options)


def _refuse_start(first: bytes) -> NoReturn:
    """Say which of the three words it was."""
    words = first.split(b" ")
    if not _METHOD.fullmatch(words[0]):
        raise Ambiguous("method", "a method is an upper-case token")
    if len(words) != 3 or not words[1]:  # noqa: PLR2004 - method, target, version
        raise Ambiguous("target", "a start line is method, target and version, one space between them")
    raise Ambiguous("version", "HTTP/1.0 and HTTP/1.1 are answered")
