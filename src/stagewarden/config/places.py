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
    """`search` is PATH; the others are ours (XDG base directories: `XDG_CACHE_HOME`, else `~/.cache`; `XDG_STATE_HOME`, else `~/.local/state`).

    `far`: whoever sits at this terminal came over the network, and so has their browser elsewhere.
    """

    search: str
    cache: Path
    state: Path = Path("/nonexistent")
    far: bool = False

    @classmethod
    def of(cls, environ: Mapping[str, str] | None = None) -> Places:
        """The places of this process, or of `environ`."""
        known = os.environ if environ is None else environ
        cache, state = _base(known, "XDG_CACHE_HOME", ".cache"), _base(known, "XDG_STATE_HOME", ".local/state")
        return cls(known.get("PATH", os.defpath), cache / "stagewarden", state / "stagewarden", bool(known.get("SSH_CONNECTION")))


def _base(known: Mapping[str, str], name: str, usual: str) -> Path:
    base = Path(known.get(name, ""))
    # the specification: relative paths are invalid and ignored
    return base if base.is_absolute() else Path(known.get("HOME", "/")) / usual


def stops_path(config: Config) -> Path:
    """The stop file, beside the state database: on a volume that is written, and found from the configuration alone (`kill --config`)."""
    return _beside_state(config) / "stops.json"


def spool_path(config: Config) -> Path:
    """The folder in which large bodies lie while they are judged and sent; every file in it is without a name."""
    return _beside_state(config) / "spool"


def _beside_state(config: Config) -> Path:
    """A PostgreSQL has no folder here: then it is beside the audit directory, which is written too; the configuration's own may be read-only."""
    place = state.parse(config.state)
    return (config.base / (place.path if isinstance(place, state.Sqlite) else config.audit.directory)).parent
