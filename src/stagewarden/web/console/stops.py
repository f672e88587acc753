"""The console's page of stops: what can be stopped, what is, and who may lift it. Stopping never waits for a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.errors import Conflict, Invalid, NotAllowed, NotFound
from stagewarden.model import Stage
from stagewarden.web import render
from stagewarden.web.console import when

if TYPE_CHECKING:
    from stagewarden.clock import Clock
    from stagewarden.gate.people import AgentView
    from stagewarden.identity.people import Caller
    from stagewarden.web.console.entry import Entry
    from stagewarden.web.console.site import Site
    from stagewarden.web.people.ports import Gate, Settings

_REFUSALS = (NotAllowed, Invalid, Conflict, NotFound)
_OWED = " It is in force here; what follows it is not all done yet (other replicas, the log), and is done as soon as it can be."
_SAID = {
    "active": "The agent is active again.", "recommend_only": "The agent only recommends.", "paused": "The agent is paused.",
    "revoked": "The agent is revoked.", "kill": "Stopped.", "lift": "The stop is lifted.",
}  # fmt: skip


class Stops:
    """The handlers."""

    def __init__(self, gate: Gate, site: Site, entry: Entry, settings: Settings, clock: Clock) -> None:
        self._gate = gate
        self._site = site
        self._entry = entry
        self._settings = settings
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """The page, a stop, a lift."""
        return [
            web.get("/stop", self._entry.page(self._stops)),
            web.post("/stop", self._entry.form(self._kill)),
            web.post("/stop/lift", self._entry.form(self._lift)),
        ]

    async def _stops(self, asked: web.Request, caller: Caller, refused: tuple[str, str] | None = None) -> web.Response:
        """What can be stopped, and what is."""
        now = self._clock.now_ns()
        agents = await self._gate.list_agents(caller)
        kills = [
            {"id": kill.id, "scope": kill.scope, "by": kill.by, "at": when.moment(kill.at_ns, now), "reason": kill.reason}
            for kill in await self._gate.kills(caller)
        ]
        values = {
            "here": "stop",
            "scopes": self._scopes(agents),
            "agents": [{"id": one.id, "mode": one.mode} for one in agents],
            "kills": kills,
            "said": said(asked),
            "refused": None if refused is None else refused[1],
        }
        return self._site.page(asked, caller, "stop.html", values, None if refused is None else refused[0])

    async def _kill(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """Stop a scope."""
        try:
            engaged = await self._gate.kill(caller, fields.get("scope", ""), fields.get("reason", ""))
        except _REFUSALS as failure:
            return await self._stops(asked, caller, (failure.code, f"{failure}."))
        return render.see_other(f"/stop?said=kill{'-owed' if engaged.owed else ''}")

    async def _lift(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """Lift one stop."""
        try:
            await self._gate.unkill(caller, fields.get("kill", ""), fields.get("reason", ""))
        except _REFUSALS as failure:
            return await self._stops(asked, caller, (failure.code, f"{failure}."))
        return render.see_other("/stop?said=lift")

    def _scopes(self, agents: list[AgentView]) -> list[tuple[str, list[tuple[str, str]]]]:
        """Every scope by name: nothing to type, nothing to mistype."""
        workflows = sorted({workflow for one in agents for workflow in one.agent.workflows})
        return [
            ("Everything", [("all", "everything")]),
            ("Agent", [(f"agent:{one.id}", one.id) for one in agents]),
            ("Workflow", [(f"workflow:{name}", name) for name in workflows]),
            ("Upstream", [(f"upstream:{name}", name) for name in self._settings.upstreams]),
            ("Stage", [(f"stage:{stage}", str(stage)) for stage in Stage]),
        ]


def said(asked: web.Request) -> str | None:
    """What the act that led here did."""
    word, owed, _ = asked.query.get("said", "").partition("-owed")
    text = _SAID.get(word)
    return f"{text}{_OWED}" if text and owed else text
