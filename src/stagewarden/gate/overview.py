"""Agents and workflows as people look at them: mode and its past, reach, what waits, what was counted. Reads only.

What stands in registry, route table and stop file is there with database and log down, so that the page with the stop button always opens;
what takes those two is asked for separately.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from stagewarden.audit import acts
from stagewarden.clock import NANOSECONDS
from stagewarden.errors import NotAllowed, NotFound
from stagewarden.gate.callers import LOOSENS
from stagewarden.gate.reach import Way, reach, ways
from stagewarden.gate.stopping import Stopping
from stagewarden.holds.lifecycle import OPEN
from stagewarden.holds.paging import Filter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.audit.acts import Receipt
    from stagewarden.audit.reader import Reader
    from stagewarden.gate.people import AgentView
    from stagewarden.gate.reach import Reach
    from stagewarden.holds.counting import Days
    from stagewarden.identity.people import Caller
    from stagewarden.model import Document, Hold, Tier
    from stagewarden.modes import Change, Kill, StoredMode
    from stagewarden.registry import Process, TierRule, Workflow

_SHOWN = 20  # open holds that are listed; all are counted
DAYS = 14


@dataclass(frozen=True, slots=True)
class Past:
    """One act on a mode or a stop. `act`: mode, kill, unkill; `mode` of a mode."""

    act: str
    scope: str
    mode: str
    by: str
    reason: str
    at_ns: int
    security: bool
    relapse: bool
    observed_until_ns: int


@dataclass(frozen=True, slots=True)
class AgentPicture:
    """One agent. `past`: the newest acts on it that the stop file keeps; `kills`: those that cover it; `why_not_loosen`: this caller."""

    view: AgentView
    workflows: Mapping[str, Workflow]
    reach: tuple[Reach, ...]
    past: tuple[Past, ...]
    kills: tuple[Kill, ...]
    lifters: tuple[str, ...]
    why_not_loosen: str | None


@dataclass(frozen=True, slots=True)
class WorkflowPicture:
    """One workflow: the agents that carry it out, its kinds by class with the ways they go, what each tier asks for, what stops it."""

    id: str
    workflow: Workflow
    process: Process | None
    agents: tuple[AgentView, ...]
    ways: Mapping[str, tuple[Way, ...]]
    tiers: Mapping[Tier, TierRule]
    kills: tuple[Kill, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What waits (the newest of it), how much waits at most for one agent, and what was counted on each of the last days, today last."""

    open: int
    limit: int | None
    holds: tuple[Hold, ...]
    days: Days


