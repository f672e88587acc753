"""What people say about a send that has left: what became of it, and that it was taken back. Recorded with who said so; sends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.errors import Invalid, NotAllowed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.gate.rooms import Rooms
    from stagewarden.holds.resolving import Found
    from stagewarden.identity.people import Caller
    from stagewarden.model import Hold

LOOKS_UP = frozenset({"technical", "security"})
_FOUND: Mapping[str, Found] = {"done": "done", "failed": "failed"}
_LONGEST_REASON = 500


class Resolving:
    """The acts."""

    _rooms: Rooms

    async def resolve(self, caller: Caller, hold_id: str, result: str, evidence: str) -> Hold:
        """Security or technical looked an unknown outcome up: it is done, or it failed. Raises Conflict where it is not unknown."""
        person = self._person(caller)
        if _functions(self._rooms, person).isdisjoint(LOOKS_UP):
            raise NotAllowed("resolving an unknown outcome takes the function technical or security")
        found = _FOUND.get(result)
        if found is None:
            raise Invalid("result: done or failed")
        return await self._rooms.recorder.deliver(await self._rooms.holds.resolve(hold_id, person, found, evidence))

    async def roll_back(self, caller: Caller, hold_id: str, reason: str) -> Hold:
        """It was taken back at the upstream: security, technical or one of its owners says so, and why."""
        person = self._person(caller)
        hold = await self._rooms.holds.get(hold_id)
        if _functions(self._rooms, person).isdisjoint(LOOKS_UP) and not self._owns(person, hold):
            raise NotAllowed("a rollback is recorded by technical, security, or an owner of the agent or of the workflow's rollback")
        if not reason.strip() or len(reason) > _LONGEST_REASON:
            raise Invalid(f"reason: a rollback needs one, of at most {_LONGEST_REASON} characters")
        return await self._rooms.recorder.deliver(await self._rooms.holds.roll_back(hold_id, person, reason))

    def _person(self, caller: Caller) -> str:
        if caller.person is None:
            raise NotAllowed("a program's credential never says what became of a send")
        return caller.person

    def _owns(self, person: str, hold: Hold) -> bool:
        data = self._rooms.registry.data
        agent, workflow = data.agents.get(hold.agent), data.workflows.get(hold.workflow)
        owners = {agent.owners.human, agent.owners.business, agent.owners.technical} if agent else set()
        return person in (owners | {workflow.rollback.owner} if workflow else owners)


def _functions(rooms: Rooms, person: str) -> frozenset[str]:
    """Read from the registry each time, as everywhere."""
    known = rooms.registry.data.people.get(person)
    return frozenset(known.functions) if known is not None and known.active else frozenset()
