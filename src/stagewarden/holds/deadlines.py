"""A second opinion on moments: the monotonic clock's.

Three rules. A *deadline* is over when the wall clock or the monotonic clock says so: no jump lengthens an approval. A *wait* (the time to
settle) is over when both say so: no jump takes from people the time in which they can still stop it. A *lease* is a deadline.
The monotonic side lives in this process: a moment is fixed when it is first seen and never moved; after a restart it is fixed anew.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stagewarden.clock import NANOSECONDS
from stagewarden.holds.lifecycle import LEASE_NS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagewarden.clock import Clock
    from stagewarden.model import Hold


class Deadlines:
    """Per open hold its moments, as both clocks see them; of its deadlines, the one asked for last is the one that runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends: dict[str, dict[int, float]] = {}  # hold → moment of the wall clock → the same on the monotonic clock
        self._runs: dict[str, float] = {}  # hold → end of the running deadline on the monotonic clock
        self._waits: dict[str, float] = {}  # hold → end of its time to settle
        self._calls: dict[str, dict[int, float]] = {}  # hold → when people are called to it: moment of the wall clock → the same on the other
        self._leases: dict[str, tuple[str, float]] = {}  # hold → attempt, and the end of its lease

    def note(self, hold: Hold) -> float:
        """Where the deadline that runs for this hold ends on the monotonic clock: fixed at its first sight."""
        end = self._runs[hold.id] = self._fixed(hold, running(hold))
        if hold.settles_at_ns:
            self._waits[hold.id] = self._fixed(hold, hold.settles_at_ns)
        else:  # pending, perhaps again
            self._waits.pop(hold.id, None)
        return end

    def note_calls(self, hold: Hold, moments_ns: Iterable[int]) -> None:
        """When people are called to a hold that nobody has decided; no moment: they need not be any more."""
        calls = {moment: self._fixed(hold, moment) for moment in moments_ns}
        if calls:
            self._calls[hold.id] = calls
        else:
            self._calls.pop(hold.id, None)

    def over(self, hold: Hold) -> bool:
        """Whether either clock says that the time of this hold is up."""
        return running(hold) <= self._clock.now_ns() or self.note(hold) <= self._clock.monotonic()

    def left(self, hold: Hold) -> float:
        """Seconds until its time is up, on the clock that has less."""
        return min((running(hold) - self._clock.now_ns()) / NANOSECONDS, self.note(hold) - self._clock.monotonic())

    def settled(self, hold: Hold) -> bool:
        """Whether both clocks say that its time to settle is over."""
        self.note(hold)
        return hold.settles_at_ns <= self._clock.now_ns() and self._waits.get(hold.id, 0.0) <= self._clock.monotonic()

    def settling(self, hold: str) -> bool:
        """Whether the monotonic clock still waits for this hold."""
        return self._waits.get(hold, 0.0) > self._clock.monotonic()

    def lease(self, hold: str, attempt: str) -> None:
        """A lease begins, or begins anew."""
        self._leases[hold] = (attempt, self._clock.monotonic() + LEASE_NS / NANOSECONDS)

    def lease_over(self, hold: str, attempt: str | None, until_ns: int) -> bool:
        """Whether either clock says that this attempt's lease is over; of another process's the wall clock alone knows."""
        return until_ns <= self._clock.now_ns() or self.outlived(hold, attempt)

    def outlived(self, hold: str, attempt: str | None) -> bool:
        """Whether the monotonic clock says so."""
        known = self._leases.get(hold)
        return known is not None and known[0] == attempt and known[1] <= self._clock.monotonic()

    def rest(self, hold: str, *, comes_back: bool) -> None:
        """It is being sent and no deadline runs; should it come back, what it had left is what it has."""
        self._calls.pop(hold, None)
        for moments in (self._runs, self._waits):
            moments.pop(hold, None)
        if not comes_back:
            self._ends.pop(hold, None)

    def forget(self, hold: str) -> None:
        """A hold that has no deadline any longer."""
        self.rest(hold, comes_back=False)
        self._leases.pop(hold, None)

    def forget_lease(self, hold: str, but: str | None = None) -> None:
        """Nobody holds it any longer; or nobody but this attempt."""
        if hold in self._leases and self._leases[hold][0] != but:
            del self._leases[hold]

    def forget_call(self, hold: str) -> None:
        """They were called, or need not be."""
        self._calls.pop(hold, None)

    def passed(self) -> tuple[str, ...]:
        """Holds whose running deadline is over on the monotonic clock."""
        now = self._clock.monotonic()
        return tuple(hold for hold, end in self._runs.items() if end <= now)

    def abandoned(self) -> tuple[str, ...]:
        """Holds of which a lease that began here is over on the monotonic clock."""
        now = self._clock.monotonic()
        return tuple(hold for hold, (_, end) in self._leases.items() if end <= now)

    def called(self) -> tuple[str, ...]:
        """Holds to which people are to be called, by the monotonic clock."""
        now = self._clock.monotonic()
        return tuple(hold for hold, calls in self._calls.items() if min(calls.values()) <= now)

    def reached(self, hold: str, moment_ns: int) -> bool:
        """Whether the monotonic clock has come to this call."""
        return self._calls.get(hold, {}).get(moment_ns, math.inf) <= self._clock.monotonic()

    def soonest(self) -> float | None:
        """Seconds to the next end on the monotonic clock; a time to settle that is over is no end any more."""
        now = self._clock.monotonic()
        ends = [*self._runs.values(), *(end for calls in self._calls.values() for end in calls.values()), *(end for _, end in self._leases.values())]
        ends += [end for end in self._waits.values() if end > now]
        return min(ends) - now if ends else None

    def _fixed(self, hold: Hold, moment_ns: int) -> float:
        """What is left is counted from the approval (or the asking) at the latest: not even a wall clock set back before a restart gives more.

        More than the whole term, that is: what had passed of it before is not known here.
        """
        moments = self._ends.setdefault(hold.id, {})
        if moment_ns not in moments:
            left = (moment_ns - max(self._clock.now_ns(), hold.approved_at_ns or hold.asked_at_ns)) / NANOSECONDS
            moments[moment_ns] = self._clock.monotonic() + left
        return moments[moment_ns]


def running(hold: Hold) -> int:
    """The deadline that runs for a hold not yet sent: use-by once it is fixed, else decide-by."""
    return hold.use_by_ns or hold.expires_at_ns
