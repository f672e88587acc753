"""The console's pages of agents: which there are, one with its mode, what was done to it. Stopping never waits for a reason.

An agent's page opens with the state database and the log down: it has the stop button on it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.audit.reader import Wanted
from stagewarden.errors import CannotTell, Conflict, Invalid, NotAllowed, NotFound
from stagewarden.modes import STOPPING
from stagewarden.web import render
from stagewarden.web.console import standing
from stagewarden.web.console.entry import Refusal
from stagewarden.web.console.grant import line as grant_line
from stagewarden.web.console.handlers import Handlers
from stagewarden.web.console.stops import said

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import TypeVar

    from stagewarden.gate.people import AgentView
    from stagewarden.identity.people import Caller

    Found = TypeVar("Found")

_PATIENCE = 2.0  # seconds that a page waits for what is beside the stop button
_RECENT, _ACTS = 8, 50
_MODES = (("", "Any mode"), ("active", "Active"), ("recommend_only", "Only recommends"), ("stopped", "Paused or revoked"))


class Agents(Handlers):
    """The handlers."""

    def routes(self) -> list[web.RouteDef]:
        """List, one, its mode, what was done to it."""
        return [
            web.get("/agents", self._entry.page(self._list)),
            web.get("/agents/{id}", self._entry.page(self._agent)),
            web.get("/agents/{id}/history", self._entry.page(self._history)),
            web.post("/agents/{id}/mode", self._entry.form(self._mode)),
        ]

    async def _list(self, asked: web.Request, caller: Caller) -> web.Response:
        found = await self._gate.list_agents(caller)
        chosen = {name: asked.query.get(name, "") for name in ("mode", "workflow", "owner")}
        shown = [one for one in found if _matches(one, chosen)]
        rows = [
            {"id": one.id, "mode": one.mode, "stages": one.agent.stages, "workflows": one.agent.workflows, "owner": one.agent.owners.human}
            for one in shown
        ]
        values = {
            "here": "agents", "agents": rows, "all": len(found), "stopped": sum(one.mode in STOPPING for one in found), "chosen": chosen,
            "modes": _MODES, "workflows": sorted({name for one in found for name in one.agent.workflows}),
            "owners": sorted({name for one in found for name in _owners(one)}),
        }  # fmt: skip
        return self._site.page(asked, caller, "agents.html", values)

    async def _agent(self, asked: web.Request, caller: Caller, refused: Refusal | None = None) -> web.Response:
        identifier, now = asked.match_info["id"], self._clock.now_ns()
        picture = await self._gate.show_agent(caller, identifier)
        traffic, grants, rulings = await asyncio.gather(
            _or_none(self._gate.traffic(caller, agent=identifier)),
            _or_none(self._gate.list_grants(caller, state="open", agent=identifier, wider=False, cursor=None, limit=_RECENT)),
            _or_none(self._gate.rulings(caller, Wanted(agent=identifier), limit=_RECENT)),
        )
        values = {
            "here": "agents", "agent": standing.agent(picture, now), "traffic": traffic, "said": said(asked), "refused": refused,
            "figures": None if traffic is None else standing.figures(traffic),
            "holds": () if traffic is None else standing.waiting(traffic.holds, now),
            "unsent": 0 if traffic is None else sum(hold.state in {"settling", "approved", "claimed"} for hold in traffic.holds),
            "grants": None if grants is None else [grant_line(view, now) for view in grants[0]],
            "rulings": None if rulings is None else [standing.decided(item, now) for item in rulings[0]],
        }  # fmt: skip
        return self._site.page(asked, caller, "agent.html", values, None if refused is None else refused.code)

    async def _history(self, asked: web.Request, caller: Caller) -> web.Response:
        identifier, now = asked.match_info["id"], self._clock.now_ns()
        await self._gate.show_agent(caller, identifier)
        found, following = await self._gate.history(caller, f"agent:{identifier}", asked.query.get("cursor"), _ACTS)
        values = {
            "here": "agents", "id": identifier, "acts": [standing.past(each, now) for each in found],
            "following": f"{asked.path}?cursor={following}" if following else None,
        }  # fmt: skip
        return self._site.page(asked, caller, "history.html", values)

    async def _mode(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """Give it another mode, once for a form sent twice; to revoke takes the agent's name, typed."""
        identifier, mode = asked.match_info["id"], fields.get("mode", "")
        if mode == "revoked" and fields.get("typed", "").strip() != identifier:
            return await self._agent(asked, caller, Refusal("invalid", "To revoke it, type its name exactly as it stands above."))

        async def act() -> str:
            view = await self._gate.set_mode(caller, identifier, mode, fields.get("reason", ""))
            return f"{view.mode}{'-owed' if view.owed else ''}"

        try:
            done = await self._entry.once(caller, f"mode of {identifier}", fields, act, stops=True)
        except (NotAllowed, Invalid, Conflict) as failure:
            return await self._agent(asked, caller, Refusal.of(failure))
        return render.see_other(f"{asked.rel_url.parent}?said={done}")


async def _or_none(asking: Awaitable[Found]) -> Found | None:
    """What is asked, or None where it cannot be told in time: the page has more to show than that."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await asking
    except (CannotTell, TimeoutError, NotFound):
        return None


def _owners(view: AgentView) -> set[str]:
    return {name for name in (view.agent.owners.human, view.agent.owners.business, view.agent.owners.technical) if name}


def _matches(view: AgentView, chosen: dict[str, str]) -> bool:
    mode = chosen["mode"]
    return (
        (not mode or (view.mode in STOPPING if mode == "stopped" else view.mode == mode))
        and (not chosen["workflow"] or chosen["workflow"] in view.agent.workflows)
        and (not chosen["owner"] or chosen["owner"] in _owners(view))
    )
