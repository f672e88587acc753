"""One request and its answer: the body as it arrives, the answer's framing, and whoever leaves half-way."""

from __future__ import annotations

import asyncio

import pytest

from stagewarden.errors import Refused
from stagewarden.wire.listener import Reply
from tests.unit.wire.listener.parts import HIGH, Owner

HEAD = "{} / HTTP/1.{}\r\nHost: a.example\r\n{}\r\n"


def asked(method: str = "GET", *, http10: bool = False, fields: str = "", body: bytes = b""):
    """An exchange, and the server of its connection."""
    owner = Owner()
    owner.connection.data_received(HEAD.format(method, 0 if http10 else 1, fields).encode() + body)
    return owner.exchanges[0], owner


def payload(owner: Owner) -> bytes:
    """What was written after the head."""
    return owner.transport.written.partition(b"\r\n\r\n")[2]


async def turns() -> None:
    """Let everybody who can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "row",
    [
        ("GET", False, 200, "", True, b"abcd", True),
        ("GET", False, 200, "", False, b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", True),
        ("GET", True, 200, "Connection: keep-alive\r\n", False, b"abcd", False),
        ("GET", True, 200, "Connection: keep-alive\r\n", True, b"abcd", True),
        ("HEAD", False, 200, "", False, b"", True),
        ("GET", False, 204, "", False, b"", True),
        ("GET", False, 304, "", False, b"", True),
        ("GET", False, 200, "Connection: close\r\n", True, b"abcd", False),
    ],
    ids=["sized", "chunked", "1.0-until-the-end", "1.0-sized", "head", "204", "304", "close"],
)  # fmt: skip
async def test_an_answer_is_framed_for_its_client(row):
    """Where nobody said how long it is, 1.1 gets chunks and 1.0 the end of the connection; what has no body gets none."""
    method, http10, status, fields, sized, wire, keeps = row
    exchange, owner = asked(method, http10=http10, fields=fields)
    assert await exchange.body(10) == b""
    exchange.begin(status, "Said", (("X-A", "1"),), sized=sized)
    for piece in (b"ab", b"", b"cd") if wire else ():
        await exchange.write(piece)
    exchange.end()
    assert payload(owner) == wire
    assert owner.transport.written.startswith(b"HTTP/1.1 %d Said\r\nX-A: 1\r\n" % status)
    assert owner.transport.ended is not keeps
    assert (b"Connection: close" in owner.transport.written) is not keeps


@pytest.mark.parametrize(
    ("fields", "body", "asks"),
    [
        ("Content-Length: 2\r\nExpect: 100-continue\r\n", b"", True),
        ("Content-Length: 2\r\nExpect: 100-Continue\r\n", b"", True),
        ("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", b"", True),
        ("Content-Length: 2\r\nExpect: 100-continue\r\n", b"ab", False),
        ("Content-Length: 0\r\nExpect: 100-continue\r\n", b"", False),
        ("Content-Length: 2\r\n", b"", False),
    ],
    ids=["length", "case", "chunked", "body-is-here", "no-body", "not-asked"],
)
async def test_100_continue_is_said_when_the_body_is_read(fields, body, asks):
    """Not when the head arrives, and not where there is nothing to wait for."""
    exchange, owner = asked("POST", fields=fields, body=body)
    assert owner.transport.written == b""
    reading = asyncio.get_running_loop().create_task(exchange.body(10))
    await turns()
    assert owner.transport.written == (b"HTTP/1.1 100 Continue\r\n\r\n" if asks else b"")
    reading.cancel()
    await asyncio.wait([reading])


async def test_rfc_9110_10_1_1_http_1_0_expects_nothing():
    """A client of HTTP/1.0 does not know interim answers."""
    exchange, owner = asked("POST", http10=True, fields="Content-Length: 2\r\nExpect: 100-continue\r\n")
    reading = asyncio.get_running_loop().create_task(exchange.body(10))
    await turns()
    assert owner.transport.written == b""
    owner.connection.data_received(b"ab")
    assert await reading == b"ab"


@pytest.mark.parametrize(
    ("fields", "wire", "code"),
    [
        ("Content-Length: 11\r\n", b"", "body_too_large"),
        ("Transfer-Encoding: chunked\r\n", b"b\r\nhello, body\r\n0\r\n\r\n", "body_too_large"),
        ("Transfer-Encoding: chunked\r\n", b"5\nhello\r\n", "ambiguous_request"),
        ("Content-Length: 2\r\n", b"abc", "ambiguous_request"),
        ("Transfer-Encoding: chunked\r\n", b"0\r\n\r\nGET", "ambiguous_request"),
    ],
    ids=["length-says-so", "chunks-say-so", "broken-chunk", "more-than-its-length", "more-than-its-chunks"],
)
async def test_a_body_that_will_not_do_is_told_to_who_reads_it(fields, wire, code):
    """And the connection ends with the answer, whatever was still to come."""
    exchange, owner = asked("POST", fields=fields, body=wire)
    with pytest.raises(Refused) as refused:
        await exchange.body(10)
    assert refused.value.code == code
    exchange.answer(Reply(400, ()))
    assert owner.transport.ended or exchange.complete


async def test_a_body_that_stalls_is_refused_at_its_deadline():
    """Half of it, then nothing: the reader is told, not left waiting."""
    exchange, owner = asked("POST", fields="Content-Length: 4\r\n", body=b"ab")
    reading = asyncio.get_running_loop().create_task(exchange.body(10))
    await turns()
    owner.time += owner.timeouts.body
    owner.sweep()
    with pytest.raises(Refused, match="inside the deadline"):
        await reading


async def test_a_body_nobody_reads_yet_stops_the_client():
    """Memory before anybody is known is bounded: reading pauses, and goes on when somebody asks."""
    exchange, owner = asked("POST", fields=f"Content-Length: {1 << 20}\r\n", body=b"x" * (65 << 10))
    assert not owner.transport.reading
    reading = asyncio.get_running_loop().create_task(exchange.body(1 << 20))
    await turns()
    assert owner.transport.reading
    owner.connection.data_received(b"x" * ((1 << 20) - (65 << 10)))
    assert len(await reading) == 1 << 20


async def test_many_small_chunks_cost_their_bytes():
    """A body in chunks of two bytes is kept as one piece a segment, not as thousands."""
    wire = b"2\r\nab\r\n" * 1000
    exchange, _ = asked("POST", fields="Transfer-Encoding: chunked\r\n", body=wire)
    assert [len(piece) for piece in exchange._ahead] == [2000]


async def test_whoever_writes_waits_for_a_slow_reader():
    """Back-pressure: a piece is done when the client has taken enough of what was before it."""
    exchange, owner = asked()
    exchange.begin(200, "OK", (), sized=False)
    writing = asyncio.get_running_loop().create_task(exchange.write(b"x" * (2 * HIGH)))
    await turns()
    assert not writing.done()
    owner.transport.client_reads(10**6)
    await writing


async def test_a_client_that_left_is_told_to_the_writer_and_to_who_asked():
    """Once, also where it had left before anybody asked; writing on is a ConnectionError."""
    exchange, owner = asked()
    exchange.begin(200, "OK", (), sized=False)
    told: list[str] = []
    exchange.when_gone(lambda: told.append("while"))
    writing = asyncio.get_running_loop().create_task(exchange.write(b"x" * (2 * HIGH)))
    await turns()
    owner.transport.abort()
    owner.transport.settle()
    await writing
    exchange.when_gone(lambda: told.append("after"))
    assert told == ["while", "after"]
    with pytest.raises(ConnectionError):
        await exchange.write(b"x")


async def test_an_answer_that_broke_off_does_not_end_cleanly():
    """No last chunk: the client sees that there was more."""
    exchange, owner = asked()
    exchange.begin(200, "OK", (), sized=False)
    await exchange.write(b"half")
    exchange.cut()
    assert owner.transport.closing
    assert not payload(owner).endswith(b"0\r\n\r\n")


async def test_a_head_that_cannot_be_written_leaves_the_exchange_unbegun():
    """CVE-2026-34519: refused before a byte, so that an honest answer can still be given."""
    exchange, owner = asked()
    with pytest.raises(ValueError, match="line break"):
        exchange.begin(200, "OK", (("X", "a\r\nb: c"),), sized=True)
    assert not exchange.begun
    exchange.answer(Reply(500, ()))
    assert owner.transport.written.startswith(b"HTTP/1.1 500 ")
