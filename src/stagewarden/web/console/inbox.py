"""The console's inbox: what waits, by tab and filter, one page at a time; what is new since a page was shown.

Everything stands in the address. Asks the gate for a page and its counts, and decides nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.errors import BadCredential, Invalid
from stagewarden.gate.inbox import TABS, Selection
from stagewarden.modes import STOPPING
from stagewarden.web import render
from stagewarden.web.console import filters, rows, when, words
from stagewarden.web.console.handlers import Handlers

if TYPE_CHECKING:
    from stagewarden.gate.inbox import Shown
    from stagewarden.identity.people import Caller

MUCH = 40  # holds of high tier a day for one person (governance C2.17)
_LABELS = {"mine": "Mine", "others": "Waiting on others", "all": "All", "proposals": "Proposals", "done": "Done"}
_HEADINGS = {
    "mine": "Waiting for you", "others": "Waiting on others", "all": "All that waits",
    "proposals": "Proposals nobody has taken up", "done": "Decided",
}  # fmt: skip
_EMPTY = {
    "mine": "Nothing waits for you", "others": "Nothing waits on others", "all": "Nothing waits",
    "proposals": "No proposals", "done": "Nothing is decided yet",
}  # fmt: skip


class Inbox(Handlers):
    """The handlers."""

    def routes(self) -> list[web.RouteDef]:
        """The page, and what is new."""
        return [
            web.get("/", self._entry.page(self._list), allow_head=False),  # a look that shows nothing is none, and is not recorded as one
            web.get("/inbox/new", self._new, allow_head=False),
        ]

    async def _list(self, asked: web.Request, caller: Caller) -> web.Response:
        """One page of one list."""
        selection = filters.read(asked)
        now = self._clock.now_ns()
        shown = await self._gate.inbox(caller, selection)
        modes = {agent.id: agent.mode for agent in await self._gate.list_agents(caller)}
        groups = (rows.decided if selection.tab == "done" else rows.waiting)(shown, caller.person, modes, now)
        values = {
            "here": "inbox", "heading": _HEADINGS[selection.tab], "tab": selection.tab, "groups": groups, "shown_at": now,
            "tabs": [(tab, _LABELS[tab], filters.link(replace(selection, tab=tab, place=None)), shown.counts.get(tab)) for tab in TABS],
            "kills": [kill.scope for kill in await self._gate.kills(caller)],
            **self._numbers(shown, modes, now), **_narrowing(selection, shown), "median": await self._median(caller),
            "empty": _empty(selection, shown, now), "new": filters.link(selection, path="/inbox/new"),
            "following": filters.link(selection, shown.following) if shown.following else None,
            "first": filters.link(selection) if selection.place else None,
        }  # fmt: skip
        return self._site.page(asked, caller, "inbox.html", values)

    @staticmethod
    def _numbers(shown: Shown, modes: dict[str, str], now: int) -> dict[str, object]:
        decided, high = shown.high
        return {
            "waiting": shown.counts["mine"], "others": shown.counts["others"], "stopped": sum(mode in STOPPING for mode in modes.values()),
            "oldest": None if shown.oldest_ns is None else when.span(now - shown.oldest_ns),
            "load": (decided + high, decided, high, MUCH) if decided + high > MUCH else None,
        }  # fmt: skip

    async def _median(self, caller: Caller) -> str | None:
        """How long this person's reviews take, as only they are told (C2.16)."""
        if caller.person is None:
            return None
        seconds = (await self._gate.own_reviews(caller)).measures.seconds
        return None if seconds is None else when.brief(seconds)

    async def _new(self, asked: web.Request) -> web.Response:
        """How many holds a list has got since it was shown. To be told things is not to be there: this keeps no session alive."""
        self._guard.check_own(asked)
        caller = self._guard.by_cookie(asked, used=False)
        if caller is None:
            raise BadCredential("sign in again")
        since = asked.query.get("since", "")
        if not (since.isascii() and since.isdigit() and len(since) <= 19):  # noqa: PLR2004 - digits of what the column holds
            raise Invalid("since: nanoseconds since the epoch")
        return render.json({"new": await self._gate.fresh(caller, filters.read(asked), int(since))})


def _narrowing(selection: Selection, shown: Shown) -> dict[str, object]:
    """The filters, the search and what they leave."""
    kept = {name: value for name, value in filters.fields(selection).items() if name != "q"}
    return {
        "filters": filters.bar(selection, shown), "search": selection.text, "kept": kept, "narrowed": selection.narrowed,
        "matched": shown.matched, "left_out": filters.said(selection), "soon": selection.soon, "soon_count": None if selection.text else shown.soon,
        "soon_link": None if selection.tab == "done" else filters.link(replace(selection, soon=not selection.soon, place=None)),
        "everything": filters.link(Selection(tab=selection.tab)),
    }  # fmt: skip


def _empty(selection: Selection, shown: Shown, now: int) -> dict[str, object]:
    """What a list says that has nothing on it: what was last done, and when."""
    view, vote = shown.last, shown.last_vote
    last = None
    if view is not None and vote is not None:
        decision = {"approve": "approved", "reject": "rejected", "send_back": "sent back"}[vote.decision]
        effect = words.effect(view.hold, payload=view.payload and view.hold.payload, called=view.title)
        last = {"at": when.moment(vote.at_ns, now), "effect": effect, "decision": decision, "href": f"/holds/{view.hold.id}"}
    return {"heading": _EMPTY[selection.tab], "last": last, "ended_today": shown.ended_today}
