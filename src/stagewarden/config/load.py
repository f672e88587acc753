"""`stagewarden.yaml` → Config, or every problem in it. Nothing is started, written or asked of the network here."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import orjson

from stagewarden.config import later, reading, rules, yaml_source
from stagewarden.config.shapes import INTERNAL, Config
from stagewarden.config.units import Seconds
from stagewarden.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from stagewarden.config.yaml_source import Source
    from stagewarden.model import JSON


def revision(document: JSON) -> str:
    """First 16 hex digits of the SHA-256 of the sorted JSON: the same content has the same revision, however it is laid out."""
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def load(path: Path) -> Config:
    """Read, check and freeze; raises ConfigError with all problems. Secrets are not opened here (see Secrets)."""
    return of(yaml_source.read(path), path.resolve().parent)


def of(source: Source, base: Path) -> Config:
    """Check and freeze what was read; relative paths start at `base`."""
    config = reading.build(source, Config, later.CONFIGURATION, internal=INTERNAL)
    if config.environment == "sandbox" and not _says_settle(source.document):
        # Contract section 2: nobody outside sees what a sandbox sends.
        config = msgspec.structs.replace(config, holds=msgspec.structs.replace(config.holds, settle=Seconds(0)))
    config = msgspec.structs.replace(config, base=base, revision=revision(source.document), source=source)
    errors = tuple([problem for problem in rules.problems(config) if problem.severity == "error"])
    if errors:
        raise ConfigError(errors)
    return config


def _says_settle(document: JSON) -> bool:
    holds = document.get("holds") if isinstance(document, dict) else None
    return isinstance(holds, dict) and "settle" in holds
