"""Opening a hold, finding the one a repeat belongs to, and putting one in another's place.

Never a second hold for the same request while one stands (lifecycles.md, "A repeat"): checked in the transaction that opens, and held
by a unique index beneath it. Over the agent's limit nothing is stored.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy import case, func, select

from stagewarden.clock import NANOSECONDS, new_id
from stagewarden.errors import CannotTell, Conflict, Refused
from stagewarden.holds import lifecycle
from stagewarden.holds.ballot import check_edit, questions
from stagewarden.holds.desk import Desk, fetch
from stagewarden.holds.entries import Cause, Moved, view_digest
from stagewarden.holds.hours import over_at
from stagewarden.holds.lifecycle import Event
from stagewarden.holds.resending import doubtful
from stagewarden.model import Hold, HoldState
from stagewarden.store import Clash
from stagewarden.store.tables import holds
from stagewarden.wire.spool import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden.holds.ballot import Ballot
    from stagewarden.holds.desk import Pen
    from stagewarden.holds.eligibility import Directory
    from stagewarden.holds.rows import NewHold
    from stagewarden.model import Reason

_LOOKED_BACK = 20  # earlier holds of an asset whose people count as its writers
_SAID_NO = frozenset({HoldState.REJECTED, HoldState.SENT_BACK, HoldState.STOPPED})
_OVER = frozenset({HoldState.FAILED, HoldState.ROLLED_BACK})  # known to have no effect, or none any more
_FOLLOWED = 100  # links from superseded to successor that are followed before we say that we cannot tell


class Opening(Desk):
    """Acts that bring holds into being."""

    async def open(self, new: NewHold) -> Moved:
        """The hold of this request: opened, or (no entries) the one that stands for it already. Refused over the agent's limit."""
        await check_digest(new)
        try:
            async with self._counted(new.agent) as pen:
                standing = await self._answering(pen.connection, (new.agent, new.workflow, new.initiator, new.repeat_digest), new.lookup_digest)
                if standing is not None:
                    return Moved(standing, ())
                await self._check_room(pen, new.agent)
                return await pen.add(self._fresh(new, pen.now_ns), Cause(by=new.agent))
        except Clash:
            standing = await self.find_repeat(new.agent, new.workflow, new.initiator, new.repeat_digest, new.lookup_digest)
            if standing is None:
                raise
            return Moved(standing, ())

    async def find_repeat(self, agent: str, workflow: str, initiator: str, repeat_digest: str, lookup_digest: str | None = None) -> Hold | None:
        """The newest hold that still answers for this request, or None: judge it anew.

        `lookup_digest`, taken now, ends the stored answer where it differs from the one taken right after the send; None compares nothing.
        """
        async with self._store.reading() as connection:
            return await self._answering(connection, (agent, workflow, initiator, repeat_digest), lookup_digest)

    async def written(self, upstream: str, asset: str) -> tuple[Hold, ...]:
        """The holds whose bytes made this asset what it is, newest first: their people wrote it."""
        made = (holds.c.upstream == upstream, holds.c.asset == asset, holds.c.state.in_((str(HoldState.DONE), str(HoldState.UNKNOWN))))
        async with self._store.reading() as connection:
            return tuple(await fetch(connection, None, *made, order=(holds.c.number.desc(),), limit=_LOOKED_BACK))

    async def supersede(self, hold_id: str, reasons: tuple[Reason, ...], successor: NewHold | None = None, attempt: str | None = None) -> Moved:
        """End a hold because the ground has shifted; with `successor`, a linked hold without votes takes its place.

        `attempt` says that only the holder of that claim may do it. The successor's id is in `hold.successor`, its entry among the entries.
        """
        if successor is not None:
            await check_digest(successor)
        async with self._writing() as pen:
            hold = await pen.load(hold_id)
            if attempt is not None:
                self._claimed_by(hold, attempt)
            # What was begun to be sent may have arrived: people who know nothing of that do not approve it once more.
            fresh = None if successor is None or doubtful(hold) else self._fresh(successor, pen.now_ns)
            code = reasons[0].code if reasons else "superseded"
            moved = await pen.move(hold, Event.SUPERSEDED, Cause(reason=code), successor=None if fresh is None else fresh.id)
            if fresh is None:
                return moved
            added = await pen.add(fresh, Cause(reason=f"succeeds {hold_id}"))
            return Moved(moved.hold, (*moved.entries, *added.entries))

    async def edit(self, hold_id: str, ballot: Ballot, successor: NewHold, registry: Directory) -> Moved:
        """A person's edit: the hold ends, and one of the new bytes takes its place, without votes; the successor is in the answer.

        Raises NotFound, Conflict (hold, digests, another hold of these bytes), NotAllowed, Invalid.
        """
        await check_digest(successor)
        try:
            async with self._writing() as pen:
                hold = await pen.load(hold_id)
                self._in_time(hold)
                check_edit(ballot, hold, registry)
                if doubtful(hold):
                    raise Conflict("edit: it was begun to be sent, and may have arrived as it is")
                fresh = self._fresh(successor, pen.now_ns)
                moved = await pen.move(hold, Event.EDITED, Cause(ballot.person, "edited"), successor=fresh.id)
                added = await pen.add(fresh, Cause(ballot.person, f"edits {hold_id}"))
                return Moved(added.hold, (*moved.entries, *added.entries))
        except Clash as error:
            raise Conflict("edit: a hold of exactly these bytes stands already") from error

    async def supersede_asset(self, upstream: str, asset: str, reason: str) -> tuple[Moved, ...]:
        """The asset was changed by an allowed act: end its open holds that are not yet being sent, in one transaction."""
        states = [str(state) for state, event in lifecycle.TRANSITIONS if event is Event.SUPERSEDED]
        async with self._writing() as pen:
            found = await fetch(pen.connection, None, holds.c.upstream == upstream, holds.c.asset == asset, holds.c.state.in_(states))
            return tuple([await pen.move(hold, Event.SUPERSEDED, Cause(reason=reason)) for hold in found])

    @asynccontextmanager
    async def _counted(self, agent: str) -> AsyncIterator[Pen]:
        """A transaction that opens a hold: what its agent has open is counted before, so its requests come one after another, over all replicas."""
        key = f"agent {agent}"
        async with self._store.queue(key), self._writing() as pen:
            await self._store.alone(pen.connection, key)
            yield pen

    def _fresh(self, new: NewHold, now_ns: int) -> Hold:
        """A pending hold; CannotTell where it could not mean what it says."""
        if not new.seats or any(seat.count < 1 or not seat.functions for seat in new.seats):
            raise CannotTell("a hold without a seat that somebody could fill is not understood")
        # Working hours are those of the people who are asked: a proposal waits for nobody.
        hours = self._terms.hours if new.asked else None
        expires = over_at(now_ns, self._terms.decide_within if new.asked else self._terms.proposals, hours)
        return Hold(
            id=new_id("h", now_ns), state=HoldState.PENDING, ruling=new.ruling, digest=new.digest,
            view_digest=view_digest(new.digest, new.verdict, new.lookup_digest, new.evidence), repeat_digest=new.repeat_digest,
            agent=new.agent, workflow=new.workflow, initiator=new.initiator, upstream=new.upstream, stage=new.stage, kind=new.kind,
            asset=new.asset, lookup_digest=new.lookup_digest, tier=new.verdict.tier, reasons=new.verdict.reasons, seats=new.seats,
            questions=questions(new.verdict.tier), votes=(), asked_at_ns=now_ns,
            expires_at_ns=expires, approved_at_ns=0, use_by_ns=0, ended_at_ns=0,
            attempt=None, successor=None, ended_by=None, request=new.request, question=new.question, before=new.before, asked=new.asked,
            predecessor=new.predecessor, editor=new.editor, original=new.original, authors=new.authors,
            settle_ns=int(new.verdict.obligations.settle * NANOSECONDS),
        )  # fmt: skip

    async def _check_room(self, pen: Pen, agent: str) -> None:
        count = select(func.count()).where(holds.c.agent == agent, holds.c.state.in_(sorted(lifecycle.OPEN)))
        if (await pen.connection.scalar(count) or 0) >= self._limits.holds_per_agent:
            raise Refused("overloaded", f"agent {agent} has {self._limits.holds_per_agent} open holds; wait for an answer or withdraw one")

    async def _answering(self, connection: AsyncConnection, key: tuple[str, str, str, str], lookup_digest: str | None) -> Hold | None:
        agent, workflow, initiator, repeat_digest = key
        same = (
            holds.c.repeat_digest == repeat_digest, holds.c.agent == agent, holds.c.workflow == workflow, holds.c.initiator == initiator,
        )  # fmt: skip
        unsettled = case((holds.c.state.in_([*sorted(lifecycle.OPEN), str(HoldState.UNKNOWN)]), 0), else_=1)
        found = await fetch(connection, self._vault, *same, order=(unsettled, holds.c.number.desc()), limit=1)
        for _ in range(_FOLLOWED):
            if not found:
                return None
            if found[0].state is not HoldState.SUPERSEDED or found[0].successor is None:
                return found[0] if self._answers(found[0], lookup_digest) else None
            found = await fetch(connection, self._vault, holds.c.id == found[0].successor)
        raise CannotTell("the holds of this request succeed one another in a circle")

    def _answers(self, hold: Hold, lookup_digest: str | None) -> bool:
        """Whether a repeat is told where this hold stands (true), or is judged anew."""
        if hold.state in lifecycle.OPEN or hold.state is HoldState.UNKNOWN:
            return True
        recent = self._clock.now_ns() < hold.ended_at_ns + int(self._terms.replay * NANOSECONDS)
        if hold.state is HoldState.DONE:
            return recent and hold.payload and not _moved_on(hold, lookup_digest)
        # What was begun to be sent may have arrived, whatever became of the hold afterwards: never a second one at once.
        return recent and (hold.sends > 0 or hold.state in _SAID_NO) and hold.state not in _OVER


async def check_digest(new: NewHold) -> None:
    """CannotTell where people would approve other bytes than they are shown."""
    small = isinstance(new.request.body, bytes)
    found = new.request.digest(new.agent, new.stage) if small else await in_thread(new.request.digest, new.agent, new.stage)
    if found != new.digest:
        raise CannotTell("the digest to be approved is not the request's")


def _moved_on(hold: Hold, lookup_digest: str | None) -> bool:
    """Whether the asset differs from what it was right after the send, as far as both are known."""
    return hold.after_digest is not None and lookup_digest is not None and lookup_digest != hold.after_digest
