"""An aiohttp application on sockets of ours: what never reaches it is answered in its voice too, be it no HTTP, too long, or an odd expectation.

Must never answer with the library's own words, nor keep a connection whose framing is in doubt.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

import structlog
from aiohttp import http_exceptions, web

from stagewarden.web import render

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    Voice: TypeAlias = "Callable[[str], web.Response]"

_LOG = structlog.get_logger(__name__)
BACKLOG = 4096
TARGET, FIELD = 8190, 8192  # bytes; two numbers, because the parser tells by its limit alone which of the two was too long
VOICE: web.AppKey[Voice] = web.AppKey("voice")


class Spoken(web.RequestHandler):
    """One connection. Of a request that could not be read nothing is known, not even whether a browser asks: the answer is a problem."""

    __slots__ = ("_say",)

    def __init__(self, manager: web.Server, say: Voice) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # how aiohttp itself is told to have none
            max_line_size=TARGET,
            max_field_size=FIELD,
        )
        self._say = say

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - the library's own words
    ) -> web.StreamResponse:
        """The same no, in our words; the connection ends with it."""
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer is sent already")
        code = code_of(exc)
        _LOG.info("request_unreadable", code=code, status=status, cause=type(exc).__name__, peer=request.remote)
        response = self._say(code)
        response.force_close()
        return response


def code_of(failure: BaseException | None) -> str:
    """What could not be read."""
    if isinstance(failure, http_exceptions.LineTooLong):
        return "target_too_long" if failure.args[1:2] == (TARGET,) else "headers_too_large"
    return "ambiguous_request" if isinstance(failure, http_exceptions.HttpProcessingError) else "internal"


async def serve(runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None = None) -> asyncio.Server:
    """Open a runner that is set up on an address. Close what comes back, then clean the runner up."""
    manager = runner.server
    assert manager is not None
    say = runner.app.get(VOICE, render.problem)
    manager.request_handler = _answered(manager.request_handler, say)
    return await asyncio.get_running_loop().create_server(lambda: Spoken(manager, say), host, port, ssl=tls, backlog=BACKLOG)


def _answered(
    handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], say: Voice
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """What the library refuses before any middleware: an `Expect` it does not know (RFC 9110 section 10.1.1)."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handle(request)
        except web.HTTPException as refusal:
            response = say(render.code_of(refusal))
            response.force_close()
            return response

    return answer
