"""A circuit breaker as a small table: after failures in a row nobody asks, until one probe comes through.

It only ever says whether to ask; it never answers in OPA's place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stagewarden.clock import Clock

FAILURES = 10  # in a row; one burst of questions that time out together
REST = 1.0  # seconds without asking


class Breaker:
    """closed → (FAILURES in a row) → open → (REST) → half-open: one probe → closed or open."""

    def __init__(self, clock: Clock, failures: int = FAILURES, rest: float = REST) -> None:
        self._clock = clock
        self._limit = failures
        self._rest = rest
        self._failed = 0
        self._until: float | None = None  # None: closed
        self._probing = False

    def may_ask(self) -> bool:
        """Whether this question may go out; a yes while half-open makes it the probe."""
        if self._until is None:
            return True
        if self._probing or self._clock.monotonic() < self._until:
            return False
        self._probing = True
        return True

    def succeeded(self) -> bool:
        """OPA answered; True when it had not before."""
        recovered = self._failed > 0
        self._failed = 0
        self._until = None
        self._probing = False
        return recovered

    def failed(self) -> None:
        """OPA did not answer."""
        self._failed += 1
        self._probing = False
        if self._failed >= self._limit:
            self._until = self._clock.monotonic() + self._rest

    def abandoned(self) -> None:
        """The asker went away before an answer: nothing is known, and the next one may probe."""
        self._probing = False
