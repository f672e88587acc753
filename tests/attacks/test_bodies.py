"""Truncated, oversized, encoded and ambiguous bodies: rows 53 to 63. Judged whole, or refused; never a prefix, never an empty stand-in."""

import json

import pytest

from tests.attacks.cases import Family, Sound, check, params, told
from tests.ground import chunked, request

JSON = b"Content-Type: application/json"
FORM = b"Content-Type: application/x-www-form-urlencoded"
TE = b"Transfer-Encoding: chunked"
LIMIT = 1 << 20
PUBLISH = b'{"status":"publish"}'
DRAFT = b'{"status":"draft"}'


def item(body: bytes, *lines: bytes) -> bytes:
    """A JSON body to a route that allows every document it can read."""
    return request(b"POST", b"/items", JSON, *lines, body=body)


def documents(*bodies: bytes) -> dict[str, bytes]:
    """A request for each, by length and in chunks, named after its beginning."""
    made = {}
    for body in bodies:
        name = ascii(body[:28])[2:-1]
        made |= {name: item(body), f"{name}-chunked": request(b"POST", b"/items", JSON, TE) + chunked(body, 5)}
    return made


def padded(size: int, end: bytes = b'"status":"publish"}') -> bytes:
    """A document of exactly so many bytes that says what it is about last."""
    start = b'{"pad":"'
    return start + b"x" * (size - len(start) - len(end) - 2) + b'",' + end


