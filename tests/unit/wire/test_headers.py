"""Header fields: what is refused at the door, what goes on to the upstream, what comes back."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.config import Limits
from stagewarden.errors import Ambiguous, Refused
from stagewarden.wire.headers import Preference, asserts, end_to_end, parse_host, preference, read, response

if TYPE_CHECKING:
    from stagewarden.model import Headers

LIMITS = Limits()
MAPPED = f"[{IPv6Address('::ffff:7f00:1')}]"  # Python 3.13 writes it with dots


def check(block: bytes, limits: Limits, *, http10: bool = False) -> Headers:
    """The fields alone."""
    return read(block, limits, http10=http10).headers


def fields(*lines: str) -> bytes:
    """`Name: value` lines as they come."""
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


def test_kept_as_they_came():
    """Order, case and repetition stay."""
    assert check(fields("Host: a", "Accept: x", "accept: y", "X-Empty:"), LIMITS) == (
        ("Host", "a"),
        ("Accept", "x"),
        ("accept", "y"),
        ("X-Empty", ""),
    )
    assert check(b"", LIMITS) == ()


REFUSED = {
    "underscore": ["X_Forwarded_User: admin"],
    "leading underscore": ["_x: 1"],
    "underscore twin of framing": ["Transfer_Encoding: chunked"],
    "empty name": [": 1"],
    "space in a name": ["X A: 1"],
    "space before the colon": ["X-A : 1"],
    "paren in a name": ["X(A): 1"],
    "LF in a name": ["X\nA: 1"],
    "non-ASCII name": ["X-ä: 1"],
    "NUL in a value": ["X: a\0b"],
    "CR in a value": ["X: a\rb"],
    "LF in a value": ["X: a\nb"],
    "folded line": ["X: a\r\n b"],
    "DEL in a value": ["X: a\x7fb"],
    "ESC in a value": ["X: a\x1b[2Jb"],
    "obs-text": ["X: caf\xe9"],
    "C1": ["X: a\x85b"],
    "Host twice": ["Host: a", "host: a"],
    "Content-Type twice": ["Content-Type: text/plain", "Content-Type: application/json"],
    "Authorization twice": ["Authorization: Bearer a", "authorization: Bearer b"],
    "Content-Encoding twice": ["Content-Encoding: identity", "Content-Encoding: gzip"],
    "Expect twice": ["Expect: 100-continue", "Expect: 100-continue"],
    "Stagewarden-Asserts twice": ["Stagewarden-Asserts: {}", "Stagewarden-Asserts: {}"],
    "Idempotency-Key twice": ["Idempotency-Key: a", "Idempotency-Key: b"],
    "Content-Length twice, same": ["Content-Length: 5", "Content-Length: 5"],
    "Content-Length twice, other case": ["Content-Length: 5", "CONTENT-LENGTH: 0"],
    "Content-Length with Transfer-Encoding": ["Content-Length: 5", "Transfer-Encoding: chunked"],
    "Transfer-Encoding twice": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    **{f"Content-Length {value!r}": [f"Content-Length: {value}"] for value in ("", "+5", "-5", "0x5", "5, 5", "5,", "5 5", "0_5", "005", '"5"',
    "5" * 19)},
    **{
        f"Transfer-Encoding {value!r}": [f"Transfer-Encoding: {value}"]
        for value in ("", "gzip", "identity", "Chunked", "chunked, identity", "gzip, chunked", "chunked;q=1", "xchunked", "chunked,", "chun ked",
        "\tchunked")
    },
    "Upgrade": ["Upgrade: websocket"],
    "HTTP2-Settings": ["HTTP2-Settings: AAMAAABk"],
    "Trailer": ["Trailer: X"],
    "Expect other": ["Expect: 200-ok"],
    "Expect list": ["Expect: 100-continue, x"],
    **{name: [f"{name}: x"] for name in ("X-HTTP-Method", "X-HTTP-Method-Override", "x-http-methodology", "X-Method-Override", "X-Original-URL",
    "x-original-uri",
       "X-Original-Method", "X-Original-Host", "X-Rewrite-URL")},
    **{f"Connection names {name}": [f"Connection: {name}"] for name in ("Host", "authorization", "Content-Length", "Content-Type",
    "Transfer-Encoding",
       "X-Forwarded-For", "Stagewarden-Ruling", "STAGEWARDEN-agent", "Cookie", "close, Authorization", "Upgrade", "If-Match", "Proxy-Authorization",
       "Accept", "X-Real-IP", "Via")},
    "Connection in the second line": ["Connection: close", "connection: Authorization"],
    "Connection not a list": ["Connection: a b"],
    "Connection with an empty member": ["Connection: close,,x"],
    "Connection empty": ["Connection:"],
}  # fmt: skip


@pytest.mark.parametrize("lines", REFUSED.values(), ids=REFUSED)
def test_refused(lines):
    """The header and framing rows of the refusals; one ordinary field beside it changes nothing."""
    for given_lines in (lines, ["Accept: */*", *lines], [*lines, "Accept: */*"]):
        with pytest.raises(Ambiguous):
            check(fields(*given_lines), LIMITS)


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 0"], ["Content-Length: 1048576"], ["Transfer-Encoding: chunked"], ["Expect: 100-Continue"], ["Connection: keep-alive"],
        ["Connection: close, X-Hop"], ["Connection: TE", "TE: trailers"], ["Accept: a", "Accept: b"], ["X-A: a\tb"], ["X-A:"], ["Cookie: a=1",
        "Cookie: b=2"],
        ["X-Forwarded-For: 1.2.3.4"], ["Stagewarden-Agent: root"], ["Proxy-Connection: keep-alive"],
    ],
    ids=repr,
)  # fmt: skip
def test_fine(lines):
    """Ordinary clients pass; what must not go on is dropped later, not refused here."""
    assert len(check(fields(*lines), LIMITS)) == len(lines)


def test_http_1_0_has_no_chunks():
    """Transfer-Encoding in HTTP/1.0 is read by some and not by others (RFC 9112 section 6.1)."""
    with pytest.raises(Ambiguous):
        check(fields("Transfer-Encoding: chunked"), LIMITS, http10=True)


@pytest.mark.parametrize(
    ("raw", "fine"),
    [
        pytest.param(b"X: 1\r\n" * 100, True, id="100 fields"),
        pytest.param(b"X: 1\r\n" * 101, False, id="101 fields"),
        pytest.param(b"X: %b\r\n" % (b"y" * (32768 - 5)), True, id="at the bytes"),
        pytest.param(b"X: %b\r\n" % (b"y" * (32768 - 4)), False, id="over the bytes"),
        pytest.param(b"%b:\r\n" % (b"X" * 32766), False, id="a long name"),
        pytest.param(b"\x00" * 40000, False, id="too large before ill-formed"),
    ],
)
def test_limits(raw, fine):
    """Number and bytes are bounded, names included, `: ` and CRLF counted; the code makes it a 431."""
    if fine:
        assert len(check(raw, LIMITS)) == raw.count(b"\r\n")
    else:
        with pytest.raises(Refused) as caught:
            check(raw, LIMITS)
        assert caught.value.code == "headers_too_large"


_BYTES = st.one_of(st.binary(max_size=12), st.from_regex(rb"[A-Za-z-]{1,8}: ?[ -~]{0,12}", fullmatch=True))


@given(st.lists(_BYTES, max_size=6), st.sampled_from([b"\r\n", b"\n", b""]))
def test_nothing_else_is_raised(lines, end):
    """Total: each line as its name and its value without the spaces around it, the first value by its name, or a refusal."""
    block = b"".join(line + b"\r\n" for line in lines) + end
    try:
        found = read(block, LIMITS)
    except Refused:
        return
    assert [(name.encode(), value.encode()) for name, value in found.headers] == [
        (name, value.strip(b" ")) for name, _, value in (line.partition(b":") for line in block.split(b"\r\n")[:-1])
    ]
    assert found.named == {name.lower(): value for name, value in reversed(found.headers)}


_NAMES = st.sampled_from(
    ["Connection", "connection", "X-Hop", "X-Kept", "Authorization", "X-Api-Key", "Cookie", "Prefer", "Forwarded", "X-Forwarded-Host",
    "Stagewarden-Ruling",
     "TE", "Via", "Host", "Content-Type", "Accept"]
)  # fmt: skip


@given(st.lists(st.tuples(_NAMES, st.sampled_from(["a", "close", "X-Hop", "x-hop, X-Kept"])), max_size=8))
def test_what_goes_on_is_a_part_in_order_without_what_is_withheld(headers):
    """Nothing is added or reordered, and withheld names never pass in any case."""
    kept = end_to_end(tuple(headers), "X-Api-Key")
    remaining = iter(headers)
    assert all(field in remaining for field in kept)
    withheld = {
        "connection",
        "authorization",
        "x-api-key",
        "cookie",
        "prefer",
        "forwarded",
        "x-forwarded-host",
        "stagewarden-ruling",
        "te",
        "via",
        "host",
    }
    assert not withheld & {name.lower() for name, _ in kept}


WITHHELD = (
    "Authorization", "X-Api-Key", "x-api-key", "Cookie", "Cookie2", "Prefer", "Host", "Content-Length", "Transfer-Encoding", "Connection",
    "Keep-Alive", "TE", "Expect",
    "Proxy-Authorization", "Proxy-Connection", "Proxy-Anything", "Stagewarden-Ruling", "STAGEWARDEN-Review", "Stagewarden-Asserts",
    "Stagewarden-Approval",
    "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-User", "X-Forwarded", "X-Real-IP", "X-Client-IP",
    "True-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP", "X-Remote-User", "Remote-User", "X-Envoy-Original-Path", "X-Middleware-Subrequest",
    "X-Forwarded-Client-Cert", "Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Client-Cert-Dn", "X-Amzn-Mtls-Clientcert-Leaf",
    "X-ARR-ClientCert", "SSL-Client-Cert", "X-SSL-Client-Verify", "mcp-init-host", "X-Skipper-Proxy", "X-Auth-Request-User",
)  # fmt: skip


@pytest.mark.parametrize("name", WITHHELD)
def test_withheld(name):
    """Rows 18 to 26, RFC 9440: credentials, cookies, ours, and what an upstream might take for a proxy's word, never pass."""
    assert end_to_end(((name, "x"), ("X-Kept", "1")), "X-Api-Key") == (("X-Kept", "1"),)


