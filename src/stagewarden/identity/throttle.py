"""Slows down failed sign-ins by person and by peer, in fixed memory. Never says whether a name exists: it has never heard of names.

Names fall into a fixed number of leaky buckets by a keyed hash, so nobody can choose to share, flush or overflow a bucket.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stagewarden.clock import Clock

BURST = 10  # failures at once
LEAK = 1 / 30  # failures forgiven per second
BUCKETS = 4096


class Throttle:
    """`take` before an attempt, `give_back` after a success: attempts in parallel are counted like attempts in a row."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._levels = [0.0] * BUCKETS
        self._since = [clock.monotonic()] * BUCKETS

    def take(self, name: str) -> bool:
        """Count one attempt; False (and nothing counted) where the bucket is full."""
        place = self._place(name)
        now = self._clock.monotonic()
        level = max(0.0, self._levels[place] - (now - self._since[place]) * LEAK)
        allowed = level + 1 <= BURST
        self._levels[place], self._since[place] = level + allowed, now
        return allowed

    def give_back(self, name: str) -> None:
        """An attempt that succeeded, or was not made, does not count."""
        place = self._place(name)
        self._levels[place] = max(0.0, self._levels[place] - 1)

    def _place(self, name: str) -> int:
        return int.from_bytes(hashlib.blake2b(name.encode(errors="surrogatepass"), key=self._key, digest_size=4).digest(), "big") % BUCKETS
