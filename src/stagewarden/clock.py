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
_PAIRS = tuple(a + b for a in _CROCKFORD for b in _CROCKFORD)
_LETTERS = bytes(ord(_CROCKFORD[byte & 31]) for byte in range(256))  # five bits of each random byte
NANOSECONDS = 1_000_000_000
_LAST_MS = 253_402_300_799_000  # the calendar's last second
_ID_LENGTH = 28  # a letter, `_` and 26 characters


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
    millis = now_ns // 1_000_000
    moment = _quarter_hour(millis >> 20) + _PAIRS[millis >> 10 & 1023] + _PAIRS[millis & 1023]
    return letter + moment + os.urandom(16).translate(_LETTERS).decode("ascii")


def made_ms(identifier: str) -> int | None:
    """The milliseconds since 1970 at which an id says it was made; None for what is no id of ours."""
    letters = identifier[2:12] if len(identifier) == _ID_LENGTH and identifier[1] == "_" else ""
    if not letters or not set(letters) <= set(_CROCKFORD):
        return None
    return min(_LAST_MS, sum(_CROCKFORD.index(letter) << 5 * place for place, letter in enumerate(reversed(letters))))


@lru_cache(maxsize=4)
def _quarter_hour(millis_20: int) -> str:
    """`_` and the first six characters of a ULID's milliseconds, of which the last twenty bits are dropped."""
    return "_" + "".join([_PAIRS[millis_20 >> shift & 1023] for shift in (20, 10, 0)])


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    """A second as text; written once for the many moments that share it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(ns: int) -> str:
    """`2026-11-21T09:00:00Z`, with milliseconds where there are any."""
    moment = _second(ns // NANOSECONDS)
    millis = ns // 1_000_000 % 1000
    return f"{moment}.{millis:03d}Z" if millis else f"{moment}Z"
