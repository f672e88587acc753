"""The console's pages of stops: what can be stopped, what is, what a stop did, and who may lift it. Stopping never waits for a reason."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.errors import CannotTell, Conflict, Invalid, NotAllowed, NotFound
from stagewarden.model import Stage
from stagewarden.web import render
from stagewarden.web.console import onward, when
from stagewarden.web.console.entry import Refusal
from stagewarden.web.console.handlers import Handlers

if TYPE_CHECKING:
    from stagewarden.audit.acts import Receipt
    from stagewarden.gate.people import AgentView
    from stagewarden.identity.people import Caller
    from stagewarden.model import Document
    from stagewarden.modes import Kill

_REFUSALS = (NotAllowed, Invalid, Conflict, NotFound)
_PATIENCE = 3.0  # seconds that a receipt waits for the log
_OWED = " It is in force here; what follows it is not all done yet (other replicas, the log), and is done as soon as it can be."
_SAID = {
    "active": "The agent is active again.", "recommend_only": "The agent only recommends.", "paused": "The agent is paused.",
    "revoked": "The agent is revoked.", "kill": "Stopped.", "lift": "The stop is lifted.",
}  # fmt: skip


class Stops(Handlers):
    """The handlers."""

    def routes(self) -> list[web.RouteDef]:
        """The page, a stop, what it did, a lift."""
        return [
            web.get("/stop", self._entry.page(self._stops)),
            web.get("/stop/{id}", self._entry.page(self._receipt)),
            web.post("/stop", self._entry.form(self._kill)),
            web.post("/stop/lift", self._entry.form(self._lift)),
        ]

    async def _stops(self, asked: web.Request, caller: Caller, refused: Refusal | None = None, page: str = "/stop") -> web.Response:
        agents = await self._gate.list_agents(caller)
        values = {
            "here": "stop", "scopes": self._scopes(agents), "chosen": asked.query.get("scope", ""),
            "agents": [{"id": one.id, "mode": one.mode} for one in agents],
            "kills": [self._standing(caller, kill) for kill in await self._gate.kills(caller)], "said": said(asked), "refused": refused,
            "onward": onward.back(page),
        }  # fmt: skip
        return self._site.page(asked, caller, "stop.html", values, None if refused is None else refused.code)

    async def _receipt(self, asked: web.Request, caller: Caller) -> web.Response:
        """What one stop did. Where the log cannot say, what is in force is shown all the same."""
        identifier = asked.match_info["id"]
        kill = next((one for one in await self._gate.kills(caller) if one.id == identifier), None)
        found = await self._told(caller, identifier, engaged=kill is not None)
        engaged = None if found is None else found.engaged
        scope = kill.scope if kill else str(engaged.get("scope")) if engaged else None if found is None else "a scope the log no longer names"
        values = {
            "here": "stop", "id": identifier, "scope": scope, "kill": None if kill is None else self._standing(caller, kill), "found": found,
            "acts": [] if found is None else [self._act(entry) for entry in found.acts], "said": said(asked),
        }  # fmt: skip
        return self._site.page(asked, caller, "stopped.html", values)

    async def _kill(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """Stop a scope; sent twice it is one stop, and it waits for no memory of that."""

        async def act() -> list[str]:
            engaged = await self._gate.kill(caller, fields.get("scope", ""), fields.get("reason", ""))
            return [engaged.kill.id, "-owed" if engaged.owed else ""]

        try:
            done = await self._entry.once(caller, "stop", fields, act, stops=True)
        except _REFUSALS as failure:
            return await self._stops(asked, caller, Refusal.of(failure))
        kill, owed = done if isinstance(done, list) else ("", "")
        return render.see_other(f"/stop/{kill}?said=kill{owed}")

    async def _lift(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """From the list of stops, or from the page of one of them."""
        page = onward.leads(onward.known(fields.get("kill"))) if fields.get("from") == "receipt" else "/stop"

        async def act() -> None:
            await self._gate.unkill(caller, fields.get("kill", ""), fields.get("reason", ""))

        try:
            await self._entry.once(caller, "lift", fields, act)
        except _REFUSALS as failure:
            return await self._stops(asked, caller, Refusal.of(failure), page)
        return render.see_other("/stop?said=lift")

    async def _told(self, caller: Caller, kill: str, *, engaged: bool) -> Receipt | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._gate.receipt(caller, kill)
        except (CannotTell, TimeoutError):
            return None
        except NotFound:
            if engaged:  # in force, and not in the log yet
                return None
            raise

    def _standing(self, caller: Caller, kill: Kill) -> dict[str, object]:
        return {
            "id": kill.id, "scope": kill.scope, "by": kill.by, "at": when.moment(kill.at_ns, self._clock.now_ns()), "reason": kill.reason,
            "security": kill.security, "why_not": self._gate.why_not_lift(caller, kill),
        }  # fmt: skip

    def _act(self, entry: Document) -> dict[str, object]:
        what = "stopped" if entry.get("act") == "kill" else "stop lifted"
        at = when.logged(str(entry["time"]), self._clock.now_ns())
        return {
            "what": what, "by": entry.get("by"), "reason": entry.get("reason"), "at": at, "security": entry.get("security") is True,
            "relapse": entry.get("relapse") is True, "until": None,
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


def said(asked: web.Request) -> str | None:
    """What the act that led here did."""
    word, owed, _ = asked.query.get("said", "").partition("-owed")
    text = _SAID.get(word)
    return f"{text}{_OWED}" if text and owed else text
