"""What waits for one person beside the inbox, for the side bar: grants to vote on, registries to confirm. Never in the way of a page.

Where it cannot be told in time, nothing is said. Known for a few seconds, so that walking through pages does not ask each time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.errors import CannotTell, NotAllowed
from stagewarden.web.console.grant import waits_for

if TYPE_CHECKING:
    from stagewarden.clock import Clock
    from stagewarden.identity.people import Caller
    from stagewarden.web.people.ports import Gate

_PATIENCE, _KNOWN = 0.3, 5.0  # seconds
_COUNTED = 50  # grants asked for that are looked at


@dataclass(frozen=True, slots=True)
class Waits:
    """Grants this person could vote on; registries that wait, and those this person could confirm."""

    grants: int
    registries: int
    mine: int


class Waiting:
    """Asks the gate, and remembers for a moment."""

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self._gate = gate
        self._clock = clock
        self._known: dict[str, tuple[float, Waits]] = {}  # by person of the registry

    async def of(self, caller: Caller) -> Waits | None:
        """What waits now, or None where nobody can tell."""
        person, now = caller.person or "", self._clock.monotonic()
        known = self._known.get(person)
        if known is not None and now < known[0]:
            return known[1]
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await self._count(caller)
        except (CannotTell, NotAllowed, TimeoutError):
            return None
        self._known[person] = (now + _KNOWN, found)
        return found

    def forget(self, caller: Caller) -> None:
        """This person has done something: look again."""
        self._known.pop(caller.person or "", None)

    async def _count(self, caller: Caller) -> Waits:
        asked, _ = await self._gate.list_grants(caller, state="requested", agent=None, wider=False, cursor=None, limit=_COUNTED)
        revisions = await self._gate.waiting_revisions(caller)
        return Waits(sum(waits_for(view, caller) for view in asked), len(revisions), sum(view.why_not is None for view in revisions))
