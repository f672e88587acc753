"""What this process keeps in memory about grants: which agents could have one at all, and when those it has seen end on its own clock.

Both only ever make the answer stricter. An agent that is not in the set is asked about nobody; a grant issued elsewhere is found at the
next reading, at most `STALE` later, and until then its agent is held as if there were none. Every end is read from the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from stagewarden.clock import NANOSECONDS
from stagewarden.grants.grant import GrantState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagewarden.clock import Clock
    from stagewarden.grants.grant import Grant

Place: TypeAlias = tuple[str, str, str, str]  # agent, workflow, upstream, stage
STALE: Final = 1.0  # seconds
_MOST_SEEN = 10_000


class Known:
    """One process's memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: frozenset[Place] = frozenset()
        self._completing: frozenset[tuple[str, str, str]] = frozenset()  # agent, workflow, kind
        self._read_at: float | None = None
        self._ends: dict[str, float] = {}  # grant → its end on the monotonic clock

    @property
    def stale(self) -> bool:
        """Whether the set must be read again before it is asked."""
        return self._read_at is None or self._clock.monotonic() - self._read_at >= STALE

    def forget(self) -> None:
        """Somebody changed a grant: read again at the next question."""
        self._read_at = None

    def reading(self) -> None:
        """Somebody reads now; others go on with what is known meanwhile."""
        self._read_at = self._clock.monotonic()

    def read(self, places: Iterable[Place], completing: Iterable[tuple[str, str, str]]) -> None:
        """What the database says."""
        self._places, self._completing = frozenset(places), frozenset(completing)

    def could(self, place: Place) -> bool:
        """Whether a grant could be there for this."""
        return place in self._places

    def completes(self, agent: str, workflow: str, kind: str) -> bool:
        """Whether a grant waits for a success of this kind."""
        return (agent, workflow, kind) in self._completing

    def over(self, grant: Grant) -> bool:
        """Whether the time of an active grant is up on either clock: no jump of the wall clock lengthens it.

        Its end on the monotonic clock is fixed when it is first seen here, and never moved; after a restart it is counted anew, from the
        approval at the latest.
        """
        if grant.state is not GrantState.ACTIVE:
            return True
        end = ending(grant)
        left = (end - max(self._clock.now_ns(), grant.approved_at_ns)) / NANOSECONDS
        known = self._ends.setdefault(grant.id, self._clock.monotonic() + left)
        if len(self._ends) > _MOST_SEEN:
            now = self._clock.monotonic()
            self._ends = {name: until for name, until in self._ends.items() if until > now}
        return end <= self._clock.now_ns() or known <= self._clock.monotonic()

    def passed(self) -> tuple[str, ...]:
        """Grants whose end has come on the monotonic clock."""
        now = self._clock.monotonic()
        return tuple(grant for grant, end in self._ends.items() if end <= now)

    def soonest(self) -> float | None:
        """Seconds to the next end on the monotonic clock."""
        return min(self._ends.values()) - self._clock.monotonic() if self._ends else None

    def ended(self, grant: str) -> None:
        """Its clock is not needed any more."""
        self._ends.pop(grant, None)


def ending(grant: Grant) -> int:
    """When it ends by itself: its expiry, or its review window where that is sooner."""
    return min(grant.expires_at_ns, grant.review_by_ns or grant.expires_at_ns)
