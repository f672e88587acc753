"""The console's pages of what was decided: the list as it happens, one ruling with its record, and what a hold or an asset went through."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web

from stagewarden.clock import NANOSECONDS, rfc3339
from stagewarden.errors import Invalid, NotFound
from stagewarden.model import Stage
from stagewarden.web.console import explained, record, timeline
from stagewarden.web.console.exact import reveal, short_id
from stagewarden.web.console.handlers import Handlers
from stagewarden.web.console.remedies import REMEDIES
from stagewarden.web.people.asked import NAMES, wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.audit.story import Story
    from stagewarden.identity.people import Caller
    from stagewarden.model import Document

_EFFECTS = (("", "Everything"), ("allow", "Allowed"), ("hold", "Held"), ("deny", "Denied"))
_SHOWN = 50  # rows of one page
_COUNTED = 300  # seconds the numbers at the top are about
_LONGEST = 200  # characters of a value
_WITHOUT_SECONDS = len("2026-11-21T09:00")  # what a browser's field for a time gives


class Rulings(Handlers):
    """The handlers."""

    def routes(self) -> list[web.RouteDef]:
        """The list, what is new in it, one ruling, a timeline."""
        return [
            web.get("/rulings", self._entry.page(self._list)),
            web.get("/rulings/live", self._entry.unattended(self._live), allow_head=False),
            web.get("/rulings/{id}", self._entry.page(self._one)),
            web.get("/timeline", self._entry.page(self._timeline)),
        ]

    async def _list(self, asked: web.Request, caller: Caller) -> web.Response:
        """What was decided, newest first, and why the one that is looked at was."""
        query = _filters(asked.query)
        cursor = asked.query.get("cursor") or None
        items, following = await self._gate.rulings(caller, wanted(query), cursor=cursor, limit=_SHOWN)
        rows = [explained.row(item) for item in items]
        agents = await self._gate.list_agents(caller)
        values = {
            "here": "rulings", "rows": rows, "today": self._today(), "query": {name: query.get(name, "") for name in NAMES}, "filtered": bool(query),
            "counts": await self._counts(caller), "effects": [
                (label, _address({**query, "effect": key}), query.get("effect", "") == key) for key, label in _EFFECTS
            ],
            "base": _address(query), "join": "&" if query else "?", "more": any(name != "effect" for name in query),
            "choices": {
                "agent": [one.id for one in agents], "workflow": sorted({name for one in agents for name in one.agent.workflows}),
                "stage": [str(stage) for stage in Stage], "upstream": list(self._settings.upstreams),
            },
            "codes": sorted(REMEDIES), "older": _address({**query, "cursor": following}) if following else None, "newest": cursor is None,
            "live": None if cursor or "until" in query else f"/rulings/live?{urlencode(query)}",
            "top": rows[0].seq if rows else -1, "why": await self._why(asked, caller, items), "short": len(rows) < _SHOWN and following is not None,
        }  # fmt: skip
        return self._site.page(asked, caller, "rulings.html", values)

    async def _live(self, asked: web.Request, caller: Caller) -> web.Response:
        """The rows newer than the newest one shown, and the numbers, for a page that is open."""
        after = asked.query.get("after", "")
        if not (after.removeprefix("-").isascii() and after.removeprefix("-").isdigit() and len(after) < len(str(1 << 53))):
            raise Invalid("after: a number")
        query = _filters(asked.query)
        items, following = await self._gate.rulings(caller, wanted(query, int(after)), limit=_SHOWN)
        rows = [explained.row(item) for item in items]
        values = {
            "rows": rows, "base": _address(query), "join": "&" if query else "?", "more": following is not None, "selected": None,
            "counts": await self._counts(caller), "today": self._today(),
        }  # fmt: skip
        return self._site.bare(asked, "rulings_live.html", values)

    async def _one(self, asked: web.Request, caller: Caller) -> web.Response:
        """One ruling: the record, its four digests, its place in the log."""
        entry = await self._gate.ruling(caller, asked.match_info["id"])
        story = await self._story(caller, explained.known(entry.get("hold")))
        made = record.record(entry, () if story is None else story.entries)
        values = {
            "here": "rulings", "e": explained.explanation(entry), "r": made, "place": await self._gate.place(caller, entry),
            "raw": reveal(made.raw), "steps": [] if story is None else timeline.sections(story.entries),
        }  # fmt: skip
        return self._site.page(asked, caller, "ruling.html", values)

    async def _timeline(self, asked: web.Request, caller: Caller) -> web.Response:
        """What a hold or an asset went through; without either, the question which."""
        hold, upstream, asset = (asked.query.get(name, "")[:_LONGEST] for name in ("hold", "upstream", "asset"))
        values: dict[str, object] = {
            "here": "rulings", "hold": hold, "upstream": upstream, "asset": asset, "upstreams": self._settings.upstreams, "found": None,
            "nothing": False, "about": reveal(short_id(hold) if hold else asset),
        }  # fmt: skip
        if hold or (upstream and asset):
            try:
                story = await (self._gate.hold_story(caller, hold) if hold else self._gate.asset_story(caller, upstream, asset))
            except NotFound:
                return self._site.page(asked, caller, "timeline.html", {**values, "nothing": True}, "not_found")
            values |= {"found": timeline.sections(story.entries), "sum": timeline.summary(story.entries), "whole": story.whole, "searched": not hold}
        return self._site.page(asked, caller, "timeline.html", values)

    async def _why(self, asked: web.Request, caller: Caller, items: list[Document]) -> explained.Explanation | None:
        """The ruling that is looked at: of the page, or else of the log."""
        chosen = asked.query.get("ruling", "")
        if not chosen:
            return None
        found = next((item for item in items if item.get("ruling") == chosen), None)
        return explained.explanation(found if found is not None and found.get("outcome") else await self._gate.ruling(caller, chosen))

    def _today(self) -> str:
        return rfc3339(self._clock.now_ns())[: len("2026-11-21")]

    async def _counts(self, caller: Caller) -> object:
        return await self._gate.ruled(caller, rfc3339(self._clock.now_ns() - _COUNTED * NANOSECONDS))

    async def _story(self, caller: Caller, hold: str | None) -> Story | None:
        try:
            return None if hold is None else await self._gate.hold_story(caller, hold)
        except NotFound:
            return None


def _filters(query: Mapping[str, str]) -> dict[str, str]:
    """The filters that are set. A browser's field for a time leaves out seconds and zone, which is UTC here."""
    found = {name: query[name] for name in NAMES if query.get(name)}
    if any(len(value) > _LONGEST for value in found.values()):
        raise Invalid(f"a filter is longer than {_LONGEST} characters")
    return {name: f"{value}:00Z" if name in {"since", "until"} and len(value) == _WITHOUT_SECONDS else value for name, value in found.items()}


def _address(query: Mapping[str, str]) -> str:
    kept = {name: value for name, value in query.items() if value}
    return f"/rulings?{urlencode(kept)}" if kept else "/rulings"
