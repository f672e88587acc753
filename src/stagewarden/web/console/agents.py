"""The console's pages of agents: which there are, and one with its mode. Stopping never waits for a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.errors import Conflict, Invalid, NotAllowed, NotFound
from stagewarden.modes import RANK, STOPPING
from stagewarden.web import render
from stagewarden.web.console import when
from stagewarden.web.console.stops import said

if TYPE_CHECKING:
    from stagewarden.clock import Clock
    from stagewarden.gate.people import AgentView
    from stagewarden.identity.people import Caller
    from stagewarden.web.console.entry import Entry
    from stagewarden.web.console.site import Site
    from stagewarden.web.people.ports import Gate

_TIGHTER = (
    ("recommend_only", "Only recommend", "Any listed person, alone. It goes on reading; each of its writes waits for people."),
    ("paused", "Pause now", "Any listed person, alone. Every request of it is refused, and what was approved does not go out."),
    ("revoked", "Revoke for good", "Any listed person, alone. Final: this identity never acts again."),
)
_LOOSER = (("active", "Resume"), ("recommend_only", "Only recommend"))


class Agents:
    """The handlers."""

    def __init__(self, gate: Gate, site: Site, entry: Entry, clock: Clock) -> None:
        self._gate = gate
        self._site = site
        self._entry = entry
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """List, one, and its mode."""
        return [
            web.get("/agents", self._entry.page(self._list)),
            web.get("/agents/{id}", self._entry.page(self._agent)),
            web.post("/agents/{id}/mode", self._entry.form(self._mode)),
        ]

    async def _list(self, asked: web.Request, caller: Caller) -> web.Response:
        """Every registered agent."""
        found = await self._gate.list_agents(caller)
        rows = [
            {"id": one.id, "mode": one.mode, "stages": one.agent.stages, "workflows": one.agent.workflows, "owner": one.agent.owners.human}
            for one in found
        ]
        stopped = sum(one.mode in STOPPING for one in found)
        return self._site.page(asked, caller, "agents.html", {"here": "agents", "agents": rows, "stopped": stopped, "refused": None})

    async def _agent(self, asked: web.Request, caller: Caller, refused: tuple[str, str] | None = None) -> web.Response:
        """One agent: mode, owners, reach."""
        view = next((one for one in await self._gate.list_agents(caller) if one.id == asked.match_info["id"]), None)
        if view is None:
            raise NotFound("no such agent")
        values = {
            "here": "agents",
            "agent": self._facts(view),
            "said": said(asked),
            "refused": None if refused is None else refused[1],
        }
        return self._site.page(asked, caller, "agent.html", values, None if refused is None else refused[0])

    async def _mode(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """Give it another mode."""
        try:
            view = await self._gate.set_mode(caller, asked.match_info["id"], fields.get("mode", ""), fields.get("reason", ""))
        except (NotAllowed, Invalid, Conflict) as failure:
            return await self._agent(asked, caller, (failure.code, f"{failure}."))
        return render.see_other(f"{asked.rel_url.parent}?said={view.mode}{'-owed' if view.owed else ''}")

    def _facts(self, view: AgentView) -> dict[str, object]:
        entry, owners, now = view.agent, view.agent.owners, self._clock.now_ns()
        facts = (
            ("human", owners.human), ("business", owners.business), ("technical", owners.technical), ("account", owners.service_account),
            ("stages", ", ".join(entry.stages)), ("workflows", ", ".join(entry.workflows)), ("connectors", ", ".join(entry.connectors)),
        )  # fmt: skip
        return {
            "id": view.id, "mode": view.mode, "by": view.mode_by, "reason": view.mode_reason,
            "at": when.moment(view.mode_at_ns, now), "facts": [(label, value) for label, value in facts if value], "security": view.mode_security,
            "observed": when.moment(view.observed_until_ns, now) if view.observed_until_ns > now else None,
            "tighter": [each for each in _TIGHTER if RANK[each[0]] > RANK[view.mode]],
            "looser": [each for each in _LOOSER if RANK[each[0]] < RANK[view.mode] != RANK["revoked"]],
        }  # fmt: skip
