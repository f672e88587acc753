"""The console's handlers beside the holds: agents and their modes, stops, rulings. Stopping never waits for a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.errors import Conflict, Invalid, NotAllowed, NotFound
from stagewarden.model import Stage
from stagewarden.modes import RANK, STOPPING
from stagewarden.web import render
from stagewarden.web.console import when

if TYPE_CHECKING:
    from aiohttp import web

    from stagewarden.clock import Clock
    from stagewarden.gate.people import AgentView
    from stagewarden.identity.people import Caller
    from stagewarden.model import Document
    from stagewarden.web.console.site import Site
    from stagewarden.web.people.ports import Gate, Settings

_REFUSALS = (NotAllowed, Invalid, Conflict, NotFound)
_EFFECTS = (("", "All"), ("allow", "Allowed"), ("hold", "Held"), ("deny", "Denied"))
_OWED = " It is in force here; what follows it is not all done yet (other replicas, the log), and is done as soon as it can be."
_SAID = {
    "active": "The agent is active again.", "recommend_only": "The agent only recommends.", "paused": "The agent is paused.",
    "revoked": "The agent is revoked.", "kill": "Stopped.", "lift": "The stop is lifted.",
}  # fmt: skip
_TIGHTER = (
    ("recommend_only", "Only recommend", "Any listed person, alone. It goes on reading; each of its writes waits for people."),
    ("paused", "Pause now", "Any listed person, alone. Every request of it is refused, and what was approved does not go out."),
    ("revoked", "Revoke for good", "Any listed person, alone. Final: this identity never acts again."),
)
_LOOSER = (("active", "Resume"), ("recommend_only", "Only recommend"))
_VERDICTS = {"allow": "Allowed", "hold": "Held", "deny": "Denied"}


class Stopping:
    """The handlers."""

    def __init__(self, gate: Gate, site: Site, settings: Settings, clock: Clock) -> None:
        self._gate = gate
        self._site = site
        self._settings = settings
        self._clock = clock

    async def agents(self, asked: web.Request, caller: Caller) -> web.Response:
        """Every registered agent."""
        found = await self._gate.list_agents(caller)
        rows = [
            {"id": one.id, "mode": one.mode, "stages": one.agent.stages, "workflows": one.agent.workflows, "owner": one.agent.owners.human}
            for one in found
        ]
        stopped = sum(one.mode in STOPPING for one in found)
        return self._site.page(asked, caller, "agents.html", {"here": "agents", "agents": rows, "stopped": stopped, "refused": None})

    async def agent(self, asked: web.Request, caller: Caller, refused: tuple[str, str] | None = None) -> web.Response:
        """One agent: mode, owners, reach."""
        view = next((one for one in await self._gate.list_agents(caller) if one.id == asked.match_info["id"]), None)
        if view is None:
            raise NotFound("no such agent")
        values = {
            "here": "agents",
            "agent": self._facts(view),
            "said": _said(asked),
            "refused": None if refused is None else refused[1],
        }
        return self._site.page(asked, caller, "agent.html", values, None if refused is None else refused[0])

    async def mode(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """Give it another mode."""
        try:
            view = await self._gate.set_mode(caller, asked.match_info["id"], fields.get("mode", ""), fields.get("reason", ""))
        except (NotAllowed, Invalid, Conflict) as failure:
            return await self.agent(asked, caller, (failure.code, f"{failure}."))
        return render.see_other(f"{asked.rel_url.parent}?said={view.mode}{'-owed' if view.owed else ''}")

    async def stops(self, asked: web.Request, caller: Caller, refused: tuple[str, str] | None = None) -> web.Response:
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
            "said": _said(asked),
            "refused": None if refused is None else refused[1],
        }
        return self._site.page(asked, caller, "stop.html", values, None if refused is None else refused[0])

    async def kill(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """Stop a scope."""
        try:
            engaged = await self._gate.kill(caller, fields.get("scope", ""), fields.get("reason", ""))
        except _REFUSALS as failure:
            return await self.stops(asked, caller, (failure.code, f"{failure}."))
        return render.see_other(f"/stop?said=kill{'-owed' if engaged.owed else ''}")

    async def lift(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """Lift one stop."""
        try:
            await self._gate.unkill(caller, fields.get("kill", ""), fields.get("reason", ""))
        except _REFUSALS as failure:
            return await self.stops(asked, caller, (failure.code, f"{failure}."))
        return render.see_other("/stop?said=lift")

    async def rulings(self, asked: web.Request, caller: Caller) -> web.Response:
        """What was decided, newest first."""
        effect = asked.query.get("effect", "")
        if effect not in dict(_EFFECTS):
            raise Invalid("effect: allow, hold or deny")
        items, following = await self._gate.rulings(caller, effect=effect or None, cursor=asked.query.get("cursor"), limit=50)
        older = f"/rulings?effect={effect}&cursor={following}" if following else None
        values = {"here": "rulings", "rulings": [_ruling(item) for item in items], "effects": _EFFECTS, "effect": effect, "following": older}
        return self._site.page(asked, caller, "rulings.html", values)

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


def _said(asked: web.Request) -> str | None:
    word, owed, _ = asked.query.get("said", "").partition("-owed")
    said = _SAID.get(word)
    return f"{said}{_OWED}" if said and owed else said


def _ruling(item: Document) -> dict[str, object]:
    """An audit entry as a row; whatever it lacks is left open."""
    body = item.get("body") if isinstance(item.get("body"), dict) else item
    assert isinstance(body, dict)
    principal, proposed, reasons = body.get("principal"), body.get("proposed"), body.get("reasons")
    effect = str(body.get("effect"))
    return {
        "at": str(body.get("at") or item.get("at") or item.get("time")),
        "effect": _VERDICTS.get(effect, effect),
        "agent": principal.get("agent") if isinstance(principal, dict) else "not known",
        "what": f"{proposed.get('kind')}, {proposed.get('upstream')}" if isinstance(proposed, dict) else "not classified",
        "codes": [str(reason.get("code")) for reason in reasons if isinstance(reason, dict)] if isinstance(reasons, list) else [],
    }
