"""The API's and the console's events over real sockets: told, resumed where possible, bounded, ended with the credential and at drain."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession

from stagewarden.gate import feed
from stagewarden.identity.sessions import BROWSER, Sessions
from stagewarden.web.people import events
from tests.people_listener import PASSWORD, people_listener
from tests.product import product, until
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import ClientResponse

    from tests.people_listener import Served

PATIENCE = 60  # seconds; what is awaited comes at once on a machine that is not overloaded


class Stream:
    """The lines of one listener, as events."""

    def __init__(self, answer: ClientResponse) -> None:
        self.answer = answer

    async def block(self) -> dict[str, str]:
        """The next block of lines; empty at the end of the stream. A comment is a field without a name."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE):
            async for line in self.answer.content:
                text = line.decode().rstrip("\n")
                if not text:
                    return fields
                field, _, value = text.partition(":")
                fields[field] = value.strip()
        return {}

    async def event(self) -> tuple[str, dict[str, Any], str]:
        """The next event: name, data, id."""
        while "event" not in (found := await self.block()):
            assert found, "the stream has ended"
        return found["event"], json.loads(found["data"]), found["id"]


@asynccontextmanager
async def at_a_page(http: ClientSession, url: str) -> AsyncIterator[Stream]:
    """A listener as a page of ours opens it, with the session's cookie."""
    async with http.get(f"{url}/events", headers={"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}) as answer:
        yield Stream(answer)


@asynccontextmanager
async def listening(url: str, token: str, since: str | None = None) -> AsyncIterator[Stream]:
    """A listener of its own connection."""
    headers = {"Authorization": f"Bearer {token}"} | ({} if since is None else {"Last-Event-ID": since})
    async with ClientSession() as http, http.get(f"{url}/api/v1/events", headers=headers) as answer:
        yield Stream(answer)


async def test_what_happens_in_a_house_is_told(tmp_path: Path) -> None:
    """A hold from its opening to its end, a mode, a kill and its lifting, as ids and states; nothing an agent or a person wrote."""
    async with product(tmp_path) as running:
        host, port = running.sidecar.people_address or ("", 0)
        async with listening(f"http://{host}:{port}", running.house.tokens["program"]) as stream:
            assert (stream.answer.status, stream.answer.content_type) == (200, "text/event-stream")
            assert {"nosniff", "no-store"} <= {stream.answer.headers["X-Content-Type-Options"], stream.answer.headers["Cache-Control"]}
            assert (await stream.event())[:2] == ("ready", {})
            running.newsroom.articles["9"] = {"id": "9", "status": "draft", "title": "CANARY", "body": "", "offers": [], "claims": []}
            hold = (await running.ask("POST", "/newsroom/articles/9/publish")).json["hold"]["id"]
            told = [await stream.event()]
            while told[-1][0] != "hold":  # the ruling may be told first; what moves before it is told is told as it stands then
                told.append(await stream.event())
            assert (await running.vote(hold, "ines", "reviewer")).status == 200
            while told[-1][1].get("state") != "done":
                told.append(await stream.event())
            states = [data["state"] for name, data, _ in told if name == "hold" and data.keys() == {"hold", "state", "tier"}]
            assert (states[0], states[-1], {data["hold"] for name, data, _ in told if name == "hold"}) == ("pending", "done", {hold})
            rulings = [data for name, data, _ in told if name == "ruling"]
            assert len(rulings) + len(states) == len(told)
            assert all(data.keys() == {"ruling", "count"} and data["ruling"].startswith("r_") for data in rulings)
            await running.person("PUT", "/agents/reader/mode", "lena", {"mode": "paused", "reason": "CANARY"})
            assert await _but_rulings(stream) == ("mode", {"agent": "reader", "mode": "paused"})
            kill = (await running.person("PUT", "/kill", "lena", {"scope": "workflow:briefs", "reason": "CANARY"})).json["id"]
            assert await _but_rulings(stream) == ("kill", {"id": kill, "scope": "workflow:briefs"})
            await running.person("DELETE", "/kill", "lena", {"id": kill, "reason": "CANARY"})
            assert await _but_rulings(stream) == ("unkill", {"id": kill, "scope": "workflow:briefs"})
            await asyncio.wait_for(running.sidecar.drain(), PATIENCE)
            assert await stream.block() == {}
        refused = await running.person("GET", "/events", "lena")
        assert (refused.status, refused.json["type"]) == (503, "urn:stagewarden:problem:draining")


async def _but_rulings(stream: Stream) -> tuple[str, dict[str, Any]]:
    """The next event of another kind: a ruling is told up to a look later than the act."""
    while (found := await stream.event())[0] == "ruling":
        pass
    return found[:2]


async def test_whoever_comes_back_misses_nothing(served: Served) -> None:
    """`Last-Event-ID`: what came after it is told first, once; the newest one, and nothing is told again."""
    tell, token = served.gate.feed.tell, served.tokens["reader"]
    async with listening(served.url, token) as stream:
        _, _, ready = await stream.event()
        for number in range(3):
            tell("mode", {"agent": "a", "mode": str(number)})
        seen = [await stream.event() for _ in range(3)]
    async with listening(served.url, token, ready) as again:
        assert [await again.event() for _ in range(3)] == seen
    async with listening(served.url, token, seen[0][2]) as again:
        assert [await again.event() for _ in range(2)] == seen[1:]
        tell("mode", {"agent": "b", "mode": "3"})
        assert (await again.event())[1] == {"agent": "b", "mode": "3"}


@pytest.mark.parametrize("since", ["", "x", "0-0", "{boot}-9999", "{boot}--1", "{boot}-", "{boot}-٣", "{boot}-1e0", "{boot}-0"], ids=str)
async def test_where_nobody_knows_what_was_missed(served: Served, since: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process's id, one that is too old, none of ours: `reset`, and on from the newest."""
    for number in range(feed.KEPT + 1):
        served.gate.feed.tell("mode", {"agent": "a", "mode": str(number)})
    async with listening(served.url, served.tokens["ines"], since.format(boot=served.gate.feed.id_of(0)[:-2])) as stream:
        assert await stream.event() == ("reset", {}, served.gate.feed.id_of(feed.KEPT + 1))
        served.gate.feed.tell("kill", {"id": "k_1", "scope": "all"})
        assert (await stream.event())[0] == "kill"


def test_a_listener_that_lags_too_far_is_reset() -> None:
    """It is told that it missed something, not the half of it."""
    told = feed.Feed()
    with told.listen("ines", None) as listener:
        for number in range(feed.KEPT + 5):
            told.tell("mode", {"agent": "a", "mode": str(number)})
        found = [asyncio.run(listener.next(1)) for _ in range(2)]
    assert [one.name for one in found if one] == ["ready", "reset"]


async def test_moves_that_nobody_heard_of(tmp_path: Path) -> None:
    """Where a notice of another replica may have been lost, listeners are told to look, and are told what comes after."""
    async with product(tmp_path) as running:
        host, port = running.sidecar.people_address or ("", 0)
        async with listening(f"http://{host}:{port}", running.house.tokens["program"]) as stream:
            assert (await stream.event())[0] == "ready"
            running.sidecar.rooms.holds.changed.wake_all()
            assert (await stream.event())[:2] == ("reset", {})
            await running.person("PUT", "/kill", "lena", {"scope": "workflow:briefs"})
            assert (await stream.event())[0] == "kill"


async def test_bounded_listeners(served: Served) -> None:
    """So many of one caller; another's place is free all the same; a place is given back by leaving, also where nothing happens."""
    token = served.tokens["ines"]
    streams = [listening(served.url, token) for _ in range(feed.OF_ONE)]
    for stream in streams:
        assert (await stream.__aenter__()).answer.status == 200
    async with listening(served.url, token) as refused, listening(served.url, served.tokens["mara"]) as other:
        assert (refused.answer.status, refused.answer.content_type, other.answer.status) == (429, "application/problem+json", 200)
        assert refused.answer.headers["Retry-After"].isdigit()
    for stream in streams:
        await stream.__aexit__(None, None, None)
    await until(lambda: served.gate.feed._listeners["ines"] < feed.OF_ONE, PATIENCE)


async def test_heartbeats(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing happens something is said all the same, so that nobody in between hangs up."""
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    async with listening(served.url, served.tokens["ines"]) as stream:
        await stream.event()
        assert [await stream.block() for _ in range(2)] == [{"": "still here"}] * 2


async def test_it_ends_with_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed out: nothing more is told, not even what happens next; and listening kept the session from being idle no longer than using it."""
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    async with people_listener(tmp_path) as served, ClientSession() as http:
        async with http.post(f"{served.url}/api/v1/sessions", json={"person": "ines", "password": PASSWORD}) as answer:
            token = (await answer.json())["token"]
        async with listening(served.url, token) as stream:
            await stream.event()
            async with http.delete(f"{served.url}/api/v1/sessions", headers={"Authorization": f"Bearer {token}"}) as out:
                assert out.status == 200
            served.gate.feed.tell("kill", {"id": "k_1", "scope": "all"})
            rest = [block async for block in _rest(stream)]
        assert not [block for block in rest if "event" in block]


async def test_a_page_is_told_until_its_session_ends(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console's stream tells what the API's does; after signing out nothing more."""
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    form = await sign_in(http, served)
    async with at_a_page(http, served.url) as stream:
        assert (stream.answer.status, stream.answer.content_type) == (200, "text/event-stream")
        assert {stream.answer.headers[name] for name in ("X-Content-Type-Options", "Cache-Control")} == {"nosniff", "no-store"}
        assert (await stream.event())[0] == "ready"
        served.gate.feed.tell("kill", {"id": "k_1", "scope": "all"})
        assert (await stream.event())[:2] == ("kill", {"id": "k_1", "scope": "all"})
        async with http.post(f"{served.url}/sign-out", data={"csrf": form}, headers={"Origin": served.url}) as out:
            assert out.status == 200
        served.gate.feed.tell("kill", {"id": "k_2", "scope": "all"})
        assert not [block async for block in _rest(stream) if "event" in block]
    async with at_a_page(http, served.url) as refused:
        assert (refused.answer.status, served.gate.feed._listeners.total()) == (401, 0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 421),
    ],
    ids=str,
)
async def test_no_other_site_listens(served: Served, http: ClientSession, headers: dict[str, str], status: int) -> None:
    """Not with the session's cookie either, which another port of this machine would bring: it gets no place, so it takes none away."""
    await sign_in(http, served)
    async with http.get(f"{served.url}/events", headers=headers) as answer:
        assert (answer.status, served.gate.feed._listeners.total()) == (status, 0)


async def test_a_stream_takes_no_other_plane_s_credential(served: Served, http: ClientSession) -> None:
    """A cookie is nobody to the API's stream, a bearer nobody to the console's."""
    await sign_in(http, served)
    async with http.get(f"{served.url}/api/v1/events") as answer:
        assert answer.status == 401
    async with ClientSession(headers={"Authorization": f"Bearer {served.tokens['ines']}"}) as other, other.get(f"{served.url}/events") as answer:
        assert answer.status == 401


async def test_being_told_is_not_being_there(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page left open asks whether its session holds, at its opening and after, and never as if somebody did something."""
    await sign_in(http, served)
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    looks: list[bool] = []
    find = Sessions.find
    monkeypatch.setattr(
        Sessions, "find", lambda sessions, token, places, *, used=True: looks.append(used) or find(sessions, token, places, used=used)
    )
    async with at_a_page(http, served.url) as stream:
        for _ in range(4):
            await stream.block()
    assert (set(looks), len(looks) >= 3) == ({False}, True)


async def test_a_hundred_listen(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told each thing once, and shutting down ends them all."""
    monkeypatch.setattr(feed, "OF_ONE", 100)
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(listening(served.url, served.tokens["ines"])) for _ in range(100)]
        assert {stream.answer.status for stream in streams} == {200}
        for stream in streams:
            await stream.event()
        for number in range(3):
            served.gate.feed.tell("kill", {"id": f"k_{number}", "scope": "all"})
        for stream in streams:
            assert [(await stream.event())[1]["id"] for _ in range(3)] == ["k_0", "k_1", "k_2"]
        served.gate.feed.close()
        assert [await stream.block() for stream in streams] == [{}] * len(streams)


async def _rest(stream: Stream) -> AsyncIterator[dict[str, str]]:
    while block := await stream.block():
        yield block


def test_looking_whether_a_session_holds_does_not_keep_it() -> None:
    """A stream that is left open does not make a person look present (identity/sessions.py)."""
    from tests.unit.holds.bench import HandClock  # noqa: PLC0415 - one use

    clock = HandClock()
    sessions = Sessions(clock, idle=60, absolute=3600)
    token = sessions.open("ines", "proof").token
    for _ in range(2):
        clock.advance(29)
        assert sessions.find(token, BROWSER, used=False) is not None
    clock.advance(2)
    assert sessions.find(token, BROWSER, used=False) is None


async def test_a_client_that_does_not_read_is_let_go(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that takes too long ends the stream, and its place is free."""
    monkeypatch.setattr(events, "_WRITE", 0.2)
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1)
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {served.tokens['ines']}\r\n\r\n".encode())
    await until(lambda: served.gate.feed._listeners["ines"], PATIENCE)
    reader._transport.pause_reading()  # type: ignore[attr-defined]  # nobody reads from here on

    async def chatter() -> None:
        while True:
            for _ in range(100):
                served.gate.feed.tell("mode", {"agent": "a" * 4000, "mode": "x"})
            await asyncio.sleep(0.01)

    talking = asyncio.create_task(chatter())
    await until(lambda: not served.gate.feed._listeners["ines"], PATIENCE)
    talking.cancel()
    writer.close()
