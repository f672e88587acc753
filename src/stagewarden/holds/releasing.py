"""Releasing a hold: claimed by one attempt, sent at most once, then what became of it.

`sent` is durable before the first byte leaves, and is never taken back to be sent again unless the upstream honours `Idempotency-Key`
(resending.py). Who does not hold the claim changes nothing.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from msgspec.structs import replace
from sqlalchemy import insert, select, update

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import CannotTell, Conflict, StateUnavailable
from stagewarden.holds import bodies, rows
from stagewarden.holds.desk import Desk, fetch
from stagewarden.holds.entries import Cause, Moved
from stagewarden.holds.lifecycle import LEASE_NS, WAITING, Event, answer_event
from stagewarden.holds.resending import MOST_SENDS, after_loss, pause
from stagewarden.holds.seats import fill, filled
from stagewarden.model import HoldState
from stagewarden.store.tables import holds, meta, outbox, votes
from stagewarden.wire.spool import in_thread

if TYPE_CHECKING:
    from collections.abc import Collection

    from stagewarden.holds.desk import Pen
    from stagewarden.model import Answer, Hold
    from stagewarden.wire.spool import Spool

_KEY_CHECK = "holds.key"
_READY = ("approved", "settling")


class Releasing(Desk):
    """Acts of the release loop."""

    async def due(self, limit: int = 100) -> tuple[str, ...]:
        """Ids of holds ready for release, longest approved first. One whose entries are not in the log yet is not ready."""
        now = self._clock.now_ns()
        ready = (holds.c.state.in_(_READY), holds.c.settles_at_ns <= now, holds.c.use_by_ns > now, holds.c.not_before_ns <= now)
        logged = ~select(outbox.c.number).where(outbox.c.hold == holds.c.id).exists()
        query = select(holds.c.id).where(*ready, logged).order_by(holds.c.approved_at_ns, holds.c.number).limit(limit)
        async with self._store.reading() as connection:
            found = (await connection.execute(query)).scalars().all()
        return tuple(hold_id for hold_id in found if not self._deadlines.settling(hold_id))

    async def claim(self, hold_id: str, attempt: str) -> Moved:
        """Take an approved hold for one attempt (30 s, renewable); Conflict for everybody who comes second.

        (1) In time, and settled. (2) Approval and votes are in the log. (3) Votes of exactly this fill every seat. (4) The stored bytes are
        the approved ones.
        """
        async with self._writing() as pen:
            hold = await pen.load(hold_id, payload=True)
            if hold.state not in _READY:
                raise Conflict(f"the hold is {hold.state}; it cannot be claimed")
            self._in_time(hold)
            if not self._deadlines.settled(hold):
                raise Conflict(f"hold {hold_id}: its time to settle is not over")
            if await pen.connection.scalar(select(outbox.c.number).where(outbox.c.hold == hold_id).limit(1)) is not None:
                raise Conflict(f"hold {hold_id}: its approval is not in the log yet")
            _check_approval(hold)
            lease = pen.now_ns + LEASE_NS
            moved = await pen.move(
                hold, Event.CLAIMED, Cause(), attempt=attempt, fence=holds.c.fence + 1, lease_until_ns=lease, claimed_by=self._store.instance
            )
        self._deadlines.lease(hold_id, attempt)
        return moved

    async def with_body(self, hold: Hold, into: Spool) -> Hold:
        """The hold with its large body in the spool: exactly the bytes that were asked about, or StateUnavailable."""
        async with self._store.reading() as connection:
            wrapped = await connection.scalar(select(holds.c.data_key).where(holds.c.id == hold.id))
            if wrapped is None:
                raise StateUnavailable(f"hold {hold.id}: its stored request is missing")
            async with aclosing(bodies.load(connection, hold.id, self._vault.unwrap(hold.id, wrapped))) as pieces:
                async for piece in pieces:
                    await into.write(piece)
        request = replace(hold.request, body=into)
        if await in_thread(request.digest, hold.agent, hold.stage) != hold.digest:
            raise StateUnavailable(f"hold {hold.id}: the stored body is not the one that was asked about")
        return replace(hold, request=request)

    async def renew(self, hold_id: str, attempt: str) -> None:
        """Another 30 s for a claim or a send under way; Conflict when it is no longer ours."""
        async with self._store.writing() as connection:
            now = self._clock.now_ns()
            if self._deadlines.outlived(hold_id, attempt):
                raise Conflict(f"hold {hold_id}: the lease of this attempt is over")
            ours = (holds.c.id == hold_id, holds.c.attempt == attempt, holds.c.state.in_(("claimed", "sent")), holds.c.lease_until_ns > now)
            result = await connection.execute(update(holds).where(*ours).values(lease_until_ns=now + LEASE_NS))
        if result.rowcount != 1:
            raise Conflict(f"hold {hold_id} is not held by this attempt any longer")
        self._deadlines.lease(hold_id, attempt)

    async def release_claim(self, hold_id: str, attempt: str, reason: str = "cannot_tell") -> Moved:
        """Nothing was sent (connect failed, could not tell): approved again, retried until use-by after a pause that doubles."""
        async with self._writing() as pen:
            hold = await self._mine(pen, hold_id, attempt)
            fence = await pen.connection.scalar(select(holds.c.fence).where(holds.c.id == hold_id)) or 1
            retry = pen.now_ns + int(pause(fence) * NANOSECONDS)
            return await pen.move(hold, Event.RELEASED, Cause(reason=reason), attempt=None, lease_until_ns=0, not_before_ns=retry)

    async def back_to_pending(self, hold_id: str, attempt: str, void: Collection[str]) -> Moved:
        """Some votes (by id) no longer count: they are void, the others stand, decide-by stays, use-by is open again."""
        async with self._writing() as pen:
            hold = await self._mine(pen, hold_id, attempt)
            theirs = (votes.c.hold == hold_id, votes.c.id.in_(sorted(void)), votes.c.void_at_ns == 0)
            await pen.connection.execute(update(votes).where(*theirs).values(void_at_ns=pen.now_ns))
            cause = Cause(reason=f"void: {' '.join(sorted(void))}")
            unset = dict.fromkeys(("lease_until_ns", "approved_at_ns", "settles_at_ns", "use_by_ns"), 0)
            return await pen.move(hold, Event.VOTES_LAPSED, cause, attempt=None, **unset)

    async def mark_sent(self, hold_id: str, attempt: str, *, resend: bool = False) -> Moved:
        """Connected, stop checked again: from here on the bytes may have left. Conflict: send nothing.

        `resend`: the upstream does the same `Idempotency-Key` once; without an answer it may be sent again, at most three times in all.
        """
        async with self._writing() as pen:
            hold = await self._mine(pen, hold_id, attempt)
            self._in_time(hold)
            until = await pen.connection.scalar(select(holds.c.lease_until_ns).where(holds.c.id == hold_id)) or 0
            if self._deadlines.lease_over(hold_id, attempt, until):
                raise Conflict(f"hold {hold_id}: the lease of this attempt is over")
            if hold.sends >= MOST_SENDS or (hold.sends and not resend):
                raise Conflict(f"hold {hold_id}: it was begun to be sent {hold.sends} times, and may not be again")
            counted = {"sends": holds.c.sends + 1, "resend": resend, "lease_until_ns": pen.now_ns + LEASE_NS}
            moved = await pen.move(hold, Event.SENDING, Cause(), **counted)
        self._deadlines.lease(hold_id, attempt)
        return moved

    async def not_sent(self, hold_id: str, attempt: str, by: str | None, reason: str, code: str = "killed") -> Moved:
        """A stop was seen after `sent` and before the first byte."""
        async with self._writing() as pen:
            hold = await pen.load(hold_id)
            _check_attempt(hold, attempt)
            return await pen.move(hold, Event.NOT_SENT, Cause(by, reason), ended_by=code, sends=holds.c.sends - 1)

    async def finish(self, hold_id: str, attempt: str, answer: Answer | None, *, code: str | None = None, after_digest: str | None = None) -> Moved:
        """What became of a send: answer < 400 done, 4xx failed, 5xx or none (`code` says why) unknown, or approved again; kept encrypted.

        Also the late answer of the same attempt, after we had given it up. `after_digest` is the look-up's, taken right after.
        """
        async with self._writing() as pen:
            hold = await pen.load(hold_id, payload=True)
            _check_attempt(hold, attempt)
            event = Event.LOST if answer is None else answer_event(answer.status)
            if hold.state is HoldState.UNKNOWN and event is Event.LOST:
                return Moved(hold, ())
            kept = None if answer is None else await pen.seal(hold, "response", rows.answer_bytes(answer))
            cause = Cause(reason=code or (None if answer is None else f"status_{answer.status}"))
            if event is Event.LOST:
                event, again = after_loss(hold, pen.now_ns, self._deadlines.left(hold))
                if event is Event.RETRIED:
                    return await pen.move(hold, event, cause, **again)
            return await pen.move(hold, event, cause, response=kept, after_digest=after_digest)

    async def recover(self) -> tuple[Moved, ...]:
        """Once at start: claims nobody holds any more → approved; sends nobody finished → unknown, or approved where they may be repeated.

        With a database of our own everything half-done is ours. With replicas it is what was claimed under our name, which is ours alone while we
        live, and what has outlived its lease.
        """
        async with self._writing() as pen:
            await self._check_key(pen)
            half_done = holds.c.state.in_(("claimed", "sent"))
            ours = (holds.c.claimed_by == self._store.instance) | (holds.c.lease_until_ns <= pen.now_ns)
            abandoned = half_done if self._store.exclusive else half_done & ours
            moved = [await self._recover(pen, hold) for hold in await fetch(pen.connection, None, abandoned)]
            for hold in await fetch(pen.connection, None, holds.c.state.in_(WAITING)):
                self._watch(hold)
        return tuple(moved)

    async def check_key(self) -> None:
        """Refuse a database that was written with another `holds.key`; for a process that shares it and recovers nothing."""
        async with self._writing() as pen:
            await self._check_key(pen)

    async def _check_key(self, pen: Pen) -> None:
        """A database that was written with another `holds.key` must not start: its holds could be neither shown nor sent."""
        await self._store.alone(pen.connection, _KEY_CHECK)  # of several that start at once one writes it, and the others read it
        known = await pen.connection.scalar(select(meta.c.value).where(meta.c.name == _KEY_CHECK))
        if known is None:
            wrapped, _ = self._vault.mint(_KEY_CHECK)
            await pen.connection.execute(insert(meta).values(name=_KEY_CHECK, value=wrapped.hex()))
        else:
            self._vault.unwrap(_KEY_CHECK, bytes.fromhex(known))

    async def _recover(self, pen: Pen, hold: Hold) -> Moved:
        if hold.state is HoldState.SENT:
            event, columns = after_loss(hold, pen.now_ns, self._deadlines.left(hold))
            return await pen.move(hold, event, Cause(reason="recovered"), **columns)
        return await pen.move(hold, Event.RELEASED, Cause(reason="recovered"), attempt=None, lease_until_ns=0)

    async def _mine(self, pen: Pen, hold_id: str, attempt: str) -> Hold:
        hold = await pen.load(hold_id)
        self._claimed_by(hold, attempt)
        return hold


def _check_attempt(hold: Hold, attempt: str) -> None:
    if hold.attempt != attempt:
        raise Conflict(f"hold {hold.id} is not held by this attempt")


def _check_approval(hold: Hold) -> None:
    """CannotTell where what is stored is not what was approved: nothing may be sent on it. A large body is checked by `with_body`."""
    small = isinstance(hold.request.body, bytes)
    if not hold.payload or (small and hold.request.digest(hold.agent, hold.stage) != hold.digest):
        raise StateUnavailable(f"hold {hold.id}: the stored request is not the one that was approved")
    counted = (vote for vote in hold.votes if (vote.digest, vote.view_digest) == (hold.digest, hold.view_digest))
    if not filled(fill(hold.seats, counted)):
        raise CannotTell(f"hold {hold.id}: the stored votes do not fill its seats")
