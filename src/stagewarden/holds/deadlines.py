"""A second opinion on deadlines: the monotonic clock's.

A deadline is over when the wall clock or the monotonic clock says so; no jump lengthens an approval. The monotonic side lives in
this process: a deadline is noted when it is first seen and never moved. After a restart it is noted anew, from the wall clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.clock import NANOSECONDS

if TYPE_CHECKING:
    from stagewarden.clock import Clock
    from stagewarden.model import Hold


class Deadlines:
    """Per open hold its deadlines, as both clocks see them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends: dict[str, dict[int, float]] = {}  # hold → wall deadline → the same moment on the monotonic clock

    def note(self, hold: str, deadline_ns: int) -> float:
        """Remember where a deadline ends on the monotonic clock, at its first sight; gives that moment."""
        left = (deadline_ns - self._clock.now_ns()) / NANOSECONDS
        return self._ends.setdefault(hold, {}).setdefault(deadline_ns, self._clock.monotonic() + left)

    def left(self, hold: str, deadline_ns: int) -> float:
        """Seconds left by the clock that leaves fewer; ≤ 0 is over."""
        wall = (deadline_ns - self._clock.now_ns()) / NANOSECONDS
        return min(wall, self.note(hold, deadline_ns) - self._clock.monotonic())

    def over(self, hold: str, deadline_ns: int) -> bool:
        """Whether either clock says that the time is up."""
        return self.left(hold, deadline_ns) <= 0

    def forget(self, hold: str) -> None:
        """A hold that has no deadline any longer."""
        self._ends.pop(hold, None)

    def passed(self) -> tuple[str, ...]:
        """Holds of which some deadline is over on the monotonic clock."""
        now = self._clock.monotonic()
        return tuple(hold for hold, ends in self._ends.items() if min(ends.values()) <= now)

    def soonest(self) -> float | None:
        """Seconds to the next end on the monotonic clock."""
        ends = [end for each in self._ends.values() for end in each.values()]
        return min(ends) - self._clock.monotonic() if ends else None


def running(hold: Hold) -> int:
    """The deadline that runs for a hold not yet sent: use-by once it is fixed, else decide-by."""
    return hold.use_by_ns or hold.expires_at_ns
