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
# Extending audit.md: `refusals`, one summary a second of what was refused before anybody was identified (contract section 3); `delivery`, a
# notification that a person had sent again; `adapter`, a vote through an adapter that was begun, or refused.
KINDS = frozenset({
    "ruling", "outcome", "hold", "vote", "grant", "mode", "kill", "release", "policy", "registry", "config", "read", "erase", "start", "heartbeat",
    "recovered", "refusals", "delivery", "adapter",
})  # fmt: skip
# These are made by entries.py, which lets only canonical values through; all others pass `members`.
_KNOWN_CANONICAL = frozenset({"ruling", "outcome"})
ENVELOPE = frozenset({"v", "seq", "time", "boot", "kind", "prev"})

_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_HOLE = b"\x01"  # in no JSON text: control characters are escaped there
_HOLES = dict.fromkeys(("boot", "prev", "seq", "time"), orjson.Fragment(_HOLE))
_LARGEST = 1 << 53
_TEXT, _ITEMS, _DEPTH = 1024, 1000, 16


def canonical(entry: Mapping[str, object]) -> bytes:
    """The line's bytes without the newline; raises TypeError for what has no canonical form."""
    return orjson.dumps(entry, option=_CANONICAL)


def draft(kind: str, body: Mapping[str, object], entry_id: str | None) -> bytes:
    """The line but for what only the log can say: its boot, prev, seq and time are holes. Raises TypeError, ValueError as `append` does."""
    entry = {**body, **_HOLES, "v": VERSION, "kind": kind}
    if entry_id is not None:
        entry["id"] = entry_id
    check_envelope(kind, len(body), len(entry), entry_id)
    return canonical(entry)


def fill(drafted: bytes, boot: str, prev: str, seq: int, time: str) -> bytes:
    """The line of a draft; raises ValueError for what is no draft. The values are the log's own and need no escaping."""
    before, after_boot, after_prev, after_seq, after_time = drafted.split(_HOLE)
    return b'%b"%b"%b"%b"%b%d%b"%b"%b' % (before, boot.encode(), after_boot, prev.encode(), after_prev, seq, after_seq, time.encode(), after_time)


def plain(kind: str, body: Document) -> Document:
    """The body as one that has a canonical form; raises ValueError for an unknown kind, a fault in the caller."""
    if kind in _KNOWN_CANONICAL:
        return body
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}")
    return members(body)


def check_envelope(kind: str, members: int, size: int, entry_id: str | None) -> None:
    """A body may not use the log's own members; the entry made of it then has fewer. ValueError: a fault in the caller."""
    if size != members + len(ENVELOPE) + (entry_id is not None):
        raise ValueError(f"{kind}: the body uses a member of the envelope")


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
