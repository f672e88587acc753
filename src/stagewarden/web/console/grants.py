"""The console's pages of grants: those asked for, in force and ended; asking for one; voting, revoking, completing. Every act is the gate's."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web

from stagewarden.errors import Conflict, Invalid, NotAllowed
from stagewarden.grants import Ballot
from stagewarden.web import render
from stagewarden.web.console import asking, bounding, grant
from stagewarden.web.console.entry import Refusal
from stagewarden.web.console.handlers import Handlers

if TYPE_CHECKING:
    from stagewarden.identity.people import Caller
    from stagewarden.web.console.bounding import Row

_REFUSALS = (NotAllowed, Invalid, Conflict)
_TABS = (("requested", "Asked"), ("active", "In force"), ("ended", "Ended"), ("wider", "Wider than used"))
_SHOWN = 50
_SAID = {
    "asked": "The grant is asked for. It permits nothing before its last seat is filled.", "approve": "Your approval is recorded.",
    "reject": "Your rejection is recorded; nothing is permitted.", "revoke": "The grant is ended. The next request feels it.",
    "complete": "The grant is completed.",
}  # fmt: skip


class Grants(Handlers):
    """The handlers."""

    def routes(self) -> list[web.RouteDef]:
        """List, ask, one, and the acts on it."""
        return [
            web.get("/grants", self._entry.page(self._list)),
            web.get("/grants/ask", self._entry.page(self._asking)),
            web.post("/grants/ask", self._entry.form(self._ask)),
            web.get("/grants/{id}", self._entry.page(self._grant)),
            web.post("/grants/{id}/vote", self._entry.form(self._vote)),
            web.post("/grants/{id}/revoke", self._entry.form(self._revoke)),
            web.post("/grants/{id}/complete", self._entry.form(self._complete)),
        ]

    async def _list(self, asked: web.Request, caller: Caller) -> web.Response:
        tab, agent, cursor = asked.query.get("tab", "requested"), asked.query.get("agent", ""), asked.query.get("cursor")
        if tab not in dict(_TABS):
            raise Invalid("tab: requested, active, ended or wider")
        wider, now = tab == "wider", self._clock.now_ns()
        found, following = await self._gate.list_grants(
            caller, state=None if wider else tab, agent=agent or None, wider=wider, cursor=cursor, limit=_SHOWN
        )
        values = {
            "here": "grants", "tab": tab, "tabs": _TABS, "rows": [grant.row(view, caller, now) for view in found], "agent": agent,
            "agents": [one.id for one in await self._gate.list_agents(caller)],
            "following": f"/grants?{urlencode({'tab': tab, 'agent': agent, 'cursor': following})}" if following else None,
        }  # fmt: skip
        return self._site.page(asked, caller, "grants.html", values)

    async def _grant(self, asked: web.Request, caller: Caller, refused: Refusal | None = None, kept: dict[str, str] | None = None) -> web.Response:
        view = await self._gate.show_grant(caller, asked.match_info["id"])
        values = {
            "here": "grants", "g": grant.page(view, caller, self._clock.now_ns()), "said": _SAID.get(asked.query.get("said", "")),
            "refused": refused, "kept": defaultdict(str, kept or {}),
        }  # fmt: skip
        return self._site.page(asked, caller, "grant.html", values, None if refused is None else refused.code)

    async def _asking(self, asked: web.Request, caller: Caller) -> web.Response:
        return self._site.page(asked, caller, "grant_ask.html", await self._to_ask(asked, caller, {}, ()))

    async def _to_ask(self, asked: web.Request, caller: Caller, fields: dict[str, str], rows: tuple[Row, ...]) -> dict[str, object]:
        """First whom it is for, then what: only what the route table lists and the workflow does not prohibit can be chosen."""
        kept = defaultdict(str, fields)
        chosen = kept["agent"] or asked.query.get("agent", ""), kept["workflow"] or asked.query.get("workflow", "")
        agents, flows = await self._gate.list_agents(caller), {one.id: one for one in await self._gate.list_workflows(caller)}
        pairs = [(one.id, name) for one in agents for name in one.agent.workflows if name in flows and chosen[0] in {"", one.id}]
        pair = chosen if chosen in pairs else pairs[0] if chosen[0] and len(pairs) == 1 else None
        ways = []
        if pair is not None:
            picture = flows[pair[1]]
            listed = (*picture.workflow.actions.allowed, *picture.workflow.actions.restricted)
            ways = [(f"{kind}|{way.stage}|{way.upstream}", kind, way) for kind in listed for way in picture.ways[kind]]
        flow = None if pair is None else flows[pair[1]].workflow
        return {
            "here": "grants", "pairs": pairs, "pair": pair, "ways": ways, "kept": kept, "faults": {}, "summary": (),
            "rows": rows, "most": bounding.MOST, "rules": bounding.RULES, "kinds_of": bounding.KINDS,
            "classes": () if flow is None else flow.scope.classes.write or asking.CLASSES, "purpose": None if flow is None else flow.purpose,
            "kinds": () if flow is None else (*flow.actions.allowed, *flow.actions.restricted),
            "pointers": () if flow is None else tuple(f"/{name}" for name in flow.scope.fields.write),
        }  # fmt: skip

    async def _ask(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """One more row or one less asks for nothing; else every fault that the form shows, or the gate's answer."""
        if wish := fields.get("bounds"):
            turned = bounding.turned(bounding.rows(fields), wish)
            return self._site.page(asked, caller, "grant_ask.html", await self._to_ask(asked, caller, fields, turned))
        wanted, faults = asking.read(fields)
        values = await self._to_ask(asked, caller, fields, bounding.filled(fields))
        if wanted is None:
            return self._site.page(asked, caller, "grant_ask.html", {**values, "faults": faults, "summary": asking.summary(faults)}, "invalid")

        async def act() -> str:
            return (await self._gate.ask_grant(caller, wanted)).grant.id

        try:
            made = await self._entry.once(caller, "grants", fields, act)
        except _REFUSALS as failure:
            faults = asking.faults_of(failure) if isinstance(failure, Invalid) else {}
            told = {"faults": faults, "summary": asking.summary(faults), "refused": None if faults else Refusal.of(failure)}
            return self._site.page(asked, caller, "grant_ask.html", {**values, **told}, failure.code)
        return render.see_other(f"/grants/{made}?said=asked")

    async def _vote(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        identifier, decision = asked.match_info["id"], fields.get("decision", "")

        async def act() -> None:
            if decision not in {"approve", "reject"}:
                raise Invalid("choose approve or reject")
            reason = fields.get("reason") or None
            given = Ballot(
                caller.person or "", fields.get("function", ""), "approve" if decision == "approve" else "reject", fields.get("digest", ""),
                reason if decision == "reject" else None,
            )  # fmt: skip
            await self._gate.vote_grant(caller, identifier, given)

        try:
            await self._entry.once(caller, identifier, fields, act)
        except _REFUSALS as failure:
            return await self._grant(asked, caller, Refusal.of(failure), fields)
        return render.see_other(f"/grants/{identifier}?said={decision}")

    async def _revoke(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """One click, which waits for no memory of it."""
        identifier = asked.match_info["id"]

        async def act() -> None:
            await self._gate.revoke_grant(caller, identifier, fields.get("reason", ""))

        try:
            await self._entry.once(caller, f"end of {identifier}", fields, act, stops=True)
        except _REFUSALS as failure:
            return await self._grant(asked, caller, Refusal.of(failure))
        return render.see_other(f"/grants/{identifier}?said=revoke")

    async def _complete(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """It makes things stricter, as by the API: no memory is waited for."""
        identifier = asked.match_info["id"]

        async def act() -> None:
            await self._gate.complete_grant(caller, identifier, fields.get("reason", ""))

        try:
            await self._entry.once(caller, f"completion of {identifier}", fields, act, stops=True)
        except _REFUSALS as failure:
            return await self._grant(asked, caller, Refusal.of(failure))
        return render.see_other(f"/grants/{identifier}?said=complete")
