"""Time and identifiers come from here, so that tests can hold them still.

Nothing else calls `time.time`, `time.monotonic` or `datetime.now`.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SHIFTS = tuple(range(70, -1, -10))
_PAIRS = tuple(a + b for a in _CROCKFORD for b in _CROCKFORD)
NANOSECONDS = 1_000_000_000


class Clock(Protocol):
    """Wall clock in nanoseconds since 1970 (UTC) and a monotonic clock in seconds."""

    def now_ns(self) -> int:
        """Wall clock, nanoseconds since the epoch."""

    def monotonic(self) -> float:
        """Monotonic seconds; only differences mean anything."""


class SystemClock:
    """The machine's clocks."""

    # The functions themselves: asked some twenty times a request, a frame around each would cost more than the answer.
    now_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)


def new_id(letter: str, now_ns: int) -> str:
    """A letter, `_` and a ULID (26 Crockford base32 characters: 48 bits of milliseconds, 80 random bits)."""
    value = int.from_bytes(os.urandom(10), "big")
    return letter + _moment(now_ns // 1_000_000) + "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])


@lru_cache(maxsize=16)
def _moment(millis: int) -> str:
    """`_` and the ten characters of a millisecond; written once for the many ids that share it."""
    return "_" + "".join([_PAIRS[millis >> shift & 1023] for shift in (40, 30, 20, 10, 0)])


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    """A second as text; written once for the many moments that share it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(ns: int) -> str:
    """`2026-11-21T09:00:00Z`, with milliseconds where there are any."""
    moment = _second(ns // NANOSECONDS)
    millis = ns // 1_000_000 % 1000
    return f"{moment}.{millis:03d}Z" if millis else f"{moment}Z"
