"""Votes that come through another queue: the person's own token → Caller. Not the queue's word for it, and no secret it shares with us.

Steps: (1) one compact JWT. (2) Its type and algorithm are allowed, the key is the issuer's, the signature holds. (3) Issued by whom we trust,
for votes here alone, bound to no key we cannot check, delegated by nobody. (4) Issued within `max_age`, and still valid. (5) It has an id: a
token is a vote once. (6) Its subject is a person of the registry who is still with us: never an agent, a program or a name.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import BadCredential
from stagewarden.identity.fetch import MAX_REPLY
from stagewarden.identity.jwks import JwksSource
from stagewarden.identity.jws import MAX_TOKEN, take_apart, verify
from stagewarden.identity.oidc.claims import Proven, groups_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from stagewarden.clock import Clock
    from stagewarden.config import Adapter, Secrets
    from stagewarden.identity.fetch import Fetch
    from stagewarden.model import Document

_TYPES = frozenset({"at+jwt", "jwt"})  # RFC 9068 section 2.1, RFC 7519 section 5.1
_AHEAD = 30  # seconds their clock may be before ours; behind it no grace is given
_LATEST = 1 << 40
_LONGEST_ID = 255


class Adapters:
    """Every adapter of the configuration, by name."""

    def __init__(self, settings: Mapping[str, Adapter], secrets: Secrets, clock: Clock, fetch: Fetch) -> None:
        self._settings = settings
        self._clock = clock
        self._keys = {name: JwksSource(each.keys, _loader(each.keys, secrets, fetch), clock) for name, each in settings.items()}

    async def proven(self, name: str, token: str) -> tuple[Proven, str]:
        """Steps 1 to 5: who the issuer says it is, and what makes this token one. BadCredential, CannotTell."""
        settings = self._settings.get(name)
        if settings is None:
            raise BadCredential("no token is a vote there")
        unverified = take_apart(token) if len(token) <= MAX_TOKEN else None
        claims = None if unverified is None else unverified.claims()
        if unverified is None or claims is None:
            raise BadCredential("a vote through an adapter takes the person's own token, a JWT")
        if unverified.typ is None or unverified.typ.lower().removeprefix("application/") not in _TYPES:
            raise BadCredential("the token is of another type")
        if unverified.algorithm not in settings.algorithms:
            raise BadCredential("the token's algorithm is not allowed")
        verify(unverified, await self._keys[name].key(unverified.kid, unverified.algorithm))
        self._check(claims, settings)
        issued, subject, one = _date(claims, "iat"), _name(claims, "sub"), _name(claims, "jti")
        groups = groups_in(claims, settings.groups) if settings.groups is not None else None
        digest = hashlib.sha256(f"{len(settings.issuer)}:{settings.issuer}{one}".encode()).hexdigest()
        # Without a claim of groups nobody's directory group is confirmed, and a function that hangs on one is not held.
        return Proven(settings.issuer, subject, groups or frozenset(), auth_time=issued), digest

    def _check(self, claims: Document, settings: Adapter) -> None:
        """Steps 3 and 4."""
        if claims.get("iss") != settings.issuer:
            raise BadCredential("the token is another issuer's")
        if claims.get("aud") not in (settings.audience, [settings.audience]):
            raise BadCredential("the token is not for votes here, or not for them alone")
        if "cnf" in claims:
            raise BadCredential("the token is bound to a key, and proof of it is not supported")
        if "act" in claims or "may_act" in claims:
            raise BadCredential("the token lets another act for the person: that is not the person's own word")  # RFC 8693 section 4.1
        now = self._clock.now_ns() // NANOSECONDS
        issued, expires = _date(claims, "iat"), _date(claims, "exp")
        if now >= expires or now - issued > float(settings.max_age):
            raise BadCredential("the token is too old")
        if max(issued, _date(claims, "nbf") if "nbf" in claims else 0) > now + _AHEAD:
            raise BadCredential("the token is not valid yet")


def _loader(keys: str, secrets: Secrets, fetch: Fetch) -> Callable[[], Awaitable[bytes]]:
    if not keys.startswith("file:"):
        return lambda: fetch(keys)
    path = secrets.path(keys)

    def read() -> bytes:
        with path.open("rb") as handle:
            return handle.read(MAX_REPLY)

    return lambda: asyncio.to_thread(read)


def _date(claims: Document, name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise BadCredential(f"the token's `{name}` is not a date")
    return int(value)


def _name(claims: Document, name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID or not value.isprintable():
        raise BadCredential(f"the token's `{name}` is not a name")
    return value
