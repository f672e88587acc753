"""Upstreams' answers: what is taken for whole is what http.client reads, in whatever pieces it came; what is relayed cannot be split."""

from __future__ import annotations

import asyncio
import re
from http.client import HTTPException

from hypothesis import strategies as st

from stagewarden.errors import Refused
from stagewarden.wire import headers as wire_headers
from stagewarden.wire.upstream.answer import MOST_INTERIM, Phase, UpstreamAnswer
from tests.fuzz.harness import ACCEPTED, REFUSED, Harness
from tests.fuzz.readers import client_response
from tests.upstreams import answer

_HOPS = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authenticate", "proxy-connection"}
_BODILESS = {204, 304}
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r\n)")


class _Flow:
    """A connection that does nothing."""

    def pause(self) -> None:
        """Nothing."""

    def resume(self) -> None:
        """Nothing."""

    def abort(self) -> None:
        """Nothing."""

    def expect(self, seconds: float | None) -> None:
        """Nothing."""


def judge(data: bytes) -> str:
    """As the connection feeds it, whole and byte by byte, then its end; then as http.client reads it."""
    got, slowly = (_fed(data, size) for size in (len(data) or 1, 1))
    assert _seen(got) == _seen(slowly)
    if got.status == 0:
        return f"{REFUSED} {got.phase.name} {_why(got)}"
    # (1) What goes on to the agent: nothing of the hop, nothing in our name, nothing that ends a line.
    try:
        relayed = wire_headers.response(got.headers)
    except Refused as no:
        return f"{REFUSED} relay {no.detail}"
    assert not {name.lower() for name, _ in relayed} & _HOPS
    assert not any(name.lower().startswith("stagewarden-") for name, _ in relayed)
    assert not any(re.search(r"[\x00-\x08\x0a-\x1f\x7f]", name + value) for name, value in (*relayed, ("", got.reason)))
    if got.phase is not Phase.WHOLE:
        return f"{REFUSED} cut {_why(got)}"
    # (2) The same answer for another reader, after as many 1xx as we skip.
    rest, skipped = data, 0
    while (found := _STATUS.match(rest)) and found[1].startswith(b"1"):
        rest, skipped = rest.partition(b"\r\n\r\n")[2], skipped + 1
    assert skipped <= MOST_INTERIM
    assert found is not None  # llhttp takes other protocols for HTTP, and skips empty lines
    if got.status in _BODILESS:  # http.client reads a body where none can be (RFC 9112 section 6.3)
        assert _body(got) == b""
        return f"{ACCEPTED} {(got.status, got.reusable)}"
    try:
        status, body = client_response(rest)
    except (HTTPException, ValueError) as failure:
        raise AssertionError(f"http.client finds no answer: {failure!r}") from None
    assert (status, body) == (got.status, _body(got))
    # (3) Kept for the next request only when nothing is left over.
    if got.reusable:
        assert rest.endswith((body, b"\r\n\r\n"))
    framing = tuple(sorted(name.lower() for name, _ in got.headers if name.lower() in {"content-length", "transfer-encoding"}))
    return f"{ACCEPTED} {(got.status // 100, framing, got.reusable, bool(body), skipped > 0)}"


def _fed(data: bytes, size: int) -> UpstreamAnswer:
    loop = asyncio.new_event_loop()  # where nobody waits, nothing is asked of it
    got = UpstreamAnswer(_Flow(), loop, 1.0, head_request=False)
    for at in range(0, len(data), size):
        got.feed(data[at : at + size])
    got.eof()
    loop.close()
    return got


def _seen(got: UpstreamAnswer) -> tuple[object, ...]:
    """All that anybody can see of it; of an answer that broke off, its head."""
    whole = got.phase is Phase.WHOLE
    return got.phase, got.status, got.reason, got.headers, got.sized, _body(got) if whole else b"", got.reusable if whole else False


def _body(got: UpstreamAnswer) -> bytes:
    return b"".join(got._pieces)


def _why(got: UpstreamAnswer) -> str:
    return re.sub(r"[^a-z ]|b'.*'", "", str(got._failure).lower())[:60]


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
_SEEDS = [
    answer(b"hello"), b"RTSP/1.0" + answer(b"hello")[8:], b"HTTP/0.9" + answer(b"hello")[8:], answer(b""), _CHUNKED,
    b"HTTP/1.1 100 Continue\r\n\r\nICE/1.0" + answer(b"hello")[8:],
    answer(b"x", "404 Not Found", "Connection: close"), b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(b"ok"),
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2;a=b\r\nhi\r\n0\r\nX: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nStagewarden-Ruling: r\r\nConnection: X-A\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
]  # fmt: skip
_TOKENS = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\x00", b"\xfc", b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/2 ", b"RTSP/1.0 ", b"ICE/1.1 ",
    b"HTTP/0.9 ", b"200 OK\r\n", b"100 Continue\r\n\r\n", b"101 S\r\n", b"199 ", b"204 ", b"304 ", b"600 ", b"Content-Length: 5\r\n",
    b"Content-Length: ", b"content-length:5\r\n", b"Content-Length : 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n",
    b"Transfer-Encoding: CHUNKED\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Keep-Alive: 5\r\n", b"5\r\nhello\r\n",
    b"0\r\n\r\n", b"0\r\n", b"00005\r\n", b"5 \r\n", b"5;\r\n", b"+5\r\n", b"0x5\r\n", b"-1\r\n", b"fffffffffffffffff\r\n", b"X: 1\r\n",
    b" folded\r\n", b"X Y: 1\r\n", b": x\r\n", b"X\r\n",
)  # fmt: skip
_FIELDS = st.lists(st.sampled_from([each for each in _TOKENS if each.endswith(b"\r\n") and b":" in each]), max_size=3)
_STARTS = (b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No", b"HTTP/1.1 304 Not", b"HTTP/1.1 404", b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 200 OK")
_GROWN = st.tuples(
    st.sampled_from(_STARTS),
    _FIELDS,
    st.sampled_from([b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"0\r\nX: 1\r\n\r\n", b"hello" + _CHUNKED]),
).map(lambda parts: parts[0] + b"\r\n" + b"".join(parts[1]) + b"\r\n" + parts[2])
HARNESS = Harness.of("upstream_answer", judge, _SEEDS, _TOKENS, _GROWN)