class Overview(Stopping):
    """What people look at."""

    _reader: Reader

    async def show_agent(self, caller: Caller, agent: str) -> AgentPicture:
        """One agent; NotFound."""
        self._reads(caller)
        if agent not in self._rooms.registry.data.agents:
            raise NotFound("no such agent")
        rooms, view = self._rooms, self._agent(agent)
        named = {name: found for name in view.agent.workflows if (found := rooms.registry.data.workflows.get(name)) is not None}
        own = f"agent:{agent}"
        return AgentPicture(
            view, named, reach(view.agent, named, rooms.routes, rooms.is_external),
            tuple(_past(change) for change in reversed(rooms.modes.changes(0)) if change.scope == own),
            self._covering({"all", own, *(f"workflow:{name}" for name in named)}), self._lifters(view), self.why_not_loosen(caller, agent),
        )  # fmt: skip

    async def list_workflows(self, caller: Caller) -> list[WorkflowPicture]:
        """Every registered workflow."""
        self._reads(caller)
        return [self._workflow(name) for name in sorted(self._rooms.registry.data.workflows)]

    async def show_workflow(self, caller: Caller, workflow: str) -> WorkflowPicture:
        """One workflow; NotFound."""
        self._reads(caller)
        if workflow not in self._rooms.registry.data.workflows:
            raise NotFound("no such workflow")
        return self._workflow(workflow)

    async def traffic(self, caller: Caller, *, agent: str | None = None, workflow: str | None = None) -> Traffic:
        """What the state database says of one agent, or of one workflow."""
        self._reads(caller)
        rooms = self._rooms
        found, _ = await rooms.holds.list(Filter(OPEN, agent=agent, workflow=workflow), None, _SHOWN)
        days = await rooms.holds.daily(agent=agent, workflow=workflow, days=DAYS)
        return Traffic(days.open, rooms.config.limits.holds_per_agent if agent is not None else None, found, days)

    async def history(self, caller: Caller, scope: str, cursor: str | None, limit: int) -> tuple[list[Past], str | None]:
        """Every act on a scope that the log still has, newest first."""
        self._reads(caller)
        found, following = await asyncio.to_thread(acts.find_acts, self._reader, {scope}, cursor, limit)
        return [_recorded(entry) for entry in found], following

    async def receipt(self, caller: Caller, kill_id: str) -> Receipt:
        """What one stop did, as far as the log goes back; NotFound where it knows no such stop."""
        self._reads(caller)
        found = await asyncio.to_thread(acts.find_receipt, self._reader, kill_id)
        if not found.acts:
            raise NotFound("the log has no such stop, or it is too long ago")
        return found

    def why_not_loosen(self, caller: Caller, agent: str) -> str | None:
        """Why this caller could not give the agent a looser mode; None: they could, after a fresh sign-in."""
        return self._why_not(caller, self._rooms.modes.stored(agent), agent)

    def why_not_lift(self, caller: Caller, kill: Kill) -> str | None:
        """Why this caller could not lift this stop; None: they could, after a fresh sign-in."""
        return self._why_not(caller, kill, "")

    def _why_not(self, caller: Caller, standing: Kill | StoredMode | None, agent: str) -> str | None:
        if self.functions(caller).isdisjoint(LOOSENS):
            return "it takes the function security or technical"
        if standing is None:
            return None
        try:
            self._not_its_owner(caller, agent)(standing)
        except NotAllowed as refused:
            return str(refused)
        return None

    def _lifters(self, view: AgentView) -> tuple[str, ...]:
        """Who may lift this mode: security and technical, after a security cause without the agent's owners."""
        people = self._rooms.registry.data.people
        owners = self._owners(f"agent:{view.id}") if view.mode_security else set()
        return tuple(
            sorted(name for name, person in people.items() if person.active and name not in owners and not LOOSENS.isdisjoint(person.functions))
        )

    def _covering(self, scopes: set[str]) -> tuple[Kill, ...]:
        return tuple(kill for kill in self._rooms.modes.kills() if kill.scope in scopes)

    def _workflow(self, name: str) -> WorkflowPicture:
        rooms, data = self._rooms, self._rooms.registry.data
        entry = data.workflows[name]
        listed = (*entry.actions.allowed, *entry.actions.restricted, *entry.actions.prohibited)
        return WorkflowPicture(
            name, entry, data.processes.get(entry.process),
            tuple(self._agent(agent) for agent, found in sorted(data.agents.items()) if name in found.workflows),
            {kind: ways(name, kind, rooms.routes, rooms.is_external) for kind in listed}, data.tiers,
            self._covering({"all", f"workflow:{name}"}),
        )  # fmt: skip


def _past(change: Change) -> Past:
    return Past(
        change.act, change.scope, change.mode, change.by, change.reason, change.at_ns, change.security, change.relapse, change.observed_until_ns
    )  # fmt: skip


def _recorded(entry: Document) -> Past:
    """An act as the log tells of it; its time is the entry's."""
    until = entry.get("observed_until_ns")
    at = int(datetime.fromisoformat(str(entry["time"])).timestamp() * NANOSECONDS)
    return Past(
        act=str(entry.get("act")), scope=str(entry.get("scope")), mode=str(entry.get("mode", "")), by=str(entry.get("by")),
        reason=str(entry.get("reason", "")), at_ns=at, security=entry.get("security") is True, relapse=entry.get("relapse") is True,
        observed_until_ns=until if isinstance(until, int) else 0,
    )  # fmt: skip
