"""The words of the stop: modes, kills, and the orders that engage or lift them, as frozen values. Knows no file and no database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from stagewarden.errors import CannotTell, Invalid
from stagewarden.model import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MODES = ("active", "recommend_only", "paused", "revoked")  # in rising strictness
STOPPING = frozenset({"paused", "revoked"})  # the others let the policy be asked
RANK: Mapping[str, int] = {mode: rank for rank, mode in enumerate(MODES)}
SCOPE = re.compile(r"all|(?:agent|workflow|upstream):[A-Za-z0-9][A-Za-z0-9._~@:+/-]{0,199}|stage:[a-z]{1,20}")
LONGEST_REASON, LONGEST_NAME = 500, 200

Mode: TypeAlias = Literal["active", "recommend_only", "paused", "revoked"]
Act: TypeAlias = Literal["kill", "unkill", "mode"]


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """One stop; it stands until it is lifted by its id (`k_…`). `security`: its cause is one that the agent's own owner does not lift."""

    id: str
    scope: str
    by: str
    at_ns: int
    reason: str
    security: bool = False


class StoredMode(msgspec.Struct, frozen=True, kw_only=True):
    """A mode given to an agent by a person. `security`: as of a kill; stays until the agent is active again, whoever sets it meanwhile.

    `observed_until_ns`: the end of the observation window that a loosening began; 0: none was.
    """

    mode: Mode
    by: str
    at_ns: int
    reason: str
    security: bool = False
    observed_until_ns: int = 0


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One order, for the audit log and for other replicas: `id` is the entry's, so that whoever sees it first can record it, once.

    `epoch` counts in one file, `number` in the shared state (0: it has none). `relapse`: a kill of the agent, or security's tightening, inside
    its observation window.
    """

    id: str
    epoch: int
    act: Act
    subject: str  # the kill's id, or the agent's
    scope: str  # a kill's; `agent:ID` of a mode
    mode: str  # of a mode; else empty
    by: str
    at_ns: int
    reason: str
    security: bool = False
    loosens: bool = False
    relapse: bool = False
    observed_until_ns: int = 0
    number: int = 0

    @property
    def stops(self) -> bool:
        """Whether what was approved before it does not go out after it."""
        return self.act == "kill" or (self.act == "mode" and self.mode in STOPPING)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the gate knows of an order beside who and why.

    `security`: somebody of that function gives it. `loosens`: it does, by what is in force. `observe_ns`: how long an agent is watched after
    that. `permit` is asked with what stands, under the file's lock, before it is loosened, and raises what forbids it.
    """

    security: bool = False
    loosens: bool = False
    observe_ns: int = 0
    permit: Callable[[Kill | StoredMode], None] | None = None


PLAIN = Terms()


class NotDurable(CannotTell):
    """An order to stop that could not be written: it holds in this process, and is written as soon as that can be done."""

    def __init__(self, why: str, change: Change) -> None:
        super().__init__(f"{why}; it holds in this process and its workers until they end, and is written as soon as that can be done")
        self.change = change


def parse_scope(scope: str) -> str:
    """`all`, `agent:ID`, `workflow:ID`, `upstream:ID` or `stage:NAME`; raises Invalid."""
    kind, _, name = scope.partition(":")
    if SCOPE.fullmatch(scope) is None or (kind == "stage" and name not in {stage.value for stage in Stage}):
        raise Invalid("scope: expected all, agent:ID, workflow:ID, upstream:ID or stage:NAME")
    return scope


def scopes(agent: str | None, workflow: str | None, upstream: str | None, stage: Stage | None) -> tuple[str, ...]:
    """Every scope that covers this."""
    asked = (("agent", agent), ("workflow", workflow), ("upstream", upstream), ("stage", stage))
    return ("all", *(f"{kind}:{name}" for kind, name in asked if name is not None))


def stricter(registry_mode: str, stored: StoredMode | None) -> str:
    """The stricter of the two; a word we do not know counts as the strictest."""
    known = RANK.get(registry_mode)
    if known is None:
        return "revoked"
    return registry_mode if stored is None or RANK[stored.mode] <= known else stored.mode
