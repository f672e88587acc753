"""Server-sent events of what happens, for one caller, until it leaves, its credential is over, or we shut down.

The gate says what may be told; this writes it, one event at a time. A listener that does not read is let go. Never sends an agent's text.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson

from stagewarden.errors import BadCredential, Invalid
from stagewarden.web import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from stagewarden.gate.feed import Event, Listener
    from stagewarden.identity.people import Caller
    from stagewarden.web.people.guard import Guard
    from stagewarden.web.people.ports import Gate

HEARTBEAT = 15.0  # seconds; proxies let go of what says nothing for a minute or less
_LOOK = 1.0  # seconds between looks whether the listener is there and its credential holds: a place is soon given back
_WRITE = 10.0  # seconds a write may take
_LONGEST = 64
_BEGIN, _BEAT = b"retry: 2000\n\n", b": still here\n\n"  # retry: milliseconds until a browser comes back


async def by_bearer(gate: Gate, guard: Guard, caller: Caller, request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/events`."""

    def still() -> bool:
        """Whether the credential is as good as when the stream began; to look keeps no session alive."""
        try:
            return guard.by_bearer(request, used=False) == caller
        except BadCredential:
            return False

    return await _stream(gate, guard, caller, request, still)


async def by_cookie(gate: Gate, guard: Guard, request: web.Request) -> web.StreamResponse:
    """`GET /events`, for the console's own pages: a listener's place is given to no other site, and to be told things is not to be there."""
    guard.check_own(request)
    caller = guard.by_cookie(request, used=False)
    if caller is None:
        raise BadCredential("sign in again")
    return await _stream(gate, guard, caller, request, lambda: guard.by_cookie(request, used=False) == caller)


async def _stream(gate: Gate, guard: Guard, caller: Caller, request: web.Request, still: Callable[[], bool]) -> web.StreamResponse:
    """(1) May they, and is there room? Else an ordinary problem. (2) The head. (3) Event after event, each after a look at the credential."""
    since = request.headers.get("Last-Event-ID")
    if since is not None and len(since) > _LONGEST:
        raise Invalid(f"Last-Event-ID: longer than {_LONGEST} characters")
    with gate.listen(caller, since) as listener:
        response = render.events()
        guard.answer_headers(response)
        await response.prepare(request)
        try:
            await _tell(response, listener, lambda: still() and request.transport is not None and not request.transport.is_closing())
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        return response


async def _tell(response: web.StreamResponse, listener: Listener, still: Callable[[], bool]) -> None:
    await _write(response, _BEGIN)
    silent = 0.0
    while True:
        event = await listener.next(min(_LOOK, HEARTBEAT))
        silent = 0.0 if event is not None else silent + _LOOK
        if listener.over or not still():
            return
        if event is not None:
            await _write(response, _written(event))
        elif silent >= HEARTBEAT:
            silent = 0.0
            await _write(response, _BEAT)


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(_WRITE):
        await response.write(data)


def _written(event: Event) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event.id.encode(), event.name.encode(), orjson.dumps(event.data))
