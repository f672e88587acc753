"""The console's handlers: sign in and out, inbox, one request, vote, stop. Every form is checked, every act is the gate's."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.errors import BadCredential, Conflict, Invalid, NotAllowed, Refused, StagewardenError, StepUp
from stagewarden.modes import STOPPING
from stagewarden.web import render
from stagewarden.web.console import forms, inbox, request, when
from stagewarden.web.console.access import Access
from stagewarden.web.console.agents import Agents
from stagewarden.web.console.away import Away
from stagewarden.web.console.entry import Entry
from stagewarden.web.console.grants import Grants
from stagewarden.web.console.revisions import Revisions
from stagewarden.web.console.rulings import Rulings
from stagewarden.web.console.site import Site
from stagewarden.web.console.stops import Stops
from stagewarden.web.console.waiting import Waiting
from stagewarden.web.console.workflows import Workflows
from stagewarden.web.people import events
from stagewarden.wire import spool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from stagewarden.clock import Clock
    from stagewarden.gate.people import VoteIntent
    from stagewarden.gate.repeats import Repeats
    from stagewarden.identity.people import Caller
    from stagewarden.model import Body
    from stagewarden.web.console.forms import Kept
    from stagewarden.web.people.guard import Guard
    from stagewarden.web.people.ports import Gate, Settings

_DOWNLOAD = 600.0  # seconds: whoever reads slower keeps a spool from others
_SHOWN = 100  # rows of one list
_SAID = {
    "approve": "Your approval is recorded.",
    "reject": "Your rejection is recorded; the hold has ended.",
    "send_back": "It is sent back with your reason; the hold has ended.",
    "stop": "This hold is stopped.",
    "resolve": "What you found is recorded.",
}
_TABS = (("mine", "Mine"), ("all", "All open"), ("done", "Done"))
_HEADINGS = {"mine": "Waiting for you", "all": "All open holds", "done": "Decided holds"}


class Console:
    """The pages; `routes` hangs them into the listener."""

    def __init__(self, gate: Gate, guard: Guard, settings: Settings, clock: Clock, repeats: Repeats) -> None:
        self._gate = gate
        self._people = guard.people
        self._guard = guard
        self._clock = clock
        self._site = Site(gate, guard.people, guard, settings, clock)
        self._entry = Entry(guard, repeats, Waiting(gate, clock))
        self._agents = Agents(gate, self._site, self._entry, clock)
        self._rulings = Rulings(gate, self._site, self._entry)
        self._stops = Stops(gate, self._site, self._entry, settings, clock)
        self._access = Access(gate, self._site, self._entry, guard, clock)
        self._workflows = Workflows(gate, self._site, self._entry, clock)
        self._grants = Grants(gate, self._site, self._entry, clock)
        self._revisions = Revisions(gate, self._site, self._entry, clock)
        self._away = Away(guard.people, guard, self._site)

    def routes(self) -> list[web.RouteDef]:
        """Every page and every form."""
        return [
            web.get("/static/{name}", self._file),
            web.get("/sign-in", self._door),
            web.post("/sign-in", self._sign_in),
            *self._away.routes(),
            web.post("/sign-out", self._entry.form(self._sign_out)),
            web.get("/", self._entry.page(self._inbox)),
            web.get("/events", self._events, allow_head=False),
            web.get("/holds/{id}", self._entry.page(self._request)),
            web.get("/holds/{id}/body", self._entry.page(self._body), allow_head=False),
            web.post("/holds/{id}/vote", self._entry.form(self._vote)),
            web.post("/holds/{id}/stop", self._entry.form(self._stop)),
            web.post("/holds/{id}/resolve", self._entry.form(self._resolve)),
            web.get("/keys", self._entry.page(self._keys)),
            *self._access.routes(),
            *self._agents.routes(),
            *self._rulings.routes(),
            *self._stops.routes(),
            *self._workflows.routes(),
            *self._grants.routes(),
            *self._revisions.routes(),
        ]

    def attach(self, application: web.Application) -> None:
        """Hang templates and routes into the listener."""
        self._site.attach(application)
        application.add_routes(self.routes())

    def problem(self, asked: web.Request, code: str, detail: str | None) -> web.Response:
        """A refusal as a page."""
        return self._site.problem(asked, code, detail)

    # -- in and out --

    async def _file(self, asked: web.Request) -> web.StreamResponse:
        return self._site.file(asked.match_info["name"]) or self._site.problem(asked, "not_found", None)

    async def _door(self, asked: web.Request) -> web.StreamResponse:
        then = forms.onward(asked.query.get("then"))
        if self._guard.by_cookie(asked) is not None:
            return render.see_other(forms.leads(then))
        return self._site.sign_in_page(asked, then)

    async def _events(self, asked: web.Request) -> web.StreamResponse:
        return await events.by_cookie(self._gate, self._guard, asked)

    async def _sign_in(self, asked: web.Request) -> web.StreamResponse:
        fields = await forms.read(asked)
        then, person = forms.onward(fields.get("then")), fields.get("person", "")[:200]
        self._guard.check_door_form(asked, fields.get("csrf", ""))
        try:
            previous = asked.cookies.get(self._guard.cookie)
            session = await self._people.sign_in(person, fields.get("password", ""), peer=asked.remote or "", previous=previous)
        except BadCredential:
            return self._site.sign_in_page(asked, then, failed=("unauthenticated", "The person or the password is wrong."), person=person)
        except Refused as refused:
            return self._site.sign_in_page(asked, then, failed=(refused.code, f"{refused.detail.capitalize()}."), person=person)
        response = render.see_other(forms.leads(then))
        self._guard.set_cookie(response, self._guard.cookie, session.token)
        self._guard.drop_cookie(response, self._guard.door_cookie)
        return response

    async def _sign_out(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        self._people.sign_out(asked.cookies[self._guard.cookie])
        if fields.get("everywhere") == "yes" and caller.person is not None:
            self._people.sign_out_everywhere(caller.person)
        response = render.see_other("/sign-in")
        self._guard.drop_cookie(response, self._guard.cookie)
        return response

    async def _keys(self, asked: web.Request, caller: Caller) -> web.StreamResponse:
        return self._site.page(asked, caller, "keys.html", {"here": "keys"})

    # -- holds --

    async def _inbox(self, asked: web.Request, caller: Caller) -> web.StreamResponse:
        tab = asked.query.get("tab", "mine")
        if tab not in _HEADINGS:
            raise Invalid("tab: mine, all or done")
        now = self._clock.now_ns()
        cursor = asked.query.get("cursor")
        at = cursor if tab != "done" else None
        opened, following = await self._gate.list_holds(caller, state="open", mine=False, cursor=at, limit=_SHOWN, asked=True)
        mine = [view for view in opened if inbox.waits_for(view, caller.person)]
        shown = {"mine": mine, "all": opened}.get(tab, [])
        if tab == "done":
            shown, following = await self._gate.list_holds(caller, state="ended", mine=False, cursor=cursor, limit=_SHOWN)
        modes = {agent.id: agent.mode for agent in await self._gate.list_agents(caller)}
        oldest = min((view.hold.asked_at_ns for view in mine), default=None)
        numbers = {"mine": len(mine), "all": len(opened), "done": None}
        return self._site.page(
            asked,
            caller,
            "inbox.html",
            {
                "here": "inbox", "heading": _HEADINGS[tab], "tab": tab, "waiting": len(mine),
                "tabs": [(key, label, numbers[key]) for key, label in _TABS],
                "groups": inbox.groups(shown, caller.person, modes, now),
                "oldest": when.span(now - oldest) if oldest is not None else None,
                "stopped": sum(mode in STOPPING for mode in modes.values()),
                "kills": [kill.scope for kill in await self._gate.kills(caller)],
                "empty": _empty(tab),
                "following": f"/?tab={tab}&cursor={following}" if following else None,
            },
        )  # fmt: skip

    async def _request(self, asked: web.Request, caller: Caller) -> web.StreamResponse:
        return await self._shown(asked, caller, forms.Kept(), said=_SAID.get(asked.query.get("said", "")))

    async def _body(self, asked: web.Request, caller: Caller) -> web.StreamResponse:
        """The exact bytes, as a file to be saved."""
        identifier = asked.match_info["id"]
        async with self._gate.body(caller, identifier) as body:
            response = render.download(len(body) if isinstance(body, bytes) else body.size, f"{identifier}.bin")
            response.force_close()  # should it break off, nothing may pass for its rest
            self._guard.answer_headers(response)
            await response.prepare(asked)
            with suppress(ConnectionError, TimeoutError):  # the reader left, or is too slow
                async with asyncio.timeout(_DOWNLOAD), aclosing(_blocks(body)) as blocks:
                    async for block in blocks:
                        await response.write(block)
                    await response.write_eof()
        return response

    async def _shown(self, asked: web.Request, caller: Caller, kept: Kept, *, said: str | None = None, code: str | None = None) -> web.Response:
        view = await self._gate.show_hold(caller, asked.match_info["id"])
        points = forms.open_points(kept, view.hold.questions) if code == "invalid" else ()
        kept = replace(kept, errors=points or kept.errors)
        around = await self._gate.around(caller, view.hold)
        shown = request.page(view, around, caller, self._clock.now_ns(), self._gate.functions(caller))
        return self._site.page(asked, caller, "request.html", {"here": "inbox", "r": shown, "kept": kept, "said": said}, code)

    async def _vote(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """Cast it, or show the page again with everything that was filled in and why it was not cast."""
        identifier = asked.match_info["id"]
        given = forms.kept(fields)
        try:
            await self._cast(caller, identifier, fields, forms.intent(given, fields))
        except Conflict as conflict:
            return await self._shown(asked, caller, replace(given, decision="", conflict=_sentence(conflict)), code="conflict")
        except NotAllowed as refused:
            given = replace(given, refused=_sentence(refused), again=isinstance(refused, StepUp))
            return await self._shown(asked, caller, given, code=refused.code)
        except Invalid as invalid:
            return await self._shown(asked, caller, replace(given, errors=(forms.Missing(_sentence(invalid)),)), code="invalid")
        return render.see_other(f"/holds/{identifier}?said={given.decision}")

    async def _cast(self, caller: Caller, identifier: str, fields: dict[str, str], intent: VoteIntent) -> None:
        async def act() -> None:
            await self._gate.vote(caller, identifier, intent)

        await self._entry.once(caller, identifier, fields, act)

    async def _stop(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        identifier = asked.match_info["id"]
        try:
            await self._gate.stop_hold(caller, identifier, fields.get("reason", ""))
        except Conflict as conflict:
            return await self._shown(asked, caller, forms.Kept(refused=f"It could not be stopped: {_sentence(conflict)}"), code="conflict")
        return render.see_other(f"/holds/{identifier}?said=stop")

    async def _resolve(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        identifier = asked.match_info["id"]
        try:
            await self._gate.resolve(caller, identifier, fields.get("result", ""), fields.get("evidence", ""))
        except (Conflict, NotAllowed, Invalid) as failure:
            refused = f"It was not recorded: {failure}."
            return await self._shown(asked, caller, forms.Kept(unresolved=refused, note=fields.get("evidence", "")), code=failure.code)
        return render.see_other(f"/holds/{identifier}?said=resolve")


async def _blocks(body: Body) -> AsyncGenerator[bytes, None]:
    if isinstance(body, bytes):
        yield body
        return
    async for block in spool.pieces(body):
        yield block


def _empty(tab: str) -> dict[str, str]:
    if tab == "done":
        return {"heading": "Nothing is decided yet", "text": "Holds that people decided, or that expired, appear here."}
    heading = "Nothing waits for you" if tab == "mine" else "Nothing is held"
    return {"heading": heading, "text": "New holds appear here when this page is opened again."}


def _sentence(failure: StagewardenError) -> str:
    text = str(failure)
    return f"{text[:1].upper()}{text[1:]}."
