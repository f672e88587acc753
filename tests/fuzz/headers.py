"""Header blocks: whatever is accepted is what a mail parser, aiohttp's parser and CGI see; what goes on cannot be split or taken for ours."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path
from urllib.parse import urlsplit

import httptools
from hypothesis import strategies as st

from stagewarden.config import Limits
from stagewarden.errors import Refused
from stagewarden.wire import headers as wire_headers
from stagewarden.wire.upstream import serialize
from tests.fuzz.harness import ACCEPTED, Harness, refused
from tests.fuzz.readers import email_fields, llhttp_request

LIMITS = Limits(headers=40, header_bytes=8192)
_BATTERY = Path(__file__).parents[1] / "conformance" / "request-battery"
_CREDENTIAL = "Authorization"
_WORDS = frozenset(
    [
        "twice",
        "accepted",
        "change",
        "judged",
        "decimal",
        "number",
        "chunked",
        "other",
        "names",
        "list",
        "header",
        "name",
        "control",
        "value",
        "strict",
        "json",
        "object",
        "host",
        "port",
        "address",
        "brackets",
        "more",
        "fields",
    ]
)
_NEVER_PASSED_ON = {
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "cookie",
    "forwarded",
    "authorization",
    "prefer",
    "expect",
    "te",
    "via",
}


def judge(data: bytes) -> str:
    """A block of lines, as the listener's parser hands it over; then as others read the same lines."""
    try:
        seen = llhttp_request(b"POST / HTTP/1.1\r\n" + data + b"\r\n\r\n")
    except httptools.HttpParserError:
        return refused("before: not a header block")
    try:
        found = wire_headers.read(data + b"\r\n" if data else data, LIMITS)
        checked = found.headers
        asserted = wire_headers.asserts(found.named.get("stagewarden-asserts"), LIMITS.json_depth)
        hosts = [_host(value) for name, value in checked if name.lower() == "host"]
    except Refused as no:
        return refused(f"{no.code} {_reason(no.detail)}")
    # (1) The same fields for others: names, values, order.
    assert [(name.encode(), value.strip("\t ").encode()) for name, value in checked] == [(name, value.strip(b"\t ")) for name, value in seen.fields]
    if b"\r\n\r\n" not in data and data:
        assert email_fields(data + b"\r\n") == [(name, value.strip("\t ")) for name, value in checked]
    # (2) CGI and WSGI make one variable of names that differ in `-`, `_` and case: no two names of ours meet there.
    variables = {name.upper().replace("-", "_") for name, _ in checked}
    assert len(variables) == len({name.lower() for name, _ in checked})
    # (3) One length, said once, and nobody's second reading of it.
    framing = [(name.lower(), value) for name, value in checked if name.lower() in {"content-length", "transfer-encoding"}]
    assert len(framing) <= 1
    assert all(value == "chunked" or str(int(value)) == value for _, value in framing)
    # (4) What goes on: nothing of the hop, of its credentials or in our name; and it is read back as it was written.
    passed = wire_headers.end_to_end(checked, _CREDENTIAL)
    assert set(passed) <= set(checked)
    assert not {name.lower() for name, _ in passed} & _NEVER_PASSED_ON
    assert not any(name.lower().startswith(("stagewarden-", "x-forwarded", "proxy-")) for name, _ in passed)
    named = {item.strip().lower() for name, value in checked if name.lower() == "connection" for item in value.split(",")}
    assert not {name.lower() for name, _ in passed} & named
    written = serialize("POST", "/", "upstream.test", passed, 0)
    again = llhttp_request(written)
    assert again.whole
    assert [field for field in again.fields if field[0] not in {b"Host", b"Content-Length"}] == [
        (name.encode(), value.encode()) for name, value in passed
    ]
    # (5) The rest is total.
    wire_headers.preference(checked)
    assert isinstance(asserted, dict)
    return f"{ACCEPTED} {(min(len(checked), 3), bool(framing), bool(hosts), bool(asserted), len(passed) == len(checked), bool(named))}"


def _reason(detail: str) -> str:
    """Why, whichever field it was: of a message the words that are ours."""
    return " ".join(word for word in re.findall(r"[a-z]+", detail.lower()) if word in _WORDS)


def _host(value: str) -> str:
    """Its host, twice the same, and the one urllib sees."""
    host = wire_headers.parse_host(value)
    assert wire_headers.parse_host(host) == host
    seen = urlsplit(f"http://{value}/").hostname or ""
    # Another IPv6 spelling of the same address is written in its shortest form.
    assert host == seen or host == wire_headers.parse_host(f"[{seen}]")
    return host


def _battery() -> list[bytes]:
    files = [_BATTERY / f"{name}.json" for name in ("headers", "framing", "host")]
    raws = [b64decode(case["raw"]) for path in files for case in json.loads(path.read_text())["cases"] if "raw" in case]
    return [raw.partition(b"\r\n\r\n")[0].partition(b"\r\n")[2] for raw in raws if len(raw) < 600]


_NAMES = st.sampled_from(
    [
        "Host", "Content-Length", "Transfer-Encoding", "Connection", "X-A", "x-a", "Authorization", "Prefer", "Stagewarden-Asserts", "Accept",
        "X-Forwarded-For", "Expect", "TE",
    ]
)  # fmt: skip
_VALUES = st.one_of(
    st.sampled_from([
        "chunked", "5", "0", "close", "X-A", "keep-alive, X-Hop", "wait=5", '{"model":"m"}', "app.test", "app.test:80", "[::1]", "[::1]:8080",
        "100-continue",
    ]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8),
)  # fmt: skip
_GROWN = st.lists(st.tuples(_NAMES, _VALUES), max_size=6).map(lambda fields: "\r\n".join(f"{name}: {value}" for name, value in fields).encode())
_TOKENS = (
    b"\r\n", b"\n", b"\r", b"\r\n ", b": ", b":", b" ", b"\t", b"\x00", b"\xe4", b"_", b"-", b"Host: app.test\r\n", b"Host: ",
    b"Content-Length: 5\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: ", b"Connection: ",
    b"Connection: X-A\r\n", b"X-A: 1\r\n", b"Stagewarden-Ruling: r\r\n", b"Stagewarden-Asserts: {}\r\n", b"{}", b"X-Forwarded-For: a\r\n",
    b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n", b",", b";", b"chunked", b"close", b"[::1]", b"[", b"]", b".", b"@", b"+5", b"0x5",
    b"Prefer: wait=1\r\n", b"[::ffff:127.0.0.1]", b"%", b":80", b":99999",
)  # fmt: skip
_SEEDS = [b"", b"Host: app.test", b"Host: app.test\r\nAccept: */*\r\nX-A: 1\r\nx-a: 2\r\nConnection: keep-alive, X-A", *_battery()]
HARNESS = Harness.of("headers", judge, _SEEDS, _TOKENS, _GROWN)
