"""Ends that no answer brings: withdrawn, stopped, out of time; and the deletion of payloads afterwards.

Each is one transaction over all it concerns. Reads no payload, so that a damaged one cannot keep a stop from working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, or_, select, update

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import Invalid, NotFound
from stagewarden.holds import lifecycle, rows
from stagewarden.holds.desk import Desk, fetch
from stagewarden.holds.entries import Cause, Moved
from stagewarden.holds.lifecycle import Event
from stagewarden.holds.paging import named
from stagewarden.holds.resending import after_loss
from stagewarden.model import HoldState
from stagewarden.store.tables import bodies, holds, titles, votes

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from stagewarden.holds.desk import Pen
    from stagewarden.model import Hold

_SCOPES = {"hold": holds.c.id, "agent": holds.c.agent, "workflow": holds.c.workflow, "upstream": holds.c.upstream, "stage": holds.c.stage}
_UNSENT = tuple(map(str, (HoldState.SETTLING, HoldState.APPROVED, HoldState.CLAIMED)))


class Ending(Desk):
    """Acts that end holds."""

    async def withdraw(self, hold_id: str, agent: str) -> Moved:
        """The agent takes its own request back; NotFound for another's, Conflict once it is being released."""
        async with self._writing() as pen:
            hold = await pen.load(hold_id)
            if hold.agent != agent:
                raise NotFound(f"hold {hold_id}: no such hold")
            return await pen.move(hold, Event.WITHDRAWN, Cause(agent, "withdrawn"))

    async def stop(self, hold_id: str, by: str, reason: str) -> Moved:
        """A person stops this hold; Conflict once its bytes are leaving."""
        async with self._writing() as pen:
            hold = await pen.load(hold_id)
            return await pen.move(hold, Event.STOPPED, Cause(by, reason), ended_by="stopped")

    async def stop_in_scope(self, scope: str, by: str | None, reason: str, code: str = "killed") -> tuple[Moved, ...]:
        """A kill, pause or revocation: what was approved in its scope does not fire any more. Pending holds stay.

        `scope` is `all`, `agent:ID`, `workflow:ID`, `upstream:ID`, `stage:NAME`, or one `hold:ID`; `code` is killed, paused or revoked.
        """
        async with self._writing() as pen:
            found = await fetch(pen.connection, None, holds.c.state.in_(_UNSENT), *_in_scope(scope))
            return tuple([await pen.move(hold, Event.KILLED, Cause(by, reason), ended_by=code) for hold in found])

    async def expire_due(self) -> tuple[Moved, ...]:
        """End what is out of time on either clock, and take claims whose lease is over from their holders."""
        async with self._writing() as pen:
            over = or_(
                (holds.c.state == "pending") & (holds.c.expires_at_ns <= pen.now_ns),
                holds.c.state.in_(_UNSENT) & (holds.c.use_by_ns <= pen.now_ns),
                holds.c.state.in_(("claimed", "sent")) & (holds.c.lease_until_ns <= pen.now_ns),
                holds.c.state.in_(("claimed", "sent")) & holds.c.id.in_(self._deadlines.abandoned()),
                holds.c.state.in_(lifecycle.WAITING) & holds.c.id.in_(self._deadlines.passed()),
            )
            found = await fetch(pen.connection, None, over)
            self._forget_all_but(found)
            return tuple([moved for hold in found if (moved := await self._expire(pen, hold)) is not None])

    async def next_deadline(self) -> float | None:
        """Seconds until something falls due (a deadline, a lease, a retry); 0 when it has; None when nothing will."""
        now = self._clock.now_ns()
        soonest = (
            select(func.min(holds.c.expires_at_ns)).where(holds.c.state == "pending"),
            select(func.min(holds.c.use_by_ns)).where(holds.c.state.in_(_UNSENT)),
            select(func.min(holds.c.lease_until_ns)).where(holds.c.state.in_(("claimed", "sent"))),
            select(func.min(holds.c.settles_at_ns)).where(holds.c.state == "settling", holds.c.settles_at_ns > now),
            select(func.min(holds.c.not_before_ns)).where(holds.c.state == "approved", holds.c.not_before_ns > now),
        )
        async with self._store.reading() as connection:
            moments = [await connection.scalar(query) for query in soonest]
        left = [(moment - now) / NANOSECONDS for moment in moments if moment is not None]
        if (monotonic := self._deadlines.soonest()) is not None:
            left.append(monotonic)
        return max(0.0, min(left)) if left else None

    async def purge(self) -> int:
        """Delete payloads and notes of holds that ended longer than `holds.replay` ago; how many. `unknown` keeps its own until resolved."""
        async with self._store.writing() as connection:
            before = self._clock.now_ns() - int(self._terms.replay * NANOSECONDS)
            ended = (holds.c.state.in_(sorted(lifecycle.FINAL)), holds.c.ended_at_ns <= before, holds.c.data_key.is_not(None))
            await connection.execute(update(votes).where(votes.c.hold.in_(select(holds.c.id).where(*ended))).values(note=None))
            for beside in (bodies, titles):
                await connection.execute(delete(beside).where(beside.c.hold.in_(select(holds.c.id).where(*ended))))
            blank = dict.fromkeys(("data_key", *rows.SEALED))
            result = await connection.execute(update(holds).where(*ended).values(**blank))
        return int(result.rowcount)

    async def _expire(self, pen: Pen, hold: Hold) -> Moved | None:
        """The one move that is due for this hold, if any."""
        if hold.state is HoldState.SENT:
            # Its deadline may still be in our own books when another replica sends it: only the lease says that nobody does any more.
            if not await self._lease_over(pen, hold):
                return None
            event, columns = after_loss(hold, pen.now_ns, self._deadlines.left(hold))
            return await pen.move(hold, event, Cause(reason="lease_over"), **columns)
        if self._deadlines.over(hold):
            if hold.state is HoldState.PENDING:
                return await pen.move(hold, Event.DECIDE_BY_PASSED, Cause(reason="decide_by"))
            return await pen.move(hold, Event.USE_BY_PASSED, Cause(reason="use_by"))
        if hold.state is HoldState.CLAIMED and await self._lease_over(pen, hold):
            return await pen.move(hold, Event.RELEASED, Cause(reason="lease_over"), attempt=None, lease_until_ns=0)
        return None

    async def _lease_over(self, pen: Pen, hold: Hold) -> bool:
        until = await pen.connection.scalar(select(holds.c.lease_until_ns).where(holds.c.id == hold.id))
        return until is not None and self._deadlines.lease_over(hold.id, hold.attempt, until)

    def _forget_all_but(self, found: list[Hold]) -> None:
        """Clocks of holds that have ended meanwhile are not kept, nor leases of attempts that are over."""
        attempts = {hold.id: hold.attempt for hold in found}
        for left in self._deadlines.abandoned():
            self._deadlines.forget_lease(left, but=attempts.get(left))
        open_now = {hold.id for hold in found if hold.state in lifecycle.OPEN and hold.state is not HoldState.SENT}
        for gone in set(self._deadlines.passed()) - open_now:
            self._deadlines.forget(gone)


def _in_scope(scope: str) -> tuple[ColumnElement[bool], ...]:
    if scope == "all":
        return ()
    kind, _, name = scope.partition(":")
    if kind not in _SCOPES or not name:
        raise Invalid("scope: all, agent:ID, workflow:ID, upstream:ID, stage:NAME or hold:ID")
    return (named(_SCOPES[kind], name),)
