"""The bytes of an answer's head: no value becomes a second line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stagewarden.wire.listener.reply import has_body, head_bytes


def test_a_head():
    """Status with its phrase, fields in order, an empty line."""
    assert head_bytes(429, None, (("A", "1"), ("a", "2"))) == b"HTTP/1.1 429 Too Many Requests\r\nA: 1\r\na: 2\r\n\r\n"
    assert head_bytes(299, None, ()) == b"HTTP/1.1 299 \r\n\r\n"
    assert head_bytes(200, "Fine", (("X", "\xe9"),)) == b"HTTP/1.1 200 Fine\r\nX: \xe9\r\n\r\n"


@pytest.mark.parametrize("bad", ["a\r\nb: 1", "a\nb", "a\rb", "a\0"], ids=["crlf", "lf", "cr", "nul"])
@pytest.mark.parametrize("place", ["reason", "name", "value"])
def test_cve_2026_34519_a_value_is_never_a_second_line(bad, place):
    """Refused wherever it stands; nothing is written."""
    reason, name, value = (bad if place == each else "x" for each in ("reason", "name", "value"))
    with pytest.raises(ValueError, match="line break"):
        head_bytes(200, reason, ((name, value),))


@given(some.text(max_size=20), some.text(max_size=20))
def test_as_many_lines_as_fields(reason, value):
    """Whatever the text: refused, or exactly the lines asked for."""
    try:
        head = head_bytes(200, reason, (("X", value), ("Y", value)))
    except ValueError:
        return  # UnicodeEncodeError is one: beyond Latin-1 there is no byte for it
    assert len(head.split(b"\r\n")) == 5


@pytest.mark.parametrize(
    ("status", "method", "body"), [(200, "GET", True), (200, "HEAD", False), (204, "GET", False), (304, "GET", False), (500, "POST", True)]
)
def test_which_answers_have_a_body(status, method, body):
    """RFC 9110 section 6.4.1."""
    assert has_body(status, method) is body
