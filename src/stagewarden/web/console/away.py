"""The way to the identity provider and back, and the provider's own call when somebody signs out there.

Never shows what the provider sent: its words are for the log of whoever runs it, not for a page.
"""

from __future__ import annotations

import structlog
from aiohttp import web

from stagewarden.errors import BadCredential, CannotTell, Refused
from stagewarden.identity import terminals
from stagewarden.identity.oidc import Wanted
from stagewarden.web import render
from stagewarden.web.console import forms, onward
from stagewarden.web.console.handlers import Handlers

_LOG = structlog.get_logger(__name__)
_ANSWER = frozenset({"state", "code", "iss", "error", "session_state"})
_LONGEST = 4096  # characters of one value of the answer


class Away(Handlers):
    """The handlers; without a provider each says that there is none."""

    def routes(self) -> list[web.RouteDef]:
        """Three of them."""
        return [
            web.get("/sign-in/away", self._leave, allow_head=False),
            web.get("/sign-in/callback", self._back, allow_head=False),
            web.post("/sign-in/logout", self._told),
        ]

    async def _leave(self, asked: web.Request) -> web.StreamResponse:
        """To the provider; `again` where a grave act wants the person asked anew, as a terminal's sign-in always does."""
        if self._people.provider is None:
            return self._site.problem(asked, "not_found", None)
        then, browser = onward.known(asked.query.get("then")), self._guard.new_door()
        strength = self._people.strength if asked.query.get("again") == "yes" or terminals.asking(then) else None
        try:
            place = await self._people.provider.begin(browser, Wanted(then, strength, asked.cookies.get(self._guard.cookie)))
        except CannotTell as failure:
            _LOG.warning("identity_provider", cause=str(failure))
            return self._site.sign_in_page(asked, then, failed=(failure.code, "The identity provider does not answer. Try again soon."))
        response = render.see_other(place)
        self._guard.send_away(response, browser)
        return response

    async def _back(self, asked: web.Request) -> web.StreamResponse:
        """From the provider, with its answer in the query. The session's cookie is Strict: the page that follows is ours, and brings it."""
        answer = {name: value for name, value in asked.query.items() if name in _ANSWER and len(value) <= _LONGEST}
        if any(len(asked.query.getall(name)) > 1 for name in answer):
            answer = {}
        try:
            session, then = await self._people.sign_in_proven(asked.cookies.get(self._guard.away_cookie, ""), answer)
        except (BadCredential, Refused, CannotTell) as failure:
            _LOG.warning("sign_in_refused", code=failure.code, cause=str(failure))
            return self._dropped(self._site.sign_in_page(asked, None, failed=(failure.code, _said(failure))))
        response = self._site.bare(asked, "signed_in.html", {"then": onward.leads(then)})
        self._guard.set_cookie(response, self._guard.cookie, session.token)
        return self._dropped(response)

    async def _told(self, asked: web.Request) -> web.StreamResponse:
        """OpenID Connect Back-Channel Logout: 200 and nothing to be kept, or 400."""
        fields = await forms.read(asked)
        try:
            await self._people.signed_out(fields.get("logout_token", ""))
        except BadCredential as failure:
            _LOG.warning("logout_refused", cause=str(failure))
            return render.problem("invalid_logout")
        return render.json({})

    def _dropped(self, response: web.Response) -> web.Response:
        self._guard.drop_cookie(response, self._guard.away_cookie)
        return response


def _said(failure: BadCredential | Refused | CannotTell) -> str:
    if isinstance(failure, CannotTell):
        return "The identity provider does not answer. Try again soon."
    text = getattr(failure, "detail", None) or str(failure)
    return f"{text[:1].upper()}{text[1:]}."
