"""What connects the API with the world outside the console: votes that come through another queue, and what became of notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.clock import rfc3339
from stagewarden.errors import BadCredential
from stagewarden.gate.people import VoteIntent
from stagewarden.identity.bearer import bearer_token
from stagewarden.store import Callback
from stagewarden.web.people import views
from stagewarden.web.people.signing import Signing

if TYPE_CHECKING:
    from aiohttp import web

    from stagewarden.identity.people import Caller
    from stagewarden.model import Document
    from stagewarden.notify import Delivery
    from stagewarden.web.people import bodies


class Outside(Signing):
    """The handlers."""

    async def _by_own_token(self, request: web.Request) -> tuple[Caller, str]:
        """The person whose own token was passed on, and what makes it one. BadCredential, which is counted: nothing else was read yet."""
        try:
            return await self._people.by_adapter(request.match_info["id"], _own_token(request))
        except BadCredential as failure:
            self._gate.turned_away(failure.code, request.remote or "")
            raise

    async def _adapter_vote(self, own: tuple[Caller, str], request: web.Request, body: bodies.AdapterVoteBody) -> object:
        adapter, (caller, one) = request.match_info["id"], own
        intent = VoteIntent(body.decided(), body.function, body.reason, body.note, body.digest, body.view_digest, body.answers)
        return views.summary(await self._gate.vote_by_adapter(caller, Callback(adapter, body.id, one), body.hold, intent))

    async def _deliveries(self, caller: Caller, request: web.Request) -> object:
        asked = self._cursors.asked(request)
        found, place = await self._gate.list_deliveries(caller, state=request.query.get("state"), cursor=asked.place, limit=asked.limit)
        return self._cursors.answer(request, map(delivery, found), place)

    async def _resend(self, caller: Caller, request: web.Request, _: bodies.ResendBody) -> object:
        return delivery(await self._gate.resend(caller, request.match_info["id"]))


def delivery(one: Delivery) -> Document:
    """A delivery as JSON; what it says is ids and codes."""
    return {
        "id": one.id, "channel": one.channel, "target": one.target, "event": one.event, "subject": one.subject, "state": one.state,
        "attempts": one.attempts, "code": one.code, "at": rfc3339(one.asked_at_ns), "resent_by": one.resent_by,
        "next_at": rfc3339(one.next_ns) if one.state == "waiting" else None, "ended_at": rfc3339(one.ended_ns) if one.ended_ns else None,
    }  # fmt: skip


def _own_token(request: web.Request) -> str:
    values = request.headers.getall("Authorization", [])
    token = bearer_token(values[0]) if len(values) == 1 else None
    if token is None:
        raise BadCredential("one Authorization: Bearer is needed: the person's own token")
    return token
