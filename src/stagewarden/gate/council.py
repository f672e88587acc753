"""Who may vote on a grant, and whether its seats are filled: the rules for holds, read from the registry at each reading.

Whoever asks for a grant fills no seat of it, and neither does anybody who is the same human being.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.errors import Conflict, Invalid, NotAllowed
from stagewarden.holds.ballot import REASONS
from stagewarden.holds.eligibility import candidates, eligible, functions_held
from stagewarden.holds.seats import fill, filled

if TYPE_CHECKING:
    from stagewarden.grants import Ballot, Grant
    from stagewarden.holds.eligibility import Directory
    from stagewarden.holds.seats import SeatView
    from stagewarden.model import Document, Seat, Vote


@dataclass(frozen=True, slots=True)
class Asked:
    """What eligibility depends on: the one who asks is a proven person."""

    agent: str
    workflow: str
    initiator: str
    seats: tuple[Seat, ...]
    authors: tuple[str, ...] = ()  # nothing is written yet

    @property
    def question(self) -> Document:
        """The chain that asked."""
        chain: Document = {"kind": "human", "id": self.initiator, "verified": True}
        return {"principal": {"chain": [chain], "trigger": None}}


def asked(grant: Grant) -> Asked:
    """A grant, as eligibility sees it."""
    return Asked(grant.terms.agent, grant.terms.workflow, grant.requested_by, grant.seats)


def why_not(person: str, grant: Grant, registry: Directory) -> str | None:
    """Why this person may not approve it, or None when they may."""
    return eligible(person, asked(grant), registry)


def standing(grant: Grant, registry: Directory) -> tuple[Vote, ...]:
    """The approvals that count now: of these terms, by people eligible today, each human being once."""
    counted: list[Vote] = []
    for vote in grant.votes:
        if vote.decision != "approve" or vote.digest != grant.digest or why_not(vote.person, grant, registry) is not None:
            continue
        if vote.function in functions_held(vote.person, asked(grant), registry) and not _counted(vote, counted, registry):
            counted.append(vote)
    return tuple(counted)


def seat_views(grant: Grant, registry: Directory) -> tuple[SeatView, ...]:
    """Its seats as they stand now."""
    return tuple(fill(grant.seats, standing(grant, registry)))


def could_vote(asking: Asked, registry: Directory) -> dict[str, frozenset[str]]:
    """Everybody who could, with their functions."""
    return candidates(asking, registry)


class Council:
    """What the grants ask while they count (`grants.Council`)."""

    def __init__(self, registry: Directory) -> None:
        self._registry = registry

    def check(self, ballot: Ballot, grant: Grant) -> None:
        """Raises Conflict (voted already), NotAllowed (person), Invalid (body), in this order."""
        registry = self._registry
        if any(registry.same_human(ballot.person, vote.person) for vote in grant.votes):
            raise Conflict("this person has already voted on this grant")
        held = functions_held(ballot.person, asked(grant), registry)
        if ballot.decision != "reject" or not held:  # rejecting is open to the conflicted
            why = why_not(ballot.person, grant, registry)
            if why is not None:
                raise NotAllowed(f"{ballot.person} may not vote on this grant: {why}")
        if ballot.function not in held:
            raise NotAllowed(f"function: {ballot.person} does not hold {ballot.function!r}, or no seat of this grant asks for it")
        if ballot.decision == "reject" and ballot.reason not in REASONS:
            raise Invalid(f"reason: one of {', '.join(REASONS)}")

    def filled(self, grant: Grant) -> bool:
        """Whether different eligible people fill every seat."""
        return filled(seat_views(grant, self._registry))


def _counted(vote: Vote, counted: list[Vote], registry: Directory) -> bool:
    return any(registry.same_human(vote.person, other.person) for other in counted)
