"""The people's JSON API, /api/v1/ (contract section 5): read holds, grants, rulings and agents; ask; vote; stop; sign in.

Each route names what it needs; the handlers parse, call the gate and write the answer. Nothing here decides who may.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import orjson
from aiohttp import web

from stagewarden.clock import rfc3339
from stagewarden.errors import Invalid
from stagewarden.gate.grant_terms import Wanted
from stagewarden.gate.people import VoteIntent
from stagewarden.grants import Ballot
from stagewarden.web import render
from stagewarden.web.people import bodies, views
from stagewarden.web.people.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import msgspec

    from stagewarden.clock import Clock
    from stagewarden.identity.people import Caller, People
    from stagewarden.model import JSON
    from stagewarden.web.people.guard import Guard
    from stagewarden.web.people.ports import Gate, Settings

PREFIX = "/api/v1"
_MOST, _USUAL = 200, 50
_LONGEST = 200  # characters of a query value


@dataclass(frozen=True, slots=True)
class Route:
    """One act of the API. `needs` nobody, or a caller; `query`: the parameters it knows."""

    method: str
    path: str
    act: Callable[..., Awaitable[object]]
    needs: Literal["nobody", "caller"] = "caller"
    body: type[msgspec.Struct] | None = None
    query: tuple[str, ...] = ()


class Api:
    """The handlers."""

    def __init__(self, gate: Gate, people: People, guard: Guard, settings: Settings, clock: Clock) -> None:
        self._gate = gate
        self._people = people
        self._guard = guard
        self._settings = settings
        self._repeats = Repeats(clock)

    def table(self) -> tuple[Route, ...]:
        """Every route there is."""
        page = ("cursor", "limit")
        return (
            Route("POST", "/sessions", self._sign_in, needs="nobody", body=bodies.SignIn),
            Route("DELETE", "/sessions", self._sign_out),
            Route("GET", "/me", self._me),
            Route("GET", "/holds", self._holds, query=("state", "mine", "asked", *page)),
            Route("GET", "/holds/{id}", self._hold),
            Route("POST", "/holds/{id}/votes", self._vote, body=bodies.VoteBody),
            Route("POST", "/holds/{id}/take-up", self._take_up, body=bodies.TakeUpBody),
            Route("POST", "/holds/{id}/stop", self._stop, body=bodies.StopBody),
            Route("GET", "/grants", self._grants, query=("state", "agent", "wider", *page)),
            Route("POST", "/grants", self._ask_grant, body=Wanted),
            Route("GET", "/grants/{id}", self._grant),
            Route("DELETE", "/grants/{id}", self._revoke_grant, body=bodies.EndBody),
            Route("POST", "/grants/{id}/votes", self._vote_grant, body=bodies.GrantVoteBody),
            Route("POST", "/grants/{id}/complete", self._complete_grant, body=bodies.EndBody),
            Route("POST", "/holds/{id}/resolve", self._resolve, body=bodies.ResolveBody),
            Route("POST", "/holds/{id}/rollback", self._roll_back, body=bodies.RollbackBody),
            Route("GET", "/agents", self._agents),
            Route("PUT", "/agents/{id}/mode", self._mode, body=bodies.ModeBody),
            Route("GET", "/kill", self._kills),
            Route("PUT", "/kill", self._kill, body=bodies.KillBody),
            Route("DELETE", "/kill", self._unkill, body=bodies.UnkillBody),
            Route("GET", "/registry/revisions", self._revisions),
            Route("POST", "/registry/revisions/{id}/confirm", self._confirm, body=bodies.ConfirmBody),
            Route("GET", "/rulings", self._rulings, query=("agent", "effect", *page)),
            Route("GET", "/rulings/{id}", self._ruling),
        )

    def routes(self) -> list[web.RouteDef]:
        """For the router."""
        return [web.route(route.method, PREFIX + route.path, self._handler(route)) for route in self.table()]

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """(1) Who? (2) Query known? (3) Body as it should be? (4) Once. (5) The act."""

        async def handle(request: web.Request) -> web.StreamResponse:
            caller = self._guard.by_bearer(request) if route.needs == "caller" else None
            _check_query(request, route.query)
            if route.body is None:
                return render.json(await route.act(caller, request))
            body = await bodies.read(request, route.body, self._settings)
            who = "" if caller is None else f"{caller.person}/{caller.program}"
            key = request.headers.get("Idempotency-Key") if caller is not None else None  # a password's answer is kept for nobody
            with self._repeats.once(who, key, _fingerprint(request, body)) as entry:
                if not entry.done:
                    entry.answer, entry.done = await route.act(caller, request, body), True
            return render.json(entry.answer)

        return handle

    async def _sign_in(self, _: None, request: web.Request, body: bodies.SignIn) -> object:
        session = await self._people.sign_in(body.person, body.password, peer=request.remote or "")
        return {"token": session.token, "expires_at": rfc3339(session.expires_at_ns)}

    async def _sign_out(self, _: Caller, request: web.Request) -> object:
        self._people.sign_out(request.headers["Authorization"].partition(" ")[2].strip(" "))
        return {}

    async def _me(self, caller: Caller, _: web.Request) -> object:
        functions: list[JSON] = [*sorted(self._gate.functions(caller))]
        return {"person": caller.person, "program": caller.program, "functions": functions, "scopes": sorted(caller.scopes), "via": caller.via}

    async def _holds(self, caller: Caller, request: web.Request) -> object:
        state, mine = request.query.get("state"), _flag(request, "mine")
        asked = _flag(request, "asked") if "asked" in request.query else None
        held, cursor = await self._gate.list_holds(
            caller, state=state, mine=mine, cursor=request.query.get("cursor"), limit=_limit(request), asked=asked
        )
        return {"items": [views.hold(view, caller, payload=False) for view in held], "next": cursor}

    async def _hold(self, caller: Caller, request: web.Request) -> object:
        view = await self._gate.show_hold(caller, request.match_info["id"])
        return views.hold(view, caller, payload=view.payload)

    async def _vote(self, caller: Caller, request: web.Request, body: bodies.VoteBody) -> object:
        edit = None if body.edit is None else body.edit.content()
        intent = VoteIntent(body.decided(), body.function, body.reason, body.note, body.digest, body.view_digest, body.answers, edit)
        hold = await self._gate.vote(caller, request.match_info["id"], intent)
        return views.summary(hold)

    async def _take_up(self, caller: Caller, request: web.Request, _: bodies.TakeUpBody) -> object:
        return views.summary(await self._gate.take_up(caller, request.match_info["id"]))

    async def _stop(self, caller: Caller, request: web.Request, body: bodies.StopBody) -> object:
        return views.summary(await self._gate.stop_hold(caller, request.match_info["id"], body.reason))

    async def _grants(self, caller: Caller, request: web.Request) -> object:
        query, wider = request.query, _flag(request, "wider")
        found, cursor = await self._gate.list_grants(
            caller, state=query.get("state"), agent=query.get("agent"), wider=wider, cursor=query.get("cursor"), limit=_limit(request)
        )
        return {"items": [views.grant(view) for view in found], "next": cursor}

    async def _grant(self, caller: Caller, request: web.Request) -> object:
        return views.grant(await self._gate.show_grant(caller, request.match_info["id"]))

    async def _ask_grant(self, caller: Caller, _: web.Request, body: Wanted) -> object:
        return views.grant(await self._gate.ask_grant(caller, body))

    async def _vote_grant(self, caller: Caller, request: web.Request, body: bodies.GrantVoteBody) -> object:
        ballot = Ballot(caller.person or "", body.function, body.decision, body.digest, body.reason)
        return views.grant(await self._gate.vote_grant(caller, request.match_info["id"], ballot))

    async def _complete_grant(self, caller: Caller, request: web.Request, body: bodies.EndBody) -> object:
        return views.grant(await self._gate.complete_grant(caller, request.match_info["id"], body.reason))

    async def _revoke_grant(self, caller: Caller, request: web.Request, body: bodies.EndBody) -> object:
        return views.grant(await self._gate.revoke_grant(caller, request.match_info["id"], body.reason))

    async def _resolve(self, caller: Caller, request: web.Request, body: bodies.ResolveBody) -> object:
        return views.summary(await self._gate.resolve(caller, request.match_info["id"], body.result, body.evidence))

    async def _roll_back(self, caller: Caller, request: web.Request, body: bodies.RollbackBody) -> object:
        return views.summary(await self._gate.roll_back(caller, request.match_info["id"], body.reason))

    async def _agents(self, caller: Caller, _: web.Request) -> object:
        return {"items": [views.agent(view) for view in await self._gate.list_agents(caller)], "next": None}

    async def _mode(self, caller: Caller, request: web.Request, body: bodies.ModeBody) -> object:
        return views.moded(await self._gate.set_mode(caller, request.match_info["id"], body.mode, body.reason))

    async def _kills(self, caller: Caller, _: web.Request) -> object:
        return {"items": [views.kill(kill) for kill in await self._gate.kills(caller)], "next": None}

    async def _kill(self, caller: Caller, _: web.Request, body: bodies.KillBody) -> object:
        return views.engaged(await self._gate.kill(caller, body.scope, body.reason))

    async def _unkill(self, caller: Caller, _: web.Request, body: bodies.UnkillBody) -> object:
        await self._gate.unkill(caller, body.id, body.reason)
        return {}

    async def _revisions(self, caller: Caller, _: web.Request) -> object:
        return {"items": [views.revision(view) for view in await self._gate.waiting_revisions(caller)], "next": None}

    async def _confirm(self, caller: Caller, request: web.Request, body: bodies.ConfirmBody) -> object:
        return views.revision(await self._gate.confirm_revision(caller, request.match_info["id"], body.digest))

    async def _rulings(self, caller: Caller, request: web.Request) -> object:
        query = request.query
        items, cursor = await self._gate.rulings(
            caller, agent=query.get("agent"), effect=query.get("effect"), cursor=query.get("cursor"), limit=_limit(request)
        )
        return {"items": items, "next": cursor}

    async def _ruling(self, caller: Caller, request: web.Request) -> object:
        return await self._gate.ruling(caller, request.match_info["id"])


def _check_query(request: web.Request, known: tuple[str, ...]) -> None:
    for name, value in request.query.items():
        if name not in known:
            raise Invalid(f"{name}: not a parameter here")
        if len(request.query.getall(name)) > 1:
            raise Invalid(f"{name}: given more than once")
        if len(value) > _LONGEST:
            raise Invalid(f"{name}: longer than {_LONGEST} characters")


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", str(_USUAL))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST):
        raise Invalid(f"limit: a number from 1 to {_MOST}")
    return int(text)


def _flag(request: web.Request, name: str) -> bool:
    text = request.query.get(name, "false")
    if text not in {"true", "false"}:
        raise Invalid(f"{name}: expected true or false")
    return text == "true"


def _fingerprint(request: web.Request, body: msgspec.Struct) -> bytes:
    """What makes two writes the same request."""
    return orjson.dumps([request.method, request.path, bodies.plain(body)], option=orjson.OPT_SORT_KEYS)
