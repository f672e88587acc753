"""Framing, upgrades and early data: rows 39 to 44. One request in, at most one out; nothing after a doubtful end is anybody's request."""

import pytest

from tests.attacks.cases import Family, Sound, check, params
from tests.ground import chunked, get, request

OPAQUE = b"Content-Type: application/octet-stream"
TE = b"Transfer-Encoding: chunked"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
INNER = get(b"/smuggled")
PLAIN = b"GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n"
CLOSED = {"closes": True}


def post(*lines: bytes, body: bytes = HELLO) -> bytes:
    """A POST framed by nothing but its lines."""
    return request(b"POST", b"/x", OPAQUE, *lines) + body


def framed(*lines: bytes, body: bytes = b"hello") -> dict[str, bytes]:
    """The body after each framing line, named after it."""
    return {line.decode("latin-1").replace("\r\n", "|").replace(" ", "")[:40]: post(line, body=body) for line in lines}


def pieces(*bodies: bytes) -> dict[str, bytes]:
    """Chunked bodies, named after their beginning."""
    return {ascii(body[:16])[2:-1]: post(TE, body=body) for body in bodies}


REFUSED = (
    Family(39, "CVE-2023-37276", {
        "cr-ends-a-line": post(b"X: a\rTransfer-Encoding: chunked"), "lf-ends-a-line": post(b"X: a\nTransfer-Encoding: chunked"),
        "cr-in-value": get(b"/x", b"X: a\rb"), "nul-in-value": get(b"/x", b"X: a\x00b"), "cr-before-colon": get(b"/x", b"X\r: a"),
    }, **CLOSED),
    Family(39, "CVE-2023-47627", {
        **framed(b"Content-Length: +5", b"Content-Length: 0_5", b"Content-Length: 0x5", b"Content-Length: 5 5", b"Content-Length: -5",
                 b"Content-Length: 05", b"Content-Length: 5,5", b'Content-Length: "5"', b"Content-Length: ", b"Content-Length : 5",
                 b"Content-Length: 5.0", b"Content-Length: 5e0", b"Content-Length: 18446744073709551621"),
    }, **CLOSED),
    Family(39, "CVE-2023-47641", {
        "cl-then-te": post(b"Content-Length: 5", TE), "te-then-cl": post(TE, b"Content-Length: 5"), "cl-0": post(b"Content-Length: 0", TE),
        "cases": post(b"content-LENGTH: 5", b"TRANSFER-encoding: chunked"), "identity": post(b"Content-Length: 5", b"Transfer-Encoding: identity"),
        "hidden-request": post(b"Content-Length: 4", TE, body=b"0\r\n\r\n" + INNER),
    }, **CLOSED),
    Family(39, "CVE-2024-23829", {
        "space-in-version": request(b"GET", b"/x", version=b"HTTP/1. 1"), "extra-word": request(b"GET", b"/x", version=b"HTTP/1.1 x"),
        "trailing-space": request(b"GET", b"/x", version=b"HTTP/1.1 "), "tab": request(b"GET", b"/x").replace(b" /x ", b"\t/x\t"),
        "two-spaces": request(b"GET", b"/x").replace(b" /x ", b"  /x "), "name-with-space": get(b"/x", b"X A: 1"), "name-with-tab": get(b"/x",
            b"X\tA: 1"),
        "space-before-colon": get(b"/x", b"X-A : 1"), "no-name": get(b"/x", b": 1"), "no-colon": get(b"/x", b"X-A"), "paren": get(b"/x", b"X(A): 1"),
        "leading-space": get(b"/x", b" X-A: 1"), "folded": get(b"/x", b"X-A: 1\r\n 2"), "folded-tab": get(b"/x", b"X-A: 1\r\n\t2"),
    }, **CLOSED),
    Family(39, "CVE-2024-52304", pieces(
        b"5;a\nb\r\nhello\r\n0\r\n\r\n", b"5;\n\r\nhello\r\n0\r\n\r\n", b"5;a\rb\r\nhello\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n",
        b"5;a\x00\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n"), **CLOSED),
    Family(39, "GHSA-pjjw-qhg8-p2p9", pieces(
        b"5;x=\n0\r\n\r\n" + INNER, b"0;\n\r\n\r\n" + INNER, b"5;" + b"a" * 70000 + b"\r\nhello\r\n0\r\n\r\n"), **CLOSED),
    Family(39, "CVE-2025-69224", {
        **framed(b"Content-Length: \xd9\xa5", b"Content-Length: \xef\xbc\x95", b"Content-Length: \xb2"),
        **pieces(b"\xd9\xa5\r\nhello\r\n0\r\n\r\n", b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n"),
        "range": get(b"/x", b"Range: bytes=\xd9\xa5-"), "version": request(b"GET", b"/x", version=b"HTTP/\xd9\xa1.1"),
        "kelvin": post(b"Transfer-Encoding: chun\xe2\x84\xaaed"),
    }, **CLOSED),
    Family(39, "CVE-2026-111750", pieces(
        b"-5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n",
        b"0_5\r\nhello\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFF\r\nhello\r\n", b"5\r\nhelloo\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"\r\nhello\r\n0\r\n\r\n", b"g\r\nhello\r\n"),
        **CLOSED),
    Family(40, "CVE-2026-69243", {
        "pipelined": get(b"/x", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZQ==") + INNER,
        "with-body": request(b"POST", b"/x", OPAQUE, b"Connection: Upgrade", b"Upgrade: websocket", body=INNER),
        "chunked": post(b"Connection: Upgrade", b"Upgrade: websocket", TE, body=chunked(INNER)),
        "case": get(b"/x", b"connection: UPGRADE", b"UPGRADE: WebSocket") + INNER, "no-connection": get(b"/x", b"Upgrade: websocket") + INNER,
        "length-hides": get(b"/x", b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: %d" % len(INNER)) + INNER,
    }, **CLOSED),
    Family(41, "CVE-2025-64763", {
        "upgrade": get(b"/x", b"Connection: Upgrade", b"Upgrade: foo/1") + INNER, "tls": get(b"/x", b"Connection: Upgrade",
            b"Upgrade: TLS/1.2") + INNER,
    }, **CLOSED),
    Family(42, "h2c-smuggling", {
        "classic": get(b"/x", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQ"),
        "without-settings": get(b"/x", b"Connection: Upgrade", b"Upgrade: h2c"), "upper": get(b"/x", b"Connection: upgrade", b"UPGRADE: H2C"),
        "settings-alone": get(b"/x", b"HTTP2-Settings: AAMAAABk"), "list": get(b"/x", b"Connection: Upgrade", b"Upgrade: h2c, websocket"),
        "post": request(b"POST", b"/x", OPAQUE, b"Connection: Upgrade", b"Upgrade: h2c", body=b"hello"),
        "preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    }, **CLOSED),
    Family(43, "CVE-2021-39214", {"te-space-colon": post(b"Transfer-Encoding : chunked"), "cl-space-colon": post(b"Content-Length : 5",
        body=b"hello")}, **CLOSED),
    Family(43, "CVE-2022-24766", {"leading-space": post(b" Transfer-Encoding: chunked"), "tab-colon": post(b"Transfer-Encoding\t: chunked")},
        **CLOSED),
    Family(43, "GHSA-847f-9342-265h", {"vt": post(b"Transfer-Encoding: \x0bchunked"), "ff": post(b"Transfer-Encoding:\x0cchunked")}, **CLOSED),
    Family(44, "CVE-2019-16785", {
        "bare-lf": get(b"/x").replace(b"\r\n", b"\n"), "lf-in-head": get(b"/x", b"X: 1\nY: 2"), "lf-after-start": get(b"/x").replace(b"\r\n", b"\n",
            1),
    }, **CLOSED),
    Family(44, "CVE-2019-16786", framed(
        b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: identity, chunked", b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: x", b"Transfer-Encoding: chunked;q=1", b"Transfer-Encoding: ",
        b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunkedx", b'Transfer-Encoding: "chunked"', b"Transfer-Encoding: chunked,", body=HELLO),
        **CLOSED),
    Family(44, "CVE-2019-16789", {
        "two-te": post(TE, b"Transfer-Encoding: identity"), "two-equal-te": post(TE, TE), "two-te-cases": post(TE, b"transfer-encoding: x"),
        "hidden-te": post(b"X:\x0cTransfer-Encoding: chunked"), "folded": post(b"Transfer-Encoding:\r\n chunked"),
    }, **CLOSED),
    Family(44, "CVE-2019-16792", framed(
        b"Content-Length: 5\r\nContent-Length: 5", b"Content-Length: 5\r\nContent-Length: 0", b"Content-Length: 0\r\ncontent-length: 5"), **CLOSED),
    Family(44, "CVE-2022-24761", {
        **framed(b"Content-Length: +005"), **pieces(b"0x0\r\n\r\n" + INNER, b"+5\r\nhello\r\n0\r\n\r\n"), "1.0-chunked": request(
            b"POST", b"/x", OPAQUE, TE, version=b"HTTP/1.0") + HELLO,
    }, **CLOSED),
    Family(44, "CVE-2020-10108", {"two-lengths": post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello" + INNER)}, **CLOSED),
    Family(44, "CVE-2020-10109", {"length-and-chunks": post(b"Content-Length: 0", TE, body=b"0\r\n\r\n" + INNER)}, **CLOSED),
    Family(44, "CVE-2022-24801", {
        "crcrlf": get(b"/x").replace(b"\r\n", b"\r\r\n"), "nul-first": b"\x00" + get(b"/x"), "space-first": b" " + get(b"/x"),
            "bom": b"\xef\xbb\xbf" + get(b"/x"),
        **{f"version-{version.decode()}": request(b"GET", b"/x", version=version) for version in
           (b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/3.0", b"http/1.1", b"HTTP/1,1", b"HTTP/01.1", b"RTSP/1.0", b"ICE/1.0")},
        "no-version": get(b"/x").replace(b" HTTP/1.1", b""),
    }, **CLOSED),
    Family(47, "CVE-2023-49082", {
        "method-crlf": request(b"GET /smuggled HTTP/1.1\r\nX: y\r\n\r\nGET", b"/x", host=b"app.test").replace(b"\r\n\r\n",
            b"\r\nHost: evil.test\r\n\r\n", 1),
        "target-encoded": get(b"/x%0d%0aX:y"), "target-cr": get(b"/x\rX:y"), "value-cr": get(b"/x", b"X: a\r"),
    }),
    Family(47, "CVE-2026-50269", {"trailer-declared": post(b"Trailer: X-A", TE), "expect-list": post(b"Expect: 100-continue, x",
        b"Content-Length: 5", body=b"hello")}),
)  # fmt: skip
WAITS = (
    Family(44, "incomplete", {
        "half-a-head": get(b"/x")[:-4], "half-a-line": b"GET /x HT", "length-not-reached": post(b"Content-Length: 50", body=b"hello"),
        "chunk-not-reached": post(TE, body=b"50\r\nhello"), "no-last-chunk": post(TE, body=b"5\r\nhello\r\n"), "last-chunk-open": post(TE,
            body=b"5\r\nhello\r\n0\r\n"),
    }, leaves=True),
)  # fmt: skip
SOUND = (
    Sound(43, "CVE-2021-39214-reframed", {
        "one-chunk": post(TE), "many-chunks": post(TE, body=chunked(b"hello", 1)), "length": request(b"POST", b"/x", OPAQUE, body=b"hello"),
        "upper-hex": post(TE, body=b"00005\r\nhello\r\n0\r\n\r\n"), "te-upper": post(b"TRANSFER-ENCODING: chunked"),
    }, body=b"hello", absent=("transfer-encoding",)),
    Sound(44, "a-request-inside-a-body-stays-one", {
        "length": request(b"POST", b"/x", OPAQUE, body=PLAIN), "chunked": post(TE, body=chunked(PLAIN, 11)),
    }, body=PLAIN),
)  # fmt: skip
TRAILERS = {
    "CVE-2025-53643-content-length": b"Content-Length: 3\r\n", "CVE-2025-53643-host": b"Host: vault.test\r\n", "CVE-2025-53643-te": TE + b"\r\n",
    "CVE-2025-53643-authorization": b"Authorization: Bearer x\r\n", "CVE-2025-53643-plain": b"X-T: 1\r\n", "CVE-2025-53643-no-colon": b"nonsense\r\n",
    "CVE-2025-53643-request": b"GET /smuggled HTTP/1.1\r\nHost: app.test\r\n", "CVE-2025-53643-folded": b"X-T: 1\r\n 2\r\n",
}  # fmt: skip


@pytest.mark.parametrize(("family", "raw"), params((*REFUSED, *WAITS, *SOUND)))
def test_framing(ground, family, raw):
    """Refused, nothing sent, and the connection done with; or one request, framed by us."""
    check(ground, family, raw)


@pytest.mark.parametrize("name", TRAILERS)
def test_a_trailer_is_never_forwarded(ground, name):
    """Dropped or refused; never a header, never the next request."""
    seen = ground.attack(post(TE, body=b"5\r\nhello\r\n0\r\n" + TRAILERS[name] + b"\r\n"))
    assert seen.strayed == ()
    assert len(seen.reached) <= 1
    for received in seen.reached:
        assert (received.target, received.body) == ("/x", b"hello")
        assert TRAILERS[name].strip() not in received.raw
    assert [heard.status for heard in seen.answers] in ([200], [400])


def test_cve_2025_64763_early_data_after_connect(ground):
    """Bytes behind a CONNECT are nobody's: it is refused and the connection ends."""
    seen = ground.attack(b"CONNECT app.test:443 HTTP/1.1\r\nHost: app.test:443\r\nAuthorization: Bearer sw_battery\r\n\r\n" + INNER)
    assert (seen.only.status, seen.reached, seen.strayed, seen.closed) == (400, (), (), True)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(request(b"HEAD", b"/x", host=b"evil.test"), id="head"),
        pytest.param(request(b"HEAD", b"/a/../b"), id="head-target"),
        pytest.param(request(b"HEAD", b"/x", host=None), id="head-without-host"),
    ],
)
def test_a_refusal_of_head_has_no_body(ground, raw):
    """RFC 9110 section 9.3.2: or what we say would be read as the answer to the next request."""
    assert ground.attack(raw).only.status == 400


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1", b"nonsense"])
def test_a_refusal_is_http_1(ground, version):
    """Nobody's version is echoed: the status line is one a client of ours can read."""
    assert ground.attack(request(b"GET", b"/x", version=version)).only.raw.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))


ROWS = frozenset({family.row for family in (*REFUSED, *WAITS, *SOUND)} | {39})
