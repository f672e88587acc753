"""The configuration's `state:` → a SQLAlchemy URL with an absolute path.

Never guesses: what is not understood is a `ConfigError` with a remedy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import URL

from stagewarden.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

DRIVER = "sqlite+aiosqlite"


def locate(state: str, base: Path) -> str:
    """`sqlite:state.db` → an absolute SQLAlchemy URL; relative paths start at `base`, the configuration file's directory."""
    scheme, colon, path = state.partition(":")
    if colon and scheme in {"postgresql", "postgres"}:
        raise _refused("PostgreSQL as state is not in this release", "use `state: sqlite:state.db`")
    if scheme != "sqlite" or not path or path.startswith(":"):
        raise _refused(f"{state!r} is not a state database", "write `sqlite:PATH`, relative to the configuration file")
    if path.startswith("//"):  # sqlite:///relative and sqlite:////absolute, as other tools write it
        path = path.removeprefix("///") if path.startswith("///") else ""
    if not path or "?" in path or "#" in path:
        raise _refused(f"{state!r} is not a state database", "write `sqlite:PATH`, without host, `?` or `#`")
    return URL.create(DRIVER, database=str((base / path).absolute())).render_as_string(hide_password=False)


def _refused(message: str, remedy: str) -> ConfigError:
    return ConfigError((Problem("", 0, "state", message, remedy),))
