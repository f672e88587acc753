"""One entry as one line: the canonical bytes, the envelope, the chain. Knows no file.

A line is the RFC 8785 canonical form of one JSON object. orjson's sorted keys equal it for the values `bounded` lets
through: strings, integers up to 2^53, booleans, null, and member names inside the Basic Multilingual Plane (RFC 8785 sorts
by UTF-16 units, orjson by code points; the two differ only beyond it). Never let a float or a lone surrogate through.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING

import orjson

from stagewarden.clock import NANOSECONDS, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.model import JSON, Document

VERSION = 1
GENESIS = hashlib.sha256(b"stagewarden/audit/genesis/1").hexdigest()  # `prev` of the entry with seq 0
MAX_LINE = 1 << 20  # bytes; bounds what a reader ever holds
# `refusals` extends audit.md: one summary a second of what was refused before anybody was identified (contract section 3).
KINDS = frozenset({
    "ruling", "outcome", "hold", "vote", "grant", "mode", "kill", "release", "policy", "registry", "config", "read", "erase", "start", "heartbeat",
    "recovered", "refusals",
})  # fmt: skip
ENVELOPE = frozenset({"v", "seq", "time", "boot", "kind", "prev"})

_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_LARGEST = 1 << 53
_TEXT, _ITEMS, _DEPTH = 1024, 1000, 16


def canonical(entry: Mapping[str, object]) -> bytes:
    """The line's bytes without the newline; raises TypeError for what has no canonical form."""
    return orjson.dumps(entry, option=_CANONICAL)


def digest(line: bytes) -> str:
    """What the next line's `prev` says about this one."""
    return hashlib.sha256(line).hexdigest()


class Stamp:
    """The `time` of entries: RFC 3339, UTC, always six decimals, so that lines of one second share all but the end."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self, now_ns: int) -> str:
        """The text for this moment; the calendar is computed once a second."""
        second, rest = divmod(now_ns, NANOSECONDS)
        if second != self._second:
            self._second, self._text = second, rfc3339(second * NANOSECONDS)[:-1]
        return f"{self._text}.{rest // 1000:06d}Z"


def bounded(value: object, depth: int = _DEPTH) -> JSON:
    """Any value as one that has a canonical form and a bounded size; what had to be changed is still readable.

    Floats and large integers become their text; long strings and lists are cut and say so; lone surrogates are replaced.
    """
    if isinstance(value, dict):
        return members(value, depth - 1) if depth else "cut: nested too deeply"
    if isinstance(value, (list, tuple)):
        if not depth:
            return "cut: nested too deeply"
        items = [bounded(item, depth - 1) for item in value[:_ITEMS]]
        return items if len(value) <= _ITEMS else [*items, f"cut {len(value) - _ITEMS}"]
    return _scalar(value)


def members(value: Mapping[str, object], depth: int = _DEPTH) -> Document:
    """`bounded` for the members of an object."""
    rows: Document = {_name(name): bounded(member, depth) for name, member in islice(value.items(), _ITEMS)}
    return rows if len(value) <= _ITEMS else {**rows, "cut": len(value) - _ITEMS}


def _scalar(value: object) -> JSON:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -_LARGEST < value < _LARGEST:
        return int(value)
    return text(str(value))


def text(value: str, limit: int = _TEXT) -> str:
    """A string that UTF-8 can carry, cut at `limit` characters."""
    if len(value) <= limit and value.isascii():
        return value
    if len(value) > limit:
        value = f"{value[:limit]}… (cut {len(value) - limit})"
    return value.encode("utf-8", "replace").decode("utf-8")


def _name(name: object) -> str:
    """A member name; beyond the Basic Multilingual Plane the two sort orders differ, so such characters are replaced."""
    plain = text(str(name), 128)
    return plain if plain.isascii() else "".join(letter if letter <= "\uffff" else "\ufffd" for letter in plain)
