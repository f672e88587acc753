"""Who comes in to a page or a form of the console, and a form's act done once. Decides nothing of what the act may do: that is the gate's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from stagewarden.errors import BadCredential, StepUp
from stagewarden.gate.repeats import Write
from stagewarden.web import render
from stagewarden.web.console import forms, onward
from stagewarden.web.console.site import WAITS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from stagewarden.errors import StagewardenError
    from stagewarden.gate.repeats import Repeats
    from stagewarden.identity.people import Caller
    from stagewarden.web.console.waiting import Waiting
    from stagewarden.web.people.guard import Guard

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    Page = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]
    Act = Callable[[web.Request, Caller, dict[str, str]], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an act was not done, as the page says it; `again`: a fresh sign-in would let it."""

    code: str
    text: str
    again: bool = False

    @classmethod
    def of(cls, failure: StagewardenError) -> Refusal:
        """In a sentence."""
        text = str(failure)
        return cls(failure.code, f"{text[:1].upper()}{text[1:]}.", isinstance(failure, StepUp))


class Entry:
    """What stands before each handler."""

    def __init__(self, guard: Guard, repeats: Repeats, waiting: Waiting) -> None:
        self._guard = guard
        self._repeats = repeats
        self._waiting = waiting

    def page(self, act: Page) -> Handler:
        """Somebody signed in, or the door."""

        async def handle(asked: web.Request) -> web.StreamResponse:
            caller = self._guard.by_cookie(asked)
            if caller is None:
                return render.see_other(onward.door_of(asked))
            asked[WAITS] = await self._waiting.of(caller)
            return await act(asked, caller)

        return handle

    def unattended(self, act: Page) -> Handler:
        """What an open page asks for by itself: by its own session, which that does not keep alive; nobody is led to the door."""

        async def handle(asked: web.Request) -> web.StreamResponse:
            self._guard.check_own(asked)
            caller = self._guard.by_cookie(asked, used=False)
            if caller is None:
                raise BadCredential("sign in again")
            return await act(asked, caller)

        return handle

    def form(self, act: Act) -> Handler:
        """(1) Somebody signed in. (2) A form of this session. (3) The act."""

        async def handle(asked: web.Request) -> web.StreamResponse:
            caller = self._guard.by_cookie(asked)
            if caller is None:
                return render.see_other(onward.door_of(asked))
            fields = await forms.read(asked)
            self._guard.check_form(asked, fields.get("csrf", ""))
            self._waiting.forget(caller)
            return await act(asked, caller, fields)

        return handle

    async def once(
        self, caller: Caller, where: str, fields: dict[str, str], act: Callable[[], Awaitable[object]], *, stops: bool = False
    ) -> object:  # fmt: skip
        """A page sent twice (a double click, a page sent again) is one act; the first one's answer, as JSON keeps it.

        `stops`: it is done also where nothing can be remembered.
        """
        request = orjson.dumps([where, sorted(fields.items())])
        if not fields.get("key"):
            return await act()
        return await self._repeats.once(Write(f"{caller.person}/console", fields["key"], request, stops=stops), act)
