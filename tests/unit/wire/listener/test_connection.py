"""One connection, driven byte by byte and moment by moment over a transport of no socket."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stagewarden.errors import Refused
from stagewarden.wire.listener import Reply
from tests.unit.wire.listener.parts import CUTS, HIGH, TIMEOUTS, Owner, pieces


def request(number: int, body: bytes = b"", *extra: str) -> bytes:
    """A request that says which one it is."""
    lines = [f"{'POST' if body else 'GET'} /{number} HTTP/1.1", "Host: a.example", *extra, *([f"Content-Length: {len(body)}"] if body else [])]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def number(exchange) -> int:
    """Which one it is."""
    return int(exchange.heading.target.path[1:])


def reply(exchange, padding: int = 0) -> Reply:
    """An answer that says to which request it belongs."""
    return Reply(200, (), b"<%d>" % number(exchange) + b"." * padding)


SELDOM = some.integers(0, 7).map(lambda drawn: drawn == 7)


class Life(RuleBasedStateMachine):
    """Random lives of one connection: bytes in any split, its end, losses, slow readers, deadlines, and a gate at its own pace."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.runner.run(self._enter())
        self.sent = 0
        self.wire = b""  # bytes of requests the client has not sent yet
        self.served = 0
        self.answered: list[int] = []
        self.reader: asyncio.Task[bytes] | None = None
        self.writer: asyncio.Task[None] | None = None
        self.streaming = False
        self.over: set[int] = set()

    async def _enter(self) -> None:
        self.owner = Owner()

    @initialize(half=some.booleans())
    def over_tcp_or_tls(self, half) -> None:
        """TLS has no half-closed connection."""
        self.owner.transport.half = half

    def run_(self, act) -> None:
        """Inside the loop, and until nothing more happens by itself."""

        async def inside() -> None:
            act()
            for _ in range(4):
                await asyncio.sleep(0)
            self.owner.transport.settle()
            for _ in range(4):
                await asyncio.sleep(0)

        self.runner.run(inside())

    @property
    def current(self):
        """The exchange being answered."""
        exchanges = self.owner.exchanges
        return exchanges[-1] if exchanges and number(exchanges[-1]) not in self.over else None

    def teardown(self) -> None:
        """Lost at last: whoever waits for this client is told, and everything ends."""

        def lose() -> None:
            if not self.owner.transport.lost:
                self.owner.transport.abort()

        self.run_(lose)
        for task in (self.reader, self.writer):
            if task is not None:
                assert task.done(), "somebody still waits for a client that is gone"
                task.exception()
        assert not self.owner.there
        self.runner.close()

    # -- the client ------------------------------------------------------------------------------------------------------

    @rule(size=some.sampled_from([0, 0, 5, 300]), extra=some.sampled_from([(), ("Connection: close",), ("Expect: 100-continue",)]))
    def another_request(self, size, extra) -> None:
        """It has one more to send."""
        self.sent += 1
        self.wire += request(self.sent, b"x" * size, *extra)

    @rule(count=some.integers(1, 400))
    @precondition(lambda self: self.wire and self.owner.transport.reading and not self.owner.transport.closing)
    def send(self, count) -> None:
        """Some bytes arrive."""
        data, self.wire = self.wire[:count], self.wire[count:]
        self.run_(lambda: self.owner.connection.data_received(data))

    @rule(size=some.sampled_from([0, 0, 300]), cuts=CUTS)
    @precondition(lambda self: self.owner.transport.reading and not self.owner.transport.closing and not self.wire)
    def ask(self, size, cuts) -> None:
        """A whole request arrives, in one segment or some."""
        self.sent += 1
        for segment in pieces(request(self.sent, b"x" * size), cuts):
            if self.owner.transport.reading and not self.owner.transport.closing:
                self.run_(lambda data=segment: self.owner.connection.data_received(data))

    @rule(data=some.binary(min_size=1, max_size=10), really=SELDOM)
    @precondition(lambda self: self.owner.transport.reading and not self.owner.transport.closing)
    def send_garbage(self, data, really) -> None:
        """Some other bytes arrive."""
        if really:
            self.run_(lambda: self.owner.connection.data_received(data))

    @rule(really=SELDOM)
    @precondition(lambda self: self.owner.transport.reading and not self.owner.transport.closing)
    def end(self, really) -> None:
        """It sends no more."""

        def eof() -> None:
            if really and not self.owner.connection.eof_received():
                self.owner.transport.close()

        self.run_(eof)

    @rule(count=some.integers(1, 3 * HIGH))
    def read(self, count) -> None:
        """It takes bytes of the answers."""
        self.run_(lambda: self.owner.transport.client_reads(count))

    @rule(really=SELDOM)
    def lose(self, really) -> None:
        """The line is cut."""
        if really:
            self.run_(self.owner.transport.abort)

    # -- time ------------------------------------------------------------------------------------------------------------

    @rule(seconds=some.sampled_from([0.5, 0.5, 3.0, 11.0, 31.0]))
    def time_passes(self, seconds) -> None:
        """The sweep comes by."""
        self.owner.time += seconds
        self.run_(self.owner.sweep)

    # -- the gate --------------------------------------------------------------------------------------------------------

    @rule()
    @precondition(lambda self: self.current is not None and self.reader is None and not self.streaming)
    def read_the_body(self) -> None:
        """Ask for it, before anything is answered: nothing is sent upstream that was not read."""
        self.run_(lambda: setattr(self, "reader", asyncio.get_running_loop().create_task(self.current.body(1000))))

    @rule(padding=some.sampled_from([0, 10, 2 * HIGH]), close=SELDOM)
    @precondition(lambda self: self.current is not None and not self.streaming and (self.reader is None or self.reader.done()))
    def answer(self, padding, close) -> None:
        """A whole answer."""
        exchange = self.current
        self.run_(lambda: exchange.answer(reply(exchange, padding), close=close))
        self._end(exchange)

    @rule()
    @precondition(lambda self: self.current is not None and not self.streaming and (self.reader is None or self.reader.done()))
    def begin(self) -> None:
        """The head of a streamed one."""
        exchange = self.current
        self.run_(lambda: exchange.begin(200, "OK", (("X-For", f"<{number(exchange)}>"),), sized=False))
        self.streaming = True

    @rule(size=some.sampled_from([1, HIGH * 2]))
    @precondition(lambda self: self.streaming and (self.writer is None or self.writer.done()))
    def write(self, size) -> None:
        """A piece of it."""
        exchange = self.current
        self.run_(lambda: setattr(self, "writer", asyncio.get_running_loop().create_task(exchange.write(b"." * size))))
        if self.writer.done():
            self.writer.exception()

    @rule(whole=some.booleans())
    @precondition(lambda self: self.streaming and (self.writer is None or self.writer.done()))
    def end_of_stream(self, whole) -> None:
        """It is over, or broke off."""
        exchange = self.current
        self.run_(exchange.end if whole else exchange.cut)
        self._end(exchange)

    @rule()
    @precondition(lambda self: self.over)
    def a_late_mistake(self) -> None:
        """An answer, a piece or a cut for an exchange that is over reaches nobody."""
        exchange = next(one for one in self.owner.exchanges if number(one) in self.over)
        before, closing = self.owner.transport.written, self.owner.transport.closing

        def mistake() -> None:
            exchange.answer(Reply(500, (), b"<999>"))
            exchange.begin(500, "x", (), sized=False, body=b"<999>")
            exchange.end()
            exchange.cut()

        self.run_(mistake)
        assert (self.owner.transport.written, self.owner.transport.closing) == (before, closing)

    def _end(self, exchange) -> None:
        self.over.add(number(exchange))
        self.answered.append(number(exchange))
        self.streaming = False
        for task in (self.reader, self.writer):
            if task is not None and task.done():
                task.exception()
        self.reader = self.writer = None

    # -- what always holds -----------------------------------------------------------------------------------------------

    @invariant()
    def one_at_a_time(self) -> None:
        """A request is served only after the answer before it."""
        numbers = [number(one) for one in self.owner.exchanges]
        assert len(numbers) <= len(self.over) + 1
        assert numbers == sorted(numbers)

    @invariant()
    def answers_in_their_place(self) -> None:
        """What went out names exactly the requests answered, in order; answers of lost connections may be missing at the end."""
        told = [int(found) for found in re.findall(rb"<(\d+)>", self.owner.transport.written)]
        assert told == [one for one in (*self.answered, *([number(self.current)] if self.streaming else [])) if one in told]
        assert len(set(told)) == len(told)

    @invariant()
    def no_answers_pile_up(self) -> None:
        """A client that does not read has at most one answer, and what was below the mark before it, waiting in our memory."""
        assert self.owner.transport.unread <= HIGH + 2 * HIGH + 500

    @invariant()
    def a_clock_runs_whenever_it_is_the_clients_turn(self) -> None:
        """Nothing waits for a client without a deadline: not for a head, a body, its reading on, or its end."""
        owner = self.owner
        if owner.there and not (owner.transport.closing and not owner.transport.unread):
            waits = self.current is None or owner.transport.unread > HIGH or (self.reader is not None and not self.reader.done())
            assert owner.connection.deadline is not None or not waits


