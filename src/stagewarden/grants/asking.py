"""Asking for a grant, and voting on it. Who may vote, and whether the seats are filled, is told by the caller's council.

A vote names the digest of the terms. Handing in the same vote again changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import msgspec
from msgspec.structs import replace

from stagewarden.clock import NANOSECONDS, new_id
from stagewarden.errors import CannotTell, Conflict
from stagewarden.grants.desk import Desk
from stagewarden.grants.grant import Changed, Grant, GrantState
from stagewarden.grants.lifecycle import Event
from stagewarden.model import Vote
from stagewarden.store import Clash

if TYPE_CHECKING:
    from stagewarden.grants.desk import Pen
    from stagewarden.grants.grant import Terms
    from stagewarden.model import Seat, Tier


class Ballot(msgspec.Struct, frozen=True):
    """One person's answer, as handed in."""

    person: str
    function: str
    decision: Literal["approve", "reject"]
    digest: str
    reason: str | None = None


class Council(Protocol):
    """Who may vote, read from the registry at each reading."""

    def check(self, ballot: Ballot, grant: Grant) -> None:
        """Raises Conflict (voted already), NotAllowed (person), Invalid (body), in this order."""

    def filled(self, grant: Grant) -> bool:
        """Whether different eligible people fill every seat."""


class Asking(Desk):
    """Acts that bring grants into being."""

    async def request(self, terms: Terms, by: str, seats: tuple[Seat, ...], tier: Tier, decide_within: float) -> Changed:
        """Ask for a grant; nothing is permitted by it before the last seat is filled."""
        if not seats or any(seat.count < 1 or not seat.functions for seat in seats):
            raise CannotTell("a grant without a seat that somebody could fill is not understood")
        async with self._writing() as pen:
            asked = Grant(
                id=new_id("g", pen.now_ns), state=GrantState.REQUESTED, terms=terms, digest=terms.fingerprint(), tier=tier, seats=seats,
                requested_by=by, asked_at_ns=pen.now_ns, decide_by_ns=pen.now_ns + int(decide_within * NANOSECONDS),
            )  # fmt: skip
            return await pen.add(asked)

    async def vote(self, grant_id: str, ballot: Ballot, council: Council) -> Changed:
        """Count a ballot. Raises NotFound, Conflict (state, digest, voted already), NotAllowed, Invalid, in this order."""
        try:
            async with self._writing() as pen:
                grant = await pen.load(grant_id)
                if any(_repeated(ballot, vote) for vote in grant.votes):
                    return Changed(grant)
                if grant.state is not GrantState.REQUESTED:
                    raise Conflict(f"the grant is {grant.state}; it takes no votes")
                if grant.decide_by_ns <= pen.now_ns:
                    raise Conflict(f"grant {grant_id}: the time to decide is over")
                if ballot.digest != grant.digest:
                    raise Conflict("digest: the vote is about other terms than the grant's")
                council.check(ballot, grant)
                return await self._count(pen, grant, ballot, council)
        except Clash as error:
            raise Conflict("this person has already voted on this grant") from error

    async def _count(self, pen: Pen, grant: Grant, ballot: Ballot, council: Council) -> Changed:
        """(1) The vote and its entry. (2) The move it makes. (3) With the last seat its time begins."""
        reason = ballot.reason if ballot.decision == "reject" else None
        vote = Vote(
            new_id("v", pen.now_ns), ballot.person, ballot.function, ballot.decision, reason, None, ballot.digest, ballot.digest, pen.now_ns
        )  # fmt: skip
        entry = await pen.record_vote(grant, vote)
        if vote.decision == "reject":
            moved = await pen.move(grant, Event.REJECTED, vote.person, vote.reason)
        elif council.filled(replace(grant, votes=(*grant.votes, vote))):
            terms = grant.terms
            review = 0 if terms.review_within is None else pen.now_ns + terms.review_within * NANOSECONDS
            until = pen.now_ns + terms.ttl * NANOSECONDS
            moved = await pen.move(
                grant, Event.FILLED, vote.person, None, approved_at_ns=pen.now_ns, expires_at_ns=until, review_by_ns=review
            )  # fmt: skip
            self.known.over(moved.grant)  # its monotonic clock runs from here
        else:
            moved = await pen.move(grant, Event.VOTED, vote.person, None)
        return Changed(moved.grant, (entry, *moved.entries))


def _repeated(ballot: Ballot, vote: Vote) -> bool:
    """Whether the ballot says again what the vote already says."""
    same = (ballot.person, ballot.function, ballot.decision, ballot.digest) == (vote.person, vote.function, vote.decision, vote.digest)
    return same and (ballot.decision == "approve" or ballot.reason == vote.reason)
