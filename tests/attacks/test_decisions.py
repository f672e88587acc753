"""Answers, holds and repeats as an attacker meets them: rows 78, 79 and 82, and must-pass 11 and 14. The rooms' own tests go deeper (`rows.py`)."""

import json
import threading

import pytest

from tests.attacks.cases import told
from tests.ground import get, request

JSON = b"Content-Type: application/json"


def publish(title: str, *lines: bytes) -> bytes:
    """What people must see first."""
    return request(b"POST", b"/articles", JSON, *lines, body=json.dumps({"status": "publish", "title": title}).encode())


NOES = {
    "held": publish("never-2xx"), "prohibited": request(b"DELETE", b"/articles/1"), "route": get(b"/strip/admin"), "query": get(b"/x?a=1"),
    "type": request(b"POST", b"/items", b"Content-Type: text/html", body=b"x"), "ambiguous": get(b"/a//b"),
    "unauthenticated": get(b"/x").replace(b"sw_battery", b"sw_x"), "not-found": get(b"/.stagewarden/holds/h_1"), "large": get(b"/" + b"a" * 9000),
    "held-accepting": publish("never-2xx", b"Accept: text/html"), "held-etag": publish("never-2xx", b'If-None-Match: "x"'),
    "held-wait-0": publish("never-2xx", b"Prefer: wait=0"), "held-odd-preference": publish("never-2xx", b"Prefer: respond-async=1, allow"),
    "held-head-like": publish("never-2xx", b"Range: bytes=0-0"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOES)
def test_a_no_is_never_2xx(ground, name):
    """On nginx and Caddy any 2xx of an authorizer is an allow; neither is a no a redirect, nor may it be kept by a cache."""
    seen = ground.attack(NOES[name])
    assert seen.only.status >= 400
    assert seen.only.header("location") is None
    assert seen.reached == seen.strayed == ()
    assert "max-age" not in (seen.only.header("cache-control") or "")


def test_only_a_client_that_asks_for_202_gets_it(ground):
    """`Prefer: respond-async` is the agent's own word that it knows what 202 means; nothing is sent all the same."""
    seen = ground.attack(publish("asked-for-202", b"Prefer: respond-async"))
    assert (seen.only.status, seen.reached) == (202, ())
    assert seen.only.header("preference-applied") == "respond-async"


CHANGED = {
    "CVE-2026-58439-body": publish("retargeted "), "CVE-2026-58439-header": publish("retargeted", b"X-A: 1"),
    "CVE-2026-58439-header-case": publish("retargeted", b"X-a: 1"), "CVE-2026-58439-header-order": publish("retargeted", b"X-B: 1", b"X-A: 1"),
    "CVE-2026-58439-header-value": publish("retargeted", b"X-A: 1 "), "CVE-2026-58439-target": publish("retargeted").replace(b"/articles",
        b"/%61rticles"),
    "CVE-2026-58439-spelling": request(b"POST", b"/articles", JSON, body=b'{"title":"retargeted","status":"publish"}'),
    "CVE-2026-58439-white-space": request(b"POST", b"/articles", JSON, body=b'{"status": "publish",  "title": "retargeted"}'),
    "CVE-2026-58439-type": publish("retargeted").replace(b"application/json", b"application/json; charset=utf-8"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_one_changed_byte_is_another_request(ground, name):
    """What people would approve is this digest; anything that is sent otherwise waits by itself."""
    holds = []
    for raw in (publish("retargeted"), CHANGED[name]):
        seen = ground.attack(raw)
        told(seen.only, "held")
        assert seen.reached == ()
        holds.append(json.loads(seen.only.body)["hold"])
    assert holds[0]["digest"] != holds[1]["digest"]
    assert holds[0]["id"] != holds[1]["id"]


def test_a_repeat_in_parallel_is_one_hold(ground):
    """The same request on twenty connections at once waits once."""
    found: list[str] = []

    def ask() -> None:
        with ground.connect() as connection:
            connection.sendall(ground.keyed(publish("in-parallel")))
            data = b""
            while b"\r\n\r\n" not in data or b'"hold"' not in data:
                data += connection.recv(65536)
            found.append(next(line for line in data.decode().split("\r\n") if line.lower().startswith("stagewarden-hold: ")))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(set(found)) == 1


def test_cve_2026_104632_what_was_withdrawn_is_not_revived_by_asking_again(ground):
    """The agent takes it back and asks again: it is told no, or it is a new hold; the old one stays ended."""
    seen = ground.attack(publish("withdrawn"))
    hold = json.loads(seen.only.body)["hold"]["id"]
    path = b"/.stagewarden/holds/" + hold.encode()
    assert ground.attack(request(b"POST", path + b"/withdraw")).only.status == 200
    again = ground.attack(publish("withdrawn"))
    assert (again.only.status, again.reached) == (403, ())
    assert json.loads(ground.attack(get(path)).only.body)["state"] == "withdrawn"


ROWS = frozenset({78, 79})
