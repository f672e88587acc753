"""The console: sign in and out, inbox, and the groups of pages beside them. Every form is checked, every act is the gate's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.errors import BadCredential, Refused
from stagewarden.web import render
from stagewarden.web.console import forms, onward
from stagewarden.web.console.access import Access
from stagewarden.web.console.agents import Agents
from stagewarden.web.console.away import Away
from stagewarden.web.console.deliveries import Deliveries
from stagewarden.web.console.edits import Edits
from stagewarden.web.console.entry import Entry
from stagewarden.web.console.grants import Grants
from stagewarden.web.console.handlers import Handlers, Means
from stagewarden.web.console.holds import Holds
from stagewarden.web.console.inbox import Inbox
from stagewarden.web.console.insights import Insights
from stagewarden.web.console.revisions import Revisions
from stagewarden.web.console.rulings import Rulings
from stagewarden.web.console.site import Site
from stagewarden.web.console.stops import Stops
from stagewarden.web.console.waiting import Waiting
from stagewarden.web.console.workflows import Workflows
from stagewarden.web.people import events

if TYPE_CHECKING:
    from stagewarden.clock import Clock
    from stagewarden.gate.repeats import Repeats
    from stagewarden.identity.people import Caller
    from stagewarden.web.people.guard import Guard
    from stagewarden.web.people.ports import Gate, Settings

_GROUPS: tuple[type[Handlers], ...] = (
    Away, Inbox, Holds, Edits, Access, Agents, Rulings, Stops, Workflows, Grants, Revisions, Insights, Deliveries,
)  # fmt: skip


class Console:
    """The pages; `routes` hangs them into the listener."""

    def __init__(self, gate: Gate, guard: Guard, settings: Settings, clock: Clock, repeats: Repeats) -> None:
        self._gate = gate
        self._people = guard.people
        self._guard = guard
        self._site = Site(gate, guard, settings, clock)
        self._entry = Entry(guard, repeats, Waiting(gate, clock))
        means = Means(gate, self._site, self._entry, guard, settings, clock)
        self._groups = tuple(group(means) for group in _GROUPS)

    def routes(self) -> list[web.RouteDef]:
        """Every page and every form."""
        return [
            web.get("/static/{name}", self._file),
            web.get("/sign-in", self._door),
            web.post("/sign-in", self._sign_in),
            web.post("/sign-out", self._entry.form(self._sign_out)),
            web.get("/events", self._events, allow_head=False),
            web.get("/keys", self._entry.page(self._keys)),
            *(route for group in self._groups for route in group.routes()),
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
        then = onward.known(asked.query.get("then"))
        if self._guard.by_cookie(asked) is not None:
            return render.see_other(onward.leads(then))
        return self._site.sign_in_page(asked, then)

    async def _events(self, asked: web.Request) -> web.StreamResponse:
        return await events.by_cookie(self._gate, self._guard, asked)

    async def _sign_in(self, asked: web.Request) -> web.StreamResponse:
        fields = await forms.read(asked)
        then, person = onward.known(fields.get("then")), fields.get("person", "")[:200]
        self._guard.check_door_form(asked, fields.get("csrf", ""))
        try:
            previous = asked.cookies.get(self._guard.cookie)
            session = await self._people.sign_in(person, fields.get("password", ""), peer=asked.remote or "", previous=previous)
        except BadCredential:
            return self._site.sign_in_page(asked, then, failed=("unauthenticated", "The person or the password is wrong."), person=person)
        except Refused as refused:
            return self._site.sign_in_page(asked, then, failed=(refused.code, f"{refused.detail.capitalize()}."), person=person)
        response = render.see_other(onward.leads(then))
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
