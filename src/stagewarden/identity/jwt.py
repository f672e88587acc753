"""Agents by JWT: RFC 9068 access tokens, JWT-SVIDs, Kubernetes service account tokens; `act` chains of RFC 8693.

What we read: `iss` `aud` `exp` `sub` (all required), `nbf` `iat` `act` and the private claim `stagewarden_workflow`, by which an issuer
binds a token to one workflow. Never accepts a token made for somebody else, or one bound to a key we cannot check (`cnf`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachetools import TLRUCache

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import BadCredential
from stagewarden.identity.bearer import bearer
from stagewarden.identity.jws import MAX_TOKEN, take_apart, verify
from stagewarden.identity.principal import Claims, by_token
from stagewarden.model import Stage

if TYPE_CHECKING:
    from stagewarden.clock import Clock
    from stagewarden.identity.jwks import JwksSource
    from stagewarden.identity.jws import Unverified
    from stagewarden.model import JSON, Document, Head, Principal
    from stagewarden.registry import Registry

WORKFLOW_CLAIM, STAGE_CLAIM = "stagewarden_workflow", "stagewarden_stage"
CACHE_SECONDS = 60.0
CACHE_SIZE = 1024
MAX_ACTORS = 8
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_TYPES = frozenset({"at+jwt", "jwt", "jose"})  # RFC 9068 section 2.1, RFC 7519 section 5.1, JWT-SVID section 2.3; Kubernetes sends none
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]{1,255}")  # it is shown and logged (CVE-2024-45808)
_LATEST = 1 << 40  # seconds; beyond it a date is a mistake


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """Whose tokens, for whom, signed how."""

    issuer: str
    audience: str
    algorithms: frozenset[str]
    leeway: float


@dataclass(frozen=True, slots=True)
class _Verified:
    """Claims with the clock readings after which they do not count: the wall clock's or the monotonic one's, whichever comes first."""

    claims: Claims
    not_before_ns: int
    over_ns: int
    over_monotonic: float


class JwtAuthenticator:
    """Claims every bearer JWT whose `iss` is its issuer's."""

    def __init__(self, settings: JwtSettings, keys: JwksSource, registry: Registry, clock: Clock) -> None:
        self._settings = settings
        self._keys = keys
        self._registry = registry
        self._clock = clock
        # Verified claims, never decisions: the registry is asked at every request, so that a change there counts at once.
        self._verified: TLRUCache[tuple[int, bytes], _Verified] = TLRUCache(
            CACHE_SIZE, ttu=lambda _, entry, now: min(now + CACHE_SECONDS, entry.over_monotonic), timer=clock.monotonic
        )

    async def authenticate(self, head: Head) -> Principal | None:
        """Steps: (1) ours? (2) type, algorithm, key, signature; (3) claims; (4) whose. Steps 2 and 3 may be remembered, for a minute at most."""
        token = bearer(head)
        if token is None or not _JWT.fullmatch(token):
            return None
        if len(token) > MAX_TOKEN:
            raise BadCredential("the token is too long")
        verified = self._verified.get(memory_key(self._keys.generation, token))
        if verified is None:
            unverified = take_apart(token)
            claims = None if unverified is None else unverified.claims()
            if unverified is None or claims is None or claims.get("iss") != self._settings.issuer:
                return None
            await self._prove(unverified)
            verified = self._read(claims)
            self._verified[memory_key(self._keys.generation, token)] = verified
        self._in_time(verified)
        return by_token(self._registry, verified.claims)

    async def _prove(self, token: Unverified) -> None:
        """The type and algorithm are allowed, the key is the issuer's, the signature holds."""
        if token.typ is not None and token.typ.lower().removeprefix("application/") not in _TYPES:
            raise BadCredential("the token is of another type")
        if token.algorithm not in self._settings.algorithms:
            raise BadCredential("the token's algorithm is not allowed")
        verify(token, await self._keys.key(token.kid, token.algorithm))

    def _read(self, claims: Document) -> _Verified:
        """The claims, strictly; an unreadable one is a no even where we could do without it."""
        if not _for_us(claims.get("aud"), self._settings.audience):
            raise BadCredential("the token is not for this audience, or not for it alone")
        if "cnf" in claims:
            raise BadCredential("the token is bound to a key, and proof of it is not supported")  # as a mere bearer it would be weaker than meant
        leeway = round(self._settings.leeway * NANOSECONDS)
        expires = _date(claims, "exp")
        if expires is None:
            raise BadCredential("the token has no expiry")
        starts = max(_date(claims, "nbf") or 0, _date(claims, "iat") or 0)
        now = self._clock.now_ns()
        over = self._clock.monotonic() + (expires + leeway - now) / NANOSECONDS
        actor, history = _actors(claims, self._settings.issuer)
        subject = _name(claims.get("sub"), "subject")
        workflow = None if claims.get(WORKFLOW_CLAIM) is None else _name(claims[WORKFLOW_CLAIM], "workflow")
        read = Claims(self._settings.issuer, actor or subject, subject if actor else None, history, workflow, expires, _stage(claims))
        return _Verified(read, starts - leeway, expires + leeway, over)

    def _in_time(self, verified: _Verified) -> None:
        now = self._clock.now_ns()
        if now >= verified.over_ns or self._clock.monotonic() >= verified.over_monotonic:
            raise BadCredential("the token is expired")
        if now < verified.not_before_ns:
            raise BadCredential("the token is not valid yet")


def memory_key(generation: int, token: str) -> tuple[int, bytes]:
    """Under what a verified token is remembered: the keys it was verified with, and all of it (CVE-2026-33729: no two tokens share an entry)."""
    return generation, hashlib.sha256(token.encode()).digest()


def _for_us(audience: JSON, ours: str) -> bool:
    """A token for several audiences can be played on by each of them (CVE-2024-5798 and kin): one only. A list of one is Kubernetes' form."""
    return audience in (ours, [ours])


def _date(claims: Document, name: str) -> int | None:
    """A NumericDate in nanoseconds; None where it is absent."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise BadCredential(f"the token's `{name}` is not a date")
    return int(value * NANOSECONDS)


def _name(value: JSON, what: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value) or value != value.strip() or _unseen(value):
        raise BadCredential(f"the token's {what} is not a name")
    return value


def _stage(claims: Document) -> Stage | None:
    """The one stage a narrow token is good for; None where it names none. One that names no stage of ours is good for nothing."""
    named = claims.get(STAGE_CLAIM)
    if named is None:
        return None
    if not isinstance(named, str) or named not in {*map(str, Stage)}:
        raise BadCredential("the token's stage is not a stage")
    return Stage(named)


def _unseen(value: str) -> bool:
    """Whether it has characters nobody sees: two names that look alike in the log must be one name."""
    return not value.isascii() and any(unicodedata.category(char) == "Cf" for char in value)


def _actors(claims: Document, issuer: str) -> tuple[str | None, tuple[str, ...]]:
    """RFC 8693 section 4.1: the outermost `act` is who acts now, inner ones are who acted before; returned oldest first."""
    names: list[str] = []
    within = claims
    while "act" in within:
        act = within["act"]
        if not isinstance(act, dict) or len(names) == MAX_ACTORS or act.get("iss", issuer) != issuer:
            raise BadCredential("the token's `act` is not understood")  # an issuer speaks for its own subjects only
        names.append(_name(act.get("sub"), "actor"))
        within = act
    return (names[0] if names else None), tuple(reversed(names[1:]))
