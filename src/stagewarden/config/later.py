"""Keys of the contract whose feature is not in this release: known, and refused by name instead of ignored.

A value that asks for nothing (null, an empty list, `0s`) is accepted and dropped, so that a file written for a later release can
say so. Never list a key here that is read somewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.config import shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.model import JSON


@dataclass(frozen=True, slots=True)
class Later:
    """What the key would do, what to do meanwhile, and the values that ask for nothing."""

    feature: str
    meanwhile: str = "remove the key"
    harmless: tuple[JSON, ...] = (None,)

    def message(self) -> str:
        """The refusal, by name."""
        return f"is not in this release: {self.feature}"


CONFIGURATION: Mapping[tuple[type, str], Later] = {
    (shapes.Config, "evidence"): Later("evidence feeds", "remove the section; claims and offers ask for people", (None, {})),
    (shapes.Policy, "verification_key"): Later("signed bundles", "write null, and protect the bundle file by its permissions"),
    (shapes.Policy, "max_age"): Later("refusing writes on an old policy"),
    (shapes.Audit, "key"): Later("signed checkpoints", "remove the key; the log is hash-chained and `audit verify` says `unanchored`"),
    (shapes.Audit, "checkpoint"): Later("signed checkpoints", "remove the key; the log is hash-chained and `audit verify` says `unanchored`"),
    (shapes.Audit, "payloads"): Later("a payload archive beside the log", "remove the key; bodies are kept with holds only"),
}

# Words that stand where a kind or a choice is expected
LATER_WORDS: Mapping[str, Later] = {
    "batched": Later("batched durability", "write before_effect"),
}
