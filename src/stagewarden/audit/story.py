"""What a hold, or an asset, went through, as entries of the log in their order; and whether a ruling's line still stands where it was written.

Reads only, so much at most, and says where it stopped. Blocks while it reads; the gate calls it in a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from stagewarden.audit.chain import Broken, Chain
from stagewarden.audit.line import digest
from stagewarden.audit.scan import parsed

if TYPE_CHECKING:
    from stagewarden.audit.reader import Reader
    from stagewarden.audit.scan import Scan
    from stagewarden.model import Document

_ENTRIES = 500  # of one story
_HOLDS = 20  # of one asset whose votes and sends are looked for, the newest
_MOST = 256 << 20  # bytes looked at for an asset
_BESIDE = 1 << 20  # bytes after the last known entry of a hold, or a ruling, in which its outcome is looked for
_FOLLOWED = 1000  # entries after a ruling's that are followed


@dataclass(frozen=True, slots=True)
class Story:
    """Entries, oldest first; `whole` False: the log is longer than one look, and more may have been."""

    entries: tuple[Document, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ruling stands in the chain. `followed` entries after it each name the digest of the one before; `broken`: where one does not.

    `newest`: they lead to the newest entry. Nothing here is signed: a log written anew from some entry on would not show.
    """

    seq: int
    digest: str
    followed: int
    newest: bool
    broken: str | None = None


def of_hold(reader: Reader, hold: str) -> Story:
    """Everything that names the hold: its ruling and the agent's repeats, its moves, votes, releases and outcomes."""
    found: list[Document] = []
    for _, entry in reader.about(reader.scan(), hold):
        if len(found) == _ENTRIES:
            return Story(tuple(found), whole=False)
        found.append(entry)
    return Story(tuple(found), whole=True)


def of_asset(reader: Reader, upstream: str, asset: str) -> Story:
    """(1) Newest first: rulings about the asset, and moves of its holds. (2) Those holds' votes and sends. (3) What came of direct sends."""
    scan = reader.scan()
    about: dict[int, tuple[int, Document]] = {}
    for at, line in scan.backwards(scan.size, 0, (b":" + orjson.dumps(asset), b":" + orjson.dumps(upstream)), _MOST):
        entry = parsed(line)
        if (upstream, asset) == _asset(entry):
            about[_seq(entry)] = (at, entry)
            if len(about) == _ENTRIES:
                break
    whole = len(about) < _ENTRIES and scan.reached == 0
    entries = {seq: entry for seq, (_, entry) in about.items()}
    for hold, (first, last) in list(_spans(about).items())[:_HOLDS]:
        for _, line in scan.forwards(first, min(last + _BESIDE, scan.size), (hold.encode(),)):
            entry = parsed(line)
            if entry.get("hold") == hold:
                entries[_seq(entry)] = entry
    for at, entry in about.values():
        if entry["kind"] == "ruling" and entry.get("effect") == "allow" and (outcome := _outcome(scan, at, str(entry["ruling"]))) is not None:
            entries[_seq(outcome)] = outcome
    return Story(tuple(entries[seq] for seq in sorted(entries)), whole)


def place(reader: Reader, entry: Document) -> Place:
    """Follow the chain from the line before this entry: its own bytes, and each line after it, must be the ones the next one names."""
    scan, seq = reader.scan(), _seq(entry)
    start = scan.from_seq(max(0, seq - 1))
    chain, own, followed = Chain(), "", 0
    for at, line in scan.forwards(start, scan.size):
        if at == start:
            first = parsed(line)
            chain.seq, chain.head = _seq(first), str(first.get("prev"))
        try:
            read = chain.follow(line, f"entry {chain.seq}")
        except Broken as broken:
            return Place(seq, own, followed, newest=False, broken=f"{broken.how} at {broken.at}")
        if _seq(read) == seq:
            own = digest(line)
        elif _seq(read) > seq:
            followed += 1
        if followed == _FOLLOWED:
            return Place(seq, own, followed, newest=at + len(line) + 1 >= scan.size)
    return Place(seq, own, followed, newest=True)


def _asset(entry: Document) -> tuple[object, object]:
    """Upstream and asset of a ruling, or of a hold's move."""
    if entry["kind"] == "hold":
        return entry.get("upstream"), entry.get("asset")
    proposed = entry.get("proposed") if entry["kind"] == "ruling" else None
    if not isinstance(proposed, dict) or not isinstance(asset := proposed.get("asset"), dict):
        return None, None
    return proposed.get("upstream"), asset.get("id")


def _spans(about: dict[int, tuple[int, Document]]) -> dict[str, tuple[int, int]]:
    """Of each hold, the newest first: where its first and its last entry stand."""
    spans: dict[str, tuple[int, int]] = {}
    for _, (at, entry) in sorted(about.items(), reverse=True):
        if isinstance(hold := entry.get("hold"), str) and hold.startswith("h_"):
            spans[hold] = (at, spans.get(hold, (at, at))[1])
    return spans


def _outcome(scan: Scan, at: int, ruling: str) -> Document | None:
    for _, line in scan.forwards(at, min(at + _BESIDE, scan.size), (ruling.encode(), b'"kind":"outcome"')):
        entry = parsed(line)
        if entry["kind"] == "outcome" and entry.get("ruling") == ruling:
            return entry
    return None


def _seq(entry: Document) -> int:
    seq = entry.get("seq")
    return seq if isinstance(seq, int) else 0
