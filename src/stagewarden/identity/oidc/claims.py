"""The ID token (OpenID Connect Core section 3.1.3.7) and the logout token (Back-Channel Logout section 2.6), read strictly. Pure but for the key."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import BadCredential
from stagewarden.identity.jws import MAX_TOKEN, take_apart, verify

if TYPE_CHECKING:
    from stagewarden.identity.jwks import JwksSource
    from stagewarden.model import Document

# What providers sign with; never `none`, never a shared secret (OpenID Connect Core 3.1.3.7 leaves HS256 open: whoever checks could sign)
ALGORITHMS = frozenset({"RS256", "PS256", "ES256", "EdDSA", "Ed25519", "RS384", "RS512", "PS384", "PS512", "ES384", "ES512"})
LEEWAY = 30  # seconds between their clock and ours
MAX_GROUPS = 1000
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_LATEST = 1 << 40


@dataclass(frozen=True, slots=True)
class Proven:
    """Who signed in at the provider, and when they last proved it there (seconds since the epoch; 0: it did not say)."""

    issuer: str
    subject: str
    groups: frozenset[str] = frozenset()
    auth_time: int = 0
    acr: str | None = None
    sid: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Strength:
    """What a step-up asks: proven again within `max_age` seconds, and as strictly as `acr` says."""

    max_age: int
    acr: str | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What an ID token must say to be the answer to our question."""

    issuer: str
    client_id: str
    nonce: str
    now_ns: int
    strength: Strength | None = None


async def signed(token: str, keys: JwksSource, types: frozenset[str | None]) -> Document:
    """The claims of a token signed with one of the provider's keys; BadCredential otherwise."""
    unverified = take_apart(token) if len(token) <= MAX_TOKEN else None
    claims = None if unverified is None else unverified.claims()
    if unverified is None or claims is None:
        raise BadCredential("not a signed token")
    if (None if unverified.typ is None else unverified.typ.lower().removeprefix("application/")) not in types:
        raise BadCredential("a token of another type")
    if unverified.algorithm not in ALGORITHMS:
        raise BadCredential("an algorithm that is not allowed")
    verify(unverified, await keys.key(unverified.kid, unverified.algorithm))
    return claims


def read_id_token(claims: Document, expected: Expected, access_token: str) -> Proven:
    """(1) From this issuer, for us alone. (2) In time. (3) The answer to our question. (4) Fresh and strong enough where we asked for that."""
    _for_us(claims, expected.issuer, expected.client_id)
    now = expected.now_ns // NANOSECONDS
    issued, expires = _date(claims, "iat"), _date(claims, "exp")
    if expires + LEEWAY <= now or issued - LEEWAY > now or _date(claims, "nbf", 0) - LEEWAY > now:
        raise BadCredential("the ID token is not valid now")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise BadCredential("the ID token answers another sign-in")
    if "at_hash" in claims and claims["at_hash"] not in {_half(access_token, bits) for bits in (256, 384, 512)}:
        raise BadCredential("the ID token came with another access token")
    auth_time = _date(claims, "auth_time", 0)
    acr = claims.get("acr")
    if (wanted := expected.strength) is not None:
        if not now - wanted.max_age - LEEWAY <= auth_time <= now + LEEWAY:
            raise BadCredential("the person was not asked again who they are")
        if wanted.acr is not None and acr != wanted.acr:
            raise BadCredential("the person was not asked as strictly as is wanted")
    return Proven(
        expected.issuer, _text(claims, "sub"), auth_time=auth_time, acr=acr if isinstance(acr, str) else None,
        sid=_text(claims, "sid") if "sid" in claims else None,
    )  # fmt: skip


def read_logout(claims: Document, issuer: str, client_id: str, now_ns: int) -> tuple[str | None, str | None, str]:
    """Subject, session (at least one of them) and the token's own id; BadCredential where it is not a logout token for us."""
    _for_us(claims, issuer, client_id)
    now = now_ns // NANOSECONDS
    if not now - 300 <= _date(claims, "iat") <= now + LEEWAY or _date(claims, "exp", _LATEST) + LEEWAY <= now:
        raise BadCredential("the logout token is not of now")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict) or "nonce" in claims:
        raise BadCredential("not a logout token")
    subject = _text(claims, "sub") if "sub" in claims else None
    session = _text(claims, "sid") if "sid" in claims else None
    if subject is None and session is None:
        raise BadCredential("the logout token says nobody")
    return subject, session, _text(claims, "jti")


def groups_in(claims: Document, name: str) -> frozenset[str] | None:
    """The directory groups under this claim; None where it is absent, BadCredential where it is no list of names."""
    listed = claims.get(name)
    if listed is None:
        return None
    if not isinstance(listed, list) or len(listed) > MAX_GROUPS or not all(isinstance(group, str) for group in listed):
        raise BadCredential("the groups are not a list of names")
    return frozenset(map(str, listed))


def _for_us(claims: Document, issuer: str, client_id: str) -> None:
    """A token for several audiences could have been got by any of them: one only (OpenID Connect Core 3.1.3.7, 3 to 5)."""
    if claims.get("iss") != issuer:
        raise BadCredential("the token is another issuer's")
    if claims.get("aud") not in (client_id, [client_id]) or claims.get("azp", client_id) != client_id:
        raise BadCredential("the token is not for us alone")


def _date(claims: Document, name: str, default: int | None = None) -> int:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise BadCredential(f"the token's `{name}` is not a date")
    return int(value)


def _text(claims: Document, name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 255 or not value.isprintable():  # noqa: PLR2004  # Core section 2: 255 ASCII characters
        raise BadCredential(f"the token's `{name}` is not a name")
    return value


def _half(access_token: str, bits: int) -> str:
    """OpenID Connect Core 3.1.3.6: the left half of the token's hash; which of the three, the algorithm's name does not always say."""
    digest = hashlib.new(f"sha{bits}", access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
