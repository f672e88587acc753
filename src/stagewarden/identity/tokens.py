"""Bearer tokens of the people's plane: `swp_` and 256 random bits; the tokens file holds the SHA-256, whose it is, scopes and expiry.

A token carries no claim of its own. A program's never votes, loosens or lifts (the gate sees `Caller.person` is None), is never wider than
its creator now is, and is nobody's once its creator has left; a person's is for sandboxes. Never keeps or shows a token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stagewarden.clock import NANOSECONDS
from stagewarden.config import Struct, reading, yaml_source
from stagewarden.errors import ConfigError
from stagewarden.identity.bearer import SHA256_HEX, fingerprint, is_secret, new_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stagewarden.config.yaml_source import Source
    from stagewarden.errors import Problem

PREFIX = "swp_"
# What a program may be given; the list is closed. A person's token needs none: it may what the person may.
SCOPES: Mapping[str, str] = {
    "read": "holds, rulings, agents; no payloads",
    "payloads": "the bytes of held requests",
    "stop": "stop a hold, pause an agent, kill; never undo any of these",
}
_PROGRAM = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_WHEN = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?", re.ASCII)


class TokenEntry(Struct, frozen=True, kw_only=True):
    """One entry of the tokens file."""

    sha256: str
    expires: str  # `2026-12-31` (its first moment) or `2026-12-31T18:00:00Z`
    person: str | None = None
    program: str | None = None
    creator: str | None = None  # of a program's: the person whose rights bound it
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """Whose token: exactly one of person and program. `creator`: a program's may never more than this person may now."""

    person: str | None
    program: str | None
    scopes: frozenset[str]
    expires_ns: int
    creator: str | None = None


def new_token() -> tuple[str, str]:
    """A new token and the SHA-256 (hexadecimal) that goes into the tokens file; the token is shown once."""
    token = PREFIX + new_secret()
    return token, fingerprint(token)


def is_token(text: str) -> bool:
    """Whether this is whole and of our form; a prefix, a suffix or a longer text is not (CVE-2026-27840)."""
    return text.startswith(PREFIX) and is_secret(text.removeprefix(PREFIX))


def parse_tokens(text: str, file: str, *, sandbox: bool) -> Mapping[str, TokenGrant]:
    """The tokens file (a list), SHA-256 → grant; raises ConfigError with file, line, key and remedy of every finding."""
    source = yaml_source.parse(text.encode(), file)
    entries: tuple[TokenEntry, ...] = reading.build(source, tuple[TokenEntry, ...], {})
    problems: list[Problem] = []
    grants: dict[str, TokenGrant] = {}
    for number, entry in enumerate(entries):
        problems += _problems(source, number, entry, sandbox=sandbox)
        if entry.sha256 in grants:
            problems.append(source.problem((number, "sha256"), "stands twice", "make a token of its own"))
        expires = _moment(entry.expires)
        grants[entry.sha256] = TokenGrant(entry.person, entry.program, frozenset(entry.scopes), 0 if expires is None else expires, entry.creator)
    if problems:
        raise ConfigError(tuple(problems))
    return grants


def _problems(source: Source, number: int, entry: TokenEntry, *, sandbox: bool) -> Iterator[Problem]:
    if not SHA256_HEX.fullmatch(entry.sha256):
        yield source.problem((number, "sha256"), "is not a SHA-256", "write its 64 hexadecimal digits, lower case, quoted; never the token itself")
    if _moment(entry.expires) is None:
        yield source.problem((number, "expires"), "is not a moment in UTC", "write 2026-12-31 or 2026-12-31T18:00:00Z")
    if (entry.person is None) == (entry.program is None):
        yield source.problem((number,), "does not say whose token it is", "write one of `person: ID` and `program: NAME`")
    if entry.program is not None and not _PROGRAM.fullmatch(entry.program):
        yield source.problem((number, "program"), "is not a program's name", "use lower case letters, digits, `.`, `_`, `-`")
    if entry.program is not None and not (entry.scopes and set(entry.scopes) <= SCOPES.keys()):
        yield source.problem((number, "scopes"), "are not scopes of a program", f"choose from {', '.join(SCOPES)}")
    if entry.person is not None and entry.scopes:
        yield source.problem((number, "scopes"), "do not narrow a person's token", "remove them: it may what the person may")
    if entry.person is not None and entry.creator is not None:
        yield source.problem((number, "creator"), "is of a program's token only", "remove it: the person is written already")
    if entry.program is not None and entry.creator is None and not sandbox:
        yield source.problem((number,), "names no creator", "write `creator: PERSON`, who answers for it: it may never more than that person may")
    if entry.person is not None and not sandbox:
        yield source.problem((number, "person"), "has a token outside a sandbox", "let people sign in, or write `environment: sandbox`")


def _moment(text: str) -> int | None:
    if not _WHEN.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * NANOSECONDS