@pytest.mark.parametrize(
    "name",
    ["Accept", "Accept-Encoding", "Content-Type", "Content-Language", "Idempotency-Key", "If-Match", "Mcp-Name", "Origin", "Referer", "Traceparent",
    "User-Agent",
     "X-Approved-By", "X-Internal", "X-Request-ID", "X-WP-Nonce"],
)  # fmt: skip
def test_passed_on(name):
    """Every other end-to-end field goes as it came."""
    assert end_to_end(((name, "a"), (name.lower(), "b")), "Authorization") == ((name, "a"), (name.lower(), "b"))


def test_connection_names_are_dropped_with_it():
    """What the client declared hop-by-hop stays on its hop."""
    assert end_to_end((("Connection", "close, X-Hop"), ("x-hop", "1"), ("X-Kept", "1")), "Authorization") == (("X-Kept", "1"),)


def test_response():
    """An answer keeps all but hop-by-hop fields and names only we may set; cookies are the agent's own affair."""
    given_headers = (
        ("Content-Type", "text/html"), ("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "5"), ("Transfer-Encoding", "chunked"), ("Trailer",
        "X"),
        ("Proxy-Authenticate", "x"), ("Upgrade", "h2"), ("Stagewarden-Ruling", "forged"), ("stagewarden-review", "forged"), ("Set-Cookie", "a=1"),
        ("set-cookie", "b=2"), ("Content-Length", "3"), ("Content-Encoding", "gzip"), ("X-Forwarded-For", "1"),
    )  # fmt: skip
    assert [name for name, _ in response(given_headers)] == [
        "Content-Type", "Set-Cookie", "set-cookie", "Content-Length", "Content-Encoding", "X-Forwarded-For",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("app.test", "app.test"), ("APP.Test", "app.test"), ("app.test:80", "app.test"), ("app.test:65535", "app.test"), ("a", "a"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("[::1]", "[::1]"), ("[::1]:80", "[::1]"), ("[FD00:0::1]", "[fd00::1]"), ("[::ffff:127.0.0.1]", MAPPED),
        ("word_press", "word_press"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"), ("_a._b.test", None), ("0x7f000001", "0x7f000001"),
    ],
)  # fmt: skip
def test_host(value, host):
    """Lower case, without port; an IPv6 address in its shortest form. Odd spellings of addresses stay names nobody allows."""
    if host is None:
        with pytest.raises(Ambiguous):
            parse_host(value)
    else:
        assert parse_host(value) == host


@pytest.mark.parametrize(
    "value",
    ["", " ", "app.test/x", "app.test?x", "app.test#x", "app .test", "app.test:", "app.test:99999", "app.test:80x", "app.test:-1", "app.test:+1",
    "app.test:123456",
     "app.test, evil.test", "http://app.test", "app%2etest", "[::1", "::1", "[::1]x", "[::1]:", "[]", "[1.2.3.4]", "[fe80::1%eth0]", "[::1]:99999",
     "a@b", "app.test@",
     "app.tëst", "app.test\\x", "a..b", ".a", "app.test.", "-a", "a" * 254, "a\n", "app.test:٣"],
)  # fmt: skip
def test_host_refused(value):
    """CVE-2026-49468: whatever is not host[:port] by grammar. A trailing dot is another spelling of a name on no list (CVE-2022-24825)."""
    with pytest.raises(Ambiguous) as caught:
        parse_host(value)
    assert caught.value.part == "host"


@given(st.text(max_size=30))
def test_host_is_total_and_stable(value):
    """A host, which is itself a host and reads as itself; or a refusal."""
    try:
        host = parse_host(value)
    except Ambiguous:
        return
    assert parse_host(host) == host


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Preference()),
        (["wait=10"], Preference(10)),
        (["respond-async"], Preference(None, respond_async=True)),
        (["Respond-Async, WAIT=5"], Preference(5, respond_async=True)),
        (['wait="7"; x=y'], Preference(7)),
        (["return=minimal", "wait=3"], Preference(3)),
        (["wait=1, wait=9"], Preference(1)),
        (["wait=-1, wait=x, wait=, wait, wait=1.5, wait=" + "9" * 10], Preference()),
        (["respond-async=no"], Preference()),
        (["", ",,;="], Preference()),
    ],
)
def test_preference(values, expected):
    """RFC 7240: the first of each counts; what is not understood does not, and never fails a request."""
    assert preference(tuple(("Prefer", value) for value in values)) == expected


def test_asserts():
    """A strict JSON object, or nothing said."""
    assert asserts(None, 8) == {}
    assert asserts('{"confidence": 0.9, "sources": ["a"]}', 8) == {"confidence": 0.9, "sources": ["a"]}


@pytest.mark.parametrize("value", ["", "[]", '"x"', "null", "{", '{"a":1,"a":2}', '{"a":NaN}', '{"a":' * 9 + "1" + "}" * 9])
def test_asserts_refused(value):
    """Two readings, or none: the request is refused, not the claim dropped."""
    with pytest.raises(Ambiguous) as caught:
        asserts(value, 8)
    assert caught.value.part == "Stagewarden-Asserts"
