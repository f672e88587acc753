"""Where programs are looked for, and where Stagewarden keeps what it has fetched. Reads the environment; creates nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stagewarden.config import state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.config.shapes import Config


@dataclass(frozen=True, slots=True)
class Places:
    """`search` is PATH; `cache` is ours (XDG base directories: `XDG_CACHE_HOME`, else `~/.cache`)."""

    search: str
    cache: Path

    @classmethod
    def of(cls, environ: Mapping[str, str] | None = None) -> Places:
        """The places of this process, or of `environ`."""
        known = os.environ if environ is None else environ
        base = Path(known.get("XDG_CACHE_HOME", ""))
        if not base.is_absolute():  # the specification: relative paths are invalid and ignored
            base = Path(known.get("HOME", "/")) / ".cache"
        return cls(known.get("PATH", os.defpath), base / "stagewarden")


def stops_path(config: Config) -> Path:
    """The stop file, beside the state database: on the volume that is written, and found from the configuration alone (`kill --config`)."""
    return _beside_state(config) / "stops.json"


def spool_path(config: Config) -> Path:
    """The folder in which large bodies lie while they are judged and sent; every file in it is without a name."""
    return _beside_state(config) / "spool"


def _beside_state(config: Config) -> Path:
    """A PostgreSQL has no folder here: then it is the configuration's."""
    place = state.parse(config.state)
    return (config.base / place.path).parent if isinstance(place, state.Sqlite) else config.base
