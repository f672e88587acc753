"""An upstream's address, and the request head as it is written."""

from __future__ import annotations

import pytest
from httptools import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.errors import CannotTell
from stagewarden.wire.upstream import Endpoint, endpoint, serialize


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://cms.internal", Endpoint("http", "cms.internal", 80, "cms.internal")),
        ("http://cms.internal:80/", Endpoint("http", "cms.internal", 80, "cms.internal")),
        ("https://CMS.internal", Endpoint("https", "cms.internal", 443, "cms.internal")),
        ("https://cms.internal:8443", Endpoint("https", "cms.internal", 8443, "cms.internal:8443")),
        ("http://cms.internal:443", Endpoint("http", "cms.internal", 443, "cms.internal:443")),
        ("http://10.0.0.1:8080", Endpoint("http", "10.0.0.1", 8080, "10.0.0.1:8080")),
        ("http://[::1]:8080", Endpoint("http", "::1", 8080, "[::1]:8080")),
        ("https://[FD00::0:1]", Endpoint("https", "fd00::1", 443, "[fd00::1]")),
        ("http://word_press:80", Endpoint("http", "word_press", 80, "word_press")),
    ],
)
def test_endpoint(url, expected):
    """Scheme, host, port and the Host field of a configured URL."""
    assert endpoint(url) == expected


@pytest.mark.parametrize(
    "url",
    ["", "cms.internal", "ftp://cms", "HTTP://cms", "http:/cms", "http://", "http://cms/wp", "http://cms?x", "http://cms#x", "http://u:p@cms", "http://cms:0",
     "http://cms:99999", "http://cms:x", "http://cms:", "http://c ms", "http://[::1", "http://[::1]x", "http://[::1%25eth0]", "http://cms//", "http://cms."],
)  # fmt: skip
def test_no_endpoint(url):
    """Anything but scheme, host and port is refused: a path or user here would be sent with every request, or silently not."""
    with pytest.raises(ValueError, match=r"not|port 0"):
        endpoint(url)


@pytest.mark.parametrize(
    ("method", "length", "framing"),
    [("GET", 0, b""), ("DELETE", 0, b""), ("POST", 0, b"Content-Length: 0\r\n"), ("PUT", 0, b"Content-Length: 0\r\n"),
     ("PATCH", 0, b"Content-Length: 0\r\n"),
     ("GET", 3, b"Content-Length: 3\r\n"), ("DELETE", 3, b"Content-Length: 3\r\n"), ("POST", 3, b"Content-Length: 3\r\n")],
)  # fmt: skip
def test_framing_is_ours(method, length, framing):
    """A length where there is a body or one is expected; never anything copied."""
    assert serialize(method, "/", "cms", (("A", "1"),), length) == f"{method} / HTTP/1.1\r\nHost: cms\r\nA: 1\r\n".encode() + framing + b"\r\n"


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "Transfer-Encoding", "Host", "Connection"])
def test_foreign_framing_is_refused(name):
    """Row 43: a framing header given to us would be a second one."""
    with pytest.raises(CannotTell):
        serialize("GET", "/", "cms", ((name, "x"),), 0)


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\nX: 1", "a\rX: 1", "a\0", "ä", "a\r\n"])
@pytest.mark.parametrize("where", ["method", "target", "authority", "name", "value"])
def test_cve_2023_49081_no_line_is_smuggled_in(value, where):
    """CR, LF, NUL and non-ASCII in any part are refused, a credential file's included."""
    parts = {"method": "GET", "target": "/", "authority": "cms", "name": "A", "value": "1"} | {where: value}
    with pytest.raises(CannotTell):
        serialize(parts["method"], parts["target"], parts["authority"], ((parts["name"], parts["value"]),), 0)


class _Seen:
    """What httptools understands."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.whole = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole += 1


_TOKEN = st.text("!#$%&'*+-.^_`|~0123456789abcXYZ", min_size=1, max_size=12)
_VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40).map(str.strip)
_TARGET = st.text("abc/%2?=&.~-_", max_size=40).map(lambda rest: "/" + rest)


@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    _TARGET,
    st.lists(st.tuples(_TOKEN, _VALUE), max_size=8),
    st.binary(max_size=200),
)
def test_what_is_written_is_what_another_parser_reads(method, target, fields, body):
    """One request in, the same one out: method, target, fields and body survive llhttp unchanged."""
    seen = _Seen()
    parser = HttpRequestParser(seen)
    parser.feed_data(serialize(method, target, "cms:8080", tuple(fields), len(body)) + body)
    framing = [(b"Content-Length", str(len(body)).encode())] if body or method in {"POST", "PUT", "PATCH"} else []
    assert (parser.get_method().decode(), seen.url.decode(), seen.body, seen.whole) == (method, target, body, 1)
    assert seen.headers == [(b"Host", b"cms:8080"), *((name.encode(), value.encode()) for name, value in fields), *framing]
