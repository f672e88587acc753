"""The release loop: the only one that sends a held request, at most once, after asking the policy again.

What is not known to have stayed here is unknown and is shown as unknown (law 7). It is tried again only where the route says that the
upstream does the same `Idempotency-Key` once, and then by a release like the first: stop, votes, policy and mode are asked anew.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from stagewarden.classify import Match
from stagewarden.clock import new_id
from stagewarden.errors import AnswerWithheld, CannotTell, Conflict, Refused, StagewardenError, UpstreamFailed, UpstreamUnavailable
from stagewarden.gate import bodies, filtering, granting
from stagewarden.gate import question as asking
from stagewarden.gate.lookup import alone, look_up, stored_match
from stagewarden.gate.sending import Relay, result_of
from stagewarden.gate.streams import Stopped
from stagewarden.gate.successor import successor
from stagewarden.holds.eligibility import standing
from stagewarden.holds.seats import fill, filled
from stagewarden.model import Allow, Answer, Ask, Deny, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stagewarden.classify import Looked
    from stagewarden.gate.rooms import Rooms
    from stagewarden.holds import NewHold
    from stagewarden.model import Document, Headers, Hold, Reason, Verdict, Vote

_RETRY_SECONDS = 1.0  # after "could not tell" of the loop itself
_LONGEST_SLEEP = 30.0
_SHORTEST_SLEEP = 0.05  # a deadline that is over but not yet acted upon must not spin
_RENEW_SECONDS = 10.0  # a third of a lease
_AT_ONCE = 16  # releases under way
_LOOK_AFTER = 2.0  # seconds
_KEY = "Idempotency-Key"  # draft-ietf-httpapi-idempotency-key-header
_ANSWER_LIMIT = 16 << 20  # bytes of an answer kept with a hold


class Releases:
    """Brings approved holds to their end."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        # Among several, one without an agents' listener does not send: it need not have the upstreams' network, nor their credentials.
        self._sends = rooms.store.exclusive or rooms.config.listen.agents is not None
        self._running: set[str] = set()
        self._draining = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._logger = structlog.get_logger("stagewarden.release")

    def drain(self) -> None:
        """Start no send any more; one that was begun goes on."""
        self._draining.set()

    async def idle(self) -> None:
        """Until nothing is under way."""
        await self._idle.wait()

    async def run(self) -> None:
        """Until drained: expire what is due, release what is approved, sleep until something changes."""
        async with asyncio.TaskGroup() as group:
            while not self._draining.is_set():
                pause = _RETRY_SECONDS
                try:
                    for moved in await self._rooms.holds.expire_due():
                        await self._rooms.recorder.deliver(moved)
                    for moved in await self._rooms.holds.escalate_due(self._rooms.registry):
                        await self._rooms.recorder.deliver(moved)
                    for hold_id in await self._rooms.holds.due() if self._sends else ():
                        if hold_id not in self._running and len(self._running) < _AT_ONCE:
                            self._running.add(hold_id)
                            self._idle.clear()
                            group.create_task(self._attempt(hold_id))
                    due = await self._rooms.holds.next_deadline()
                    pause = _LONGEST_SLEEP if due is None else min(_LONGEST_SLEEP, max(due, _SHORTEST_SLEEP))
                except (CannotTell, Conflict) as failure:  # Conflict: another replica was first; the next turn sees what it did
                    self._logger.warning("release_loop_waits", cause=str(failure))
                await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        changed = asyncio.ensure_future(self._rooms.holds.changed.wait(seconds))
        drained = asyncio.ensure_future(self._draining.wait())
        await asyncio.wait((changed, drained), return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        drained.cancel()
        await asyncio.gather(changed, drained, return_exceptions=True)

    async def _attempt(self, hold_id: str) -> None:
        """One attempt. A failure leaves the hold approved, and the store says when it may be tried again."""
        try:
            await self.release(hold_id)
        except Conflict:
            pass  # somebody else moved it: where it stands now is right
        except StagewardenError as failure:
            self._logger.warning("release_put_off", hold=hold_id, code=failure.code, cause=str(failure))
        finally:
            self._running.discard(hold_id)
            if not self._running:
                self._idle.set()

    async def release(self, hold_id: str) -> None:
        """Bring one approved hold to its end, in numbered steps. Raises Conflict when it is no longer there to be released."""
        rooms = self._rooms
        # (1) Claim it: whoever claims is the only one, until the lease is over.
        attempt = new_id("a", rooms.clock.now_ns())
        hold = await rooms.recorder.deliver(await rooms.holds.claim(hold_id, attempt))
        assert hold is not None
        try:
            # (2) Stopped meanwhile?
            if stop := self._stopped(hold):
                await self._stop(hold, stop)
                return
            # (3) Do the votes still fill the seats, with people as they are today?
            counting = standing(hold, rooms.registry)
            if not filled(fill(hold.seats, counting)):
                await self._ask_again(hold, attempt, counting)
                return
            # (4) The asset is ours until the answer, and must be what people saw; what may have arrived is sent again under a key alone.
            match = stored_match(rooms, hold)
            if hold.sends and isinstance(match, Match) and not match.route.settings.idempotency:
                match = Deny.by_gate(
                    "outcome_unknown", "It was begun to be sent, and its route no longer says that the upstream honours Idempotency-Key"
                )
            if isinstance(match, Deny):
                await self._supersede(hold, attempt, match.reasons)
                return
            async with alone(rooms, match), self._kept(hold.id, attempt), bodies.whole(rooms, hold) as known:
                await self._judged(known, attempt, match, counting)
        except Stopped as stopped:
            await self._stop(hold, stopped.verdict)
        except (CannotTell, UpstreamUnavailable):
            await rooms.recorder.deliver(await rooms.holds.release_claim(hold.id, attempt))
            raise

    async def _judged(self, hold: Hold, attempt: str, match: Match, counting: tuple[Vote, ...]) -> None:
        rooms = self._rooms
        looked: Looked | None = None
        if match.route.settings.lookup is not None:
            answer = await look_up(rooms, hold.agent, hold.workflow, match)
            if isinstance(answer, str):
                await self._supersede(hold, attempt, Deny.by_gate("lookup_failed", "The asset could not be looked up", {"why": answer}).reasons)
                return
            looked = answer
        if (looked.digest if looked else None) != hold.lookup_digest:
            await self._supersede(hold, attempt, Deny.by_gate("digest_mismatch", "The asset changed after people looked at it").reasons)
            return
        # (5) Ask the policy again, with the approval; it keeps the last word.
        granted = await granting.of_hold(rooms, hold)
        question = asking.again(hold.question, rooms.circumstances(hold.agent, hold.workflow), looked, asking.approval(hold, counting), granted)
        verdict = await rooms.decider.decide(question)
        if stop := self._stopped(hold):  # meanwhile: the policy may have seen the mode before we did
            await self._stop(hold, stop)
            return
        match verdict:
            case Allow():
                await self._send(hold, attempt, match, verdict)
            case Ask():
                # The seats are filled as they were asked; the policy now asks for others: the same bytes, linked, without votes.
                await self._supersede(hold, attempt, verdict.reasons, successor(hold, verdict, question, looked))
            case Deny():
                await self._supersede(hold, attempt, verdict.reasons)

    async def _send(self, hold: Hold, attempt: str, match: Match, verdict: Allow) -> None:
        rooms = self._rooms
        started = rooms.clock.monotonic()
        ours = (("Stagewarden-Ruling", hold.ruling), ("Stagewarden-Review", verdict.obligations.review))
        resend = match.route.settings.idempotency
        head = rooms.sender.head(hold.request, hold.stage, ours, _retry_key(hold) if resend else ())
        # (6) Connected, TLS included: nothing of the request has left.
        async with rooms.sender.connected(hold.agent, hold.request, hold.stage, fresh=True) as connection:
            if stop := self._stopped(hold):
                await self._stop(hold, stop)
                return
            if self._draining.is_set():
                raise CannotTell("shutting down: it stays approved, and the next process sends it")
            # (7) `sent` is durable, in database and log, before the first byte.
            await rooms.recorder.note("release", _release_entry(hold, attempt, verdict, rooms))
            await rooms.recorder.deliver(await rooms.holds.mark_sent(hold.id, attempt, resend=resend))
            # (8) The last look at the stop.
            if stop := self._stopped_at_last(hold):
                code = stop.reasons[0].code
                await rooms.recorder.deliver(await rooms.holds.not_sent(hold.id, attempt, None, stop.reasons[0].text, code))
                return
            # (9) The bytes leave, once. From here on every failure is `unknown`, or a try more where the upstream honours the key.
            sent = _Sent()
            try:
                relay = sent.relay = Relay(await rooms.sender.exchange(connection, hold.request, head, lambda: self._stopped(hold)))
                sent.answer = await self._answer(relay, verdict.obligations.response_fields, hold.request.method)
                # How the asset stands now: a stored answer is repeated until it changes.
                sent.after = await self._look_after(hold, match)
            except (UpstreamFailed, Refused) as failure:
                sent.code = failure.code
            finally:
                # (10) What came of it, also when we are being cancelled.
                await asyncio.shield(self._finish(hold, attempt, sent, rooms.clock.monotonic() - started))

    async def _answer(self, relay: Relay, fields: tuple[str, ...] | None, method: str) -> Answer:
        """What is kept of the answer: all of it, or what the agent may see."""
        if fields is None:
            return Answer(relay.answer.status, relay.answer.headers, await relay.read_whole(_ANSWER_LIMIT))
        with suppress(AnswerWithheld):  # the send is done all the same, and the hold says that its answer is withheld
            await filtering.reduce(relay, fields, self._rooms.config.limits, method)
        assert relay.given is not None
        return relay.given

    async def _finish(self, hold: Hold, attempt: str, sent: _Sent, seconds: float) -> None:
        """The hold's end, and the outcome; that one is recorded also where the hold has gone on without waiting for us."""
        rooms, answer = self._rooms, sent.answer
        try:
            await rooms.recorder.deliver(await rooms.holds.finish(hold.id, attempt, answer, code=sent.code, after_digest=sent.after))
        finally:
            self._outcome(hold, sent, seconds)

    def _outcome(self, hold: Hold, sent: _Sent, seconds: float) -> None:
        rooms, answer = self._rooms, sent.answer
        outcome = Outcome(hold.ruling, "unknown", 0, hold.digest, None, 0, seconds, sent.code, hold.id)
        if answer is not None and (relay := sent.relay) is not None:
            outcome = replace(
                outcome, result=result_of(answer.status), status=answer.status, answer_digest=relay.digest, answer_bytes=relay.size,
                sent_digest=None if relay.answer.early else hold.digest, code=AnswerWithheld.code if answer.withheld else relay.remark,
                given=relay.given_as,
            )  # fmt: skip
        rooms.recorder.outcome(outcome, hold.upstream, hold.digest)

    async def _look_after(self, hold: Hold, match: Match) -> str | None:
        """The asset's digest after the send; without one the stored answer stands for `holds.replay`."""
        if match.route.settings.lookup is None or not match.route.settings.lookup.digest:
            return None
        try:
            async with asyncio.timeout(_LOOK_AFTER):  # the answer is here: it is not kept waiting to be written down
                looked = await look_up(self._rooms, hold.agent, hold.workflow, match)
        except (CannotTell, Stopped, TimeoutError):
            return None
        return None if isinstance(looked, str) else looked.digest

    @asynccontextmanager
    async def _kept(self, hold_id: str, attempt: str) -> AsyncIterator[None]:
        """Renew the lease while we work: whoever loses it is a different attempt and can send nothing more."""

        async def renew() -> None:
            with suppress(Conflict):
                while True:
                    await asyncio.sleep(_RENEW_SECONDS)
                    with suppress(CannotTell):  # a lease outlives two tries
                        await self._rooms.holds.renew(hold_id, attempt)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    def _stopped(self, hold: Hold) -> Deny | None:
        return self._rooms.stopped_since_approved(hold)

    def _stopped_at_last(self, hold: Hold) -> Deny | None:
        """After `sent` nothing goes back: what cannot be told ends it unsent."""
        try:
            return self._stopped(hold)
        except CannotTell as failure:
            return Deny.by_gate(failure.code, "Whether it is stopped could not be found out")

    async def _stop(self, hold: Hold, verdict: Deny) -> None:
        code = verdict.reasons[0].code
        for moved in await self._rooms.holds.stop_in_scope(f"hold:{hold.id}", None, verdict.reasons[0].text, code):
            await self._rooms.recorder.deliver(moved)

    async def _ask_again(self, hold: Hold, attempt: str, counting: tuple[Vote, ...]) -> None:
        """Some votes no longer count: the hold is pending again, the others stand."""
        void = {vote.id for vote in hold.votes} - {vote.id for vote in counting}
        await self._rooms.recorder.deliver(await self._rooms.holds.back_to_pending(hold.id, attempt, void))

    async def _supersede(self, hold: Hold, attempt: str, reasons: tuple[Reason, ...], linked: NewHold | None = None) -> None:
        await self._rooms.recorder.deliver(await self._rooms.holds.supersede(hold.id, reasons, linked, attempt))


@dataclass(slots=True)
class _Sent:
    """What is known of a send while it is under way."""

    relay: Relay | None = None
    answer: Answer | None = None
    code: str | None = None
    after: str | None = None


def _retry_key(hold: Hold) -> Headers:
    """The hold's id, under which the upstream does it once; an agent's own key is part of what was approved, and stands."""
    own = any(name.lower() == _KEY.lower() for name, _ in hold.request.headers)
    return () if own else ((_KEY, hold.id),)


def _release_entry(hold: Hold, attempt: str, verdict: Verdict, rooms: Rooms) -> Document:
    return {
        "hold": hold.id, "ruling": hold.ruling, "attempt": attempt, "digest": hold.digest, "effect": verdict.effect,
        "reasons": [reason.document() for reason in verdict.reasons], "policy": rooms.decider.revision, "registry": rooms.registry.revision,

    }  # fmt: skip
