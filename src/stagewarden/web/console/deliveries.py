"""The console's page of notifications: what became of each, and sending one again. Nothing here says anything about a hold, or votes on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.errors import Conflict, NotAllowed, NotFound
from stagewarden.web import render
from stagewarden.web.console import when
from stagewarden.web.console.entry import Refusal
from stagewarden.web.console.handlers import Handlers

if TYPE_CHECKING:
    from stagewarden.identity.people import Caller
    from stagewarden.notify import Delivery

_PAGE = 50
_TABS = {"dead": "Given up", "waiting": "Waiting", "delivered": "Arrived", "all": "All"}
_NONE = {
    "dead": "Nothing was given up.", "waiting": "Nothing waits for its receiver.", "delivered": "Nothing has arrived lately.",
    "all": "Nothing was sent lately. Channels stand under notify in the configuration.",
}  # fmt: skip
_STATES = {"waiting": ("waiting", "amber"), "sending": ("being sent", "ink"), "delivered": ("arrived", "green"), "dead": ("given up", "red")}
_SAID = {"again": "It is sent again."}


class Deliveries(Handlers):
    """The handlers."""

    def routes(self) -> list[web.RouteDef]:
        """The list, and one of it again."""
        return [
            web.get("/deliveries", self._entry.page(self._list)),
            web.post("/deliveries/{id}/resend", self._entry.form(self._resend)),
        ]

    async def _list(self, asked: web.Request, caller: Caller, refused: Refusal | None = None) -> web.Response:
        """Those given up first: they are the ones somebody has to do something about."""
        tab = asked.query.get("tab", "")
        tab = tab if tab in _TABS else "dead"
        found, _ = await self._gate.list_deliveries(caller, state=None if tab == "all" else tab, cursor=None, limit=_PAGE)
        values = {
            "here": "deliveries", "tab": tab, "tabs": list(_TABS.items()), "rows": [self._row(one) for one in found], "empty": _NONE[tab],
            "full": len(found) == _PAGE, "most": _PAGE, "why_not": self._gate.why_not_resend(caller), "refused": refused,
            "said": _SAID.get(asked.query.get("said", "")),
        }  # fmt: skip
        return self._site.page(asked, caller, "deliveries.html", values, None if refused is None else refused.code)

    async def _resend(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        identifier = asked.match_info["id"]

        async def act() -> None:
            await self._gate.resend(caller, identifier)

        try:
            await self._entry.once(caller, f"deliveries/{identifier}", fields, act)
        except (NotAllowed, Conflict, NotFound) as failure:
            return await self._list(asked, caller, Refusal.of(failure))
        return render.see_other("/deliveries?tab=all&said=again")

    def _row(self, one: Delivery) -> dict[str, object]:
        now = self._clock.now_ns()
        label, tone = _STATES[one.state]
        due = when.moment(one.next_ns, now) if one.state == "waiting" else None
        return {
            "id": one.id, "event": one.event, "subject": one.subject, "hold": one.subject.startswith("h_"), "channel": one.channel,
            "target": one.target, "label": label, "tone": tone, "code": one.code, "attempts": one.attempts, "by": one.resent_by,
            "at": when.moment(one.asked_at_ns, now), "due": due, "sending": one.state == "sending",
        }  # fmt: skip
