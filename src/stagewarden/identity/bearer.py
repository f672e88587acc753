"""The bearer credential of a request head (RFC 6750 section 2.1), read strictly; and comparison of secrets in constant time.

A bearer token is only ever taken from `Authorization`: never from a query, a form or a cookie. Never repeats what it read.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING

from stagewarden.errors import BadCredential

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.model import Head

SECRET_CHARACTERS = 43  # 256 bits in base64url without padding
SHA256_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
_SECRET = re.compile(rf"[A-Za-z0-9_-]{{{SECRET_CHARACTERS}}}", re.ASCII)
_NOBODY = "0" * 64  # compared against where the name is unknown, so that an unknown name costs what a known one costs


def bearer(head: Head) -> str | None:
    """The bearer token, or None where there is no such credential; a head with two `Authorization` fields is none (wire/headers.py)."""
    value = head.named.get("authorization")
    return None if value is None else bearer_token(value)


def bearer_token(value: str) -> str | None:
    """The token of one `Authorization` value; None for another scheme, BadCredential where the token is malformed."""
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = token.strip(" ")
    if not _TOKEN68.fullmatch(token):
        raise BadCredential("the bearer token is malformed")
    return token


def new_secret() -> str:
    """256 random bits in base64url: 43 characters."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()


def is_secret(text: str) -> bool:
    """Whether this has the form of `new_secret`."""
    return _SECRET.fullmatch(text) is not None


def fingerprint(token: str) -> str:
    """SHA-256 of the whole token, prefix and name included, in hexadecimal: all that is ever stored of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def matches(known: Mapping[str, str], name: str, token: str) -> bool:
    """Whether `token` is the one whose fingerprint stands under `name`; the same work is done for an unknown name."""
    expected = known.get(name)
    equal = hmac.compare_digest(fingerprint(token), _NOBODY if expected is None else expected)
    return equal and expected is not None
