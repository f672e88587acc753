"""A second opinion on deadlines: the monotonic clock's.

A deadline is over when the wall clock or the monotonic clock says so; no jump lengthens an approval. The monotonic side lives in
this process: a deadline is noted when it is first seen and never moved; after a restart it is noted anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.clock import NANOSECONDS

if TYPE_CHECKING:
    from stagewarden.clock import Clock
    from stagewarden.model import Hold


class Deadlines:
    """Per open hold its deadlines, as both clocks see them; the one asked for last is the one that runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends: dict[str, dict[int, float]] = {}  # hold → wall deadline → the same moment on the monotonic clock
        self._runs: dict[str, float] = {}  # hold → end of the running deadline on the monotonic clock

    def note(self, hold: Hold) -> float:
        """Where the deadline that runs for this hold ends on the monotonic clock: fixed at its first sight.

        What is left is counted from the approval (or the asking) at the latest, so that not even a wall clock set back before a restart
        gives more than the whole term anew.
        """
        deadline = running(hold)
        left = (deadline - max(self._clock.now_ns(), hold.approved_at_ns or hold.asked_at_ns)) / NANOSECONDS
        end = self._ends.setdefault(hold.id, {}).setdefault(deadline, self._clock.monotonic() + left)
        self._runs[hold.id] = end
        return end

    def over(self, hold: Hold) -> bool:
        """Whether either clock says that the time of this hold is up."""
        return running(hold) <= self._clock.now_ns() or self.note(hold) <= self._clock.monotonic()

    def forget(self, hold: str) -> None:
        """A hold that has no deadline any longer."""
        self._ends.pop(hold, None)
        self._runs.pop(hold, None)

    def passed(self) -> tuple[str, ...]:
        """Holds whose running deadline is over on the monotonic clock."""
        now = self._clock.monotonic()
        return tuple(hold for hold, end in self._runs.items() if end <= now)

    def soonest(self) -> float | None:
        """Seconds to the next end on the monotonic clock."""
        return min(self._runs.values()) - self._clock.monotonic() if self._runs else None


def running(hold: Hold) -> int:
    """The deadline that runs for a hold not yet sent: use-by once it is fixed, else decide-by."""
    return hold.use_by_ns or hold.expires_at_ns
