"""Passwords as scrypt in PHC form (`$scrypt$ln=14,r=8,p=5$SALT$HASH`): make, verify, and decoys that cost the same.

For sandboxes only. Never keeps a password, and never says which of person and password was wrong.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stagewarden.config import yaml_source
from stagewarden.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

# OWASP Password Storage: N=2^14, r=8, p=5 is its equal of N=2^17, p=1, with 16 MiB instead of 128: sign-ins must not crowd out agents' traffic
LOG_COST, BLOCK, PARALLEL = 14, 8, 5
SALT_BYTES, HASH_BYTES = 16, 32
MIN_CHARACTERS, MAX_BYTES = 8, 1024  # NIST SP 800-63B section 3.1.1.2; the upper bound is ours
_MAX_LOG_COST, _MAX_PARALLEL, _MAX_SALT = 16, 16, 64
_PHC = re.compile(r"\$scrypt\$ln=([0-9]{1,2}),r=8,p=([0-9]{1,2})\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{43})", re.ASCII)


class WeakPassword(ValueError):
    """Too short, too long or not text; the message says which, not what."""


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A stored hash, parsed; compared by `verify` only."""

    log_cost: int
    parallel: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"$scrypt$ln={self.log_cost},r={BLOCK},p={self.parallel}${_b64(self.salt)}${_b64(self.digest)}"


def hash_password(password: str) -> str:
    """The PHC string of a new password; raises WeakPassword. Takes about a fifth of a second."""
    if len(password) < MIN_CHARACTERS:
        raise WeakPassword(f"a password has at least {MIN_CHARACTERS} characters")
    given = _normal(password)
    if given is None:
        raise WeakPassword(f"a password is text of at most {MAX_BYTES} bytes")
    salt = secrets.token_bytes(SALT_BYTES)
    return str(PasswordHash(LOG_COST, PARALLEL, salt, _scrypt(given, salt, LOG_COST, PARALLEL)))


def parse(text: str) -> PasswordHash | None:
    """A PHC string as a value; None where it is not scrypt in our form or costs less than ours (OWASP) or more than a sign-in may."""
    found = _PHC.fullmatch(text)
    if found is None:
        return None
    log_cost, parallel = int(found[1]), int(found[2])
    try:
        salt, digest = _unb64(found[3]), _unb64(found[4])
    except binascii.Error:
        return None
    strong = LOG_COST <= log_cost <= _MAX_LOG_COST and 1 <= parallel <= _MAX_PARALLEL and (parallel << log_cost) >= (PARALLEL << LOG_COST)
    return PasswordHash(log_cost, parallel, salt, digest) if strong and len(digest) == HASH_BYTES and SALT_BYTES <= len(salt) <= _MAX_SALT else None


def parse_users(text: str, file: str) -> Mapping[str, PasswordHash]:
    """The users file, person → PHC string; raises ConfigError with file and line. Never quotes a value: it may be a password."""
    source = yaml_source.parse(text.encode(), file)
    document = source.document
    if not isinstance(document, dict) or not document:
        raise ConfigError((source.problem((), "holds no users", 'write `PERSON: "$scrypt$…"` lines; `stagewarden init` makes them'),))
    users = {name: parse(value) if isinstance(value, str) else None for name, value in document.items()}
    wrong = "is not a scrypt hash of at least ln=14,r=8,p=5"
    problems = [source.problem((name,), wrong, "write the PHC string; never the password itself") for name, user in users.items() if user is None]
    if problems:
        raise ConfigError(tuple(problems))
    return {name: user for name, user in users.items() if user is not None}


def verify(password: str, stored: PasswordHash) -> bool:
    """Whether this is the password, in constant time; blocks for a fifth of a second, so call it from a thread."""
    given = _normal(password)
    digest = _scrypt(given or b"", stored.salt, stored.log_cost, stored.parallel)  # the same work where the input is unacceptable
    return hmac.compare_digest(digest, stored.digest) and given is not None


def decoy(like: PasswordHash | None = None) -> PasswordHash:
    """A hash nobody has the password of, as costly to verify as `like`: what an unknown person is checked against."""
    log_cost, parallel = (LOG_COST, PARALLEL) if like is None else (like.log_cost, like.parallel)
    return PasswordHash(log_cost, parallel, secrets.token_bytes(SALT_BYTES), secrets.token_bytes(HASH_BYTES))


def _normal(password: str) -> bytes | None:
    """NFKC (NIST SP 800-63B section 3.1.1.2), as UTF-8; None where it is not text or too long."""
    if len(password) > MAX_BYTES:
        return None
    try:
        given = unicodedata.normalize("NFKC", password).encode()
    except UnicodeEncodeError:
        return None
    return given if len(given) <= MAX_BYTES else None


def _scrypt(password: bytes, salt: bytes, log_cost: int, parallel: int) -> bytes:
    memory = 128 * BLOCK * ((1 << log_cost) + parallel + 2)  # RFC 7914 section 2
    return hashlib.scrypt(password, salt=salt, n=1 << log_cost, r=BLOCK, p=parallel, maxmem=memory + (1 << 20), dklen=HASH_BYTES)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    if _b64(data) != text:
        raise binascii.Error("not canonical")
    return data
