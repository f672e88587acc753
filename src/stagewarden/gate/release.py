"""The release loop: the only one that sends a held request, at most once, after asking the policy again.

Nothing here retries a send: what is not known to have stayed here is unknown and is shown as unknown (law 7).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from stagewarden.clock import new_id
from stagewarden.errors import CannotTell, Conflict, Refused, StagewardenError, UpstreamFailed, UpstreamUnavailable
from stagewarden.gate import question as asking
from stagewarden.gate.lookup import look_up, lookup_key
from stagewarden.gate.sending import result_of
from stagewarden.holds import seats
from stagewarden.model import Allow, Answer, Ask, Deny, Outcome
from stagewarden.wire.target import parse_target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stagewarden.classify import Looked, Match
    from stagewarden.gate.rooms import Rooms
    from stagewarden.model import Document, Hold, Reason, Verdict, Vote

_RETRY_SECONDS = 1.0  # after "could not tell" or a failed connect, until use_by
_AT_ONCE = 16  # releases under way
_ANSWER_LIMIT = 16 << 20  # bytes of an answer kept with a hold


class Releases:
    """Brings approved holds to their end."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._running: set[str] = set()
        self._draining = asyncio.Event()
        self._logger = structlog.get_logger("stagewarden.release")

    def drain(self) -> None:
        """Start no send any more; what runs is finished by `run`."""
        self._draining.set()

    async def run(self) -> None:
        """Until drained: expire what is due, release what is approved, sleep until something changes."""
        async with asyncio.TaskGroup() as group:
            while not self._draining.is_set():
                pause = _RETRY_SECONDS
                try:
                    for moved in await self._rooms.holds.expire_due():
                        await self._rooms.recorder.deliver(moved)
                    for hold_id in await self._rooms.holds.due():
                        if hold_id not in self._running and len(self._running) < _AT_ONCE:
                            self._running.add(hold_id)
                            group.create_task(self._attempt(hold_id))
                    pause = await self._rooms.holds.seconds_to_next()
                except CannotTell as failure:
                    self._logger.warning("release_loop_waits", cause=str(failure))
                await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        changed = asyncio.ensure_future(self._rooms.holds.changed())
        drained = asyncio.ensure_future(self._draining.wait())
        await asyncio.wait((changed, drained), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        drained.cancel()
        await asyncio.gather(changed, drained, return_exceptions=True)

    async def _attempt(self, hold_id: str) -> None:
        """One attempt; a failure that leaves the hold approved waits before the next."""
        try:
            await self.release(hold_id)
        except Conflict:
            pass  # somebody else moved it: where it stands now is right
        except (CannotTell, UpstreamUnavailable) as failure:
            self._logger.warning("release_put_off", hold=hold_id, cause=str(failure))
            await self._sleep_after_failure()
        except StagewardenError as failure:
            self._logger.error("release_failed", hold=hold_id, cause=str(failure))  # noqa: TRY400 - a known failure needs no traceback
            await self._sleep_after_failure()
        finally:
            self._running.discard(hold_id)

    async def _sleep_after_failure(self) -> None:
        try:
            await asyncio.wait_for(self._draining.wait(), _RETRY_SECONDS)
        except TimeoutError:
            return

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
            counting = seats.counting(hold, rooms.registry)
            if not seats.filled(hold.seats, counting):
                await rooms.recorder.deliver(await rooms.holds.back_to_pending(hold.id, attempt))
                return
            # (4) The asset is ours until the answer, and must be what people saw.
            match = self._match(hold)
            if isinstance(match, Deny):
                await self._supersede(hold, match.reasons)
                return
            async with self._asset(match):
                await self._judged(hold, attempt, match, counting)
        except (CannotTell, UpstreamUnavailable):
            await rooms.recorder.deliver(await rooms.holds.release_claim(hold.id, attempt))
            raise

    async def _judged(self, hold: Hold, attempt: str, match: Match, counting: tuple[Vote, ...]) -> None:
        rooms = self._rooms
        looked: Looked | None = None
        if hold.lookup_digest is not None or match.route.config.lookup is not None:
            answer = await look_up(rooms, hold.agent, match)
            if isinstance(answer, str):
                await self._supersede(hold, Deny.by_gate("lookup_failed", "The asset could not be looked up", {"why": answer}).reasons)
                return
            looked = answer
            if looked.digest != hold.lookup_digest:
                await self._supersede(hold, Deny.by_gate("digest_mismatch", "The asset changed after people looked at it").reasons)
                return
        # (5) Ask the policy again, with the approval; it keeps the last word.
        question = asking.again(hold.question, rooms.circumstances(hold.agent), looked, asking.approval(hold, counting))
        verdict = await rooms.decider.decide(question)
        match verdict:
            case Allow():
                await self._send(hold, attempt, match, verdict)
            case Ask() if all(reason.code == "votes_insufficient" for reason in verdict.reasons):
                await rooms.recorder.deliver(await rooms.holds.back_to_pending(hold.id, attempt))
            case Ask():
                await self._ask_anew(hold, verdict, looked)
            case Deny():
                await self._supersede(hold, verdict.reasons)

    async def _send(self, hold: Hold, attempt: str, match: Match, verdict: Allow) -> None:
        rooms = self._rooms
        started = rooms.clock.monotonic()
        ours = (("Stagewarden-Ruling", hold.ruling), ("Stagewarden-Review", verdict.obligations.review))
        head = rooms.sender.head(hold.request, hold.stage, ours)
        # (6) Connected, TLS included: nothing of the request has left.
        async with rooms.sender.connected(hold.agent, hold.request, hold.stage, fresh=True) as connection:
            if stop := self._stopped(hold):
                await self._stop(hold, stop)
                return
            # (7) `sent` is durable, in database and log, before the first byte.
            await rooms.recorder.note("release", _release_entry(hold, attempt, verdict, rooms))
            await rooms.recorder.deliver(await rooms.holds.mark_sent(hold.id, attempt))
            # (8) The last look at the stop.
            if stop := self._stopped(hold):
                await self._stop(hold, stop)
                return
            # (9) The bytes leave, once. From here on every failure is `unknown`.
            answer: Answer | None = None
            code: str | None = None
            try:
                upstream = await rooms.sender.exchange(connection, hold.request, head)
                answer = Answer(upstream.status, upstream.headers, await upstream.read(_ANSWER_LIMIT))
            except (UpstreamFailed, Refused) as failure:
                code = failure.code
            finally:
                # (10) What came of it, also when we are being cancelled.
                await asyncio.shield(self._finish(hold, attempt, answer, code, rooms.clock.monotonic() - started))
        # (11) How the asset stands now: a stored answer is repeated until it changes.
        if answer is not None and match.route.config.lookup is not None and match.route.config.lookup.digest:
            await self._look_after(hold, match)

    async def _finish(self, hold: Hold, attempt: str, answer: Answer | None, code: str | None, seconds: float) -> None:
        rooms = self._rooms
        result = result_of(answer.status) if answer else "unknown"
        await rooms.recorder.deliver(await rooms.holds.finish(hold.id, attempt, result, answer))
        digest = None if answer is None else asking.body_digest(answer.body)
        size = len(answer.body) if answer else 0
        await rooms.recorder.outcome(
            Outcome(hold.ruling, result, answer.status if answer else 0, hold.digest, digest, size, seconds, code, hold.id)
        )

    async def _look_after(self, hold: Hold, match: Match) -> None:
        try:
            looked = await look_up(self._rooms, hold.agent, match)
        except CannotTell:
            return  # without it the stored answer stands for `holds.replay`
        if not isinstance(looked, str):
            await self._rooms.holds.set_after(hold.id, looked.digest)

    def _match(self, hold: Hold) -> Match | Deny:
        """The route of the stored request, as configured today."""
        upstream = self._rooms.routes.upstreams.get(hold.upstream)
        if upstream is None:
            return Deny.by_gate("route_not_listed", "The upstream is no longer configured")
        target = parse_target(hold.request.target.encode(), self._rooms.config.limits.target)
        return self._rooms.routes.match(upstream, hold.request.method, target)

    @asynccontextmanager
    async def _asset(self, match: Match) -> AsyncIterator[None]:
        key = lookup_key(match)
        if key is None:
            yield
            return
        await self._rooms.assets.acquire(key)
        try:
            yield
        finally:
            self._rooms.assets.release(key)

    def _stopped(self, hold: Hold) -> Deny | None:
        return self._rooms.stopped(hold.agent, hold.workflow, hold.upstream, hold.stage)

    async def _stop(self, hold: Hold, verdict: Deny) -> None:
        await self._rooms.recorder.deliver(await self._rooms.holds.stop(hold.id, verdict.reasons[0].code))

    async def _supersede(self, hold: Hold, reasons: tuple[Reason, ...]) -> None:
        await self._rooms.recorder.deliver(await self._rooms.holds.supersede(hold.id, reasons))

    async def _ask_anew(self, hold: Hold, verdict: Ask, looked: Looked | None) -> None:
        """The policy now asks for more than these people: a linked hold with the same bytes and no votes."""
        for moved in await self._rooms.holds.reopen(hold, verdict, looked.body if looked else None):
            await self._rooms.recorder.deliver(moved)


def _release_entry(hold: Hold, attempt: str, verdict: Verdict, rooms: Rooms) -> Document:
    return {
        "hold": hold.id, "ruling": hold.ruling, "attempt": attempt, "digest": hold.digest, "effect": verdict.effect,
        "reasons": [reason.document() for reason in verdict.reasons], "policy": rooms.decider.revision, "registry": rooms.registry.revision,

    }  # fmt: skip
