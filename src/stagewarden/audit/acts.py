"""Acts on modes and stops, read back from the log: who did what to whom, and what a stop ended. Reads only, so many lines at most.

Blocks while it reads; the gate calls it in a thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from stagewarden.audit.reader import place_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from stagewarden.audit.reader import Reader
    from stagewarden.model import Document

_LOOKED_AT = 200_000  # lines one page may look at; a page may so be short and still have a next one
_ACTS = (b'"kind":"mode"', b'"kind":"kill"')
_FOLLOWS = (*_ACTS, b'"kind":"hold"', b'"kind":"ruling"', b'"kind":"outcome"')
_NAMED = 100  # holds and answers of one receipt that are named
_SLACK = 5.0  # seconds between a stop and its entry: longer than people are kept waiting for the log


@dataclass(slots=True)
class Receipt:
    """What one stop did: the acts that engaged and lifted it, newest first; holds it ended, answers it cut off, requests refused by it.

    `whole` False: the log is longer than one look, and more may have been.
    """

    acts: list[Document] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    refused: int = 0
    whole: bool = False

    @property
    def engaged(self) -> Document | None:
        """The entry that engaged it."""
        return next((entry for entry in self.acts if entry.get("act") == "kill"), None)


def find_acts(reader: Reader, scopes: Collection[str], cursor: str | None, limit: int) -> tuple[list[Document], str | None]:
    """Acts on these scopes, newest first, older than the cursor; the next cursor. Raises Invalid for a cursor that is none of ours."""
    before = place_of(cursor)
    found: list[Document] = []
    for looked, line in enumerate(reader.newest(before), 1):
        at_the_end = looked >= _LOOKED_AT
        if not at_the_end and not any(mark in line for mark in _ACTS):
            continue
        entry = reader.parse(line)
        seq = _seq(entry)
        if before is not None and seq >= before:
            continue
        if entry["kind"] in {"mode", "kill"} and entry.get("scope") in scopes:
            if len(found) == limit:
                return found, str(_seq(found[-1]))
            found.append(entry)
        if at_the_end:
            return found, str(seq) if seq else None
    return found, None


def find_receipt(reader: Reader, kill: str) -> Receipt:
    """(1) From the newest line back to the entry that engaged it. (2) On to the moment it was engaged: an answer is cut before that is written.

    (3) On to the rulings of the answers that broke off, which alone say whether this stop covered them.
    """
    receipt, cut = Receipt(), set[str]()
    ended: list[Document] = []
    passed: list[Document] = []
    for looked, line in enumerate(reader.newest()):
        if looked == _LOOKED_AT:
            break
        if not any(mark in line for mark in _FOLLOWS):
            continue
        entry, engaged = reader.parse(line), receipt.engaged
        if engaged is None or _moment(entry) >= _moment(engaged) - _SLACK:
            _count(receipt, entry, kill)
            if engaged is None and entry["kind"] == "hold" and entry.get("event") == "killed":
                ended.append(entry)
            if entry["kind"] == "outcome" and entry.get("code") == "killed":
                cut.add(str(entry["ruling"]))
        elif not cut:
            break
        if entry["kind"] == "ruling" and entry["ruling"] in cut:
            cut.discard(str(entry["ruling"]))
            passed.append(entry)
    if (engaged := receipt.engaged) is not None:
        receipt.holds = [str(entry["hold"]) for entry in ended if _by(entry, engaged)][:_NAMED]
        receipt.cut = [str(entry["ruling"]) for entry in passed if _covers(engaged, _places(entry))][:_NAMED]
        receipt.whole = not cut
    return receipt


def _count(receipt: Receipt, entry: Document, kill: str) -> None:
    if entry["kind"] == "kill" and entry.get("subject") == kill:
        receipt.acts.append(entry)
    elif entry["kind"] == "ruling":
        reasons = entry.get("reasons")
        details = [reason.get("detail") for reason in reasons if isinstance(reason, dict)] if isinstance(reasons, list) else []
        receipt.refused += any(isinstance(detail, dict) and detail.get("kill") == kill for detail in details)


def _by(hold: Document, engaged: Document) -> bool:
    """Whether this stop ended that hold: it was in its scope, and by the same hand."""
    return hold.get("by") == engaged.get("by") and hold.get("reason") == engaged.get("reason") and _covers(engaged, hold)


def _covers(engaged: Document, places: Document) -> bool:
    kind, _, name = str(engaged.get("scope")).partition(":")
    return kind == "all" or places.get(kind) == name


def _places(ruling: Document) -> Document:
    """Where a ruling belongs, under the names that scopes have."""
    principal, proposed = ruling.get("principal"), ruling.get("proposed")
    agent = principal.get("agent") if isinstance(principal, dict) else None
    what = proposed if isinstance(proposed, dict) else {}
    return {"agent": agent, "workflow": ruling.get("workflow"), "upstream": what.get("upstream"), "stage": what.get("stage")}


def _moment(entry: Document) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(str(entry["time"])).timestamp()


def _seq(entry: Document) -> int:
    seq = entry.get("seq")
    return seq if isinstance(seq, int) else 0
