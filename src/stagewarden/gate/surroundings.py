"""What stands around one hold, for whoever weighs it: registry entries, what it took the place of, its like. Reads no payload of any hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.gate.callers import Callers
from stagewarden.gate.people import Around
from stagewarden.holds import lifecycle
from stagewarden.holds.paging import Filter
from stagewarden.model import HoldState

if TYPE_CHECKING:
    from stagewarden.identity.people import Caller
    from stagewarden.model import Hold

ALIKE = 5  # earlier holds told of
_ENDED = frozenset(state for state in HoldState if state not in lifecycle.OPEN)


class Surroundings(Callers):
    """The look around."""

    async def around(self, caller: Caller, hold: Hold) -> Around:
        """Same agent, kind and upstream for `alike`: an upstream has one destination. Ended ones, for their outcome is what is asked for."""
        self._reads(caller)
        registry, upstream = self._rooms.registry, self._rooms.config.upstreams.get(hold.upstream)
        wanted = Filter(_ENDED, agent=hold.agent, kind=hold.kind, upstream=hold.upstream)
        found, _ = await self._rooms.holds.list(wanted, None, ALIKE + 1)
        before = await self._rooms.holds.list(Filter(id=hold.predecessor), None, 1) if hold.predecessor else ((), None)
        return Around(
            registry=registry.revision,
            workflow=registry.data.workflows.get(hold.workflow),
            destination=registry.data.destinations.get(upstream.destination) if upstream else None,
            predecessor=next(iter(before[0]), None),
            alike=tuple(each for each in found if each.id != hold.id)[:ALIKE],
        )
