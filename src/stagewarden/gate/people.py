"""What people see and ask of the gate: a vote meant, a hold as one caller may see it, an agent with its mode.

Values only as far as the doors know them; who may do what is decided by the gate, never here by a door.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.holds.seats import SeatView
    from stagewarden.model import Hold
    from stagewarden.modes import Kill
    from stagewarden.registry import Agent


@dataclass(frozen=True, slots=True)
class VoteIntent:
    """What somebody asks to be cast on one hold, bound to the digests they saw."""

    decision: Literal["approve", "reject"]
    function: str
    reason: str | None
    note: str | None
    digest: str
    view_digest: str
    answers: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HoldView:
    """One hold as one caller may see it. `payload`: may the bytes be shown; `why_not`: why this caller cannot approve (None: they can)."""

    hold: Hold
    seats: tuple[SeatView, ...]
    payload: bool
    why_not: str | None
    functions: tuple[str, ...]  # functions this caller could vote in


@dataclass(frozen=True, slots=True)
class AgentView:
    """A registered agent and its mode in force: the stricter of registry and stored. `owed`: what the act on it could not do yet."""

    id: str
    agent: Agent
    mode: str
    mode_by: str | None = None
    mode_reason: str | None = None
    mode_at_ns: int = 0
    mode_security: bool = False
    observed_until_ns: int = 0
    owed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Engaged:
    """A kill that is in force, and what could not be done yet."""

    kill: Kill
    owed: tuple[str, ...] = ()