TestLife = Life.TestCase
TestLife.settings = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=200, stateful_step_count=50
)


def after(owner: Owner, seconds: float) -> Owner:
    """The sweep comes by after so long."""
    owner.time += seconds
    owner.sweep()
    return owner


async def test_a_head_that_trickles_is_refused_at_its_deadline():
    """Each byte in time, the whole not: the deadline does not move with the bytes."""
    owner = Owner()
    for byte in request(1)[:20]:
        owner.connection.data_received(bytes([byte]))
        after(owner, TIMEOUTS.head / 15)
    assert [refused.code for refused in owner.refused] == ["ambiguous_request"]
    assert owner.transport.ended
    assert not owner.exchanges


async def test_an_idle_connection_ends_at_its_deadline():
    """From accept, and after each answer; then it is given a moment to end its side."""
    owner = Owner()
    after(owner, TIMEOUTS.head - 1).connection.data_received(request(1))
    owner.exchanges[0].answer(Reply(200, ()))
    owner.transport.client_reads(10**6)
    assert not after(owner, TIMEOUTS.head - 1).transport.ended
    assert after(owner, 2).transport.ended
    assert not owner.transport.closing
    assert after(owner, TIMEOUTS.linger).transport.lost


async def test_a_request_at_work_has_no_deadline_of_the_clients():
    """However long the gate takes, the client is not to blame."""
    owner = Owner()
    owner.connection.data_received(request(1))
    assert after(owner, 10_000).transport.written == b""
    owner.exchanges[0].answer(reply(owner.exchanges[0]))
    assert b"<1>" in owner.transport.written


