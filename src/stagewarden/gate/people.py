"""What people see and ask of the gate: a vote meant, a hold as one caller may see it, an agent with its mode.

Values only as far as the doors know them; who may do what is decided by the gate, never here by a door.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from stagewarden.holds.ballot import Ballot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.holds.ballot import Decision
    from stagewarden.holds.seats import SeatView
    from stagewarden.holds.signals import Measures
    from stagewarden.model import Hold
    from stagewarden.modes import Kill
    from stagewarden.registry import Agent, Destination, Workflow


@dataclass(frozen=True, slots=True)
class VoteIntent:
    """What somebody asks to be cast on one hold, bound to the digests they saw."""

    decision: Decision
    function: str
    reason: str | None
    note: str | None
    digest: str
    view_digest: str
    answers: Mapping[str, bool] = field(default_factory=dict)
    edit: bytes | None = None  # the body to be sent instead
    unread: frozenset[str] | None = None  # parts of the page its reader has not marked as read; None: where they saw it there are no marks


def ballot_of(person: str, intent: VoteIntent) -> Ballot:
    """The intent as this person's ballot."""
    return Ballot(
        person, intent.function, intent.decision, intent.digest, intent.view_digest, intent.reason, intent.note, dict(intent.answers), intent.unread
    )  # fmt: skip


Offer: TypeAlias = Literal["take_up", "resolve", "roll_back"]


@dataclass(frozen=True, slots=True)
class HoldView:
    """One hold as one caller may see it. `payload`: may the bytes be shown; `why_not`: why this caller cannot approve (None: they can)."""

    hold: Hold
    seats: tuple[SeatView, ...]
    payload: bool
    why_not: str | None
    functions: tuple[str, ...]  # functions this caller could vote in
    why_not_edit: str | None = None  # why this caller cannot edit its body (None: they can); known only where one hold is shown
    prove: str | None = None  # the sign-in an approval by this caller still takes (None: none); likewise
    offers: frozenset[Offer] = frozenset()  # what this caller may do beside voting and stopping; likewise
    title: str | None = None  # what its thing is called, in the agent's words; known only in the inbox, and only to whom the bytes may be shown


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a hold stands among those that wait for somebody, in the inbox's order from 1 on, and the ids of the one before and the one after."""

    number: int
    of: int
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around one hold: the registry's entries about it as they are now, what it took the place of, and its like that have ended.

    `alike` and `predecessor` are without payload, whoever asks. `registry`: the revision in force.
    """

    registry: str
    workflow: Workflow | None = None
    destination: Destination | None = None
    predecessor: Hold | None = None
    alike: tuple[Hold, ...] = ()  # same agent, kind and upstream, newest first


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


@dataclass(frozen=True, slots=True)
class OwnReviews:
    """What somebody is told of their own reviews, however few: the numbers, and the signals where there are enough for any."""

    measures: Measures
    signals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkflowReviews:
    """Reviews of one workflow, for its owners and security: no names, and no numbers (`measures` None) where there are too few."""

    workflow: str
    measures: Measures | None
    signals: tuple[str, ...]
    second_person: tuple[str, ...]  # upon which signals its holds ask one more person
