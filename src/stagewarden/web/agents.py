"""The agents' door: a reverse proxy that calls the gate with what the listener read and relays what comes back.

Decides nothing, and reads nothing of the request itself: its heading was read once, strictly, by `wire.listener`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from email.utils import formatdate
from typing import TYPE_CHECKING

import structlog

from stagewarden.clock import NANOSECONDS, new_id
from stagewarden.errors import (
    Ambiguous,
    AnswerWithheld,
    BadCredential,
    CannotTell,
    ClientGone,
    Conflict,
    NotFound,
    Refused,
    StagewardenError,
    TooMuch,
    UpstreamFailed,
)
from stagewarden.holds.view import agent_view
from stagewarden.model import Allow, Ask, Head, HoldState
from stagewarden.web import render
from stagewarden.wire import headers as wire_headers
from stagewarden.wire.listener.reply import has_body

if TYPE_CHECKING:
    from stagewarden.clock import Clock
    from stagewarden.config import Config
    from stagewarden.gate import Judge, Passage
    from stagewarden.model import Answer, Document, Hold, Ruling
    from stagewarden.wire.listener import Exchange, Heading, Reply

OWN_PREFIX = "/.stagewarden/"
_LONGEST_WAIT = 55.0  # seconds; below the minute at which many clients and proxies give up
_RETRY_HELD = 10
_SERVER_ERROR = 500  # RFC 9110 section 15: the class is the first digit
_OPEN = frozenset({HoldState.PENDING, HoldState.SETTLING, HoldState.APPROVED, HoldState.CLAIMED, HoldState.SENT})


class AgentsDoor:
    """Makes a Head of what arrives and an answer of what the gate says."""

    def __init__(self, config: Config, judge: Judge, clock: Clock, hosts: frozenset[str]) -> None:
        self._wait = float(config.holds.wait)
        self._judge = judge
        self._clock = clock
        self._hosts = hosts
        self._draining = False
        self._waiting: set[asyncio.Timeout] = set()  # clients that wait for what people say
        self._waiting_of: Counter[str] = Counter()  # by agent
        self._most_waiting = config.limits.inflight_per_agent
        self._logger = structlog.get_logger("stagewarden.agents")

    def drain(self) -> None:
        """From now on every request is told that we are shutting down; who waits for people is told where the hold stands."""
        self._draining = True
        for waiting in self._waiting:
            waiting.reschedule(0)

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request, whatever happens."""
        try:
            await self._handle(exchange)
        except Exception:
            # Nothing of the exception reaches the client; what was sent upstream has its outcome recorded by the gate.
            self._logger.exception("internal")
            if exchange.begun:
                exchange.cut()
            else:
                self._judge.refuse("internal", exchange.peer)
                exchange.answer(self._dated(render.problem_reply("internal")), close=True)
        except BaseException:
            exchange.cut()
            raise

    def refuse(self, refused: Refused, peer: str) -> Reply:
        """The answer to what is no request: counted, and described."""
        self._judge.refuse(refused.code, peer)
        return self._dated(render.error_reply(refused))

    def ended(self, idle: int, new: int) -> None:
        """Connections the listener ended because there were too many: counted, and nobody is told."""
        self._judge.ended(idle, new)

    async def _handle(self, exchange: Exchange) -> None:
        if self._draining:
            exchange.answer(self._dated(render.problem_reply("draining", "Shutting down")), close=True)
            return
        try:
            head = self._head(exchange)
            if head.target.path.startswith(OWN_PREFIX):
                exchange.answer(self._dated(await self._own(head)))
                return
        except (Refused, NotFound, Conflict, CannotTell) as refused:
            exchange.answer(self._dated(self._refused(refused, exchange.peer)), close=True)
            return
        try:
            await self._proxy(exchange, head)
        except TooMuch as failure:  # nothing was asked, and nothing of an answer has been written
            self._judge.turn_away(failure, exchange.peer)
            exchange.answer(self._dated(render.too_much(failure)))

    def _head(self, exchange: Exchange) -> Head:
        heading: Heading = exchange.heading
        if heading.host not in self._hosts:
            raise Ambiguous("host", "this listener does not answer to that name")
        now = self._clock.now_ns()
        return Head(
            new_id("r", now), heading.method, heading.target, heading.host, heading.headers, heading.named, exchange.peer, now, exchange.certificate
        )  # fmt: skip

    async def _proxy(self, exchange: Exchange, head: Head) -> None:
        with await self._judge.judge(head, exchange) as passage:
            ruling = passage.ruling
            if isinstance(ruling.verdict, Allow):
                await self._relay(exchange, passage)
                return
            if not isinstance(ruling.verdict, Ask):
                # Nobody unknown gets a body read: what is still to come of it is not waited for.
                exchange.answer(self._dated(render.refused(ruling, self._judge.challenge)))
                return
        await self._held(exchange, ruling)

    async def _relay(self, exchange: Exchange, passage: Passage) -> None:
        ruling = passage.ruling
        assert isinstance(ruling.verdict, Allow)
        try:
            relay = await passage.send()
            answer = relay.answer
            if relay.given is not None:
                _give(exchange, ruling, relay.given, answer.reason)
                return
            fields = wire_headers.response(answer.headers)
            ours = (("Stagewarden-Ruling", ruling.id), ("Stagewarden-Review", ruling.verdict.obligations.review))
            body = relay.whole()
            exchange.begin(answer.status, answer.reason, (*fields, *ours), sized=answer.sized, body=body)
            if body is None:
                relay.when_cut(exchange.cut)
                exchange.when_gone(lambda: relay.cut(ClientGone("the client left before the end of the answer")))
                async for piece in relay:
                    await exchange.write(piece)
        except UpstreamFailed as failure:
            if exchange.begun:
                exchange.cut()  # the agent must see that the answer broke off
            else:
                exchange.answer(self._dated(render.failed(ruling, failure)))
            return
        except ConnectionError:
            exchange.cut()
            return
        exchange.end()

    async def _held(self, exchange: Exchange, ruling: Ruling) -> None:
        hold = ruling.hold
        assert hold is not None
        preference = wire_headers.preference(ruling.head.headers)
        wait = self._wait if preference.wait is None else preference.wait
        if hold.state in _OPEN and wait > 0 and not preference.respond_async:
            hold = await self._outcome(hold, min(wait, _LONGEST_WAIT))
        if hold.response is not None and _is_its_end(hold, hold.response):
            if hold.response.withheld:
                exchange.answer(self._dated(render.failed(ruling, AnswerWithheld(hold.response.status, "the agent may not see all of it"))))
                return
            ours = (("Stagewarden-Ruling", ruling.id), ("Stagewarden-Review", "human"), ("Stagewarden-Hold", hold.id))
            exchange.answer(render.stored(hold.response, wire_headers.response(hold.response.headers), ours))
            return
        accepted = preference.respond_async and hold.state in _OPEN
        exchange.answer(self._dated(render.held(ruling, hold, _view(hold), _status_url(hold), _RETRY_HELD, accepted=accepted)))

    async def _outcome(self, hold: Hold, seconds: float) -> Hold:
        """The hold once it has ended, at the latest after `seconds`; as it was when it is we who end first, or too many of the agent's wait."""
        try:
            async with asyncio.timeout(0 if self._draining or self._waiting_of[hold.agent] >= self._most_waiting else None) as waiting:
                self._waiting.add(waiting)
                self._waiting_of[hold.agent] += 1
                try:
                    return await self._judge.outcome_of(hold.id, seconds)
                finally:
                    self._waiting.discard(waiting)
                    self._waiting_of[hold.agent] -= 1
        except TimeoutError:
            return hold

    async def _own(self, head: Head) -> Reply:
        """`/.stagewarden/holds/{id}` and its `withdraw`: own holds only; nothing else is here."""
        parts = head.target.segments[1:]
        if head.target.query:
            raise NotFound("nothing here takes a query")
        if head.method == "GET" and len(parts) == 2 and parts[0] == "holds":  # noqa: PLR2004 - holds/{id}
            return _hold_document(await self._judge.own_hold(head, parts[1]))
        if head.method == "POST" and len(parts) == 3 and parts[0] == "holds" and parts[2] == "withdraw":  # noqa: PLR2004 - holds/{id}/withdraw
            return _hold_document(await self._judge.withdraw(head, parts[1]))
        raise NotFound("holds/{id} and holds/{id}/withdraw are all there is")

    def _refused(self, refused: StagewardenError, peer: str) -> Reply:
        self._judge.refuse(refused.code, peer)
        challenge = (("WWW-Authenticate", self._judge.challenge),) if isinstance(refused, BadCredential) else ()
        return render.error_reply(refused, headers=challenge)

    def _dated(self, reply: Reply) -> Reply:
        """With the Date an answer of our own must have (RFC 9110 section 6.6.1)."""
        date = formatdate(self._clock.now_ns() // NANOSECONDS, usegmt=True)
        return render.with_fields(reply, ("Date", date))


def _give(exchange: Exchange, ruling: Ruling, given: Answer, reason: str) -> None:
    """An answer reduced to what the agent may see; a HEAD is not told a length (RFC 9110 section 8.6)."""
    assert isinstance(ruling.verdict, Allow)
    ours = (("Stagewarden-Ruling", ruling.id), ("Stagewarden-Review", ruling.verdict.obligations.review))
    length = (("Content-Length", str(len(given.body))),) if has_body(given.status, exchange.heading.method) else ()
    exchange.begin(given.status, reason, (*wire_headers.response(given.headers), *length, *ours), sized=True, body=given.body)
    exchange.end()


def _is_its_end(hold: Hold, answer: Answer) -> bool:
    """Whether the stored answer is how it ended: after people have looked an unknown one up, what was answered then (a 5xx) is not."""
    return hold.state in {HoldState.DONE, HoldState.FAILED} and answer.status < _SERVER_ERROR


def _status_url(hold: Hold) -> str:
    return f"{OWN_PREFIX}holds/{hold.id}"


def _view(hold: Hold) -> Document:
    return {**agent_view(hold), "status_url": _status_url(hold)}


def _hold_document(hold: Hold) -> Reply:
    return render.json_reply(_view(hold), headers=(("Stagewarden-Hold", hold.id), ("Cache-Control", "no-store")))
