"""llhttp's requests over a raw socket against the whole product: what a strict parser must refuse never arrives, the rest as it came or argued."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path

import pytest

from tests.ground import HOST, KEY, digest

CASES = json.loads((Path(__file__).parent / "llhttp_requests.json").read_text())["cases"]
_START = re.compile(rb"(?:\A(?:\r\n)?|(?<=\r\n\r\n))[A-Z][A-Z-]* [^\r\n]*\r\n")
_OWN = re.compile(rb"(?im)^(?:host|content-type): [^\r\n]*\r\n")

PASS, OPEN, WAITS = 200, 0, -1  # arrives as it came; either; incomplete: neither judged nor sent
NOT_CANONICAL, ABSOLUTE, CONNECT = "not the one spelling of a length", "absolute-form is a forward proxy's", "authority-form, and no tunnel here"
UPGRADE, UNLISTED, OBS_TEXT = "Upgrade is refused", "well-formed, and no route lists this method", "an obs-text byte has two readings"
RTSP, FOLD, EXTENSION = "a version other than 1.0 and 1.1", "obs-fold", "chunk extensions are dropped or refused, never forwarded"
# Where ours is another outcome than the case's `strict`, or the case states none: status and why. What is not named here is as the case says.
OURS = {
    "connection-13": (400, FOLD),
    "connection-15": (400, FOLD),
    "connection-18": (400, UPGRADE),
    "connection-21": (400, UPGRADE),
    "content-length-01": (400, NOT_CANONICAL),
    "content-length-02": (400, NOT_CANONICAL),
    "content-length-16": (WAITS, "llhttp's harness skips bodies; here 123 bytes never come"),
    "lenient-headers-01": (400, "a control byte"),
    "lenient-version-01": (400, RTSP),
    "method-02": (400, CONNECT),
    "method-03": (400, CONNECT),
    "method-04": (400, CONNECT),
    "method-05": (400, "the target * is nobody's path"),
    "method-07": (403, UNLISTED),
    "method-08": (403, UNLISTED),
    "method-09": (403, UNLISTED),
    "method-13": (400, RTSP),
    "method-14": (400, RTSP),
    "method-15": (400, "HTTP/2's preface is not spoken here"),
    "pausing-11": (OPEN, EXTENSION),
    "pausing-12": (OPEN, EXTENSION),
    "sample-10": (400, "HTTP/0.9"),
    "sample-11": (400, FOLD),
    "sample-15": (OPEN, "RFC 9112 section 2.2 lets a server ignore an empty line first; nothing is smuggled by it"),
    "sample-16": (400, OBS_TEXT),
    "sample-17": (400, OBS_TEXT),
    "sample-18": (400, FOLD),
    "transfer-encoding-05": (OPEN, "a last chunk of three zeros; re-framed by us either way"),
    "transfer-encoding-14": (400, "Content-Length with Transfer-Encoding"),
    "transfer-encoding-26": (415, "the route takes no body, so what would be one is not read"),
    "transfer-encoding-20": (400, "Transfer-Encoding other than exactly chunked"),
    "uri-01": (400, "a double quote is no pchar"),
    "uri-02": (403, "the query's parameter is not listed"),
    "uri-04": (400, ABSOLUTE),
    "uri-05": (403, "the query's parameter is not listed"),
    "uri-06": (400, ABSOLUTE),
    "uri-08": (400, "a fragment never reaches a server"),
    "uri-09": (400, CONNECT),
    "uri-10": (400, ABSOLUTE),
}
UNKNOWN = {"invalid-14": [403]}  # no method anybody knows, but a token: a reader without a list of methods leaves it to the routes
STRICT = {"accept": PASS, "accept-upgrade": PASS, "refuse": 400, "incomplete": WAITS}


def expected(case: dict) -> int:
    """Ours where it is argued, else the case's."""
    return OURS[case["id"]][0] if case["id"] in OURS else STRICT[case["strict"]]


def complete_of(case: dict) -> int:
    """How many requests of the case are whole and ours to pass on; what only a lenient parser completes is none."""
    ours_refuses = case["id"] in OURS and OURS[case["id"]][0] not in {PASS, OPEN}
    lenient = case["mode"] != "strict" and case["strict"] == "refuse" and case["id"] != "connection-11"  # its first request is good in any mode
    return 0 if ours_refuses or lenient else case["messages_complete"]


def dressed(raw: bytes) -> bytes:
    """With a Host we answer to, a credential and a listed type, so that what is refused is refused for what the case is about."""
    lines = b"Host: %s\r\nAuthorization: Bearer %s\r\n" % (HOST, KEY)

    def put(start: re.Match) -> bytes:
        typed = start[0].lstrip(b"\r\n").startswith((b"P", b"MKCOLA"))
        return start[0] + lines + (b"Content-Type: application/octet-stream\r\n" if typed else b"")

    return _START.sub(put, _OWN.sub(b"", raw))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_dressed(ground, case):
    """The case as an agent would send it."""
    raw, wanted = dressed(b64decode(case["bytes"])), expected(case)
    complete = complete_of(case)
    seen = ground.attack(raw, leaves=wanted == WAITS or b"\r\n\r\n" not in raw)
    assert not seen.strayed
    assert len(seen.reached) <= complete
    if wanted == PASS or (wanted == OPEN and seen.reached):
        line = raw.lstrip(b"\r\n").partition(b"\r\n")[0].decode()
        received = seen.reached[0]
        assert f"{received.method} {received.target}" == line.rpartition(" ")[0]
        assert received.body == body_of(raw)
        assert seen.answers[0].status == 200
        ruling = ground.entry("ruling", seen.answers[0].header("stagewarden-ruling"))
        assert ruling["final"] == {"send": digest(received, "mallory", "lab", "generate")}
    elif wanted >= 400 and complete == 0:
        assert [heard.status for heard in seen.answers] in ([wanted], [], UNKNOWN.get(case["id"]))
        assert seen.answers or seen.closed
    else:
        # What is complete may have arrived; what is refused or missing behind it is nobody's request.
        assert [heard.status for heard in seen.answers].count(200) <= len(seen.reached)
        assert seen.closed


def body_of(raw: bytes) -> bytes:
    """Of the first request."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    if b"chunked" not in head.lower():
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        return rest[: int(length[1])] if length else b""
    body = b""
    while size := int(rest.partition(b"\r\n")[0].partition(b";")[0], 16):
        body += rest.partition(b"\r\n")[2][:size]
        rest = rest.partition(b"\r\n")[2][size + 2 :]
    return body


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_as_it_is(ground, case):
    """Without Host or credential of ours, whatever it is: nothing arrives and nothing is a yes."""
    raw = b64decode(case["bytes"])
    seen = ground.attack(raw, leaves=expected(case) == WAITS or b"\r\n\r\n" not in raw)
    assert not seen.reached
    assert not seen.strayed
    assert all(heard.status in {400, 401} for heard in seen.answers)


def test_every_case_is_decided():
    """All cases are there, what states nothing is decided, and nothing is argued about a case that is not there."""
    names = {case["id"] for case in CASES}
    assert len(CASES) == len(names) == 111
    assert set(OURS) <= names
    assert {case["id"] for case in CASES if case["strict"] == "not stated"} <= set(OURS)
    assert all(why for _, why in OURS.values())
