"""Following the chain from the first entry on: the one reading of "unbroken" that start-up and `audit verify` share.

Says where and how a log is broken. Holds one line at a time. Never mends anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import orjson

from stagewarden.audit import segments
from stagewarden.audit.line import ENVELOPE, GENESIS, KINDS, MAX_LINE, VERSION, canonical, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stagewarden.model import Document

Seen: TypeAlias = "Callable[[Document], None]"


class Broken(Exception):
    """The first place where the log does not hold: `how` is one word, `at` the sequence number concerned."""

    def __init__(self, at: int, how: str, text: str) -> None:
        super().__init__(f"broken at {at}, {how}: {text}")
        self.at = at
        self.how = how
        self.text = text


@dataclass(frozen=True, slots=True)
class Tip:
    """Where an unbroken log ends. `size` is that of the last segment up to its last whole line; `torn` the bytes after it."""

    seq: int  # of the next entry
    head: str  # digest of the last line
    segment: Path | None
    size: int
    torn: int


class Chain:
    """What the next line must continue."""

    __slots__ = ("_last", "head", "seq")

    def __init__(self) -> None:
        self.seq = 0
        self.head = GENESIS
        self._last = b""

    def follow(self, line: bytes, where: str) -> Document:
        """Accept one line (without newline) or raise Broken; the state moves only when it is accepted."""
        entry = _parse(line, self.seq, where)
        seq = entry["seq"]
        if type(seq) is not int or seq < 0:  # a JSON true is an int to isinstance
            raise Broken(self.seq, "foreign", f"{where}: seq is not a number")
        if seq > self.seq:
            raise Broken(self.seq, "dropped", f"{where}: {seq} follows {self.seq - 1}")
        if seq < self.seq:
            raise Broken(seq, "duplicate" if line == self._last else "inserted", f"{where}: {seq} stands here a second time, before {self.seq}")
        if entry["prev"] != self.head:
            if not seq:
                raise Broken(0, "foreign", f"{where}: does not begin as a log begins")
            raise Broken(seq - 1, "edited", f"{where}: entry {seq} names another digest of the entry before it")
        self.seq, self.head, self._last = seq + 1, digest(line), line
        return entry


def walk(directory: Path, seen: Seen | None = None) -> Tip:
    """Follow the whole log; raises Broken. An unfinished last line is reported in the Tip, not judged."""
    if strangers := segments.foreign(directory):
        raise Broken(0, "foreign", f"{strangers[0]}: not a segment of this log")
    chain, files = Chain(), segments.listed(directory)
    size = torn = 0
    for number, path in enumerate(files):
        if segments.first_seq(path) != chain.seq:
            if segments.first_seq(path) > chain.seq:
                raise Broken(chain.seq, "dropped", f"{path}: the segment that begins with {chain.seq} is missing")
            raise Broken(segments.first_seq(path), "inserted", f"{path}: begins before the segment before it has ended")
        size, torn = _segment(chain, path, seen, is_last=number == len(files) - 1)
    return Tip(chain.seq, chain.head, files[-1] if files else None, size, torn)


def _segment(chain: Chain, path: Path, seen: Seen | None, *, is_last: bool) -> tuple[int, int]:
    """Bytes of whole lines, and of an unfinished last one."""
    size = 0
    rest = segments.lines(path)
    for number, line in enumerate(rest, 1):
        where = f"{path}:{number}"
        if not line.endswith(b"\n"):
            if len(line) > MAX_LINE:
                raise Broken(chain.seq, "garbage", f"{where}: longer than {MAX_LINE} bytes")
            if not is_last:
                raise Broken(chain.seq, "torn", f"{where}: ends in the middle of a line, and is not the last segment")
            return size, len(line)
        try:
            entry = chain.follow(line[:-1], where)
        except Broken as broken:
            raise _closer(broken, chain.seq, rest) from None
        if seen is not None:
            seen(entry)
        size += len(line)
    if not size and not is_last:
        raise Broken(chain.seq, "dropped", f"{path}: an empty segment that is not the last")
    return size, 0


def _closer(broken: Broken, expected: int, rest: Iterator[bytes]) -> Broken:
    """A gap whose missing entry stands right behind it is a swap."""
    if broken.how != "dropped":
        return broken
    try:
        following = _parse(next(rest, b"").rstrip(b"\n"), expected, "")
    except Broken:
        return broken
    return Broken(expected, "swapped", broken.text) if following["seq"] == expected else broken


def _parse(line: bytes, expected: int, where: str) -> Document:
    """An entry's members; what no version of ours could have written is refused."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise Broken(expected, "garbage", f"{where}: not JSON") from None
    if not isinstance(entry, dict) or not entry.keys() >= ENVELOPE:
        raise Broken(expected, "foreign", f"{where}: not an entry")
    if entry["v"] != VERSION or entry["kind"] not in KINDS:
        raise Broken(expected, "foreign", f"{where}: version or kind is unknown")
    if canonical_or_none(entry) != line:
        raise Broken(expected, "edited", f"{where}: not the canonical form")
    return entry


def canonical_or_none(entry: Document) -> bytes | None:
    """The canonical bytes; None where a value has none."""
    try:
        return canonical(entry)
    except TypeError:
        return None
