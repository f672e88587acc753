"""Edit and approve: a form of the held body, a look at what it changes, and the edit, cast. The result is a new hold; nothing is sent.

Never offered where nobody would be left for the seats, and never cast without the look: what is cast is read from the same form that was shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web
from msgspec.structs import replace

from stagewarden.errors import CannotTell, Conflict, Invalid, NotAllowed, NotFound, StepUp
from stagewarden.gate.people import VoteIntent
from stagewarden.model import HoldState
from stagewarden.web import render
from stagewarden.web.console import amending, exact, recorded, words
from stagewarden.web.console.changes import changes
from stagewarden.web.console.handlers import Handlers

if TYPE_CHECKING:
    from stagewarden.gate.people import HoldView
    from stagewarden.identity.people import Caller
    from stagewarden.model import Hold
    from stagewarden.web.console.changes import Changes

_FIELD = "edit-"  # and a blank's id


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed, and how it went."""

    typed: dict[str, str]
    function: str = ""
    refused: str | None = None
    again: bool = False  # it takes a fresh sign-in first
    unsure: bool = False  # nobody knows yet whether it counts
    look: Changes | None = None  # what it would change


class Edits(Handlers):
    """The handlers."""

    def routes(self) -> list[web.RouteDef]:
        """The form, and what is sent from it."""
        return [
            web.get("/holds/{id}/edit", self._entry.page(self._form), allow_head=False),  # as the hold's own page
            web.post("/holds/{id}/edit", self._entry.form(self._sent)),
        ]

    async def _form(self, asked: web.Request, caller: Caller) -> web.StreamResponse:
        view = await self._gate.show_hold(caller, asked.match_info["id"])
        return self._page(asked, caller, view, Draft({}))

    async def _sent(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """(1) The body that comes of it. (2) A look at it, or (3) the gate's checks and its act, once; what is refused keeps what was typed."""
        view = await self._gate.show_hold(caller, asked.match_info["id"])
        hold = view.hold
        draft = Draft({name: value for name, value in fields.items() if name.startswith(_FIELD)}, fields.get("function", ""))
        cast = fields.get("step") == "cast"
        again = cast and hold.successor is not None and hold.payload  # perhaps the same form once more: told by its key
        if _why_not(view) is not None and not again:
            return self._page(asked, caller, view, draft, "conflict")
        try:
            body = _body(hold, draft)
            if not cast:
                return self._page(asked, caller, view, Draft(draft.typed, draft.function, look=_look(hold, body)))
            digests = fields.get("digest", ""), fields.get("view_digest", "")
            await self._cast(caller, fields, VoteIntent("approve", draft.function, None, None, *digests, edit=body), hold)
        except (Conflict, NotAllowed, Invalid) as failure:
            refused = Draft(draft.typed, draft.function, f"{str(failure)[:1].upper()}{str(failure)[1:]}", isinstance(failure, StepUp))
            return self._page(asked, caller, view, refused, failure.code)
        except CannotTell as failure:
            return self._page(asked, caller, view, Draft(draft.typed, draft.function, unsure=True), failure.code)
        return render.see_other(recorded.after_vote("edit", hold.id, await self._gate.next_hold(caller, hold.id)))

    async def _cast(self, caller: Caller, fields: dict[str, str], intent: VoteIntent, hold: Hold) -> None:
        async def act() -> None:
            await self._gate.vote(caller, hold.id, intent)

        await self._entry.once(caller, f"{hold.id}/edit", fields, act)

    def _page(self, asked: web.Request, caller: Caller, view: HoldView, draft: Draft, code: str | None = None) -> web.Response:
        if not view.payload:
            raise NotFound("no such page")
        hold, why_not = view.hold, _why_not(view)
        blanks = () if why_not else amending.blanks(hold.request)
        values = {
            "here": "inbox", "id": hold.id, "short_id": exact.short_id(hold.id), "effect": words.effect(hold, payload=hold.payload),
            "digest": hold.digest, "view_digest": hold.view_digest, "functions": view.functions, "draft": draft, "why_not": why_not,
            "blanks": [(one, draft.typed.get(_FIELD + one.id, one.value), exact.count(one.value)) for one in blanks], "prove": view.prove,
        }  # fmt: skip
        return self._site.page(asked, caller, "edit.html", values, code)


def _why_not(view: HoldView) -> str | None:
    if view.hold.state is not HoldState.PENDING:
        return f"the hold is {view.hold.state.replace('_', ' ')}; it takes no edits"
    return view.why_not_edit or amending.unshowable(view.hold.request.body)


def _body(hold: Hold, draft: Draft) -> bytes:
    body = amending.amended(hold.request, {name.removeprefix(_FIELD): value for name, value in draft.typed.items()})
    if body == hold.request.body:
        raise Invalid("nothing is changed yet")
    return body


def _look(hold: Hold, body: bytes) -> Changes:
    """What the edit changes, as the next people will be shown it."""
    assert isinstance(hold.request.body, bytes)
    return changes(replace(hold.request, body=body), hold.request.body, body_only=True)
