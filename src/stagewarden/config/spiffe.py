"""SPIFFE IDs as text (SPIFFE-ID sections 2.1 to 2.3): one spelling each, compared byte for byte. Never decodes, folds case or repairs."""

from __future__ import annotations

import re

MAX_ID = 2048
_SCHEME = "spiffe://"
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)  # no percent-encoding: it would be a second spelling


def is_trust_domain(name: str) -> bool:
    """Lower-case letters, digits, `.`, `-`, `_`: no port, no user, no `spiffe://`."""
    return _TRUST_DOMAIN.fullmatch(name) is not None


def trust_domain_of(spiffe_id: str) -> str:
    """The trust domain of a workload's ID. ValueError says which rule it breaks, and repeats nothing of it."""
    if len(spiffe_id) > MAX_ID:
        raise ValueError(f"it is longer than {MAX_ID} characters")
    if not spiffe_id.startswith(_SCHEME):
        raise ValueError("it does not begin with spiffe://")
    trust_domain, slash, path = spiffe_id.removeprefix(_SCHEME).partition("/")
    if not is_trust_domain(trust_domain):
        raise ValueError("its trust domain is not one")
    if not slash:
        raise ValueError("it has no path, and names no workload")  # X509-SVID section 3.1
    for segment in path.split("/"):
        if not _SEGMENT.fullmatch(segment):
            raise ValueError("its path has an empty segment, ends with a slash, or holds something else than letters, digits, `.`, `-`, `_`")
        if segment in {".", ".."}:
            raise ValueError("its path has a dot segment")
    return trust_domain
