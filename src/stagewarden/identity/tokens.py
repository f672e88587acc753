"""Bearer tokens of people's plane: `swp_` and 256 random bits; only the SHA-256 of the whole token is stored.

A token carries no claim: what it may do stands in the tokens file (people.py). Never keeps or shows a token.
"""

from __future__ import annotations

from stagewarden.identity.bearer import fingerprint, is_secret, new_secret

PREFIX = "swp_"


def new_token() -> tuple[str, str]:
    """A new token and the SHA-256 (hexadecimal) that goes into the tokens file; the token is shown once."""
    token = PREFIX + new_secret()
    return token, fingerprint(token)


def is_token(text: str) -> bool:
    """Whether this is whole and of our form; a prefix, a suffix or a longer text is not (CVE-2026-27840)."""
    return text.startswith(PREFIX) and is_secret(text.removeprefix(PREFIX))
