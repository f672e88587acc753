"""Votes: counted once per person, bound to what was shown, matched to seats at each reading.

Checks and their order are in ballot.py; who may vote is in eligibility.py. Handing in the same ballot again changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.clock import NANOSECONDS, new_id
from stagewarden.errors import Conflict, NotAllowed
from stagewarden.holds import ballot as ballots
from stagewarden.holds import lifecycle, reviewing
from stagewarden.holds.desk import Desk
from stagewarden.holds.eligibility import eligible, seat_views
from stagewarden.holds.entries import Cause, Moved
from stagewarden.holds.hours import over_at
from stagewarden.holds.lifecycle import Event
from stagewarden.holds.seats import filled
from stagewarden.model import HoldState
from stagewarden.store import Clash

if TYPE_CHECKING:
    from stagewarden.holds.ballot import Ballot
    from stagewarden.holds.desk import Pen
    from stagewarden.holds.eligibility import Directory
    from stagewarden.model import Hold


class Voting(Desk):
    """The act of a person."""

    async def vote(self, hold_id: str, ballot: Ballot, registry: Directory) -> Moved:
        """Count a ballot. Raises NotFound, Conflict (hold, digests, voted already), NotAllowed (person), Invalid (body), in this order."""
        try:
            async with self._writing() as pen:
                hold = await pen.load(hold_id, payload=True)
                if any(ballots.repeated(ballot, vote) for vote in hold.votes):
                    return Moved(hold, ())
                if hold.state is HoldState.PENDING:
                    self._in_time(hold)
                ballots.check(ballot, hold, registry)
                return await self._count(pen, hold, ballot, registry)
        except Clash as error:
            raise Conflict("this person has already voted on this hold") from error

    async def take_up(self, hold_id: str, person: str, registry: Directory) -> Moved:
        """Somebody eligible wants a proposal decided: its people are asked, and decide-by begins now. Twice changes nothing."""
        async with self._writing() as pen:
            hold = await pen.load(hold_id)
            lifecycle.move(hold.state, Event.TAKEN_UP)
            self._in_time(hold)
            if (why := eligible(person, hold, registry)) is not None:
                raise NotAllowed(f"{person} may not take this up: {why}")
            if hold.asked:
                return Moved(hold, ())
            expires = over_at(pen.now_ns, self._terms.decide_within, self._terms.hours)
            self._deadlines.forget(hold.id)
            return await pen.move(hold, Event.TAKEN_UP, Cause(person), asked=True, asked_at_ns=pen.now_ns, expires_at_ns=expires)

    async def _count(self, pen: Pen, hold: Hold, ballot: Ballot, registry: Directory) -> Moved:
        """(1) The vote and its entry. (2) The move it makes. (3) When the last seat fills, the time to settle and use-by are fixed."""
        vote = ballots.as_vote(ballot, new_id("v", pen.now_ns), pen.now_ns)
        entry = await pen.record_vote(hold, vote)
        review = await reviewing.note(pen, hold, vote, ballot.unread, self._terms.hours)
        if vote.decision != "approve":
            event = Event.REJECTED if vote.decision == "reject" else Event.SENT_BACK
            moved = await pen.move(hold, event, Cause(vote.person, vote.reason))
        elif filled(seat_views(replace(hold, votes=(*hold.votes, vote)), registry)):
            settle_ns = max(hold.settle_ns, int(self._terms.settle * NANOSECONDS))
            settled = pen.now_ns + settle_ns
            fixed = {"settles_at_ns": settled if settle_ns else 0, "use_by_ns": settled + int(self._terms.use_within * NANOSECONDS)}
            event = Event.SETTLING if settle_ns else Event.FILLED
            moved = await pen.move(hold, event, Cause(vote.person), approved_at_ns=pen.now_ns, **fixed)
        else:
            moved = await pen.move(hold, Event.VOTED, Cause(vote.person))
        return Moved(moved.hold, (entry, *moved.entries), review)