REFUSED = (
    Family(54, "GHSA-8qqm-fp2q-v734", {
        "declared": request(b"POST", b"/articles", JSON, b"Content-Length: %d" % (LIMIT + 1)),
        "declared-double": request(b"POST", b"/articles", JSON, b"Content-Length: %d" % (2 * LIMIT)),
        "declared-vast": request(b"POST", b"/articles", JSON, b"Content-Length: 99999999999999999"),
        "sent": request(b"POST", b"/articles", JSON, body=padded(LIMIT + 1)),
        "expect": request(b"POST", b"/articles", JSON, b"Expect: 100-continue", b"Content-Length: %d" % (LIMIT + 1)),
    }, code="body_too_large"),
    Family(54, "CVE-2026-65604", {
        "chunked": request(b"POST", b"/articles", JSON, TE) + chunked(padded(LIMIT + 1), 65536),
        "chunked-ten-times": request(b"POST", b"/articles", JSON, TE) + chunked(padded(10 * LIMIT), 65536),
        "one-chunk": request(b"POST", b"/articles", JSON, TE) + chunked(padded(LIMIT + 1), 2 * LIMIT),
        "one-byte-chunks-behind": request(b"POST", b"/articles", JSON, TE) + chunked(padded(LIMIT), LIMIT)[:-5] + b"1\r\n \r\n0\r\n\r\n",
    }, code="body_too_large"),
    Family(54, "CVE-2026-65838", {
        "opaque": request(b"POST", b"/media", b"Content-Type: image/png", body=b"x" * (LIMIT + 1)),
        "form": request(b"POST", b"/form-articles", FORM, body=b"status=publish&pad=" + b"x" * LIMIT),
    }, code="body_too_large"),
    Family(55, "GO-2026-6495", {
        "length-short": request(b"POST", b"/articles", JSON, b"Content-Length: 500") + PUBLISH,
        "chunk-cut": request(b"POST", b"/articles", JSON, TE) + b"50\r\n" + PUBLISH,
        "no-last-chunk": request(b"POST", b"/articles", JSON, TE) + b"14\r\n" + PUBLISH + b"\r\n",
        "nothing-sent": request(b"POST", b"/articles", JSON, b"Content-Length: 20"),
    }, leaves=True),
    Family(56, "CVE-2024-41110", {
        "length-0": request(b"POST", b"/articles", JSON, body=b""), "no-body-at-all": request(b"POST", b"/articles", JSON),
        "empty-chunked": request(b"POST", b"/articles", JSON, TE) + b"0\r\n\r\n", "white-space": request(b"POST", b"/articles", JSON, body=b" \n"),
    }),
    Family(56, "CVE-2026-34040", {"length-0-and-chunks": request(b"POST", b"/articles", JSON, b"Content-Length: 0", TE) + chunked(PUBLISH)}),
    Family(57, "agentgateway-encodings", {
        name: request(b"POST", b"/items", JSON, b"Content-Encoding: " + name.encode(), body=PUBLISH)
        for name in ("gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "compress", "identity", "gzip, gzip", "gzip,identity", "*", "unknown")
    }, code="unsupported_body"),
    Family(57, "agentgateway-types", {
        "missing": request(b"POST", b"/items", body=PUBLISH), "text": request(b"POST", b"/items", b"Content-Type: text/plain", body=PUBLISH),
        "text-json": request(b"POST", b"/items", b"Content-Type: text/json", body=PUBLISH), "form": request(b"POST", b"/items", FORM, body=PUBLISH),
        "utf-16": request(b"POST", b"/items", JSON + b"; charset=utf-16", body=PUBLISH), "latin-1": request(
            b"POST", b"/items", JSON + b"; charset=iso-8859-1", body=PUBLISH),
        "two-charsets": request(b"POST", b"/items", JSON + b"; charset=utf-8; charset=utf-16", body=PUBLISH),
        "two-types": request(b"POST", b"/items", b"Content-Type: application/json, text/plain", body=PUBLISH),
        "garbage": request(b"POST", b"/items", b"Content-Type: ;;;", body=PUBLISH),
        "json-to-a-form": request(b"POST", b"/form-articles", JSON, body=PUBLISH),
        "multipart-to-json": request(b"POST", b"/items", b"Content-Type: multipart/form-data; boundary=x", body=PUBLISH),
        "body-where-none-belongs": request(b"DELETE", b"/x", JSON, body=PUBLISH),
        "get-with-a-body": request(b"GET", b"/x", JSON, body=PUBLISH),
    }, code="unsupported_body"),
    Family(59, "GHSA-4gph-2hhr-5mwg", documents(
        b'{"status":"draft","status":"publish"}', b'{"status":"publish","status":"draft"}', b'{"status":"draft","st\\u0061tus":"publish"}',
        b'{"a":{"b":1,"b":2}}', b'{"a":[{"b":1,"b":2}]}', b'{"status":null,"status":1}', b'{"\\ud83d\\ude00":1,"\xf0\x9f\x98\x80":2}',
        b'{"":1,"":2}')),
    Family(59, "docker-mcp-gateway-414", documents(
        b'{"Status":"publish"}', b'{"STATUS":"publish"}', b'{"status":"draft","Status":"publish"}', b'{"\xc5\xbftatus":"publish"}',
        b'{"\xe2\x84\xaaind":"x"}', b'{"\xef\xbd\x93tatus":"x"}', b'{"status\xe2\x80\x8b":"x"}')),
    Family(59, "envoy-45202", documents(
        b'\xef\xbb\xbf{"a":1}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":9007199254740993}', b'{"a":-9007199254740993}',
        b'{"a":1e999}', b'{"a":"\\ud800"}', b'{"a":"\\udc00\\ud800"}', b'{"\\ud800":1}', b'{"a":1}x', b'{"a":1}{"b":2}', b'{"a":1}\n{"b":2}',
        b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\xaf"}', '{"a":1}'.encode("utf-16-le"), b'{"a":01}', b'{"a":.5}', b'{"a":1.}',
        b'{"a":+1}',
        b"{'a':1}", b'{"a":1,}', b'{"a":1/**/}', b'{"a":"\x01"}', b'{"a":"\\x41"}', b'{"a":True}', b"{a:1}", b")]}'\n{}", b'\x1e{"a":1}', b'{"a"')),
    Family(59, "GHSA-4gph-2hhr-5mwg-form", {
        body.decode("latin-1"): request(b"POST", b"/form-articles", FORM, body=body)
        for body in (b"status=draft&status=publish", b"status=draft&st%61tus=publish", b"Status=publish", b"status[]=publish",
            b"status%5B%5D=publish",
                     b"status=%zz", b"status=%", b"status=%ff", b"=publish", b"status=draft&&x=1", b"status=draft;status=publish", b"status.x=1")
    }),
    Family(60, "CVE-2017-12635", documents(
        b'{"roles":["_admin"],"roles":[]}', b'{"type":"user","roles":[],"r\\u006fles":["_admin"]}', b'{"x":{"roles":1,"roles":2}}')),
    Family(61, "CVE-2025-6203", {
        "65-arrays": item(b"[" * 65 + b"]" * 65),
            "65-objects": item(b'{"a":' * 65 + b"1" + b"}" * 65), "1000-mixed": item(b'[{"a":' * 1000 + b"1" + b"}]" * 1000),
        "in-chunks": request(b"POST", b"/items", JSON, TE) + chunked(b"[" * 5000, 100),
    }),
    Family(61, "CVE-2025-59043", {"100k": item(b"[" * 100_000), "a-million": item(b"[" * 1_000_000), "a-million-objects": item(b'{"":' * 250_000)}),
    Family(61, "CVE-2024-27454", {"closed": item(b"[" * 100_000 + b"]" * 100_000), "digits": item(b'{"a":' + b"9" * 100_000 + b"}")}),
    Family(63, "CVE-2026-27780",
        {"not-utf-8": item(b'{"a":"\xfe"}'), "nul": item(b"\x00"), "cut-character": item(b'{"a":"\xc3'), "control": item(b'{"a":"\n"}'),
    }),
)  # fmt: skip
LARGE_HEADS = (
    Family(62, "CVE-2025-64529-header", {"one-line": request(b"GET", b"/x", b"X-A: " + b"a" * 70_000), "many-lines": request(
        b"GET", b"/x", *(b"X-%d: 1" % number for number in range(2000)))}, code="headers_too_large"),
    Family(62, "CVE-2025-64529-target", {"long": request(b"GET", b"/" + b"a" * 9000), "longer": request(b"GET", b"/" + b"a" * 70_000)},
        code="target_too_long"),
)  # fmt: skip
SOUND = (
    Sound(54, "GHSA-8qqm-fp2q-v734-at-the-limit", {
        "length": item(padded(LIMIT)), "chunked": request(b"POST", b"/items", JSON, TE) + chunked(padded(LIMIT), 60_000),
    }, body=padded(LIMIT)),
    Sound(54, "GHSA-8qqm-fp2q-v734-below-the-limit", {"length": item(padded(LIMIT - 1))}, body=padded(LIMIT - 1)),
    *(Sound(60, "CVE-2017-12635-exact-bytes", {name: item(body), f"{name}-chunked": request(b"POST", b"/items", JSON, TE) + chunked(body, 3)},
        body=body)
      for name, body in {
          "white-space": b'\r\n\t{ "a" :\n1 }  ', "escapes": b'{"\\u0061\\/":"\\u00e9\\ud83d\\ude00"}', "numbers": b"[1.0,1e2,-0,0.10,1E+2]",
          "order": b'{"z":1,"a":{"z":1,"a":2}}',
          "raw": '{"é":"😀\u2028"}'.encode(),
          "deep": b"[" * 64 + b"]" * 64, "in-a-string": b'{"a":"' + b"[" * 200 + b'"}',
      }.items()),
    Sound(58, "envoy-partial-body-flag", {
        "true": item(PUBLISH, b"X-Envoy-Auth-Partial-Body: true"), "case": item(PUBLISH, b"x-ENVOY-auth-partial-body: TRUE"),
    }, body=PUBLISH, absent=("x-envoy-auth-partial-body",)),
)  # fmt: skip


@pytest.mark.parametrize(("family", "raw"), params((*REFUSED, *LARGE_HEADS, *SOUND)))
def test_body(ground, family, raw):
    """Refused and said so, with nothing sent; or judged whole and sent byte for byte."""
    check(ground, family, raw)


_TELLING = 2_000  # the bytes at the end, which say what it does: a chunk for each of 200,000 would race the house's deadline


def one_chunk(body: bytes) -> bytes:
    """One that is not the last; nothing of nothing, which would be."""
    return b"%x\r\n%s\r\n" % (len(body), body) if body else b""


def framings(target: bytes, kind: bytes, body: bytes) -> dict[str, bytes]:
    """The same payload, framed in every way there is."""
    return {
        "length": request(b"POST", target, kind, body=body),
        "chunked": request(b"POST", target, kind, TE) + chunked(body, 4),
        "byte-by-byte": request(b"POST", target, kind, TE) + one_chunk(body[:-_TELLING]) + chunked(body[-_TELLING:], 1),
        "one-chunk": request(b"POST", target, kind, TE) + chunked(body, 1 << 20),
        "expect": request(b"POST", target, kind, b"Expect: 100-continue", body=body),
        "expect-chunked": request(b"POST", target, kind, TE, b"expect: 100-CONTINUE") + chunked(body),
        "http-1.0": request(b"POST", target, kind, body=body, version=b"HTTP/1.0"),
    }


PAYLOADS = {
    "json": (b"/articles", JSON, PUBLISH, DRAFT), "json-padded": (b"/articles", JSON, padded(200_000), padded(200_000, b'"status":"draft"}')),
    "form": (b"/form-articles", FORM, b"status=publish", b"status=draft"),
    "form-padded": (b"/form-articles", FORM, b"a=" + b"x" * 100_000 + b"&status=publish", b"a=" + b"x" * 100_000 + b"&status=draft"),
}  # fmt: skip
SAME_DECISION = [
    pytest.param(payload, framing, id=f"CVE-2026-50197-{payload}-{framing}") for payload in PAYLOADS for framing in framings(b"/", JSON, b"")
]


@pytest.mark.parametrize(("payload", "framing"), SAME_DECISION)
def test_the_framing_changes_no_decision(ground, payload, framing):
    """What publishes is held and what drafts is sent, however the body comes and however late it says so."""
    target, kind, publish, draft = PAYLOADS[payload]
    seen = ground.attack(framings(target, kind, publish)[framing])
    told(seen.only, "held")
    assert seen.reached == ()
    seen = ground.attack(framings(target, kind, draft)[framing])
    assert seen.only.status == 200
    assert [received.body for received in seen.reached] == [draft]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"st\\u0061tus":"publish"}', id="CVE-2026-50197-escaped-key"),
        pytest.param(b'{"status":"pub\\u006cish"}', id="CVE-2026-50197-escaped-value"),
        pytest.param(b'{"status":["draft"]}', id="agentgateway-list"),
        pytest.param(b'{"status":{"0":"draft"}}', id="agentgateway-object"),
        pytest.param(b'{"status":"draft "}', id="agentgateway-space"),
        pytest.param(b'{"status":"DRAFT"}', id="agentgateway-case"),
        pytest.param(b'{"status":true}', id="agentgateway-true"),
        pytest.param(b'{"status":0}', id="agentgateway-zero"),
        pytest.param(b'{"status":""}', id="agentgateway-empty"),
        pytest.param(b'[{"status":"draft"}]', id="agentgateway-in-a-list"),
        pytest.param(b'"draft"', id="agentgateway-not-an-object"),
    ],
)
def test_what_is_not_exactly_a_draft_is_not_one(ground, body):
    """Type-exact: anything near the listed value is judged by the strict answer, and held."""
    seen = ground.attack(request(b"POST", b"/articles", JSON, body=body))
    told(seen.only, "held")
    assert seen.reached == ()
    assert json.loads(seen.only.body)["hold"]["request"]["body"] == body.decode()


