"""Where a person is signed in, how each of these ends, and the page on which they lend a terminal their sign-in.

Lends nothing without a form of the person's own session; what a terminal says of itself stands in the box of unverified words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import NotAllowed, NotFound, StepUp
from stagewarden.identity import terminals
from stagewarden.web import render
from stagewarden.web.console import when
from stagewarden.web.console.handlers import Handlers

if TYPE_CHECKING:
    from stagewarden.identity.people import Caller, ProgramToken
    from stagewarden.identity.sessions import Seen
    from stagewarden.identity.terminals import Asking

_PLACES = {"browser": "Browser", "bearer": "Password sign-in of the API", "terminal": "Terminal"}
_STATES = {"good": None, "expired": "expired", "creator_left": "refused: its creator has left"}
_SAID = {"ended": "It is ended: its next request is refused."}


class Access(Handlers):
    """The handlers."""

    def routes(self) -> list[web.RouteDef]:
        """Four of them."""
        return [
            web.get("/access", self._entry.page(self._places)),
            web.post("/access/end", self._entry.form(self._end)),
            web.get("/terminal", self._entry.page(self._asked)),
            web.post("/terminal", self._entry.form(self._lend)),
        ]

    async def _places(self, asked: web.Request, caller: Caller) -> web.Response:
        """Every session of the reader, the last used first; and the programs' tokens the reader answers for."""
        now = self._clock.now_ns()
        seen = self._people.sessions(caller.person or "", asked.cookies[self._guard.cookie])
        programs = await self._gate.program_tokens(caller, self._people)
        values = {
            "here": "access", "sessions": [_row(one, now) for one in seen], "programs": [_program(one, now) for one in programs],
            "said": _SAID.get(asked.query.get("said", "")),
        }  # fmt: skip
        return self._site.page(asked, caller, "access.html", values)

    async def _end(self, _: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """One of them; of oneself alone."""
        if not self._people.end_session(caller.person or "", fields.get("session", "")):
            raise NotFound("no such session of yours; it may be over already")
        return render.see_other("/access?said=ended")

    async def _asked(self, asked: web.Request, caller: Caller) -> web.Response:
        """What a terminal asks, before anything is lent."""
        wanted = _wanted(asked.query.get("ask"))
        try:
            self._gate.may_lend(caller)
        except NotAllowed as refused:
            return await self._shown(asked, caller, wanted, refused)
        return await self._shown(asked, caller, wanted, None)

    async def _lend(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.Response:
        """Yes: a code, brought to the terminal on this machine, or shown to be carried there."""
        wanted = _wanted(fields.get("ask"))
        try:
            self._gate.may_lend(caller)
        except NotAllowed as refused:
            return await self._shown(asked, caller, wanted, refused)
        code = self._people.lend(asked.cookies[self._guard.cookie], wanted)
        values = {"letters": wanted.letters, "place": wanted.place(code), "code": code}
        return self._site.bare(asked, "terminal_code.html", values)

    async def _shown(self, asked: web.Request, caller: Caller, wanted: Asking, refused: NotAllowed | None) -> web.Response:
        now = self._clock.now_ns()
        lives = int(await self._people.terminal_lives(caller) * NANOSECONDS)
        values = {
            "here": "access", "ask": str(wanted), "letters": wanted.letters, "label": wanted.label, "port": wanted.port,
            "until": when.moment(now + lives, now), "lives": when.whole(lives),
            "again": f"/sign-in/away?again=yes&then={wanted}" if isinstance(refused, StepUp) and self._people.provider is not None else None,
            "refused": None if refused is None else str(refused),
        }  # fmt: skip
        return self._site.page(asked, caller, "terminal.html", values, None if refused is None else refused.code)


def _wanted(text: str | None) -> Asking:
    wanted = terminals.asking(text)
    if wanted is None:
        raise NotFound("this link is not whole; copy it from the terminal again")
    return wanted


def _row(one: Seen, now: int) -> dict[str, object]:
    return {
        "id": one.id, "place": _PLACES[one.place], "label": one.label, "here": one.here, "opened": when.moment(one.opened_at_ns, now),
        "used": when.moment(one.seen_at_ns, now), "ends": when.moment(one.ends_at_ns, now),
    }  # fmt: skip


def _program(one: ProgramToken, now: int) -> dict[str, object]:
    used = when.moment(one.used_ns, now) if one.used_ns else None
    return {
        "id": one.id, "name": one.program, "scopes": one.scopes, "creator": one.creator, "state": _STATES[one.state],
        "expires": when.moment(one.expires_ns, now), "used": used,
    }  # fmt: skip
