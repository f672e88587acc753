"""Reading the log back: newest first, by ruling, by what a hold or an asset went through, page by page. Reads only.

What it gives is what the lines say. It does not judge them: `verify` does. Works beside the process that writes, and every look is
bounded: by what one page may read, and by when an id says that it was made.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.audit import segments
from stagewarden.audit.scan import Scan, needle, parsed
from stagewarden.clock import NANOSECONDS, made_ms, rfc3339
from stagewarden.errors import AuditUnavailable, Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stagewarden.model import Document

_CURSOR = re.compile(r"[0-9]{1,16}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")
_RULING, _OUTCOME = b'"kind":"ruling"', b'"kind":"outcome"'
# Canonical neighbours in a ruling, and in nothing else that has an effect.
_EFFECTS = tuple(b'"effect":"%b","final":' % effect for effect in (b"allow", b"hold", b"deny"))
_MOST = 128 << 20  # bytes one page may read; a page may so be short and still have a next one
_COUNTED = 64 << 20  # bytes looked at to count
_BESIDE = 1 << 20  # bytes after a ruling in which its outcome is looked for where a list is read
_NEWER = 1000  # entries looked at for what is new since the last look
_FOLLOWED = 512 << 20  # bytes after an id was made in which entries about it are looked for
_NAMED = len('"ruling":"r_01ARZ3NDEKTSV4RRFFQ69G5FAV"')
_SLACK = 120  # seconds an entry may seem older than its id


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rulings; None: any. `since` and `until` as RFC 3339 in UTC, `until` exclusive. `after`: only those with a higher `seq`."""

    agent: str | None = None
    effect: str | None = None
    workflow: str | None = None
    stage: str | None = None
    code: str | None = None
    upstream: str | None = None
    since: str | None = None
    until: str | None = None
    after: int | None = None

    def __post_init__(self) -> None:
        for bound in (self.since, self.until):
            if bound is not None and _TIME.fullmatch(bound) is None:
                raise Invalid("since, until: a time as 2026-11-21T09:00:00Z")

    @property
    def needles(self) -> tuple[bytes, ...]:
        """What the line of such a ruling must hold."""
        members = ("agent", "effect", "workflow", "stage", "code", "upstream")
        return (_RULING, *(needle(name, value) for name in members if (value := getattr(self, name)) is not None))

    def matches(self, entry: Document) -> bool:
        """Whether it is one: the bytes may have stood elsewhere in the line."""
        principal, proposed, reasons = (entry.get(name) for name in ("principal", "proposed", "reasons"))
        who = principal if isinstance(principal, dict) else {}
        what = proposed if isinstance(proposed, dict) else {}
        said: Document = {"agent": who.get("agent"), "stage": what.get("stage"), "upstream": what.get("upstream")}
        said |= {"effect": entry.get("effect"), "workflow": entry.get("workflow")}
        if any((value := getattr(self, name)) is not None and value != found for name, found in said.items()):
            return False
        codes = {reason.get("code") for reason in reasons if isinstance(reason, dict)} if isinstance(reasons, list) else set()
        return self.code is None or self.code in codes


EVERY = Wanted()


