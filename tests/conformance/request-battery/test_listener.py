"""The battery over a raw socket against the whole product: refused and the upstream saw nothing, or exactly one identical request arrived."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path

import pytest

from tests.ground import digest

HERE = Path(__file__).parent
SUITES = ("body", "framing", "headers", "host", "json", "method", "path", "upgrade")
CREDENTIAL = b"Authorization: Bearer sw_battery"
OWN_TYPES = (b"/items", b"/wp-json/", b"/media")  # the battery means what it says of the body's type there

OPEN, REFUSE, PASS = "refuse_or_identical", "refuse", "identical"
# What we do where a case leaves both open, by the longest beginning of its id, and why. Never changes silently.
DECIDED = {
    "body/encoding/identity": (REFUSE, "no Content-Encoding is read"),
    "body/partial-flag/": (PASS, "nobody's flag: bodies are whole or refused, and x-envoy-* stays here"),
    "body/form/": (REFUSE, "a name twice, `;` and a bad triple are read differently by others"),
    "body/form/escaped-key": (PASS, "one reading: the key is judged decoded, sent as it came"),
    "body/form/plus": (PASS, "one reading"),
    "body/multipart/": (PASS, "opaque to the policy here: judged by digest, sent as it came"),
    "framing/content-length/leading-zero": (REFUSE, "not the one spelling of a length"),
    "framing/chunked-good/": (OPEN, "re-framed by us either way"),
    "framing/chunk-syntax/ext-huge": (REFUSE, "hardening: chunk extensions beyond a limit"),
    "framing/trailers/": (OPEN, "dropped or refused, never forwarded"),
    "framing/one-in-one-out/": (OPEN, "one request in, at most one out"),
    "framing/one-in-one-out/get-body": (REFUSE, "the route takes no body"),
    "framing/one-in-one-out/delete-body": (REFUSE, "the route takes no body"),
    "framing/pipelined/": (OPEN, "the first is good; what follows it is not"),
    "framing/line-ends/blank-lines-first": (OPEN, "RFC 9112 section 2.2 lets a server ignore one; nothing is smuggled by it"),
    "framing/version/two-spaces": (REFUSE, "not the grammar of RFC 9112 section 3"),
    "framing/version/rtsp": (REFUSE, "hardening: a version other than 1.0 and 1.1"),
    "headers/spoofed-forwarding/": (PASS, "withheld: neither read nor sent on"),
    "headers/spoofed-forwarding/x-original-": (REFUSE, "would change the request judged"),
    "headers/own-prefix/": (PASS, "withheld: neither read nor sent on"),
    "headers/hop-by-hop/": (PASS, "withheld"),
    "headers/multi-value/": (PASS, "every line is judged and sent, in order"),
    "headers/non-ascii/": (REFUSE, "two encodings, two readings"),
    "host/header-picks-upstream/": (PASS, "withheld: the configuration picks the upstream"),
    "host/header-picks-upstream/x-original-host": (REFUSE, "would change the request judged"),
    "json/case-variants/": (REFUSE, "differs from a listed fact in case alone, after folding"),
    "json/case-variants/nfd": (PASS, "no listed fact; sent as it came"),
    "json/case-variants/dotted": (PASS, "no listed fact; sent as it came"),
    "json/content-type-odd/": (REFUSE, "not a JSON media type"),
    "json/content-type-odd/charset": (PASS, "UTF-8 is what it is read as"),
    "json/content-type-odd/space": (PASS, "a parameter that nobody reads by"),
    "method/override/": (REFUSE, "would change the request judged, or is not listed"),
    "path/double-slash/": (REFUSE, "an empty segment"),
    "path/fragment-encoded/suffix": (PASS, "a segment with a number sign in it, judged and sent as one"),
    "path/fragment-encoded/query": (REFUSE, "the parameter is not listed"),
    "path/query-is-not-path/": (REFUSE, "the parameter is not listed; the path never matches by its query"),
    "path/matrix/": (REFUSE, "`;` in a segment"),
    "path/double-encoding/": (REFUSE, "encoded twice, decoded by somebody twice"),
    "path/encoded-letters/": (PASS, "judged decoded, sent as it came"),
    "path/admin-exact/": (PASS, "no route of ours; the upstream's own names"),
    "path/admin-exact/trailing-slash": (REFUSE, "a last empty segment is its own path and is not listed"),
    "path/unusual-ascii/": (REFUSE, "not a pchar, or the parameter is not listed"),
    "upgrade/": (REFUSE, "Upgrade and HTTP2-Settings are refused"),
    "upgrade/websocket-not-enabled/key-only": (PASS, "without Upgrade it is a header like any other"),
}
NO_BODY = "415: the route takes no body and says so (contract section 3)"
# A refusal by another status than the case lists, each argued.
DEVIATIONS = {
    "framing/one-in-one-out/get-body": (415, NO_BODY),
    "framing/one-in-one-out/delete-body": (415, NO_BODY),
    "method/override/form": (415, "the catch-all route lists no form, so the body is not even read for its parameters"),
}


def every() -> list:
    """All cases of all files."""
    found = [case for suite in SUITES for case in json.loads((HERE / f"{suite}.json").read_text())["cases"]]
    return [pytest.param(case, id=case["id"]) for case in found]


def raw_of(case: dict) -> bytes:
    """The request's bytes; a body of no type at all gets one that the catch-all route lists, so that its type is not what is refused."""
    if "raw" in case:
        raw = b64decode(case["raw"])
    else:
        build = case["build"]
        raw = b64decode(build["head"]) + b64decode(build["fill"]) * build["times"] + b64decode(build["tail"])
    method, _, rest = raw.partition(b" ")
    if method in {b"POST", b"PUT", b"PATCH"} and not rest.startswith(OWN_TYPES) and b"content-type:" not in raw.partition(b"\r\n\r\n")[0].lower():
        raw = raw.replace(CREDENTIAL, CREDENTIAL + b"\r\nContent-Type: application/octet-stream")
    return raw


