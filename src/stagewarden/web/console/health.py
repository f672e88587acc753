"""How we are, in people's words: banners above every heading, and the foot of the side bar. From what `/readyz` is told; never its details."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagewarden.web.people.ports import Condition

_DIGITS = 7  # of a revision: enough to tell two apart that somebody has in mind

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


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the foot."""

    name: str
    well: bool
    says: str


def foot(condition: Condition) -> tuple[Part, ...]:
    """What a vote stands on: the policy that asked for it, the log that keeps it, the state that counts it."""
    ill = frozenset(condition.troubles)
    number = condition.replicas or 1
    state = "does not answer" if "state" in ill else "one replica" if number == 1 else f"{number} replicas"
    return (
        Part("Policy", well=True, says=f"rev {condition.policy[:_DIGITS]}"),
        Part("Audit", "audit" not in ill, "takes no entries" if "audit" in ill else "takes entries"),
        Part("State", not ill & {"state", "replicas"}, state),
    )