def test_cve_2025_64529_every_refused_write_is_an_error_the_caller_sees(ground):
    """A write too big is no silent success: a status of its own, a problem, and no second answer."""
    seen = ground.attack(request(b"POST", b"/items", JSON, body=padded(LIMIT + 1)))
    told(seen.only, "body_too_large")
    assert json.loads(seen.only.body)["status"] == 413


WAITING = {
    "a-stranger": (request(b"POST", b"/items", JSON, b"Expect: 100-continue", b"Content-Length: 2").replace(b"sw_battery", b"sw_x"), 401),
    "no-such-route": (request(b"POST", b"/strip/x", JSON, b"Expect: 100-continue", b"Content-Length: 2"), 403),
    "no-such-parameter": (request(b"POST", b"/items?x=1", JSON, b"Expect: 100-continue", b"Content-Length: 2"), 403),
    "too-large": (request(b"POST", b"/items", JSON, b"Expect: 100-continue", b"Content-Length: %d" % (LIMIT + 1)), 413),
    "encoded": (request(b"POST", b"/items", JSON, b"Expect: 100-continue", b"Content-Encoding: gzip", b"Content-Length: 2"), 415),
    "no-body-here": (request(b"DELETE", b"/x", b"Expect: 100-continue", b"Content-Length: 2"), 415),
    "malformed": (request(b"POST", b"/items/../x", JSON, b"Expect: 100-continue", b"Content-Length: 2"), 400),
    "two-lengths": (request(b"POST", b"/items", JSON, b"Expect: 100-continue", b"Content-Length: 2", b"Content-Length: 2"), 400),
}  # fmt: skip


@pytest.mark.parametrize("name", WAITING)
def test_nobody_is_told_to_continue_before_the_head_is_acceptable(ground, name):
    """A client that waits hears the no, and never `100 Continue` before it."""
    raw, status = WAITING[name]
    with ground.connect() as connection:
        connection.sendall(ground.keyed(raw))
        assert connection.recv(4096).split(b" ", 2)[1] == b"%d" % status


def test_who_may_go_on_is_told_so_once(ground):
    """`100 Continue`, then the body, then the answer of the upstream, which saw no Expect."""
    before = len(ground.lab.requests)
    with ground.connect() as connection:
        connection.sendall(ground.keyed(request(b"POST", b"/items", JSON, b"Expect: 100-continue", b"Content-Length: 8")))
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b'{"a": 1}')
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    (received,) = ground.lab.requests[before:]
    assert received.body == b'{"a": 1}'
    assert received.header("expect") is None


ROWS = frozenset({family.row for family in (*REFUSED, *LARGE_HEADS, *SOUND)} | {53})
