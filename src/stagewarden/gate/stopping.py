"""People's acts on agents' modes and on the stop: one person tightens; loosening takes more (lifecycles.md, "Modes and the stop").

A stop is in force before anything else is tried: neither log nor database nor another replica keeps it from that, and what could not be
done yet is told (`owed`). To loosen, everything must work.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import CannotTell, Conflict, Invalid, NotAllowed, NotFound
from stagewarden.gate.callers import Callers, bounded, name_of
from stagewarden.gate.people import AgentView, Engaged
from stagewarden.model import Stage
from stagewarden.modes import MODES, RANK, Kill, NotDurable, Terms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from stagewarden.identity.people import Caller
    from stagewarden.modes import StoredMode

_PATIENCE = 2.0  # seconds


class Stopping(Callers):
    """Acts on agents and stops."""

    async def list_agents(self, caller: Caller) -> list[AgentView]:
        """Every registered agent with its mode in force."""
        self._reads(caller)
        return [self._agent(agent) for agent in sorted(self._rooms.registry.data.agents)]

    async def set_mode(self, caller: Caller, agent: str, mode: str, reason: str) -> AgentView:
        """Tightening takes any listed person; loosening takes security or technical and a reason, never only the owner after security."""
        if agent not in self._rooms.registry.data.agents:
            raise NotFound("no such agent")
        if mode not in MODES:
            raise Invalid(f"mode: expected one of {', '.join(MODES)}")
        before, terms = self._agent(agent), self._terms(caller, self._not_its_owner(caller, agent))
        if RANK[mode] < RANK[before.mode]:
            self._loosens(caller, reason)
            if (stored := self._rooms.modes.stored(agent)) is not None and terms.permit is not None:
                terms.permit(stored)
            return await self._loosen(agent, mode, (name_of(caller), bounded(reason)), replace(terms, loosens=True))
        self._stops(caller)
        failure: NotDurable | None = None
        try:
            await self._rooms.modes.set_mode(agent, mode, name_of(caller), bounded(reason), replace(terms, permit=_meanwhile))
        except NotDurable as unwritten:
            failure = unwritten
        owed = await self._spread(failure)
        return replace(self._agent(agent), owed=owed)

    async def kills(self, caller: Caller) -> list[Kill]:
        """The kills engaged."""
        self._reads(caller)
        return list(self._rooms.modes.kills())

    async def kill(self, caller: Caller, scope: str, reason: str) -> Engaged:
        """Stop a scope at once. (1) The local file. (2) The shared state. (3) Every worker. (4) The log, and what was approved."""
        self._stops(caller)
        self._exists(scope)
        failure: NotDurable | None = None
        try:
            kill = await self._rooms.modes.kill(scope, name_of(caller), bounded(reason), self._terms(caller))
        except NotDurable as unwritten:
            failure, change = unwritten, unwritten.change
            kill = Kill(id=change.subject, scope=change.scope, by=change.by, at_ns=change.at_ns, reason=change.reason)
        return Engaged(kill, await self._spread(failure))

    async def unkill(self, caller: Caller, kill_id: str, reason: str) -> None:
        """Lift a kill by its id: security or technical, with a reason; after a security cause not the owner of what it stopped."""
        rooms, by = self._rooms, name_of(caller)
        self._loosens(caller, reason)
        # What it stopped has to be ended first: lifting revives nothing.
        await rooms.stops.settle()
        terms = self._terms(caller, self._not_its_owner(caller))
        if rooms.shared is not None:
            await rooms.shared.loosen(rooms.modes.lifting(kill_id, by, bounded(reason), terms))
        else:
            await rooms.modes.unkill(kill_id, by, bounded(reason), terms)
        await rooms.stops.settle()

    async def _loosen(self, agent: str, mode: str, words: tuple[str, str], terms: Terms) -> AgentView:
        rooms, (by, reason) = self._rooms, words
        await rooms.stops.settle()
        if rooms.shared is not None:
            await rooms.shared.loosen(rooms.modes.loosening(agent, mode, by, reason, terms))
        else:
            await rooms.modes.set_mode(agent, mode, by, reason, terms)
        await rooms.stops.settle()
        return self._agent(agent)

    async def _spread(self, failure: NotDurable | None) -> tuple[str, ...]:
        """Steps (2) to (4) of a stop. What cannot be done is owed, and done later; raises `failure` where the stop is durable nowhere."""
        rooms, owed, durable = self._rooms, [], failure is None
        if rooms.shared is not None:
            try:
                await _in_time(rooms.shared.hear(), "the shared state")
                durable = True
            except CannotTell as unheard:
                # A file that cannot be written keeps nobody from telling the others.
                durable = durable or (failure is not None and not rooms.shared.lacks(failure.change.id))
                owed.append(f"other replicas are told later: {unheard}")
        if failure is not None:
            owed.append(str(failure))
        owed += await rooms.stops.obeyed()
        if failure is not None and not durable:
            raise failure
        try:
            await _in_time(rooms.stops.settle(), "the log or the state database")
        except CannotTell as unrecorded:
            owed.append(f"it is in force, and not in the log yet, or what was approved is not ended yet: {unrecorded}")
        return tuple(owed)

    def _terms(self, caller: Caller, permit: Callable[[Kill | StoredMode], None] | None = None) -> Terms:
        observe = int(self._rooms.config.stops.observe * NANOSECONDS)
        return Terms(security="security" in self.functions(caller), observe_ns=observe, permit=permit)

    def _not_its_owner(self, caller: Caller, agent: str = "") -> Callable[[Kill | StoredMode], None]:
        """After a security cause the agent's own owner does not lift it, whoever confirmed or moved the mode since."""

        def permit(standing: Kill | StoredMode) -> None:
            setter = self._rooms.registry.data.people.get(standing.by)  # the release before kept no cause: then it is the setter's
            security = standing.security or (setter is not None and "security" in setter.functions)
            scope = standing.scope if isinstance(standing, Kill) else f"agent:{agent}"
            if security and caller.person in self._owners(scope):
                raise NotAllowed("the cause is one of security: the agent's own owner does not lift it")

        return permit

    def _owners(self, scope: str) -> set[str | None]:
        """Who owns the agents a scope names: one agent, or those of a workflow. Wider scopes are nobody's own."""
        kind, _, name = scope.partition(":")
        agents = self._rooms.registry.data.agents
        named = [entry for agent, entry in agents.items() if (kind == "agent" and agent == name) or (kind == "workflow" and name in entry.workflows)]
        return {owner for entry in named for owner in (entry.owners.human, entry.owners.business, entry.owners.technical)}

    def _exists(self, scope: str) -> None:
        """A misspelt scope would stop nothing and look as if it did."""
        kind, _, name = scope.partition(":")
        data = self._rooms.registry.data
        known: dict[str, Iterable[str]] = {"agent": data.agents, "workflow": data.workflows, "upstream": self._rooms.config.upstreams, "stage": Stage}
        if scope != "all" and name not in {*known.get(kind, ())}:
            raise Invalid(f"scope: {scope[:100]!r} names nothing known; all, agent:ID, workflow:ID, upstream:ID or stage:NAME")

    def _agent(self, agent: str) -> AgentView:
        entry = self._rooms.registry.data.agents[agent]
        stored = self._rooms.modes.stored(agent)
        mode = self._rooms.modes.mode_of(agent, entry.mode)
        if stored is None:
            return AgentView(agent, entry, mode)
        return AgentView(agent, entry, mode, stored.by, stored.reason, stored.at_ns, stored.security, stored.observed_until_ns)


async def _in_time(work: Awaitable[None], who: str) -> None:
    """Whoever stops something is not kept waiting for what hangs; it is done again by the clockwork."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await work
    except TimeoutError as failure:
        raise CannotTell(f"{who} does not answer within {_PATIENCE:.0f} s") from failure


def _meanwhile(_: Kill | StoredMode) -> None:
    raise Conflict("a stricter mode was given meanwhile; look again")
