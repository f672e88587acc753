"""The console's pages of grants: those asked for, in force and ended; asking for one; voting, revoking, completing. Every act is the gate's."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, get_args

import msgspec
from aiohttp import web

from stagewarden.errors import Conflict, Invalid, NotAllowed
from stagewarden.gate.grant_terms import Wanted
from stagewarden.grants import Ballot, Bound
from stagewarden.model import DataClass
from stagewarden.web import render
from stagewarden.web.console import grant
from stagewarden.web.console.entry import Refusal

if TYPE_CHECKING:
    from stagewarden.clock import Clock
    from stagewarden.identity.people import Caller
    from stagewarden.web.console.entry import Entry
    from stagewarden.web.console.site import Site
    from stagewarden.web.people.ports import Gate

_REFUSALS = (NotAllowed, Invalid, Conflict)
_TABS = (("requested", "Asked"), ("active", "In force"), ("ended", "Ended"), ("wider", "Wider than used"))
_SHOWN = 50
_CLASSES: tuple[str, ...] = get_args(DataClass)
_SAID = {
    "asked": "The grant is asked for. It permits nothing before its last seat is filled.", "approve": "Your approval is recorded.",
    "reject": "Your rejection is recorded; nothing is permitted.", "revoke": "The grant is ended. The next request feels it.",
    "complete": "The grant is completed.",
}  # fmt: skip


class Grants:
    """The handlers."""

    def __init__(self, gate: Gate, site: Site, entry: Entry, clock: Clock) -> None:
        self._gate = gate
        self._site = site
        self._entry = entry
        self._clock = clock

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
            "following": f"/grants?tab={tab}&agent={agent}&cursor={following}" if following else None,
        }  # fmt: skip
        return self._site.page(asked, caller, "grants.html", values)

    async def _grant(self, asked: web.Request, caller: Caller, refused: Refusal | None = None, kept: dict[str, str] | None = None) -> web.Response:
        view = await self._gate.show_grant(caller, asked.match_info["id"])
        values = {
            "here": "grants", "g": grant.page(view, caller, self._clock.now_ns()), "said": _SAID.get(asked.query.get("said", "")),
            "refused": refused, "kept": defaultdict(str, kept or {}),
        }  # fmt: skip
        return self._site.page(asked, caller, "grant.html", values, None if refused is None else refused.code)

    async def _asking(self, asked: web.Request, caller: Caller, refused: Refusal | None = None, kept: dict[str, str] | None = None) -> web.Response:
        """First whom it is for, then what: only what the route table lists and the workflow does not prohibit can be chosen."""
        kept = defaultdict(str, kept or {})
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
        values = {
            "here": "grants", "pairs": pairs, "pair": pair, "ways": ways, "refused": refused, "kept": kept,
            "classes": () if flow is None else flow.scope.classes.write or _CLASSES, "purpose": None if flow is None else flow.purpose,
            "kinds": () if flow is None else (*flow.actions.allowed, *flow.actions.restricted),
        }  # fmt: skip
        return self._site.page(asked, caller, "grant_ask.html", values, None if refused is None else refused.code)

    async def _ask(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        async def act() -> str:
            return (await self._gate.ask_grant(caller, wanted(fields))).grant.id

        try:
            made = await self._entry.once(caller, "grants", fields, act)
        except _REFUSALS as failure:
            return await self._asking(asked, caller, Refusal.of(failure), fields)
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
        identifier = asked.match_info["id"]

        async def act() -> None:
            await self._gate.complete_grant(caller, identifier, fields.get("reason", ""))

        try:
            await self._entry.once(caller, f"completion of {identifier}", fields, act)
        except _REFUSALS as failure:
            return await self._grant(asked, caller, Refusal.of(failure))
        return render.see_other(f"/grants/{identifier}?said=complete")


def wanted(fields: dict[str, str]) -> Wanted:
    """The form as what the API takes; raises Invalid naming the field. What it means is the gate's to check."""
    kind, stage, upstream = [*fields.get("what", "").split("|"), "", "", ""][:3]
    if not kind:
        raise Invalid("choose what it permits")
    uses = fields.get("uses", "").strip() or "1"
    if not re.fullmatch(r"[0-9]{1,9}", uses):
        raise Invalid("uses: a number")
    return Wanted(
        agent=fields.get("agent", ""), workflow=fields.get("workflow", ""), kind=kind, stage=stage, upstream=upstream, uses=int(uses),
        ttl=fields.get("ttl", "").strip(), evidence=fields.get("evidence", ""), asset=_text(fields, "asset"),
        fields=tuple(name for name in re.split(r"[,\s]+", fields.get("fields", "")) if name),
        classes=tuple(one for one in _classes() if fields.get(f"class-{one}") == "yes"), digest=_text(fields, "digest"),
        content=_text(fields, "content"), template=fields.get("template") == "yes", bounds=_bounds(fields.get("bounds", "")),
        review_within=_text(fields, "review_within"), completes_on=_text(fields, "completes_on"),
    )  # fmt: skip


def _classes() -> tuple[DataClass, ...]:
    return msgspec.convert(_CLASSES, tuple[DataClass, ...])


def _text(fields: dict[str, str], name: str) -> str | None:
    return fields.get(name, "").strip() or None


def _bounds(text: str) -> tuple[Bound, ...]:
    if not text.strip():
        return ()
    try:
        return msgspec.json.decode(text.encode(errors="surrogatepass"), type=tuple[Bound, ...])
    except (msgspec.DecodeError, UnicodeError) as failure:
        raise Invalid(f"bounds: a JSON list as the API takes it: {failure}") from None
