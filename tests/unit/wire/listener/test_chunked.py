"""Chunk framing: one reading, whatever the segments; everything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stagewarden.errors import Ambiguous
from stagewarden.wire.listener.chunked import Chunked
from tests.unit.wire.listener.parts import CUTS, pieces


def read(segments):
    """Body, whether it is whole, and what followed; or `refused`."""
    decoder, body = Chunked(), b""
    try:
        for at, segment in enumerate(segments):
            body += b"".join(decoder.feed(segment))
            if decoder.whole:
                return body, True, decoder.rest + b"".join(segments[at + 1 :])
    except Ambiguous:
        return "refused"
    return body, False, b""


@given(
    some.lists(some.binary(min_size=1, max_size=300), max_size=6),
    some.sampled_from([b"", b";a", b";name=value", b';q="a b;c"']),
    some.sampled_from([b"", b"X-Sum: 1\r\n", b"a:\r\nb: \t2\r\n"]),
    some.binary(max_size=20),
    CUTS,
)
def test_a_body_comes_out_as_it_went_in(chunks, extension, trailers, after, cuts):
    """Sizes, extensions and trailers leave; the bytes stay, those behind the end too."""
    wire = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n" + after
    assert read(pieces(wire, cuts)) == (b"".join(chunks), True, after)


FRAGMENTS = [
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"5",
    b"A;x=1\r\n",
    b";" + b"a" * 250,
    b"a: b\r\n",
    b"0" * 13,
    b"\x00",
    b"g",
    b" ",
]


@given(some.lists(some.sampled_from(FRAGMENTS) | some.binary(max_size=5), max_size=8).map(b"".join), CUTS)
def test_any_segments_give_the_same_reading(wire, cuts):
    """Whatever the bytes: cut anywhere, they are the same body or the same refusal, and nothing but Ambiguous is raised."""
    assert read(pieces(wire, cuts)) == read([wire])


@pytest.mark.parametrize("cut", range(250, 262), ids=str)
def test_the_longest_line_is_as_long_in_two_segments(cut):
    """A line at the limit is taken, one over it refused, wherever it is cut, its CRLF included."""
    line = b"5;" + b"a" * 254
    whole = line + b"\r\nhello\r\n0\r\n\r\n"
    assert read([whole[:cut], whole[cut:]]) == (b"hello", True, b"")
    longer = b"5;" + b"a" * 255 + b"\r\nhello\r\n0\r\n\r\n"
    assert read([longer[:cut], longer[cut:]]) == "refused"


@pytest.mark.parametrize(
    "wire",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhelloo\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"-0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"5_0\r\n",
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffff\r\n",
        b"5;\nX: 1\r\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n",
        b"0\r\nX\r\n\r\n",
        b"0\r\n X: 1\r\n\r\n",
        b"0\r\nX: \x00\r\n\r\n",
        b"0\r\n" + b"X: 1\r\n" * 3000 + b"\r\n",
        b"".join(b"1;" + b"a" * 200 + b"\r\nx\r\n" for _ in range(21)),
    ],
    ids=["bare-lf", "bare-lf-after-data", "longer-than-size", "0x", "plus", "minus", "space-before", "space-after", "underscore", "empty-line",
         "too-big", "cve-2023-39325-lf-in-extension", "cr-in-extension", "trailer-no-colon", "trailer-folded", "trailer-nul", "trailers-for-ever",
         "cve-2023-39326-extensions-for-ever"],
)  # fmt: skip
def test_what_is_not_exactly_a_chunked_body_is_refused(wire):
    """Two parsers could see two bodies in each of these."""
    assert read([wire]) == "refused"
