"""Every error of the API is a problem (RFC 9457), whatever went wrong; nothing of ours is told in it."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

import pytest

from stagewarden.errors import AuditUnavailable, StateUnavailable, TooMuch
from stagewarden.web.people import bodies
from tests.unit.web.people.test_api import API

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from tests.people_listener import Served

JSON = {"Content-Type": "application/json"}
MISTAKE = "a mistake with swp_secret in it"


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        ("GET", "/nothing", {}, 404, "not_found"),
        ("GET", "/holds/h_none", {}, 404, "not_found"),
        ("PATCH", "/holds", {}, 405, "method_not_allowed"),
        ("PUT", "/kill", {"data": b"[", "headers": JSON}, 400, "ambiguous_request"),
        ("PUT", "/kill", {"data": b"x" * 300_000, "headers": JSON}, 413, "body_too_large"),
        ("PUT", "/kill", {"data": b"scope=all"}, 415, "unsupported_body"),
        ("PUT", "/kill", {"data": b"abcd", "headers": JSON | {"Content-Encoding": "gzip"}}, 415, "unsupported_body"),
        ("PUT", "/kill", {"data": gzip.compress(b'{"scope": "all"}'), "headers": JSON | {"Content-Encoding": "gzip"}}, 415, "unsupported_body"),
        ("PUT", "/kill", {"json": {"scope": 1}}, 422, "invalid"),
        ("PUT", "/kill", {"json": {"scope": "all"}, "headers": {"Idempotency-Key": "a b"}}, 422, "invalid"),
        ("PUT", "/kill", {"json": {"scope": "all"}, "headers": [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]}, 422, "invalid"),
        ("GET", "/holds?x=1", {}, 422, "invalid"),
        ("GET", "/me", {"headers": {"Host": "evil.example"}}, 421, "misdirected"),
        ("GET", "/me", {"headers": {"Origin": "https://evil.example"}}, 403, "not_allowed"),
    ],
    ids=[
        "path", "hold", "method", "not-json", "too-large", "form", "no-gzip", "gzip", "shape", "key", "two-keys", "parameter", "host", "origin",
    ],
)  # fmt: skip
async def test_what_a_caller_can_do_wrong(
    served: Served, http: ClientSession, *, method: str, path: str, sent: dict[str, Any], status: int, code: str
) -> None:
    """A problem with its code, and nothing changed."""
    headers = [("Authorization", f"Bearer {served.tokens['ines']}")]
    given = sent.get("headers", [])
    headers += given.items() if isinstance(given, dict) else given
    async with http.request(method, served.url + API + path, **{**sent, "headers": headers}) as answer:
        problem = await answer.json(content_type="application/problem+json")
    assert (answer.status, problem["status"], problem["type"]) == (status, status, f"urn:stagewarden:problem:{code}")
    assert problem["title"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert served.gate.engaged == []


UNENDING = {
    "api": (f"PUT {API}/kill", "application/json", b'5\r\n{"sco\r\n'),
    "form": ("POST /sign-in", "application/x-www-form-urlencoded", b"5\r\nperso\r\n"),
}


@pytest.mark.parametrize("rest", [b"", b"zz\r\n"], ids=["nothing-more", "not-a-chunk"])
@pytest.mark.parametrize(("line", "media", "begun"), UNENDING.values(), ids=UNENDING)
async def test_a_body_that_breaks_off(
    served: Served, *, line: str, media: str, begun: bytes, rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Nobody waits for it for ever (CWE-400), also who is not known yet: 400 once its time is over, and nothing changed."""
    monkeypatch.setattr(bodies, "DEADLINE", 0.2)
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {served.tokens['ines']}\r\nContent-Type: {media}\r\n"
    writer.write(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + begun)
    await writer.drain()
    writer.write(rest)
    async with asyncio.timeout(60):
        status = await reader.readline()
    writer.close()
    assert status.split()[1] == b"400"
    assert served.gate.engaged == []


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (RuntimeError(MISTAKE), 500, "internal"),
        (StateUnavailable(MISTAKE), 503, "cannot_tell"),
        (AuditUnavailable(MISTAKE), 503, "audit_unavailable"),
        (TooMuch("at most so many", "holds_per_agent"), 429, "overloaded"),
    ],
    ids=["unhandled", "state", "log", "too-much"],
)
@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k"}], ids=["once", "with-a-key"])
async def test_what_can_go_wrong_with_us(
    served: Served, http: ClientSession, *, failure: Exception, status: int, code: str, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A problem that says whether to come back, and nothing of the cause."""

    async def fails(*_: object) -> None:
        raise failure

    monkeypatch.setattr(served.gate, "kill", fails)
    headers = {"Authorization": f"Bearer {served.tokens['ines']}"} | key
    async with http.put(f"{served.url}{API}/kill", json={"scope": "all"}, headers=headers) as answer:
        problem = await answer.json(content_type="application/problem+json")
    assert (answer.status, problem["type"]) == (status, f"urn:stagewarden:problem:{code}")
    assert ("Retry-After" in answer.headers) == (status in {429, 503})
    assert MISTAKE not in str(problem)


@pytest.mark.parametrize(
    ("method", "path", "status", "engaged"),
    [("PUT", "/kill", 200, 1), ("DELETE", "/kill", 503, 1), ("PUT", "/agents/helper-4/mode", 200, 0)],
    ids=["a-stop", "a-lift", "a-mode"],
)
async def test_without_the_state_no_key_is_taken_but_a_stops(
    served: Served, http: ClientSession, method: str, path: str, status: int, engaged: int
) -> None:
    """A write that cannot be remembered is refused, and nothing changed; a stop is made all the same."""
    if method == "DELETE":
        served.gate.engaged.append(await served.gate.kill(*_aiko(), ""))
        served.gate.engaged = served.gate.engaged[:1]
    body = {"PUT /kill": {"scope": "all"}, "DELETE /kill": {"id": "k_1", "reason": "over"}}.get(f"{method} {path}", {"mode": "paused"})
    await served.store.close()
    headers = {"Authorization": f"Bearer {served.tokens['aiko']}", "Idempotency-Key": "k"}
    async with http.request(method, f"{served.url}{API}{path}", json=body, headers=headers) as answer:
        assert (answer.status, len(served.gate.engaged)) == (status, engaged)


def _aiko() -> tuple[Any, str]:
    from stagewarden.identity.people import Caller  # noqa: PLC0415 - one use

    return Caller("aiko", None, frozenset(), "token"), "all"


async def test_a_key_is_for_one_query(served: Served, http: ClientSession) -> None:
    """To end every session is another request than to end one: the key of the one does not answer the other, and it can be asked again."""
    one, other = served.signed_in("ines", "bearer"), served.signed_in("ines", "bearer")
    everywhere = f"{served.url}{API}/sessions?everywhere=true"

    async def end(url: str, token: str, key: str) -> int:
        async with http.delete(url, headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key}) as answer:
            return answer.status

    assert await end(f"{served.url}{API}/sessions", one.token, "k") == 200
    assert await end(everywhere, other.token, "k") == 422
    assert await end(everywhere, other.token, "l") == 200
