"""What people say about a send that has left: what became of it, and that it was taken back. Recorded with who said so; sends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.errors import Invalid, NotAllowed
from stagewarden.gate.callers import Callers, bounded
from stagewarden.model import HoldState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.gate.people import Offer
    from stagewarden.holds.resolving import Found
    from stagewarden.identity.people import Caller
    from stagewarden.model import Hold

LOOKS_UP = frozenset({"technical", "security"})
_FOUND: Mapping[str, Found] = {"done": "done", "failed": "failed"}


class Resolving(Callers):
    """The acts."""

    async def resolve(self, caller: Caller, hold_id: str, result: str, evidence: str) -> Hold:
        """Security or technical looked an unknown outcome up: it is done, or it failed. Raises Conflict where it is not unknown."""
        person = self._person(caller)
        if self.functions(caller).isdisjoint(LOOKS_UP):
            raise NotAllowed("resolving an unknown outcome takes the function technical or security")
        found = _FOUND.get(result)
        if found is None:
            raise Invalid("result: done or failed")
        return await self._rooms.recorder.deliver(await self._rooms.holds.resolve(hold_id, person, found, evidence))

    async def roll_back(self, caller: Caller, hold_id: str, reason: str) -> Hold:
        """It was taken back at the upstream: security, technical or one of its owners says so, and why."""
        person = self._person(caller)
        hold = await self._rooms.holds.get(hold_id)
        if not self._takes_back(caller, person, hold):
            raise NotAllowed("a rollback is recorded by technical, security, or an owner of the agent or of the workflow's rollback")
        if not reason.strip():
            raise Invalid("reason: a rollback needs one")
        return await self._rooms.recorder.deliver(await self._rooms.holds.roll_back(hold_id, person, bounded(reason)))

    def offers(self, caller: Caller, hold: Hold) -> frozenset[Offer]:
        """Which of the two this caller may do now."""
        if caller.person is None:
            return frozenset()
        if hold.state is HoldState.UNKNOWN and not self.functions(caller).isdisjoint(LOOKS_UP):
            return frozenset({"resolve"})
        return frozenset({"roll_back"}) if hold.state is HoldState.DONE and self._takes_back(caller, caller.person, hold) else frozenset()

    def _takes_back(self, caller: Caller, person: str, hold: Hold) -> bool:
        return not self.functions(caller).isdisjoint(LOOKS_UP) or self._owns(person, hold)

    def _person(self, caller: Caller) -> str:
        if caller.person is None:
            raise NotAllowed("a program's credential never says what became of a send")
        return caller.person

    def _owns(self, person: str, hold: Hold) -> bool:
        data = self._rooms.registry.data
        agent, workflow = data.agents.get(hold.agent), data.workflows.get(hold.workflow)
        owners = {agent.owners.human, agent.owners.business, agent.owners.technical} if agent else set()
        return person in (owners | {workflow.rollback.owner} if workflow else owners)
