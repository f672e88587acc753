"""Signing in and out by the people's API: who the caller is, where they are signed in, and how each of these ends.

A caller sees and ends their own sessions alone; nothing here shows a token a second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from stagewarden.clock import rfc3339
from stagewarden.errors import NotAllowed, NotFound
from stagewarden.web.people import views
from stagewarden.web.people.cursors import page_of
from stagewarden.web.people.query import flag

if TYPE_CHECKING:
    from aiohttp import web

    from stagewarden.identity.people import Caller
    from stagewarden.model import JSON
    from stagewarden.web.people import bodies
    from stagewarden.web.people.cursors import Cursors
    from stagewarden.web.people.guard import Guard
    from stagewarden.web.people.ports import Gate

_LOG = structlog.get_logger(__name__)


class Signing:
    """Base of the API's handlers."""

    def __init__(self, gate: Gate, guard: Guard, cursors: Cursors) -> None:
        self._gate = gate
        self._people = guard.people
        self._guard = guard
        self._cursors = cursors

    async def _sign_in(self, _: None, request: web.Request, body: bodies.SignIn) -> object:
        session = await self._people.sign_in(body.person, body.password, peer=request.remote or "", place="bearer")
        return {"token": session.token, "expires_at": rfc3339(session.expires_at_ns)}

    async def _open_terminal(self, _: None, __: web.Request, body: bodies.TerminalBody) -> object:
        session = await self._people.open_terminal(body.code, body.verifier)
        _LOG.info("terminal_signed_in", person=session.person, until=rfc3339(session.expires_at_ns))
        return {"token": session.token, "expires_at": rfc3339(session.expires_at_ns), "person": session.person}

    async def _sessions(self, caller: Caller, request: web.Request) -> object:
        seen = self._people.sessions(_person(caller), _token(request))
        page, place = page_of(seen, lambda one: one.id, self._cursors.asked(request))
        return self._cursors.answer(request, map(views.session, page), place)

    async def _sign_out(self, caller: Caller, request: web.Request) -> object:
        if flag(request, "everywhere"):
            self._people.sign_out_everywhere(_person(caller))
        self._people.sign_out(_token(request))
        return {}

    async def _end_session(self, caller: Caller, request: web.Request) -> object:
        if not self._people.end_session(_person(caller), request.match_info["id"]):
            raise NotFound("no such session of yours")
        return {}

    async def _tokens(self, caller: Caller, request: web.Request) -> object:
        found = await self._gate.program_tokens(caller, self._people)
        page, place = page_of(found, lambda one: f"{one.program} {one.id}", self._cursors.asked(request))
        return self._cursors.answer(request, map(views.token, page), place)

    async def _me(self, caller: Caller, _: web.Request) -> object:
        functions: list[JSON] = [*sorted(self._gate.functions(caller))]
        return {"person": caller.person, "program": caller.program, "functions": functions, "scopes": sorted(caller.scopes), "via": caller.via}


def _token(request: web.Request) -> str:
    return request.headers["Authorization"].partition(" ")[2].strip(" ")


def _person(caller: Caller) -> str:
    if caller.person is None:
        raise NotAllowed("a program has no sessions")
    return caller.person
