"""What an upstream says is data: rows 46, 47 and 51. Relayed as one answer to its own request, or refused as not understood."""

import json

import pytest

from tests.attacks.cases import told
from tests.ground import get, request
from tests.upstreams import answer

EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Evil: 1\r\n\r\nevil"
OK = b"HTTP/1.1 200 OK\r\n"
END = b"Content-Length: 2\r\n\r\nok"
STRAY = {
    "idle-connection-a-second-answer": [answer(b"first", "200 OK"), EVIL],
    "idle-connection-at-once": [answer(b"first", "200 OK") + EVIL],
    "idle-connection-half-an-answer": [answer(b"first", "200 OK"), EVIL[:20]],
    "idle-connection-a-byte": [answer(b"first", "200 OK"), b"x"],
    "idle-connection-crlf": [answer(b"first", "200 OK"), b"\r\n"],
    "idle-connection-more-than-the-length": [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst" + EVIL],
    "idle-connection-after-the-last-chunk": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n" + EVIL],
    "idle-connection-interim-after-final": [answer(b"first", "200 OK"), b"HTTP/1.1 100 Continue\r\n\r\n"],
}  # fmt: skip
NOT_UNDERSTOOD = {
    "CVE-2026-34519-cr-in-reason": b"HTTP/1.1 200 OK\rX-Evil: 1\r\n" + END,
    "CVE-2026-34519-nul-in-reason": b"HTTP/1.1 200 O\x00K\r\n" + END,
    "CVE-2023-49081-version": b"HTTP/1.1\rX-Evil: 1 200 OK\r\n" + END,
    "CVE-2023-49081-version-9": b"HTTP/9.9 200 OK\r\n" + END,
    "CVE-2023-49081-no-http": b"SIP/2.0 200 OK\r\n" + END,
    "CVE-2026-34514-cr-in-value": OK + b"X: a\rX-Evil: 1\r\n" + END,
    "CVE-2026-34514-nul-in-value": OK + b"X: a\x00b\r\n" + END,
    "CVE-2026-34514-space-before-colon": OK + b"X-Evil : 1\r\n" + END,
    "CVE-2026-34514-no-colon": OK + b"X-Evil\r\n" + END,
    "CVE-2026-50269-two-lengths": OK + b"Content-Length: 4\r\n" + END,
    "CVE-2026-50269-length-and-chunks": OK + b"Transfer-Encoding: chunked\r\n" + END,
    "CVE-2026-50269-signed-length": OK + b"Content-Length: +2\r\n\r\nok",
    "CVE-2026-50269-hex-length": OK + b"Content-Length: 0x2\r\n\r\nok",
    "CVE-2026-50269-vast-length": OK + b"Content-Length: 99999999999999999999999\r\n\r\nok",
    "CVE-2026-50269-status-four-digits": b"HTTP/1.1 2000 OK\r\n" + END,
    "CVE-2026-50269-status-word": b"HTTP/1.1 abc OK\r\n" + END,
    "CVE-2026-50269-switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "CVE-2026-50269-nothing": b"",
    "CVE-2026-50269-half-a-head": b"HTTP/1.1 200 OK\r\nX: ",
    "CVE-2026-50269-garbage": b"\x16\x03\x01\x00\xa5\r\n\r\n",
    "CVE-2026-50269-a-head-without-end": OK + b"X: " + b"a" * 300_000 + b"\r\n" + END,
}  # fmt: skip
HARMLESS = {
    "CVE-2023-49082-lf-in-value": OK + b"X: a\nX-Evil: 1\r\n" + END, "CVE-2023-49082-folded": OK + b"X: a\r\n X-Evil: 1\r\n" + END,
    "CVE-2023-49082-lf-only": (OK + b"X: a\r\n" + END).replace(b"\r\n", b"\n"), "CVE-2023-49082-lf-in-reason": b"HTTP/1.1 200 OK\nX-A: 1\r\n" + END,
}  # fmt: skip
OURS = (
    b"Stagewarden-Ruling: r_evil",
    b"Stagewarden-Review: human",
    b"stagewarden-hold: h_evil",
    b"Connection: X-Gone",
    b"X-Gone: 1",
    b"Keep-Alive: 1",
)


@pytest.mark.parametrize("name", STRAY)
def test_what_an_upstream_says_unasked_is_nobodys_answer(ground, name):
    """Response-queue poisoning: the next request on the pool gets its own answer, and the connection with bytes on it is not used."""
    target = f"/kept-{name}"
    ground.replies[target] = STRAY[name]
    assert ground.attack(get(target.encode())).answers[0].body == b"first"
    for _ in range(3):
        seen = ground.attack(get(b"/next"))
        assert json.loads(seen.only.body)["target"] == "/next"
        assert seen.only.header("x-evil") is None


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
def test_an_answer_that_is_none_is_not_relayed(ground, name):
    """The agent is told that nobody knows; not a byte of it passes, and nothing is sent again."""
    target = f"/spoiled-{name}"
    ground.replies[target] = [NOT_UNDERSTOOD[name]]
    seen = ground.attack(get(target.encode()))
    told(seen.only, "outcome_unknown")
    assert b"Evil" not in seen.only.raw
    assert len(seen.reached) == 1


@pytest.mark.parametrize("name", HARMLESS)
def test_a_line_end_of_an_upstream_makes_no_header(ground, name):
    """Refused as not understood, or one header remains one header."""
    target = f"/spoiled-{name}"
    ground.replies[target] = [HARMLESS[name]]
    seen = ground.attack(get(target.encode()))
    assert len(seen.reached) == 1
    if seen.only.status == 502:
        told(seen.only, "outcome_unknown")
        return
    head = seen.only.raw.partition(b"\r\n\r\n")[0]
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert b"\r" not in head.replace(b"\r\n", b"")
    assert [value for field, value in seen.only.fields if field.lower() == "x-evil"] in ([], ["1"] * HARMLESS[name].count(b"\nX-Evil"))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_dropped_connection_is_not_tried_again(ground, method):
    """A client library re-sends what it takes for idempotent, a built-in double publish; ours sends once, whatever the method."""
    target = f"/spoiled-drop-{method}"
    ground.replies[target] = [b""]
    body = b"x" if method in {"POST", "PUT"} else None
    seen = ground.attack(request(method.encode(), target.encode(), b"Content-Type: application/octet-stream", body=body))
    told(seen.only, "outcome_unknown")
    assert len(seen.reached) == 1


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 See Other", b"307 Temporary Redirect", b"308 Permanent Redirect"])
def test_cve_2026_26118_a_redirect_is_not_followed(ground, status):
    """It is the agent's to read; we go nowhere, least of all to the metadata service."""
    target = f"/spoiled-redirect-{status[:3].decode()}"
    place = b"http://169.254.169.254/latest/meta-data/"
    ground.replies[target] = [b"HTTP/1.1 " + status + b"\r\nLocation: " + place + b"\r\nContent-Length: 0\r\n\r\n"]
    seen = ground.attack(get(target.encode()))
    assert (seen.only.status, seen.only.header("location")) == (int(status[:3]), place.decode())
    assert len(seen.reached) == 1
    assert seen.strayed == ()


def test_an_upstream_does_not_speak_in_our_name(ground):
    """Our headers on an answer are ours alone, and what ends at the next hop ends with us."""
    ground.replies["/spoiled-ours"] = [OK + b"\r\n".join(OURS) + b"\r\n" + END]
    heard = ground.attack(get(b"/spoiled-ours")).only
    names = [name.lower() for name, _ in heard.fields]
    assert [names.count(name) for name in ("stagewarden-ruling", "stagewarden-review")] == [1, 1]
    assert heard.header("stagewarden-review") == "auto"
    assert not {"stagewarden-hold", "x-gone", "keep-alive"} & set(names)
    assert b"evil" not in heard.raw


ROWS = frozenset({46, 47, 51})
