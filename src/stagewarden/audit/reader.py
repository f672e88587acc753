"""Reading the log back: newest first, by ruling, page by page. Reads only; holds one page at a time.

What it gives is what the lines say. It does not judge them: `verify` does. Works beside the process that writes.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from stagewarden.audit import segments
from stagewarden.errors import AuditUnavailable, Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stagewarden.model import Document

_CURSOR = re.compile(r"[0-9]{1,16}")
_NEWER = 1000  # entries looked at for what is new since the last look
_LOOKED_AT = 50_000  # entries one page may look at; a page may so be short and still have a next one


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rulings; None: any."""

    agent: str | None = None
    effect: str | None = None


@dataclass(frozen=True, slots=True)
class Newer:
    """How the log went on: the `seq` after its last entry (None: nothing to be read yet), how many rulings there were, and the newest of them."""

    end: int | None
    rulings: int
    ruling: str | None


class Reader:
    """The log in a directory. The plain methods block; the `async` ones do the same in a thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def entries(self) -> Iterator[Document]:
        """All entries, oldest first; an unfinished last line is left out."""
        for line in self.lines():
            yield _entry(line)

    def lines(self) -> Iterator[bytes]:
        """The same as they stand in the files, without the newline."""
        for path in self._segments():
            for line in segments.lines(path):
                if line.endswith(b"\n"):
                    yield line[:-1]

    def newest(self, before: int | None = None) -> Iterator[bytes]:
        """The lines newest first; with `before`, only segments that begin below that sequence number are opened."""
        for path in reversed(self._segments()):
            if before is None or segments.first_seq(path) < before:
                yield from segments.backwards(path)

    def parse(self, line: bytes) -> Document:
        """A line that one of the methods above gave; raises AuditUnavailable for what is no entry."""
        return _entry(line)

    def find_ruling(self, ruling_id: str) -> Document | None:
        """The ruling with its newest outcome as the member `outcome`; None where the log has no such ruling."""
        wanted = orjson.dumps(ruling_id)
        outcome: Document | None = None
        for line in self.newest():
            if wanted not in line:
                continue
            entry = _entry(line)
            if entry.get("ruling") != ruling_id:
                continue
            if entry["kind"] == "outcome" and outcome is None:
                outcome = entry
            if entry["kind"] == "ruling":
                return {**entry, "outcome": outcome}
        return None

    def find_rulings(self, wanted: Wanted, cursor: str | None, limit: int) -> tuple[list[Document], str | None]:
        """Rulings newest first, older than the cursor, each with its outcome where that stands in a segment looked at; the next cursor.

        Raises Invalid for a cursor that is none of ours.
        """
        before = _before(cursor)
        found: list[Document] = []
        outcomes: dict[object, Document] = {}
        looked = last = 0
        for line in self.newest(before):
            if b'"kind":"ruling"' not in line and b'"kind":"outcome"' not in line:
                continue
            entry = _entry(line)
            if entry["kind"] == "outcome":
                outcomes.setdefault(entry["ruling"], entry)
                continue
            outcome = outcomes.pop(entry["ruling"], None)
            last = _seq(entry)
            if before is not None and last >= before:
                continue
            looked += 1
            if _matches(entry, wanted):
                if len(found) == limit:  # one more follows
                    return found, str(_seq(found[-1]))
                found.append({**entry, "outcome": outcome})
            if looked == _LOOKED_AT:
                return found, str(last) if last else None
        return found, None

    def find_newer(self, place: int | None) -> Newer:
        """What was recorded from that `seq` on; of a long stretch only the last `_NEWER` entries are looked at. None: only where the log ends."""
        end: int | None = None
        newest: str | None = None
        rulings = 0
        for looked, line in enumerate(self.newest()):
            entry = _entry(line)
            end = _seq(entry) + 1 if end is None else end
            if place is None or _seq(entry) < place or looked == _NEWER:
                break
            if entry["kind"] == "ruling":
                rulings += 1
                newest = newest or str(entry["ruling"])
        return Newer(place if end is None else end, rulings, newest)

    async def newer(self, place: int | None) -> Newer:
        """As `find_newer`."""
        return await asyncio.to_thread(self.find_newer, place)

    async def ruling(self, ruling_id: str) -> Document | None:
        """As `find_ruling`."""
        return await asyncio.to_thread(self.find_ruling, ruling_id)

    async def rulings(
        self, *, agent: str | None = None, effect: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[Document], str | None]:
        """As `find_rulings`."""
        return await asyncio.to_thread(self.find_rulings, Wanted(agent, effect), cursor, limit)

    def _segments(self) -> list[Path]:
        try:
            return segments.listed(self._directory)
        except OSError as failure:
            raise AuditUnavailable(f"{self._directory}: {failure.strerror}") from failure


def place_of(cursor: str | None) -> int | None:
    """The sequence number a page begins below; raises Invalid for a cursor that is none of ours."""
    return _before(cursor)


def _entry(line: bytes) -> Document:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError as failure:
        raise AuditUnavailable("the log holds a line that is not JSON: see `stagewarden audit verify`") from failure
    if not isinstance(entry, dict) or "kind" not in entry:
        raise AuditUnavailable("the log holds a line that is no entry: see `stagewarden audit verify`")
    return entry


def _seq(entry: Document) -> int:
    seq = entry.get("seq")
    return seq if isinstance(seq, int) else 0


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if _CURSOR.fullmatch(cursor) is None:
        raise Invalid("cursor: not one of ours")
    return int(cursor)


def _matches(entry: Document, wanted: Wanted) -> bool:
    if wanted.effect is not None and entry.get("effect") != wanted.effect:
        return False
    principal = entry.get("principal")
    return wanted.agent is None or (isinstance(principal, dict) and principal.get("agent") == wanted.agent)
