"""Who comes in to a page or a form of the console, and a form's act done once. Decides nothing of what the act may do: that is the gate's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from stagewarden.gate.repeats import Write
from stagewarden.web import render
from stagewarden.web.console import forms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from stagewarden.gate.repeats import Repeats
    from stagewarden.identity.people import Caller
    from stagewarden.web.people.guard import Guard

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    Page = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]
    Act = Callable[[web.Request, Caller, dict[str, str]], Awaitable[web.StreamResponse]]


class Entry:
    """What stands before each handler."""

    def __init__(self, guard: Guard, repeats: Repeats) -> None:
        self._guard = guard
        self._repeats = repeats

    def page(self, act: Page) -> Handler:
        """Somebody signed in, or the door."""

        async def handle(asked: web.Request) -> web.StreamResponse:
            caller = self._guard.by_cookie(asked)
            return await act(asked, caller) if caller is not None else render.see_other(door(asked))

        return handle

    def form(self, act: Act) -> Handler:
        """(1) Somebody signed in. (2) A form of this session. (3) The act."""

        async def handle(asked: web.Request) -> web.StreamResponse:
            caller = self._guard.by_cookie(asked)
            if caller is None:
                return render.see_other(door(asked))
            fields = await forms.read(asked)
            self._guard.check_form(asked, fields.get("csrf", ""))
            return await act(asked, caller, fields)

        return handle

    async def once(self, caller: Caller, where: str, fields: dict[str, str], act: Callable[[], Awaitable[object]]) -> object:
        """A page sent twice (a double click, a page sent again) is one act; the first one's answer, as JSON keeps it."""
        request = orjson.dumps([where, sorted(fields.items())])
        return await (self._repeats.once(Write(f"{caller.person}/console", fields["key"], request), act) if fields.get("key") else act())


def door(asked: web.Request) -> str:
    """Where somebody signs in, on their way to what they asked for."""
    then = forms.hold_id(asked.match_info.get("id")) or forms.onward(asked.query.get("ask"))
    return f"/sign-in?then={then}" if then else "/sign-in"
