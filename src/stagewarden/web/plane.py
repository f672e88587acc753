"""The people's plane: the API and the console behind one guard. The only place that knows both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from stagewarden.errors import BadCredential, Conflict, Invalid, NotAllowed, NotFound, Refused, StagewardenError
from stagewarden.modes import NotDurable
from stagewarden.web import render
from stagewarden.web.console.pages import Console
from stagewarden.web.people.api import Api
from stagewarden.web.people.guard import CHALLENGE, Guard
from stagewarden.web.people.routes import PREFIX
from stagewarden.web.spoken import VOICE

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler, Middleware

    from stagewarden.clock import Clock
    from stagewarden.gate.repeats import Repeats
    from stagewarden.identity.people import People
    from stagewarden.web.people.ports import Gate, Settings

_LOG = structlog.get_logger(__name__)


def listener(gate: Gate, people: People, settings: Settings, clock: Clock, repeats: Repeats) -> web.Application:
    """The application; serve it on the people's address."""
    guard = Guard(people, settings)
    api = Api(gate, guard, settings, repeats)
    console = Console(gate, guard, settings, clock, repeats)
    application = web.Application(middlewares=[_outermost(guard, console)], client_max_size=settings.body)
    application.add_routes(api.routes())
    console.attach(application)
    application[VOICE] = _voice(guard)
    return application


def _voice(guard: Guard) -> Callable[[str], web.Response]:
    def say(code: str) -> web.Response:
        response = render.problem(code)
        guard.answer_headers(response)
        return response

    return say


def _outermost(guard: Guard, console: Console) -> Middleware:
    """Host and Origin first; every error in the voice of its door; our headers on every answer."""

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            guard.check_source(request)
            guard.check_body(request)
            if request.match_info.http_exception is not None and _is_api(request):
                guard.by_bearer(request)  # strangers are not told which paths there are
            response = await handler(request)
        except web.HTTPException as failure:
            response = _answer(request, console, render.code_of(failure))
            if "Allow" in failure.headers:  # RFC 9110 section 15.5.6
                response.headers["Allow"] = failure.headers["Allow"]
        except web.RequestPayloadError:  # a body that breaks off, or is not framed as it says
            response = _answer(request, console, "ambiguous_request")
        except BadCredential as failure:
            response = render.error(failure, headers=CHALLENGE)
        except StagewardenError as failure:
            response = render.error(failure) if _is_api(request) else console.problem(request, failure.code, _said(failure))
        except Exception:  # noqa: BLE001 - the outermost: a mistake of ours is told as one, and never as a half page
            _LOG.exception("people_listener_failed", method=request.method, route=str(request.match_info.route.resource or "none"))
            response = _answer(request, console, "internal")
        guard.answer_headers(response)
        return response

    return handle


def _answer(request: web.Request, console: Console, code: str) -> web.Response:
    return render.problem(code) if _is_api(request) else console.problem(request, code, None)


def _is_api(request: web.Request) -> bool:
    return request.path.startswith(f"{PREFIX}/") or request.path == PREFIX


def _said(failure: StagewardenError) -> str | None:
    """What people are told; what is ours to mend is named by its code only."""
    if isinstance(failure, Refused | Conflict | NotAllowed | Invalid | NotFound | NotDurable):
        return getattr(failure, "detail", None) or str(failure)
    return None
