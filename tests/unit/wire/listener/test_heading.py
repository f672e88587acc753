"""One request head: read once, whatever the segments it came in; everything that is not exactly one reading is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stagewarden.errors import Ambiguous, Refused
from stagewarden.wire.listener.heading import read_heading
from tests.unit.wire.listener.parts import CUTS, LIMITS, Owner, pieces

HOST = b"Host: a.example\r\n"


@pytest.mark.parametrize(
    ("block", "length", "keep_alive", "http10"),
    [
        (b"GET / HTTP/1.1\r\n" + HOST, 0, True, False),
        (b"GET / HTTP/1.0\r\n" + HOST, 0, False, True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n" + HOST, 0, True, True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n" + HOST, 0, False, True),
        (b"GET / HTTP/1.1\r\nConnection: Close\r\n" + HOST, 0, False, False),
        (b"POST / HTTP/1.1\r\nContent-Length: 7\r\n" + HOST, 7, True, False),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST, None, True, False),
    ],
    ids=["1.1", "1.0", "1.0-keep-alive", "1.0-both", "1.1-close", "length", "chunked"],
)
def test_framing_and_persistence(block, length, keep_alive, http10):
    """RFC 9112 sections 6 and 9.3."""
    heading = read_heading(block, LIMITS)
    assert (heading.length, heading.keep_alive, heading.http10, heading.host) == (length, keep_alive, http10, "a.example")


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (b"get / HTTP/1.1\r\n" + HOST, "method"),
        (b"G\x00T / HTTP/1.1\r\n" + HOST, "method"),
        (b" GET / HTTP/1.1\r\n" + HOST, "method"),
        (b"G" * 33 + b" / HTTP/1.1\r\n" + HOST, "method"),
        (b"GET  / HTTP/1.1\r\n" + HOST, "target"),
        (b"GET / HTTP/1.1 \r\n" + HOST, "target"),
        (b"GET /\tx HTTP/1.1\r\n" + HOST, "target"),
        (b"GET /\r\n" + HOST, "target"),
        (b"GET / HTTP/1.2\r\n" + HOST, "version"),
        (b"GET / http/1.1\r\n" + HOST, "version"),
        (b"GET / HTTP/2.0\r\n" + HOST, "version"),
        (b"GET / HTTP/1.1\r\n", "host"),
        (b"PRI * HTTP/2.0\r\n", "version"),
    ],
    ids=[
        "lower-case",
        "nul",
        "leading-space",
        "long-method",
        "two-spaces",
        "trailing-space",
        "tab",
        "0.9",
        "1.2",
        "version-case",
        "2.0",
        "no-host",
        "h2-preface",
    ],
)
def test_which_of_the_words_it_was(block, part):
    """The refusal names the part, so that whoever wrote the client can mend it."""
    with pytest.raises(Ambiguous) as refused:
        read_heading(block, LIMITS)
    assert refused.value.part == part


NAMES = some.sampled_from(
    [b"Host", b"Accept", b"X-A", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b"X_Y", b"x-a", b"Content-Type"]
)
VALUES = some.sampled_from([b"a.example", b"5", b"chunked", b"close", b"100-continue", b"", b"a, b", b"5, 5", b"*/*"]) | some.binary(max_size=6)
LINES = some.lists(some.tuples(NAMES, some.sampled_from([b": ", b":", b" :"]), VALUES, some.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r"])), max_size=5)
STARTS = some.sampled_from(
    [b"POST /a?b=c HTTP/1.1\r\n"] * 6 + [b"GET / HTTP/1.0\r\n", b"get / HTTP/1.1\r\n", b"GET /%2e HTTP/1.1\r\n", b"GET /\n", b"\r\n"]
)
BODIES = some.sampled_from([b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"", b"5\r\nhel", b"hello, world"])


def outcome(segments):
    """What a connection makes of these bytes, before anybody reads a body: a heading and the body's bytes in order, or nothing."""
    owner = Owner()
    for segment in segments:
        if not owner.transport.ended:
            owner.connection.data_received(segment)
    if not owner.exchanges:
        return "refused" if owner.refused else "unfinished"
    (exchange,) = owner.exchanges
    failure = None if exchange._failure is None else exchange._failure.code
    return exchange.heading, b"".join(exchange._ahead), exchange.complete, failure


@given(STARTS, LINES, BODIES, CUTS)
def test_any_segments_give_the_same_request(start, lines, body, cuts):
    """A head and what follows it, cut anywhere: the same heading and the same body, or refused either way; nothing else is raised."""
    wire = start + HOST + b"".join(b"".join(line) for line in lines) + b"\r\n" + body
    assert outcome(pieces(wire, cuts)) == outcome([wire])


@given(some.binary(max_size=200), CUTS)
def test_garbage_is_refused_or_waited_for(wire, cuts):
    """Any bytes at all: no exception leaves the connection, and no request is made of them without a head."""
    found = outcome(pieces(wire, cuts))
    assert found == outcome([wire])
    assert found in {"refused", "unfinished"}


@given(some.binary(max_size=100).map(lambda tail: b"GET / HTTP/1.1\r\n" + HOST + tail))
def test_nothing_but_a_refusal_leaves_the_reader(block):
    """Whatever stands in a block of lines, it is a heading or Refused."""
    try:
        heading = read_heading(block, LIMITS)
    except Refused:
        return
    assert heading.host == "a.example"


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (b"GET /" + b"a" * (9 << 10), "target_too_long"),
        (b"GET / HTTP/1.1\r\nX-A: " + b"a" * (48 << 10), "headers_too_large"),
        (b"GET / HTTP/1.1\r\nX-A: 1\nX-B: 2", "ambiguous_request"),
    ],
    ids=["target", "headers", "bare-lf"],
)
@pytest.mark.parametrize("segment", [1000, 50_000], ids=["in-pieces", "at-once"])
def test_what_can_no_more_become_a_head_is_refused_before_it_ends(wire, code, segment):
    """No end of line has to be waited for: memory for a head is bounded by the limits."""
    owner = Owner()
    for at in range(0, len(wire), segment):
        if not owner.refused:
            owner.connection.data_received(wire[at : at + segment])
    assert [refused.code for refused in owner.refused] == [code]
    assert owner.transport.ended
