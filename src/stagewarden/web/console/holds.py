"""The handlers of one hold: its page, its bytes, votes, stop, take up, resolve, roll back. Every form is checked, every act is the gate's.

A vote that is not cast brings the page back with everything that was filled in and what is open; a vote that is cast brings the next hold
that waits for this person.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.errors import CannotTell, Conflict, Invalid, NotAllowed, StagewardenError, StepUp
from stagewarden.model import HoldState
from stagewarden.web import render
from stagewarden.web.console import approving, forms, recorded, request, seen
from stagewarden.web.console.handlers import Handlers
from stagewarden.web.console.preview import Previews
from stagewarden.web.people.guard import FRAMING
from stagewarden.wire import spool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from stagewarden.gate.people import HoldView, VoteIntent
    from stagewarden.identity.people import Caller
    from stagewarden.model import Body, Hold
    from stagewarden.web.console.forms import Kept, Missing
    from stagewarden.web.console.handlers import Means
    from stagewarden.web.console.weighing import Row

_DOWNLOAD = 600.0  # seconds: whoever reads slower keeps a spool from others
_SAID = {
    "stop": "This hold is stopped.",
    "take_up": "It is taken up: its seats are asked from now on.",
    "resolve": "What you found is recorded.",
    "roll_back": "It is recorded as taken back.",
}
_UNDONE = {"take_up": "It was not taken up"}  # and of all else: not recorded


class Holds(Handlers):
    """The handlers."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._previews = Previews(means)

    def routes(self) -> list[web.RouteDef]:
        """Everything under one hold."""
        page, form = self._entry.page, self._entry.form
        return [
            web.get("/holds/{id}", page(self._request), allow_head=False),  # a look that shows nothing is none, and is not recorded as one
            web.get("/holds/{id}/now", self._entry.unattended(self._now), allow_head=False),
            web.post("/holds/{id}/changed", form(self._changed)),
            web.get("/holds/{id}/body", page(self._body), allow_head=False),
            *self._previews.routes(),
            web.post("/holds/{id}/vote", form(self._vote)),
            web.post("/holds/{id}/stop", form(self._stop)),
            web.post("/holds/{id}/take-up", form(self._take_up)),
            web.post("/holds/{id}/resolve", form(self._resolve)),
            web.post("/holds/{id}/rollback", form(self._roll_back)),
        ]

    # -- reading --

    async def _request(self, asked: web.Request, caller: Caller) -> web.StreamResponse:
        return await self._shown(asked, caller, forms.Kept())

    async def _now(self, asked: web.Request, caller: Caller) -> web.StreamResponse:
        """How it stands, for a page that is open and asks by itself: no word of its content."""
        hold = (await self._gate.look_at_hold(caller, asked.match_info["id"])).hold
        return render.json({"state": str(hold.state), "digest": hold.digest, "view_digest": hold.view_digest})

    async def _changed(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """What differs from what the reader saw; what they had filled in is kept, the decision is made anew."""
        given = replace(forms.kept(fields), decision="", read=frozenset(), conflict="What you were shown is not what stands now.")
        return await self._shown(asked, caller, given)

    async def _body(self, asked: web.Request, caller: Caller) -> web.StreamResponse:
        """The exact bytes, as a file to be saved."""
        identifier = asked.match_info["id"]
        async with self._gate.body(caller, identifier) as body:
            response = render.download(len(body) if isinstance(body, bytes) else body.size, f"{identifier}.bin")
            response.force_close()  # should it break off, nothing may pass for its rest
            self._guard.answer_headers(response)
            await response.prepare(asked)
            with suppress(ConnectionError, TimeoutError):  # the reader left, or is too slow
                async with asyncio.timeout(_DOWNLOAD), aclosing(_blocks(body)) as blocks:
                    async for block in blocks:
                        await response.write(block)
                    await response.write_eof()
        return response

    async def _shown(self, asked: web.Request, caller: Caller, kept: Kept, code: str | None = None) -> web.Response:
        view = await self._gate.show_hold(caller, asked.match_info["id"])
        shown = await self._page(view, caller)
        following = None if shown.standing is None else await self._gate.next_hold(caller, view.hold.id)
        differs = await self._differs(caller, kept, view.hold) if kept.conflict else ()
        values = {
            "here": "inbox", "r": shown, "differs": differs, "kept": kept, "said": _SAID.get(asked.query.get("said", "")),
            "following": None if following is None else request.following(following, self._clock.now_ns()),
            "turn": await self._gate.turn(caller, view.hold.id) if shown.voting else None,
        }  # fmt: skip
        response = self._site.page(asked, caller, "request.html", values, code)
        if shown.content is not None and shown.content.changes.previews:
            response.headers.update(FRAMING)
        return response

    async def _differs(self, caller: Caller, kept: Kept, hold: Hold) -> tuple[Row, ...]:
        """Against the hold that took its place, where one did."""
        now = hold if hold.successor is None else (await self._gate.look_at_hold(caller, hold.successor)).hold
        return seen.differences(kept.saw, now)

    async def _page(self, view: HoldView, caller: Caller) -> request.Page:
        around = await self._gate.around(caller, view.hold)
        return request.page(view, around, caller, self._clock.now_ns(), self._gate.functions(caller))

    # -- voting --

    async def _vote(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """(1) Anything open that only this page asks for? (2) The gate's checks, and its act, once. (3) On to the next hold."""
        identifier, given = asked.match_info["id"], forms.kept(fields)
        if given.decision == approving.EDIT:
            return render.see_other(f"/holds/{identifier}/edit")
        try:
            if points := await self._open(caller, identifier, given, fields):
                return await self._shown(asked, caller, replace(given, errors=points), "invalid")
            await self._cast(caller, identifier, fields, forms.intent(given, fields))
        except (Conflict, NotAllowed, Invalid, CannotTell) as failure:
            return await self._shown(asked, caller, _not_cast(given, failure), failure.code)
        return render.see_other(recorded.after_vote(given.decision, identifier, await self._gate.next_hold(caller, identifier)))

    async def _open(self, caller: Caller, identifier: str, given: Kept, fields: dict[str, str]) -> tuple[Missing, ...]:
        """What the vote lacks; nothing where the gate has a graver no: another view, a state without votes, a person who may not or has."""
        view = await self._gate.look_at_hold(caller, identifier)
        hold = view.hold
        stale = (fields.get("digest"), fields.get("view_digest")) != (hold.digest, hold.view_digest)
        voted = any(vote.person == caller.person for vote in hold.votes)
        barred = voted or not view.functions or (given.decision == "approve" and view.why_not is not None)
        if hold.state is not HoldState.PENDING or stale or barred:
            return ()
        return approving.open_points(given, await self._page(view, caller))

    async def _cast(self, caller: Caller, identifier: str, fields: dict[str, str], intent: VoteIntent) -> None:
        async def act() -> None:
            await self._gate.vote(caller, identifier, intent)

        await self._entry.once(caller, identifier, fields, act)

    # -- beside the vote --

    async def _stop(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        identifier = asked.match_info["id"]
        try:
            await self._gate.stop_hold(caller, identifier, fields.get("reason", ""))
        except Conflict as conflict:
            return await self._shown(asked, caller, forms.Kept(undone=f"It could not be stopped: {conflict}."), conflict.code)
        return render.see_other(f"/holds/{identifier}?said=stop")

    async def _take_up(self, asked: web.Request, caller: Caller, _: dict[str, str]) -> web.StreamResponse:
        identifier = asked.match_info["id"]
        return await self._done(asked, caller, "take_up", "", lambda: self._gate.take_up(caller, identifier))

    async def _resolve(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        identifier, result, evidence = asked.match_info["id"], fields.get("result", ""), fields.get("evidence", "")
        return await self._done(asked, caller, "resolve", evidence, lambda: self._gate.resolve(caller, identifier, result, evidence))

    async def _roll_back(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        identifier, reason = asked.match_info["id"], fields.get("reason", "")
        return await self._done(asked, caller, "roll_back", reason, lambda: self._gate.roll_back(caller, identifier, reason))

    async def _done(self, asked: web.Request, caller: Caller, name: str, typed: str, act: Callable[[], Awaitable[object]]) -> web.StreamResponse:
        try:
            await act()
        except (Conflict, NotAllowed, Invalid) as failure:
            return await self._shown(
                asked, caller, forms.Kept(undone=f"{_UNDONE.get(name, 'It was not recorded')}: {failure}.", note=typed), failure.code
            )
        return render.see_other(f"/holds/{asked.match_info['id']}?said={name}")


async def _blocks(body: Body) -> AsyncGenerator[bytes, None]:
    if isinstance(body, bytes):
        yield body
        return
    async for block in spool.pieces(body):
        yield block


def _not_cast(given: Kept, failure: StagewardenError) -> Kept:
    """What was filled in, with why it stands there again. After a conflict it has to be read and chosen anew."""
    match failure:
        case Conflict():
            return replace(given, decision="", read=frozenset(), conflict=_sentence(failure))
        case NotAllowed():
            return replace(given, refused=_sentence(failure), again=isinstance(failure, StepUp))
        case Invalid():
            return replace(given, errors=(forms.Missing(_sentence(failure)),))
    return replace(given, unsure=True)


def _sentence(failure: StagewardenError) -> str:
    text = str(failure)
    return f"{text[:1].upper()}{text[1:]}."
