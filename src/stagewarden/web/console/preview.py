"""A held text as a browser might show it: a page of its own for one frame of ours, asked for by the reader, inert, and under its own policy.

Three walls, each enough alone. (1) `inert` leaves no attribute, script, style or address in what it draws. (2) The answer's policy loads
nothing and puts the document in a sandbox without script, form, navigation or origin. (3) The frame has an empty `sandbox`, and the page
around it frames nothing but us. Never answers as a page of its own: whoever opens the address is refused.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.errors import NotAllowed, NotFound
from stagewarden.holds.titles import described
from stagewarden.web import render
from stagewarden.web.console import fields
from stagewarden.web.console.handlers import Handlers
from stagewarden.web.console.inert import inert

if TYPE_CHECKING:
    from stagewarden.identity.people import Caller
    from stagewarden.model import Hold

STYLE = (
    "body{margin:12px 16px;font:15px/1.5 serif;overflow-wrap:anywhere}table{border-collapse:collapse}td,th{border:1px solid;padding:2px 6px}"
    "samp{padding:0 4px;border:1px dashed;border-radius:3px;font:12px/1.4 sans-serif}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
_SIDES = frozenset({"before", "now"})


class Previews(Handlers):
    """The route of every preview."""

    def routes(self) -> list[web.RouteDef]:
        """One."""
        return [web.get("/holds/{id}/preview/{place}/{side}", self._entry.page(self._preview), allow_head=False)]

    async def _preview(self, asked: web.Request, caller: Caller) -> web.StreamResponse:
        """(1) In a frame alone. (2) Who may see the bytes; recorded as read. (3) That text, inert."""
        if asked.headers.get("Sec-Fetch-Dest") != "iframe":
            raise NotAllowed("a preview opens in its frame on the page of its hold, nowhere else")
        view = await self._gate.show_hold(caller, asked.match_info["id"])
        if not (view.payload and view.hold.payload):
            raise NotAllowed("these bytes are shown to the hold's seats, its owners, security and privacy")
        text = _text(view.hold, asked.match_info["place"], asked.match_info["side"])
        if text is None:
            raise NotFound("no such text in this hold")
        response = render.page(document(text))
        response.headers.update(HEADERS)
        return response


def document(text: str) -> str:
    """The page."""
    head = f'<meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>Preview</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{inert(text)}</body></html>'


def _text(hold: Hold, place: str, side: str) -> str | None:
    if side not in _SIDES:
        return None
    read = fields.compared(hold.request, hold.before, described(hold.question))
    pair = next((pair for pair in (*read.pairs, *read.rest) if pair.place == place), None)
    return None if pair is None else pair.before if side == "before" else pair.after
