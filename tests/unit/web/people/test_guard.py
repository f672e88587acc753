"""Host, Origin, cookies and the headers of every answer."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, CookieJar

from tests.fakes import held
from tests.people_listener import PASSWORD, people_listener

if TYPE_CHECKING:
    from pathlib import Path

    from tests.people_listener import Served

API = "/api/v1"


def bearer(served: Served, who: str) -> dict[str, str]:
    """Somebody's token as a header."""
    return {"Authorization": f"Bearer {served.tokens[who]}"}


async def sign_in(http: ClientSession, served: Served, who: str = "ines") -> str:
    """Sign in to the console; the form token of the session."""
    async with http.get(f"{served.url}/sign-in") as page:
        token = re.search(r'name="csrf" value="([^"]+)"', await page.text())[1]
    form = {"csrf": token, "then": "", "person": who, "password": PASSWORD}
    async with http.post(f"{served.url}/sign-in", data=form, headers={"Origin": served.url}) as page:
        assert page.status == 200
        return re.search(r'name="csrf" value="([^"]+)"', await page.text())[1]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1]"])
@pytest.mark.parametrize("path", ["/", "/sign-in", f"{API}/me", f"{API}/nothing", "/static/console.css"])
async def test_dns_rebinding(served: Served, http: ClientSession, host: str, path: str) -> None:
    """A name that is not ours is answered nowhere, whoever asks (CVE-2025-66414 and its kin)."""
    async with http.get(served.url + path, headers={**bearer(served, "ines"), "Host": host}) as answer:
        assert answer.status in {400, 421}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
async def test_a_write_from_elsewhere(served: Served, http: ClientSession, headers: dict[str, str]) -> None:
    """A browser's write that does not come from our own page is refused, and nothing changed."""
    async with http.put(f"{served.url}{API}/kill", json={"scope": "all"}, headers={**bearer(served, "ines"), **headers}) as answer:
        assert answer.status == 403
    assert served.gate.engaged == []


async def test_cookies_never_authorize_the_api(served: Served, http: ClientSession) -> None:
    """Signed in to the console is nobody to the API, so that no page of another site can use it."""
    await sign_in(http, served)
    async with http.get(f"{served.url}{API}/me") as answer:
        assert answer.status == 401
    async with http.put(f"{served.url}{API}/kill", json={"scope": "all"}, headers={"Origin": served.url}) as answer:
        assert answer.status == 401
    assert served.gate.engaged == []


@pytest.mark.parametrize("token", ["", "x", "ä", "missing"])
async def test_a_form_without_its_token(served: Served, http: ClientSession, token: str) -> None:
    """A form of another session or of none changes nothing."""
    hold = served.gate.add(held(time.time_ns()))
    await sign_in(http, served)
    data = {} if token == "missing" else {"csrf": token}
    for path in (f"/holds/{hold.id}/stop", f"/holds/{hold.id}/vote", "/stop", "/stop/lift", "/agents/drafter-7/mode", "/sign-out"):
        async with http.post(served.url + path, data={**data, "x": "y"}, headers={"Origin": served.url}, allow_redirects=False) as answer:
            assert answer.status == 403, path
    assert served.gate.holds[hold.id] == hold


async def test_the_token_of_another_session(served: Served, http: ClientSession) -> None:
    """A form token is worth nothing in somebody else's session."""
    hold = served.gate.add(held(time.time_ns()))
    await sign_in(http, served)
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as other:
        stolen = await sign_in(other, served, "mara")
    async with http.post(f"{served.url}/holds/{hold.id}/stop", data={"csrf": stolen}, headers={"Origin": served.url}) as answer:
        assert answer.status == 403
    assert served.gate.holds[hold.id] == hold


async def test_a_form_from_nowhere(served: Served, http: ClientSession) -> None:
    """A form without Origin and without Sec-Fetch-Site is refused even with its token."""
    hold = served.gate.add(held(time.time_ns()))
    token = await sign_in(http, served)
    async with http.post(f"{served.url}/holds/{hold.id}/stop", data={"csrf": token}) as answer:
        assert answer.status == 403
    assert served.gate.holds[hold.id] == hold


async def test_login_csrf(served: Served, http: ClientSession) -> None:
    """The sign-in form counts only in the browser that opened it: nobody is signed in as somebody else unasked."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as other, other.get(f"{served.url}/sign-in") as page:
        foreign = re.search(r'name="csrf" value="([^"]+)"', await page.text())[1]
    form = {"csrf": foreign, "then": "", "person": "ines", "password": PASSWORD}
    async with http.post(f"{served.url}/sign-in", data=form, headers={"Origin": served.url}) as answer:
        assert answer.status == 403
    assert [cookie.key for cookie in http.cookie_jar] == []


@pytest.mark.parametrize("path", ["/", "/sign-in", "/nothing", "/static/console.css", f"{API}/me", f"{API}/nothing", "/stop"])
async def test_headers_of_every_answer(served: Served, http: ClientSession, path: str) -> None:
    """Page, file, refusal and redirect alike."""
    async with http.get(served.url + path, allow_redirects=False) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == ("no-store" if "static" not in path else "public, max-age=31536000, immutable")


@pytest.mark.parametrize(("url", "name", "secure"), [(None, "stagewarden", False), ("https://approve.example", "__Host-stagewarden", True)])
async def test_cookies(tmp_path: Path, url: str | None, name: str, secure: object) -> None:
    """HttpOnly, Strict, of this host alone; `__Host-` and Secure where browsers reach us over TLS."""
    async with people_listener(tmp_path, url=url) as served, ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
        host = {"Host": "approve.example"} if url else {}
        async with http.get(f"{served.url}/sign-in", headers=host) as page:
            door = page.cookies[f"{name}-door"]
            token = re.search(r'name="csrf" value="([^"]+)"', await page.text())[1]
        form = {"csrf": token, "then": "", "person": "ines", "password": PASSWORD}
        headers = {**host, "Origin": url or served.url, "Cookie": f"{name}-door={door.value}"}
        async with http.post(f"{served.url}/sign-in", data=form, headers=headers, allow_redirects=False) as page:
            cookie = page.cookies[name]
            assert ("Strict-Transport-Security" in page.headers) is secure
        assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"], bool(cookie["secure"])) == (True, "Strict", "/", "", secure)


async def test_origin_of_the_public_name(tmp_path: Path) -> None:
    """Behind TLS only the configured origin is ours: the plain-text one of the same host is not."""
    async with people_listener(tmp_path, url="https://approve.example") as served, ClientSession() as http:
        for origin, status in (("https://approve.example", 200), ("http://approve.example", 403), (served.url, 403)):
            headers = {**bearer(served, "ines"), "Host": "approve.example", "Origin": origin}
            async with http.put(f"{served.url}{API}/kill", json={"scope": "all"}, headers=headers) as answer:
                assert answer.status == status, origin
