"""The provider as its metadata says (OpenID Connect Discovery 1.0): endpoints and keys, asked for when first needed and again each hour.

Everything comes from the configured issuer: metadata that names another is refused, and so is an endpoint that is not https. Where the
provider does not answer, nobody signs in, and a start is not kept from happening.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.errors import BadCredential, CannotTell
from stagewarden.identity.fetch import url_problem
from stagewarden.identity.jwks import JwksSource
from stagewarden.identity.jws import json_object

if TYPE_CHECKING:
    from stagewarden.clock import Clock
    from stagewarden.identity.fetch import Fetch
    from stagewarden.model import Document

MAX_AGE = 3600.0  # seconds after which the metadata is asked for again


@dataclass(frozen=True, slots=True)
class Metadata:
    """What we need of it."""

    authorize: str
    token: str
    keys: str
    userinfo: str | None
    names_itself: bool  # RFC 9207: its answers carry `iss`
    tells_of_logout: bool  # it will call our back channel
    secret_in_body: bool  # `client_secret_post` alone


class Provider:
    """One issuer."""

    def __init__(self, issuer: str, get: Fetch, clock: Clock) -> None:
        self.issuer = issuer
        self._get = get
        self._clock = clock
        self._known: Metadata | None = None
        self._fresh_until = 0.0
        self._one = asyncio.Lock()
        self._keys: JwksSource | None = None

    async def metadata(self) -> Metadata:
        """CannotTell where the provider does not answer, or answers what is not its own."""
        async with self._one:
            if self._known is None or self._clock.monotonic() >= self._fresh_until:
                try:
                    read = _read(self.issuer, await self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"))
                except CannotTell:
                    if self._known is None:
                        raise
                    return self._known  # an hour-old answer of the same issuer is better than locking everybody out
                if self._known is None or read.keys != self._known.keys:
                    self._keys = JwksSource(self.issuer, lambda: self._get(read.keys), self._clock)
                self._known, self._fresh_until = read, self._clock.monotonic() + MAX_AGE
            return self._known

    async def keys(self) -> JwksSource:
        """The provider's published keys."""
        await self.metadata()
        assert self._keys is not None
        return self._keys


def _read(issuer: str, data: bytes) -> Metadata:
    try:
        said = json_object(data)
    except ValueError:
        raise CannotTell("the identity provider's metadata is not a JSON object") from None
    if said.get("issuer") != issuer:  # Discovery section 4.3: exactly
        raise CannotTell("the identity provider's metadata names another issuer")
    methods = said.get("token_endpoint_auth_methods_supported")
    challenges = said.get("code_challenge_methods_supported")
    if isinstance(challenges, list) and "S256" not in challenges:
        raise CannotTell("the identity provider does not take PKCE with S256")
    return Metadata(
        authorize=_endpoint(said, "authorization_endpoint"),
        token=_endpoint(said, "token_endpoint"),
        keys=_endpoint(said, "jwks_uri"),
        userinfo=_endpoint(said, "userinfo_endpoint") if "userinfo_endpoint" in said else None,
        names_itself=said.get("authorization_response_iss_parameter_supported") is True,
        tells_of_logout=said.get("backchannel_logout_supported") is True,
        secret_in_body=isinstance(methods, list) and "client_secret_basic" not in methods and "client_secret_post" in methods,
    )


def _endpoint(said: Document, name: str) -> str:
    url = said.get(name)
    if not isinstance(url, str) or url_problem(url) is not None:
        raise CannotTell(f"the identity provider's {name} is not an https URL")
    return url


def refused() -> BadCredential:
    """What whoever signs in is told: never what the provider sent."""
    return BadCredential("the identity provider did not confirm this sign-in")
