"""Agents by key: `Authorization: Bearer sw_ID_SECRET`; the keys file maps each ID to the SHA-256 of the whole key.

A key holds whole or not at all: a prefix, a suffix, another id's secret is refused (CVE-2026-27840), each after the same work. Never
keeps or shows a key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stagewarden.config import yaml_source
from stagewarden.errors import BadCredential, ConfigError
from stagewarden.identity.bearer import SECRET_CHARACTERS, SHA256_HEX, bearer, is_secret, matches, new_secret
from stagewarden.identity.bearer import fingerprint as sha256
from stagewarden.identity.principal import by_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.errors import Problem
    from stagewarden.model import Head, Principal
    from stagewarden.registry import Registry

PREFIX = "sw_"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def new_key(agent_id: str) -> tuple[str, str]:
    """A new key and the SHA-256 (hexadecimal) for the keys file; the key is shown once. ValueError for an id that cannot stand in one."""
    if not _ID.fullmatch(agent_id):
        raise ValueError("an id in a key is 1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter or digit")
    key = f"{PREFIX}{agent_id}_{new_secret()}"
    return key, sha256(key)


def key_id(token: str) -> str | None:
    """The id in a key that is whole; the secret has a fixed length, so an id may hold `_` without ambiguity."""
    named, secret = token[:-SECRET_CHARACTERS], token[-SECRET_CHARACTERS:]
    if not named.startswith(PREFIX) or not named.endswith("_") or not is_secret(secret):
        return None
    name = named.removeprefix(PREFIX)[:-1]
    return name if _ID.fullmatch(name) else None


def parse_keys(text: str, file: str) -> Mapping[str, str]:
    """The keys file, id → SHA-256; raises ConfigError with file and line of each bad entry. Never quotes a value: it may be a key."""
    source = yaml_source.parse(text.encode(), file)
    document = source.document
    if not isinstance(document, dict) or not document:
        raise ConfigError((source.problem((), "holds no keys", "write `ID: SHA-256` lines; `stagewarden init` makes them"),))
    problems: list[Problem] = []
    keys: dict[str, str] = {}
    for name, value in document.items():
        if key_id(name) is not None or not _ID.fullmatch(name):  # a whole key in the id's place is not repeated
            problems.append(source.problem((), "has something that is not an id", "use letters, digits, `.`, `_`, `-`"))
        elif not isinstance(value, str) or not SHA256_HEX.fullmatch(value):
            problems.append(source.problem((name,), "is not a SHA-256", "write its 64 hexadecimal digits, lower case, quoted; never the key itself"))
        else:
            keys[name] = value
    if problems:
        raise ConfigError(tuple(problems))
    return keys


class KeyAuthenticator:
    """Claims every bearer token that begins with `sw_`. Who holds which key is settled when keys and registry are read."""

    def __init__(self, keys: Mapping[str, str], registry: Registry) -> None:
        self._keys = keys
        self._registry = registry
        self._principals: dict[str, Principal] = {}

    async def authenticate(self, head: Head) -> Principal | None:
        """Steps: (1) ours? (2) whole? (3) known, in constant time? (4) whose."""
        token = bearer(head)
        if token is None or not token.startswith(PREFIX):
            return None
        name = key_id(token)
        if name is None:
            raise BadCredential("the key is malformed")
        if not matches(self._keys, name, token):
            raise BadCredential("the key is not known")
        principal = self._principals.get(name)
        if principal is None:
            principal = self._principals[name] = by_key(self._registry, name)
        return principal
