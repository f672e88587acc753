"""Rubber-stamp signals: what a series of reviews says about how carefully people looked (reference/governance.md C2.16). Pure.

Never says anything of one review, nor of fewer than the registry's `signals.minimum`; it only ever asks for more care.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING

import orjson

from stagewarden.clock import NANOSECONDS
from stagewarden.holds.difference import difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from stagewarden.model import JSON, Body
    from stagewarden.registry import SignalRule

_WORD = 5  # characters: the standard word of reading and typing tests, which needs no word boundaries and so serves any script
_HOUR_NS = 3600 * NANOSECONDS
_MINUTE = 60.0
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Review:
    """How one vote came about. `viewed_at_ns` 0: the content was never shown to this person; `length` in characters."""

    person: str
    workflow: str
    tier: str
    decision: str
    viewed_at_ns: int
    at_ns: int
    length: int
    in_view: bool
    after_hours: bool

    @property
    def seconds(self) -> float | None:
        """From the first view to the decision; None: never viewed."""
        return max(0.0, (self.at_ns - self.viewed_at_ns) / NANOSECONDS) if self.viewed_at_ns else None


@dataclass(frozen=True, slots=True)
class Measures:
    """A series of reviews in numbers. `unread`: approvals without the content in view; `run` and `burst`: the longest of any one person."""

    count: int
    approved: int
    seconds: float | None  # median, from first view to decision
    words_per_minute: float | None  # median of the approvals that had something to read
    unread: int
    run: int
    burst: int  # approvals after hours within one hour


def measure(reviews: Iterable[Review]) -> Measures:
    """The numbers of these reviews, in whatever order they come."""
    ordered = sorted(reviews, key=lambda review: (review.at_ns, review.person, review.decision))
    approvals = [review for review in ordered if review.decision == "approve"]
    times = [seconds for review in ordered if (seconds := review.seconds) is not None]
    paces = [_pace(review.length, seconds) for review in approvals if review.length and (seconds := review.seconds) is not None]
    each = [[review for review in ordered if review.person == person] for person in sorted({review.person for review in ordered})]
    return Measures(
        count=len(ordered),
        approved=len(approvals),
        seconds=median(times) if times else None,
        words_per_minute=median(paces) if paces else None,
        unread=sum(not review.in_view for review in approvals),
        run=max(map(_run, each), default=0),
        burst=max(map(_burst, each), default=0),
    )


def signals(measures: Measures, rule: SignalRule) -> tuple[str, ...]:
    """Which limits these numbers are over; none where there are too few of them to say anything."""
    if measures.count < rule.minimum:
        return ()
    pace = measures.words_per_minute
    found = {
        "fast": pace is not None and pace > rule.words_per_minute,
        "unread": measures.approved > 0 and measures.unread * _PERCENT > rule.unread * measures.approved,
        "run": measures.run >= rule.run,
        "always": measures.approved == measures.count,
        "after_hours": measures.burst >= rule.burst,
    }
    return tuple(name for name, over in found.items() if over)


def length(body: Body, before: bytes | None) -> int:
    """Characters of text a reviewer has to read: the strings of a JSON body that differ from the asset before, else the body as text.

    Where the request only says what to do with content that lies at the upstream ("publish 42"), the longest text that stands there. What
    is no text (an image), or too large for memory, counts as nothing: a pace cannot be told of it.
    """
    if not isinstance(body, bytes):
        return 0
    asset = before if before is not None and _is_json(before) else b"null"
    changes = difference(asset, body) if body else []
    if changes is None:
        return _plain(body)
    texts = [text for change in changes if isinstance(change, dict) and "to" in change for text in _texts(change["to"])]
    standing = [*_texts(orjson.loads(asset))]
    if standing and not any(len(text.split()) > 1 for text in texts):
        return max(map(len, standing))
    return sum(map(len, texts))


def _pace(characters: int, seconds: float) -> float:
    return characters / _WORD / max(seconds, 1.0) * _MINUTE


def _run(reviews: Sequence[Review]) -> int:
    runs = groupby(reviews, key=lambda review: review.decision)
    return max((len(list(run)) for decision, run in runs if decision == "approve"), default=0)


def _burst(reviews: Sequence[Review]) -> int:
    late = [review.at_ns for review in reviews if review.after_hours and review.decision == "approve"]
    return max((bisect_right(late, first + _HOUR_NS) - index for index, first in enumerate(late)), default=0)


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def _plain(body: bytes) -> int:
    try:
        return len(body.decode())
    except UnicodeDecodeError:
        return 0


def _texts(value: JSON) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