def body_of(case: dict, raw: bytes) -> bytes:
    """What must arrive."""
    if "body" in case["expect"]:
        return b64decode(case["expect"]["body"])
    head, _, rest = raw.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():  # one chunk, as the cases without `body` have it
        size, _, data = rest.partition(b"\r\n")
        return data[: int(size.partition(b";")[0], 16)]
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return rest[: int(length[1])] if length else b""


def outcome_of(case: dict) -> str:
    """The case's own, or ours where it leaves both open."""
    own = case["expect"]["outcome"]
    if own != OPEN:
        return own
    return DECIDED[max((start for start in DECIDED if case["id"].startswith(start)), key=len)][0]


@pytest.mark.parametrize("case", every())
def test_battery(ground, case):
    """Each case by its own expectation, under its advisory's name."""
    raw, expect = raw_of(case), case["expect"]
    seen = ground.attack(raw, leaves=expect.get("client_closes", False))
    assert not seen.strayed
    assert all(heard.status != 101 for heard in seen.answers)
    assert len(seen.reached) <= expect.get("upstream_requests_max", 1)
    for received in seen.reached:
        told = received.raw.decode("latin-1")
        assert not [absent for absent in expect.get("upstream_absent", ()) if absent in told]
        assert not [absent for absent in expect.get("upstream_absent_headers", ()) if received.header(absent) is not None]
    if seen.reached:
        identical(ground, seen, case, raw)
    else:
        refused(seen, case)


def identical(ground, seen, case, raw):
    """Let through: method, target and body are the bytes that were sent, and the digest that was judged is theirs."""
    expect = case["expect"]
    assert outcome_of(case) != REFUSE
    received, heard = seen.reached[0], seen.answers[0]
    line = raw.lstrip(b"\r\n").partition(b"\r\n")[0].split(b" ")
    assert heard.status == 200
    assert [received.method.encode(), received.target.encode()] == line[:2]
    assert received.body == body_of(case, raw)
    ruling = ground.entry("ruling", heard.header("stagewarden-ruling"))
    assert ruling["final"] == {"send": digest(received, "mallory", "lab", "generate")}
    assert "policy" in ruling["took_us"]
    judged = expect.get("judged", {})
    if "body" in judged:
        assert ruling["proposed"]["fields"] == sorted(judged["body"])
    if expect.get("trusted_from_header") is False:
        judged_as = {"method": line[0].decode(), "path": line[1].decode(), "host": "app.test", "peer": "127.0.0.1"}
        assert {name: ruling["request"][name] for name in judged_as} == judged_as
        assert ruling["principal"]["agent"] == "mallory"


def refused(seen, case):
    """Not let through: one no, of a kind the case lists, or a connection closed without a word where no reply can be formed."""
    expect = case["expect"]
    assert outcome_of(case) != PASS
    if not seen.answers:
        assert seen.closed
        return
    deviation = DEVIATIONS.get(case["id"])
    assert seen.answers[0].status in ([deviation[0]] if deviation else expect["status"])
    if expect.get("upstream_requests_max") is None:
        assert len(seen.answers) == 1


def test_no_case_is_left_out():
    """Every case of every file is run, what it leaves open is decided, and nothing is argued about a case that is not there."""
    names = {param.id for param in every()}
    assert len(names) == 465
    assert set(DEVIATIONS) <= names
    left_open = [param.id for param in every() if param.values[0]["expect"]["outcome"] == OPEN]
    assert not [name for name in left_open if not name.startswith(tuple(DECIDED))]
    assert not [start for start in DECIDED if not any(name.startswith(start) for name in left_open)]
