"""The people's JSON API, /api/v1/ (contract section 5): read holds, grants, rulings and agents; ask; vote; stop; sign in.

Each route names what it needs; the handlers parse, call the gate and write the answer. Nothing here decides who may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from stagewarden.errors import Invalid
from stagewarden.gate.grant_terms import Wanted
from stagewarden.gate.people import VoteIntent
from stagewarden.gate.repeats import Write
from stagewarden.grants import Ballot
from stagewarden.web import render
from stagewarden.web.people import answers, bodies, cursors, events, narrowing, openapi, views
from stagewarden.web.people.asked import NAMES, wanted
from stagewarden.web.people.cursors import Cursors, page_of
from stagewarden.web.people.outside import Outside
from stagewarden.web.people.query import check_query, flag
from stagewarden.web.people.routes import DOCUMENT, EVENTS, PREFIX, Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import msgspec

    from stagewarden.gate.repeats import Repeats
    from stagewarden.identity.people import Caller
    from stagewarden.web.people.guard import Guard
    from stagewarden.web.people.ports import Gate, Settings


class Api(Outside):
    """The handlers."""

    def __init__(self, gate: Gate, guard: Guard, settings: Settings, repeats: Repeats) -> None:
        super().__init__(gate, guard, Cursors(settings.cursor_key))
        self._settings = settings
        self._repeats = repeats
        self._document = openapi.document(self.table(), settings.name)

    def table(self) -> tuple[Route, ...]:
        """Every route there is."""
        page = cursors.PARAMETERS
        return (
            Route("POST", "/sessions", self._sign_in, needs="nobody", body=bodies.SignIn, gives=answers.Session, says="Sign in with a password."),
            Route(
                "POST", "/terminals", self._open_terminal, needs="nobody", body=bodies.TerminalBody, gives=answers.TerminalSession,
                says="Give a terminal the sign-in that a person lent it.",
            ),
            Route("GET", "/sessions", self._sessions, query=page, gives=answers.Sessions, says="List where the caller is signed in."),
            Route(
                "DELETE", "/sessions", self._sign_out, stops=True, query=("everywhere",), gives=answers.Nothing,
                says="End this session, or every session of the caller.",
            ),
            Route("DELETE", "/sessions/{id}", self._end_session, stops=True, gives=answers.Nothing, says="End one of the caller's sessions."),
            Route("GET", "/tokens", self._tokens, query=page, gives=answers.Tokens, says="List programs' tokens, with their last use."),
            Route("GET", "/me", self._me, gives=answers.Me, says="Say who the caller is."),
            Route("GET", "/holds", self._holds, query=(*narrowing.NAMES, *page), gives=answers.Holds, says="List holds."),
            Route("GET", "/holds/{id}", self._hold, gives=answers.Hold, says="Show one hold; showing its bytes is recorded."),
            Route(
                "POST", "/holds/{id}/votes", self._vote, grave=True, body=bodies.VoteBody, gives=answers.HoldChanged,
                says="Vote on what was shown.",
            ),
            Route(
                "POST", "/holds/{id}/take-up", self._take_up, body=bodies.TakeUpBody, gives=answers.HoldChanged,
                says="Take a proposal up: its seats are asked.",
            ),
            Route(
                "POST", "/holds/{id}/stop", self._stop, stops=True, body=bodies.StopBody, gives=answers.HoldChanged,
                says="Stop one hold: nothing of it is sent afterwards.",
            ),
            Route(
                "POST", "/holds/{id}/resolve", self._resolve, body=bodies.ResolveBody, gives=answers.HoldChanged,
                says="Say what became of a hold whose outcome is unknown.",
            ),
            Route(
                "POST", "/holds/{id}/rollback", self._roll_back, body=bodies.RollbackBody, gives=answers.HoldChanged,
                says="Record that what was sent was taken back.",
            ),
            Route("GET", "/grants", self._grants, query=("state", "agent", "wider", *page), gives=answers.Grants, says="List grants."),
            Route("POST", "/grants", self._ask_grant, body=Wanted, gives=answers.Grant, says="Ask for a grant."),
            Route("GET", "/grants/{id}", self._grant, gives=answers.Grant, says="Show one grant with what was used of it."),
            Route("DELETE", "/grants/{id}", self._revoke_grant, stops=True, body=bodies.EndBody, gives=answers.Grant, says="Revoke a grant."),
            Route(
                "POST", "/grants/{id}/votes", self._vote_grant, grave=True, body=bodies.GrantVoteBody, gives=answers.Grant,
                says="Vote on a grant that was asked for.",
            ),
            Route(
                "POST", "/grants/{id}/complete", self._complete_grant, stops=True, body=bodies.EndBody, gives=answers.Grant,
                says="End a grant as completed.",
            ),
            Route(
                "POST", "/adapters/{id}/votes", self._adapter_vote, needs="person", body=bodies.AdapterVoteBody, gives=answers.HoldChanged,
                says="Vote through another queue, by the person's own token.",
            ),
            Route("GET", "/deliveries", self._deliveries, query=("state", *page), gives=answers.Deliveries, says="List notifications."),
            Route("POST", "/deliveries/{id}/resend", self._resend, body=bodies.ResendBody, gives=answers.Delivery, says="Send a notification again."),
            Route("GET", "/agents", self._agents, query=page, gives=answers.Agents, says="List agents with the mode in force."),
            Route(
                "PUT", "/agents/{id}/mode", self._mode, stops=True, grave=True, body=bodies.ModeBody, gives=answers.AgentModed,
                says="Give an agent a mode.",
            ),
            Route("GET", "/kill", self._kills, query=page, gives=answers.Kills, says="List the stops engaged."),
            Route("PUT", "/kill", self._kill, stops=True, body=bodies.KillBody, gives=answers.KillEngaged, says="Stop a scope at once."),
            Route("DELETE", "/kill", self._unkill, grave=True, body=bodies.UnkillBody, gives=answers.Nothing, says="Lift a stop by its id."),
            Route("GET", "/registry/revisions", self._revisions, query=page, gives=answers.Revisions, says="List registries that wait for people."),
            Route(
                "POST", "/registry/revisions/{id}/confirm", self._confirm, body=bodies.ConfirmBody, gives=answers.Revision,
                says="Confirm a registry that widens rights.",
            ),
            Route("GET", "/reviews", self._reviews, query=page, gives=answers.Reviews, says="Say how votes came about, in numbers."),
            Route("GET", "/rulings", self._rulings, query=(*NAMES, *page), gives=answers.Rulings, says="List recorded rulings."),
            Route("GET", "/rulings/{id}", self._ruling, gives=answers.Ruling, says="Show one ruling with what came of it."),
            Route("GET", "/events", self._events, media=EVENTS, gives=answers.Event, says="Follow holds, modes and stops as they change."),
            Route("GET", "/openapi.json", self._describe, gives=answers.Description, says="This document."),
        )  # fmt: skip

    def routes(self) -> list[web.RouteDef]:
        """For the router: each route; HEAD wherever GET answers at once; OPTIONS on each path."""
        made: list[web.RouteDef] = []
        allowed: dict[str, list[str]] = {}
        for route in self.table():
            head = {"allow_head": route.media == DOCUMENT} if route.method == "GET" else {}
            made.append(web.route(route.method, PREFIX + route.path, self._handler(route), **head))
            allowed.setdefault(route.path, ["OPTIONS"]).extend([route.method, "HEAD"] if head.get("allow_head") else [route.method])
        return [*made, *(web.route("OPTIONS", PREFIX + path, self._options(methods)) for path, methods in allowed.items())]

    def _options(self, methods: list[str]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """What a path takes, for whoever has a credential. No other site is let in: there is no answer to a CORS preflight here."""

        async def handle(request: web.Request) -> web.StreamResponse:
            self._guard.by_bearer(request)
            return render.options(", ".join(sorted(methods)))

        return handle

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """(1) Who? (2) Query known? (3) Body as it should be? (4) Once. (5) The act."""

        async def handle(request: web.Request) -> web.StreamResponse:
            caller = self._guard.by_bearer(request) if route.needs == "caller" else None
            who = await self._by_own_token(request) if route.needs == "person" else caller
            check_query(request, route.query)
            body = None if route.body is None else await bodies.read(request, route.body, self._settings)

            async def act() -> object:
                return await (route.act(who, request) if body is None else route.act(who, request, body))

            key = _key(request) if route.once else None
            if key is None or caller is None:
                answer = await act()
            else:
                write = Write(f"{caller.person}/{caller.program}", key, _fingerprint(request, body), stops=route.stops)
                answer = await self._repeats.once(write, act)
            return answer if isinstance(answer, web.StreamResponse) else render.json(answer)

        return handle

    async def _holds(self, caller: Caller, request: web.Request) -> object:
        asked = self._cursors.asked(request)
        wanted, state = narrowing.selection(request.query, asked.place, asked.limit), request.query.get("state")
        whether = flag(request, "asked") if "asked" in request.query else None
        held, place = await self._gate.list_holds(caller, wanted, state=state, mine=flag(request, "mine"), asked=whether)
        return self._cursors.answer(request, (views.hold(view, caller, payload=False) for view in held), place)

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

    async def _resolve(self, caller: Caller, request: web.Request, body: bodies.ResolveBody) -> object:
        return views.summary(await self._gate.resolve(caller, request.match_info["id"], body.result, body.evidence))

    async def _roll_back(self, caller: Caller, request: web.Request, body: bodies.RollbackBody) -> object:
        return views.summary(await self._gate.roll_back(caller, request.match_info["id"], body.reason))

    async def _grants(self, caller: Caller, request: web.Request) -> object:
        query, wider, asked = request.query, flag(request, "wider"), self._cursors.asked(request)
        found, place = await self._gate.list_grants(
            caller, state=query.get("state"), agent=query.get("agent"), wider=wider, cursor=asked.place, limit=asked.limit
        )
        return self._cursors.answer(request, map(views.grant, found), place)

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

    async def _agents(self, caller: Caller, request: web.Request) -> object:
        page, place = page_of(await self._gate.list_agents(caller), lambda agent: agent.id, self._cursors.asked(request))
        return self._cursors.answer(request, map(views.agent, page), place)

    async def _mode(self, caller: Caller, request: web.Request, body: bodies.ModeBody) -> object:
        return views.moded(await self._gate.set_mode(caller, request.match_info["id"], body.mode, body.reason))

    async def _kills(self, caller: Caller, request: web.Request) -> object:
        page, place = page_of(await self._gate.kills(caller), lambda kill: kill.id, self._cursors.asked(request))
        return self._cursors.answer(request, map(views.kill, page), place)

    async def _kill(self, caller: Caller, _: web.Request, body: bodies.KillBody) -> object:
        return views.engaged(await self._gate.kill(caller, body.scope, body.reason))

    async def _unkill(self, caller: Caller, _: web.Request, body: bodies.UnkillBody) -> object:
        await self._gate.unkill(caller, body.id, body.reason)
        return {}

    async def _revisions(self, caller: Caller, request: web.Request) -> object:
        waiting = await self._gate.waiting_revisions(caller)
        page, place = page_of(waiting, lambda view: view.revision.id, self._cursors.asked(request))
        return self._cursors.answer(request, map(views.revision, page), place)

    async def _confirm(self, caller: Caller, request: web.Request, body: bodies.ConfirmBody) -> object:
        return views.revision(await self._gate.confirm_revision(caller, request.match_info["id"], body.digest))

    async def _reviews(self, caller: Caller, request: web.Request) -> object:
        you = None if caller.person is None else views.own_reviews(await self._gate.own_reviews(caller))
        page, place = page_of(await self._gate.workflow_reviews(caller), lambda view: view.workflow, self._cursors.asked(request))
        return {"you": you, **self._cursors.answer(request, map(views.workflow_reviews, page), place)}

    async def _rulings(self, caller: Caller, request: web.Request) -> object:
        page = self._cursors.asked(request)
        items, place = await self._gate.rulings(caller, wanted(request.query), cursor=page.place, limit=page.limit)
        return self._cursors.answer(request, items, place)

    async def _ruling(self, caller: Caller, request: web.Request) -> object:
        return await self._gate.ruling(caller, request.match_info["id"])

    async def _events(self, caller: Caller, request: web.Request) -> object:
        return await events.by_bearer(self._gate, self._guard, caller, request)

    async def _describe(self, _: Caller, __: web.Request) -> object:
        return self._document


def _key(request: web.Request) -> str | None:
    keys = request.headers.getall("Idempotency-Key", [])
    if len(keys) > 1:
        raise Invalid("Idempotency-Key: given more than once")
    return keys[0] if keys else None


def _fingerprint(request: web.Request, body: msgspec.Struct | None) -> bytes:
    """What makes two writes the same request. Few writes have a query; one without is named as by earlier releases, which may run beside us."""
    query = [sorted(request.query.items())] if request.query else []
    return orjson.dumps([request.method, request.path, None if body is None else bodies.plain(body), *query], option=orjson.OPT_SORT_KEYS)
