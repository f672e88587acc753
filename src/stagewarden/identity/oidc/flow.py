"""One sign-in: the question sent to the provider with the browser, and the answer that must fit it. Each answer is good once.

What ties the two together is a cookie of this browser, `state`, `nonce` and the PKCE verifier: an answer from elsewhere, a second time,
or for another browser is refused (login CSRF, code injection, mix-up).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets as random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from stagewarden.errors import BadCredential, CannotTell, Refused
from stagewarden.identity.bearer import fingerprint
from stagewarden.identity.jws import json_object
from stagewarden.identity.oidc import claims as tokens
from stagewarden.identity.oidc.provider import Provider, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.clock import Clock
    from stagewarden.identity.fetch import Fetch, Post
    from stagewarden.identity.oidc.claims import Proven, Strength
    from stagewarden.model import Document

LIVES = 600.0  # seconds a person has at the provider
MOST = 1000  # questions under way; the oldest goes first
_OK = 200
_ID_TYPES: frozenset[str | None] = frozenset({None, "jwt"})
_LOGOUT_TYPES: frozenset[str | None] = frozenset({None, "jwt", "logout+jwt"})


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are at the provider; `redirect` is our callback's URL."""

    client_id: str
    secret: str | None = field(repr=False)
    redirect: str
    groups: str | None = None
    scopes: tuple[str, ...] = ("openid",)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sign-in is for: where to go on, how freshly, and the session it takes the place of (its cookie does not come back from another site)."""

    then: str | None = None
    strength: Strength | None = None
    instead_of: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question under way."""

    browser: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    wanted: Wanted
    since: float


class Flow:
    """`begin` and `finish`, and the provider's word that somebody signed out."""

    def __init__(self, issuer: str, client: Client, get: Fetch, post: Post, clock: Clock) -> None:
        self._provider = Provider(issuer, get, clock)
        self._client = client
        self._post = post
        self._clock = clock
        self._asked: dict[str, _Asked] = {}
        self._seen_logouts: dict[str, float] = {}

    @property
    def issuer(self) -> str:
        """Whose sign-in this is."""
        return self._provider.issuer

    async def tells_of_logout(self) -> bool:
        """Whether the provider calls us when somebody signs out there; else sessions are kept short."""
        return (await self._provider.metadata()).tells_of_logout

    async def begin(self, browser: str, wanted: Wanted) -> str:
        """The provider's address for this browser (its cookie's value)."""
        metadata = await self._provider.metadata()
        state, nonce, verifier = (random.token_urlsafe(32) for _ in range(3))
        self._forget()
        self._asked[fingerprint(state)] = _Asked(fingerprint(browser), nonce, verifier, wanted, self._clock.monotonic())
        query = {
            "response_type": "code", "client_id": self._client.client_id, "redirect_uri": self._client.redirect,
            "scope": " ".join(self._client.scopes), "state": state, "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }  # fmt: skip
        if (strength := wanted.strength) is not None:
            query |= {"max_age": str(strength.max_age), "prompt": "login"} | ({"acr_values": strength.acr} if strength.acr else {})
        return f"{metadata.authorize}{'&' if '?' in metadata.authorize else '?'}{urlencode(query)}"

    async def finish(self, browser: str, answer: Mapping[str, str]) -> tuple[Proven, Wanted]:
        """Who signed in, and what for. BadCredential, Refused (the person said no there), CannotTell.

        (1) This browser's question, asked not long ago, answered for the first time. (2) By this provider. (3) Code for tokens.
        (4) The ID token. (5) Groups.
        """
        asked = self._asked.pop(fingerprint(answer.get("state", "")), None)
        if asked is None or self._clock.monotonic() - asked.since >= LIVES or not hmac.compare_digest(asked.browser, fingerprint(browser)):
            raise BadCredential("this sign-in was not begun in this browser, or long ago")
        metadata = await self._provider.metadata()
        if answer.get("iss", None if metadata.names_itself else self.issuer) != self.issuer:
            raise refused()
        if "error" in answer or not answer.get("code"):
            raise Refused("unauthenticated", "the identity provider did not sign you in")
        said = await self._exchange(metadata.token, answer["code"], asked, in_body=metadata.secret_in_body)
        access = said.get("access_token")
        access = access if isinstance(access, str) else ""
        claims = await tokens.signed(str(said.get("id_token", "")), await self._provider.keys(), _ID_TYPES)
        expected = tokens.Expected(self.issuer, self._client.client_id, asked.nonce, self._clock.now_ns(), asked.wanted.strength)
        proven = tokens.read_id_token(claims, expected, access)
        groups = await self._groups(claims, access, proven.subject)
        return replace(proven, groups=groups), asked.wanted

    async def signed_out(self, logout_token: str) -> tuple[str | None, str | None]:
        """The provider says that somebody signed out there: subject and session, at least one of them. BadCredential."""
        claims = await tokens.signed(logout_token, await self._provider.keys(), _LOGOUT_TYPES)
        subject, session, identifier = tokens.read_logout(claims, self.issuer, self._client.client_id, self._clock.now_ns())
        now = self._clock.monotonic()
        self._seen_logouts = {name: since for name, since in self._seen_logouts.items() if now - since < LIVES}
        if identifier in self._seen_logouts:
            raise BadCredential("this logout token was seen before")
        self._seen_logouts[identifier] = now
        return subject, session

    async def _exchange(self, url: str, code: str, asked: _Asked, *, in_body: bool) -> Document:
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._client.redirect, "code_verifier": asked.verifier}
        headers: dict[str, str] = {}
        secret = self._client.secret
        if secret is None or in_body:
            fields |= {"client_id": self._client.client_id} | ({"client_secret": secret} if secret else {})
        else:  # RFC 6749 section 2.3.1: both parts are form-encoded first
            pair = f"{quote(self._client.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        status, data = await self._post(url, fields, headers)
        if status >= 500:  # noqa: PLR2004  # RFC 9110 section 15.6
            raise CannotTell("the identity provider could not answer")
        try:
            said = json_object(data)
        except ValueError:
            raise refused() from None
        if status != _OK:
            raise refused()
        return said

    async def _groups(self, claims: Document, access: str, subject: str) -> frozenset[str]:
        """From the ID token, else from userinfo; none where nobody asked for them."""
        name = self._client.groups
        if name is None:
            return frozenset()
        found = tokens.groups_in(claims, name)
        userinfo = (await self._provider.metadata()).userinfo
        if found is None and userinfo is not None and access:
            try:
                said = json_object(await self._about(userinfo, access))
            except ValueError:
                raise refused() from None
            if said.get("sub") != subject:  # OpenID Connect Core 5.3.2
                raise refused()
            found = tokens.groups_in(said, name)
        return found or frozenset()

    async def _about(self, url: str, access: str) -> bytes:
        """Userinfo; OpenID Connect Core 5.3.1 lets us ask by POST."""
        status, data = await self._post(url, {}, {"Authorization": f"Bearer {access}"})
        if status != _OK:
            raise CannotTell("the identity provider did not say the groups")
        return data

    def _forget(self) -> None:
        now = self._clock.monotonic()
        self._asked = {name: asked for name, asked in self._asked.items() if now - asked.since < LIVES}
        while len(self._asked) >= MOST:
            del self._asked[next(iter(self._asked))]
