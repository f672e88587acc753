"""Stops that come after the yes: before the first byte, and while the answer is on its way (lifecycles.md, "Modes and the stop").

Must never undo: the upstream did what it was asked; the agent gets no more of the answer, and sees that it broke off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.errors import CannotTell, Severed, UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.gate.sending import Relay
    from stagewarden.model import Deny, Ruling


class Stopped(UpstreamFailed):
    """A stop was engaged between the yes and the first byte; nothing was sent."""

    def __init__(self, verdict: Deny) -> None:
        super().__init__(verdict.reasons[0].text)
        self.code = verdict.reasons[0].code  # type: ignore[misc]  # an instance narrows the class's code
        self.verdict = verdict


class Streams:
    """The relays whose answer is not whole yet, by the ruling that let them go."""

    def __init__(self) -> None:
        self._open: dict[Relay, Ruling] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, relay: Relay, ruling: Ruling, stopped: Callable[[Ruling], Deny | None]) -> None:
        """Its head is there. Held against the stops at once: nobody looked while it was awaited."""
        self._open[relay] = ruling
        self._hold(relay, ruling, stopped)

    def end(self, relay: Relay) -> None:
        """It is over; safe for one that never began."""
        self._open.pop(relay, None)

    def cut(self, stopped: Callable[[Ruling], Deny | None]) -> None:
        """End every answer that a stop in force covers. One of which that cannot be told goes on: it was let go when it could."""
        for relay, ruling in tuple(self._open.items()):
            self._hold(relay, ruling, stopped)

    def _hold(self, relay: Relay, ruling: Ruling, stopped: Callable[[Ruling], Deny | None]) -> None:
        try:
            stop = stopped(ruling)
        except CannotTell:
            return
        if stop is not None:
            self.end(relay)
            relay.cut(Severed(stop.reasons[0].code, stop.reasons[0].text))
