"""The console's pages of workflows: which there are, and one with its people, kinds and stops. A workflow is stopped with one click."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.errors import CannotTell
from stagewarden.model import Tier
from stagewarden.modes import STOPPING
from stagewarden.web.console import standing
from stagewarden.web.console.handlers import Handlers

if TYPE_CHECKING:
    from stagewarden.gate.overview import Traffic, WorkflowPicture
    from stagewarden.identity.people import Caller

_PATIENCE = 2.0  # seconds that the page waits for what is beside the stop button


class Workflows(Handlers):
    """The handlers."""

    def routes(self) -> list[web.RouteDef]:
        """List, and one."""
        return [web.get("/workflows", self._entry.page(self._list)), web.get("/workflows/{id}", self._entry.page(self._workflow))]

    async def _list(self, asked: web.Request, caller: Caller) -> web.Response:
        found = await self._gate.list_workflows(caller)
        chosen = {name: asked.query.get(name, "") for name in ("tier", "owner", "process")}
        rows = [
            {
                "id": one.id, "summary": one.workflow.summary, "tier": str(one.workflow.risk.approval_level), "process": one.workflow.process,
                "agents": len(one.agents), "stopped": sum(agent.mode in STOPPING for agent in one.agents), "kills": [k.scope for k in one.kills],
                "business": one.workflow.owners.business,
            }
            for one in found
            if _matches(one, chosen)
        ]  # fmt: skip
        values = {
            "here": "agents", "rows": rows, "all": len(found), "chosen": chosen, "tiers": [str(tier) for tier in Tier],
            "owners": sorted({name for one in found for name in _owners(one)}), "processes": sorted({one.workflow.process for one in found}),
        }  # fmt: skip
        return self._site.page(asked, caller, "workflows.html", values)

    async def _workflow(self, asked: web.Request, caller: Caller) -> web.Response:
        identifier, now = asked.match_info["id"], self._clock.now_ns()
        picture = await self._gate.show_workflow(caller, identifier)
        traffic = await self._traffic(caller, identifier)
        values = {
            "here": "agents", "flow": standing.workflow(picture, now), "traffic": traffic,
            "holds": () if traffic is None else standing.waiting(traffic.holds, now),
        }  # fmt: skip
        return self._site.page(asked, caller, "workflow.html", values)

    async def _traffic(self, caller: Caller, workflow: str) -> Traffic | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._gate.traffic(caller, workflow=workflow)
        except (CannotTell, TimeoutError):
            return None


def _owners(one: WorkflowPicture) -> set[str]:
    owners = one.workflow.owners
    return {name for name in (owners.business, owners.technical, owners.security, owners.privacy) if name}


def _matches(one: WorkflowPicture, chosen: dict[str, str]) -> bool:
    entry = one.workflow
    return (
        (not chosen["tier"] or chosen["tier"] == entry.risk.approval_level)
        and (not chosen["owner"] or chosen["owner"] in _owners(one))
        and (not chosen["process"] or chosen["process"] == entry.process)
    )