async def test_no_request_is_taken_while_an_answer_waits_to_be_read():
    """A client that asks and never reads gets one answer into our memory, not one for each request, and then its end."""
    owner = Owner()
    owner.connection.data_received(request(1))
    owner.exchanges[0].answer(reply(owner.exchanges[0], 2 * HIGH))
    assert not owner.transport.reading
    owner.connection.data_received(request(2))  # what a transport may still hand over
    assert len(owner.exchanges) == 1
    assert after(owner, TIMEOUTS.write).transport.lost


async def test_it_is_taken_once_the_answer_was_read_and_its_deadline_is_an_idle_ones():
    """Reading on makes it the client's turn to ask: with a deadline, or that slot was held for ever."""
    owner = Owner()
    owner.connection.data_received(request(1))
    owner.exchanges[0].answer(reply(owner.exchanges[0], 2 * HIGH))
    owner.transport.client_reads(10**6)
    assert owner.transport.reading
    assert owner.connection.deadline == owner.time + TIMEOUTS.head
    owner.connection.data_received(request(2))
    assert [number(one) for one in owner.exchanges] == [1, 2]


@pytest.mark.parametrize("half", [True, False], ids=["tcp", "tls"])
async def test_a_client_that_never_reads_its_last_answer_is_cut(half):
    """Closing in order waits for the client, and not for ever: also where the transport closes by itself."""
    owner = Owner(half=half)
    owner.connection.data_received(request(1, b"", "Connection: close"))
    owner.exchanges[0].answer(reply(owner.exchanges[0], HIGH // 2))
    assert not after(owner, TIMEOUTS.write - 1).transport.lost
    assert after(owner, 2).transport.lost


async def test_over_tls_a_refusal_is_not_eaten_by_what_is_still_coming():
    """Closed at once, the bytes still under way would be answered by a reset, and the answer lost (RFC 9112 section 9.6)."""
    owner = Owner(half=False)
    owner.connection.data_received(request(1, b"x" * 500)[:-400])
    owner.exchanges[0].answer(reply(owner.exchanges[0]))
    assert not owner.transport.closing
    owner.connection.data_received(b"x" * 400)
    owner.transport.client_reads(10**6)
    assert not owner.transport.closing
    assert after(owner, TIMEOUTS.write).transport.lost
    assert len(owner.exchanges) == 1


async def test_bytes_with_a_message_are_refused_bytes_after_it_are_the_next():
    """Hardening, "framing": two requests in one segment are not taken for two; one that comes when the first was read is."""
    owner = Owner()
    owner.connection.data_received(request(1) + request(2))
    with pytest.raises(Refused, match="bytes after the message"):
        await owner.exchanges[0].body(1000)
    owner.exchanges[0].answer(reply(owner.exchanges[0]))
    assert owner.transport.ended
    assert len(owner.exchanges) == 1

    owner = Owner()
    owner.connection.data_received(request(1))
    assert await owner.exchanges[0].body(1000) == b""
    owner.connection.data_received(request(2))
    assert len(owner.exchanges) == 1
    assert not owner.transport.reading
    owner.exchanges[0].answer(reply(owner.exchanges[0]))
    assert [number(one) for one in owner.exchanges] == [1, 2]
    assert owner.transport.reading


async def test_a_half_closed_client_is_gone_once_a_stream_has_nothing_for_it():
    """An event stream in which nothing happens would keep its upstream for ever for a client that cannot be told from one that left."""
    owner = Owner()
    owner.connection.data_received(request(1))
    exchange = owner.exchanges[0]
    exchange.begin(200, "OK", (), sized=False)
    owner.connection.eof_received()
    for _ in range(3):
        after(owner, TIMEOUTS.linger - 0.5)
        assert not owner.transport.lost, "what flows goes on"
        await exchange.write(b"x")
        owner.transport.client_reads(10**6)
    assert after(owner, TIMEOUTS.linger).transport.lost
    assert exchange.gone


async def test_half_closed_is_answered_half_a_body_is_not_judged():
    """What came whole is answered; what did not is refused to whoever reads it."""
    owner = Owner()
    owner.connection.data_received(request(1))
    assert owner.connection.eof_received()
    owner.exchanges[0].answer(reply(owner.exchanges[0]))
    assert b"Connection: close" in owner.transport.written
    owner.transport.client_reads(10**6)
    owner.transport.settle()
    assert owner.transport.lost, "nobody lingers for a client that has ended"

    owner = Owner()
    owner.connection.data_received(request(1, b"half")[:-2])
    owner.connection.eof_received()
    with pytest.raises(Refused, match="left before its end"):
        await owner.exchanges[0].body(1000)
