"""Finding lines of the log without splitting and parsing all of it: by place, by `seq`, by time, and by the bytes a wanted line must hold.

Entries have one canonical form (RFC 8785): a member and its value are always the same bytes, and inside a string no quotation mark
stands bare. A stretch without those bytes holds no such entry, and is passed over whole. Never judges a line: whoever asked parses and compares.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

import orjson

from stagewarden.audit import segments
from stagewarden.audit.line import MAX_LINE
from stagewarden.errors import AuditUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stagewarden.model import Document

    Needles = tuple[bytes, ...]
    Line = tuple[int, bytes]  # its place, and its bytes without the newline

_FIRST, _STEP = 1 << 16, 1 << 20  # bytes: of the first stretch, which most pages are served from, and of later ones
_NEAR = 1 << 16  # bytes; a shorter stretch is read through instead of being halved
_LINE = 1 << 12  # bytes; most lines are shorter


def parsed(line: bytes) -> Document:
    """The line as an entry; AuditUnavailable for what is none."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError as failure:
        raise AuditUnavailable("the log holds a line that is not JSON: see `stagewarden audit verify`") from failure
    if not isinstance(entry, dict) or "kind" not in entry:
        raise AuditUnavailable("the log holds a line that is no entry: see `stagewarden audit verify`")
    return entry


def needle(member: str, value: str) -> bytes:
    """The bytes of this member with this value, wherever it stands in an entry."""
    return b"%b:%b" % (orjson.dumps(member), orjson.dumps(value))


class Scan:
    """The log as long as it was when this was made. A place is the number of bytes before it, all segments taken together.

    `looked`: bytes read so far, which is what bounds and tests count. Blocking; not for two threads at once.
    """

    def __init__(self, directory: Path) -> None:
        try:
            self._paths = segments.listed(directory)
            sizes = [path.stat().st_size for path in self._paths]
        except OSError as failure:
            raise AuditUnavailable(f"{directory}: {failure.strerror}") from failure
        self._starts = list(accumulate(sizes, initial=0))
        self.size = self._starts[-1]
        self.looked = 0

    def backwards(self, end: int, floor: int = 0, needles: Needles = (), most: int | None = None) -> Iterator[Line]:
        """The lines before `end` that hold every needle, newest first, down to `floor`, or until so many bytes were read.

        Afterwards `reached` is the place down to which all was looked at.
        """
        first = self.looked
        self.reached = end
        for start, block in self._blocks_back(end, floor):
            if all(wanted in block for wanted in needles):
                at = start + len(block)
                for line in reversed(block[:-1].split(b"\n")):
                    at -= len(line) + 1
                    if all(wanted in line for wanted in needles):
                        yield at, line
            self.reached = start
            if most is not None and self.looked - first >= most:
                return

    def forwards(self, start: int, end: int, needles: Needles = ()) -> Iterator[Line]:
        """The lines from `start` on that hold every needle, oldest first."""
        while start < end:
            block = self._block(start, min(_STEP, end - start))
            if not block:
                return
            if all(wanted in block for wanted in needles):
                at = start
                for line in block[:-1].split(b"\n"):
                    if all(wanted in line for wanted in needles):
                        yield at, line
                    at += len(line) + 1
            start += len(block)

    def count(self, start: int, end: int, needles: Needles) -> list[int]:
        """How often each needle stands in the lines between; nothing is parsed."""
        found = [0] * len(needles)
        while start < end and (block := self._block(start, min(_STEP, end - start))):
            found = [number + block.count(wanted) for number, wanted in zip(found, needles, strict=True)]
            start += len(block)
        return found

    def from_seq(self, seq: int) -> int:
        """Where the first entry stands whose `seq` is this or later."""
        index = max(0, bisect_right([segments.first_seq(path) for path in self._paths], seq) - 1)
        return self._from(index, lambda entry: isinstance(found := entry.get("seq"), int) and found >= seq)

    def from_time(self, time: str) -> int:
        """Where the first entry stands that was written then or later, as far as the machine's clock only ever went forward."""

        def later(entry: Document) -> bool:
            return str(entry.get("time")) >= time

        low, high = 0, len(self._paths)
        while high - low > 1:  # the last segment that begins before it
            middle = (low + high) // 2
            first = self._line(self._starts[middle])
            low, high = (low, middle) if not first or later(parsed(first)) else (middle, high)
        return self._from(low, later)

    def at(self, place: int) -> Document | None:
        """The entry that begins there; None at the end."""
        line = self._line(place)
        return parsed(line) if line else None

    def _from(self, index: int, later: Callable[[Document], bool]) -> int:
        """The first line of the segment that is `later`, which none before it is: halve, then read."""
        if index >= len(self._paths):
            return self.size
        low, high = self._starts[index], self._starts[index + 1]
        while high - low > _NEAR:
            middle = self._next_line((low + high) // 2, high)
            if middle is None:
                break
            low, high = (low, middle) if later(parsed(self._line(middle))) else (middle, high)
        return next((at for at, line in self.forwards(low, high) if later(parsed(line))), high)

    def _next_line(self, place: int, before: int) -> int | None:
        """Where the next whole line begins after this place, and before that one."""
        while place < before:
            data = self._read(place, min(_LINE, before - place))
            if (cut := data.find(b"\n") + 1) and place + cut < before and self._line(place + cut):
                return place + cut
            if cut or not data:
                return None
            place += len(data)
        return None

    def _line(self, place: int) -> bytes:
        return self._block(place, _LINE).partition(b"\n")[0]

    def _blocks_back(self, end: int, floor: int) -> Iterator[tuple[int, bytes]]:
        """Stretches of whole lines before `end`, newest first, with the place each begins at; an unfinished last line is left out."""
        step = _FIRST
        for index in reversed(range(len(self._paths))):
            low, high = max(floor, self._starts[index]), min(end, self._starts[index + 1])
            if low >= high:
                continue
            rest, finished = b"", False
            while high > low:
                taken = min(step, high - low)
                step = _STEP
                high -= taken
                data = self._read(high, taken) + rest
                if not finished:
                    data, finished = data[: data.rfind(b"\n") + 1], b"\n" in data
                cut = data.find(b"\n") + 1 if high > low else 0
                rest, whole = (data[:cut], data[cut:]) if high > low else (b"", data)
                if len(rest) > MAX_LINE + 1:
                    raise AuditUnavailable(f"{self._paths[index]}: a line is longer than {MAX_LINE} bytes")
                if whole:
                    yield high + cut, whole

    def _block(self, start: int, length: int) -> bytes:
        """Whole lines from `start` on, of one segment; at least one, however long, unless it is unfinished."""
        data = self._read(start, length)
        while data and b"\n" not in data and len(data) <= MAX_LINE:
            more = self._read(start + len(data), _NEAR)
            data += more
            if not more:
                break
        return data[: data.rfind(b"\n") + 1]

    def _read(self, place: int, length: int) -> bytes:
        """At most so many bytes from there, never over the end of a segment."""
        index = bisect_right(self._starts, place) - 1
        if index >= len(self._paths) or length <= 0:
            return b""
        path, offset = self._paths[index], place - self._starts[index]
        handle = segments.opened(path)
        try:
            data = os.pread(handle, min(length, self._starts[index + 1] - place), offset)
        except OSError as failure:
            raise AuditUnavailable(f"{path}: {failure.strerror}") from failure
        finally:
            os.close(handle)
        self.looked += len(data)
        return data
