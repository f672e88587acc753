"""What does not work now, in people's words: the banner above the heading of every page. From what `/readyz` is told; never its details."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS = {
    "audit": ("The log takes no entries.", "Nothing is allowed, voted on or sent until it does. Stopping works."),
    "state": ("The state database does not answer.", "Nothing can be held, voted on or sent until it does. Stopping works."),
    "stops": ("Orders to stop may not be known everywhere.", "Where they are not, no write goes through."),
    "replicas": ("Another replica is not as it should be.", "What its people and agents are told may differ."),
    "workers": ("A part of this process that serves agents is missing.", "Agents may be refused."),
    "process": ("This process is shutting down.", "It takes no new requests, and starts no send."),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, and what follows from it."""

    part: str
    says: str
    follows: str


def troubles(parts: Iterable[str]) -> list[Trouble]:
    """The parts that will not do, the worst first."""
    order = list(_WORDS)
    known = sorted(parts, key=lambda part: order.index(part) if part in order else len(order))
    return [Trouble(part, *_WORDS.get(part, (f"Not ready: {part}.", "Agents may be refused."))) for part in known]
