"""The configuration's `state:` → a SQLAlchemy URL, with absolute paths and its secrets in it.

Never guesses: what is not understood is a `ConfigError` with a remedy. No message repeats a URL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import URL

from stagewarden.config import certificates
from stagewarden.config import state as states
from stagewarden.config.units import Misfit, Secret
from stagewarden.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from stagewarden.config import File, Secrets

SQLITE = "sqlite+aiosqlite"
POSTGRESQL = "postgresql+asyncpg"


def locate(state: str, base: Path, secrets: Secrets | None = None) -> URL:
    """`sqlite:state.db` → an absolute URL; relative paths start at `base`, the configuration file's directory. Raises ConfigError."""
    try:
        place = states.parse(state)
        if isinstance(place, Secret):
            place = _kept(place, secrets)
    except Misfit as misfit:
        raise _refused(misfit.message, misfit.remedy) from None
    if isinstance(place, states.Sqlite):
        return URL.create(SQLITE, database=str((base / place.path).absolute()))
    password = place.password if secrets is None or not isinstance(place.password, Secret) else secrets.text(place.password)
    if isinstance(password, Secret):
        raise _refused("names a secret where none is read", "name the password's file in the configuration")
    query = {"tls": "yes" if place.verified else "no", "pool": str(place.pool)}
    if place.authorities is not None:
        if secrets is not None:
            _check_authorities(place.authorities, secrets)
        query["authorities"] = str((base / place.authorities.reference.removeprefix("file:")).absolute())
    return URL.create(
        POSTGRESQL, username=place.user, password=password, host=place.host, port=place.port, database=place.database, query=query
    )  # fmt: skip


def _check_authorities(file: File, secrets: Secrets) -> None:
    """An empty or unreadable list would be found at the first connection, or not at all. Raises ConfigError."""
    try:
        certificates.authorities(secrets, file)
    except Misfit as misfit:
        raise _refused(f"{file.reference} {misfit.message}", misfit.remedy) from None


def _kept(secret: Secret, secrets: Secrets | None) -> states.Postgresql:
    """The URL that stands in a secret: it may hold a password, and nothing else may be kept there. Raises Misfit, ConfigError."""
    if secrets is None:
        raise Misfit("names a secret where none is read", states.REMEDY)
    text = secrets.text(secret).strip()
    place = states.database(text.partition(":")[0], "", text) if text.startswith(states.SCHEMES) else None
    if not isinstance(place, states.Postgresql):
        raise Misfit("names a secret that is no PostgreSQL URL", "keep postgresql://USER:PASSWORD@HOST/DATABASE there")
    return place


def _refused(message: str, remedy: str) -> ConfigError:
    return ConfigError((Problem("", 0, "state", message, remedy),))
