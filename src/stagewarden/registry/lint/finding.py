"""One finding of a lint rule, before it is known in which file and line its place stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from stagewarden.config.yaml_source import Place


@dataclass(frozen=True, slots=True)
class Finding:
    """Where, what, and how to mend it."""

    place: Place
    message: str
    remedy: str
    severity: Literal["error", "warning"] = "error"