@dataclass(frozen=True, slots=True)
class Newer:
    """How the log went on: the `seq` after its last entry (None: nothing to be read yet), how many rulings there were, and the newest of them."""

    end: int | None
    rulings: int
    ruling: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Rulings by effect since a moment; `whole` False: there were more than one look may count, and these are the newest of them."""

    allow: int
    hold: int
    deny: int
    whole: bool = True


class Reader:
    """The log in a directory. The plain methods block; the `async` ones do the same in a thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def entries(self) -> Iterator[Document]:
        """All entries, oldest first; an unfinished last line is left out."""
        for line in self.lines():
            yield parsed(line)

    def lines(self) -> Iterator[bytes]:
        """The same as they stand in the files, without the newline."""
        for path in self._segments():
            for line in segments.lines(path):
                if line.endswith(b"\n"):
                    yield line[:-1]

    def newest(self, before: int | None = None) -> Iterator[bytes]:
        """The lines newest first; with `before`, those with a lower sequence number."""
        scan = self.scan()
        return (line for _, line in scan.backwards(scan.size if before is None else scan.from_seq(before)))

    def scan(self) -> Scan:
        """The log as it is now, to be searched."""
        return Scan(self._directory)

    def parse(self, line: bytes) -> Document:
        """A line that one of the methods above gave; raises AuditUnavailable for what is no entry."""
        return parsed(line)

    def find_ruling(self, ruling_id: str) -> Document | None:
        """The ruling with its newest outcome as the member `outcome`; None where the log has no such ruling, or none from when its id was made."""
        scan = self.scan()
        found: Document | None = None
        for _, entry in self.about(scan, ruling_id):
            if entry["kind"] == "ruling" and entry.get("ruling") == ruling_id:
                found = {**entry, "outcome": None}
            elif entry["kind"] == "outcome" and found is not None:
                found["outcome"] = entry
            if found is not None and (found.get("effect") == "deny" or (found.get("effect") == "allow" and found["outcome"] is not None)):
                break  # a hold may be sent again, and so have a later outcome
        return found

    def about(self, scan: Scan, identifier: str) -> Iterator[tuple[int, Document]]:
        """The entries whose `ruling` or `hold` this is, oldest first, from when it was made on, so far as one look goes."""
        made = made_ms(identifier)
        if made is None:
            return
        start = scan.from_time(rfc3339(max(0, made // 1000 - _SLACK) * NANOSECONDS))
        for at, line in scan.forwards(start, min(scan.size, start + _FOLLOWED), (identifier.encode(),)):
            entry = parsed(line)
            if identifier in (entry.get("ruling"), entry.get("hold")):
                yield at, entry

    def find_rulings(self, wanted: Wanted, cursor: str | None, limit: int) -> tuple[list[Document], str | None]:
        """Rulings newest first, older than the cursor, each with its outcome where that stands close behind it; the next cursor.

        Raises Invalid for a cursor that is none of ours.
        """
        scan = self.scan()
        before = place_of(cursor)
        end = scan.size if before is None else scan.from_seq(before)
        end = end if wanted.until is None else min(end, scan.from_time(wanted.until))
        floor = 0 if wanted.since is None else scan.from_time(wanted.since)
        floor = floor if wanted.after is None else max(floor, scan.from_seq(wanted.after + 1))
        found: list[tuple[int, Document]] = []
        for at, line in scan.backwards(end, floor, wanted.needles, _MOST):
            if not wanted.matches(entry := parsed(line)) or entry["kind"] != "ruling":
                continue
            if len(found) == limit:  # one more follows
                return _with_outcomes(scan, found), str(found[-1][1]["seq"])
            found.append((at, entry))
        following = scan.at(scan.reached) if scan.reached > floor else None
        return _with_outcomes(scan, found), None if following is None else str(following["seq"])

    def find_newer(self, place: int | None) -> Newer:
        """What was recorded from that `seq` on; of a long stretch only the last `_NEWER` entries are looked at. None: only where the log ends."""
        end: int | None = None
        newest: str | None = None
        rulings = 0
        for looked, line in enumerate(self.newest()):
            entry = parsed(line)
            end = _seq(entry) + 1 if end is None else end
            if place is None or _seq(entry) < place or looked == _NEWER:
                break
            if entry["kind"] == "ruling":
                rulings += 1
                newest = newest or str(entry["ruling"])
        return Newer(place if end is None else end, rulings, newest)

    def count(self, since: str) -> Counts:
        """Rulings by effect, by their bytes alone."""
        scan = self.scan()
        start = scan.from_time(since)
        first = start if scan.size - start <= _COUNTED else next((at for at, _ in scan.forwards(scan.size - _COUNTED, scan.size)), start)
        allow, hold, deny = scan.count(first, scan.size, _EFFECTS)
        return Counts(allow, hold, deny, whole=first == start)

    async def newer(self, place: int | None) -> Newer:
        """As `find_newer`."""
        return await asyncio.to_thread(self.find_newer, place)

    async def ruling(self, ruling_id: str) -> Document | None:
        """As `find_ruling`."""
        return await asyncio.to_thread(self.find_ruling, ruling_id)

    async def rulings(self, wanted: Wanted = EVERY, *, cursor: str | None = None, limit: int = 50) -> tuple[list[Document], str | None]:
        """As `find_rulings`."""
        return await asyncio.to_thread(self.find_rulings, wanted, cursor, limit)

    async def counts(self, since: str) -> Counts:
        """As `count`."""
        return await asyncio.to_thread(self.count, since)

    def _segments(self) -> list[Path]:
        try:
            return segments.listed(self._directory)
        except OSError as failure:
            raise AuditUnavailable(f"{self._directory}: {failure.strerror}") from failure


def _with_outcomes(scan: Scan, found: list[tuple[int, Document]]) -> list[Document]:
    """Each ruling with its first outcome, looked for close behind it; every stretch is read once."""
    outcomes: dict[object, Document] = {}
    owed = {needle("ruling", str(entry["ruling"])): entry["ruling"] for _, entry in found if entry.get("effect") != "deny"}
    done = 0
    for at, entry in reversed(found):
        if entry["ruling"] in owed.values():
            start, end = max(done, at), min(at + _BESIDE, scan.size)
            for _, line in scan.forwards(start, end, (_OUTCOME,)):
                named = line.find(b'"ruling":')
                if line[named : named + _NAMED] in owed and (outcome := parsed(line))["kind"] == "outcome":
                    outcomes.setdefault(outcome["ruling"], outcome)
            done = max(done, end)
    return [{**entry, "outcome": outcomes.get(entry["ruling"])} for _, entry in found]


def _seq(entry: Document) -> int:
    seq = entry.get("seq")
    return seq if isinstance(seq, int) else 0


def place_of(cursor: str | None) -> int | None:
    """The sequence number a page begins below; raises Invalid for a cursor that is none of ours."""
    if cursor is None:
        return None
    if _CURSOR.fullmatch(cursor) is None:
        raise Invalid("cursor: not one of ours")
    return int(cursor)
