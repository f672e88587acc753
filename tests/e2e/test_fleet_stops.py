"""Stops over a fleet: ordered anywhere, obeyed everywhere, kept in every file; and what a sidecar does that is cut off from the others."""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import TYPE_CHECKING, Any

import pytest

from stagewarden.clock import SystemClock
from stagewarden.modes import Modes
from tests.databases import Cluster, prepared
from tests.e2e.fleet import fleet
from tests.e2e.processes import PATIENCE, command, until
from tests.needs import needs
from tests.upstreams import ScriptedUpstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.fleet import Fleet, Instance
    from tests.product import Reply

NAMES = ("a", "b")

NUMBERS = itertools.count()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    """`state:` of a PostgreSQL."""
    needs("postgresql")
    with prepared("postgresql", tmp_path) as state:
        yield state


@pytest.fixture
def server() -> Iterator[Cluster]:
    """A PostgreSQL of the test's own, to be stopped."""
    needs("postgresql")
    made = Cluster(auth="trust")
    yield made
    made.close()


def code(reply: Reply) -> str:
    """`ok`, or the code of the problem."""
    return "ok" if reply.status < 300 else str(reply.json["type"].removeprefix("urn:stagewarden:problem:"))


def drafted(one: Instance) -> str:
    """What a draft, which policy allows, gets there: another one each time, since the same again finds the proposal it once was."""
    return code(one.ask("POST", "/newsroom/articles", json={"title": f"t{next(NUMBERS)}"}))


def edited(one: Instance) -> str:
    """What an edit gets there: a write."""
    return code(one.ask("PATCH", "/newsroom/articles/1", json={"title": "t"}))


def everywhere(running: Fleet, wanted: str, what: Any = drafted) -> None:
    """Every sidecar answers so, sooner or later."""
    for name, each in running.sidecars.items():
        until(lambda each=each: what(each) == wanted, f"{wanted} at {name}")


def stops_of(one: Instance) -> Modes:
    """Its stop file, read by another process."""
    return Modes(one.house.folder / "stops.json", SystemClock())


async def test_a_kill_at_the_peoples_instance_is_obeyed_by_every_sidecar(upstream, database, tmp_path):
    """Kill, pause, recommend-only and the way back: everywhere, in every file, and recorded once in every log."""

    def play(running: Fleet) -> None:
        people = running.people
        assert people is not None
        kill = people.person("PUT", "/kill", "ines", {"scope": "agent:drafter"}).json
        assert kill["owed"] == []
        everywhere(running, "killed")
        assert [[each.id for each in stops_of(one).kills()] for one in running.every()] == [[kill["id"]]] * 3
        arrived = len(upstream.writes())
        assert people.person("DELETE", "/kill", "ines", {"id": kill["id"], "reason": "over"}).status == 403
        assert people.person("DELETE", "/kill", "lena", {"id": kill["id"], "reason": "over"}).status == 200
        everywhere(running, "ok")
        assert len(upstream.writes()) > arrived
        for mode, by, told in (("paused", "ines", "paused"), ("recommend_only", "lena", "held"), ("active", "lena", "ok")):
            assert people.person("PUT", "/agents/drafter/mode", by, {"mode": mode, "reason": "because"}).status == 200
            everywhere(running, told)
        for each in running.every():
            until(lambda each=each: len(each.entries("kill")) == 2 and len(each.entries("mode")) == 3, "the acts in its log")
            assert [entry["act"] for entry in each.entries("kill")] == ["kill", "unkill"]
        assert "stagewarden_revocation_seconds_count" in running["b"].operations("/metrics").body.decode()

    with fleet(tmp_path, upstream.url, database, NAMES) as running:
        await asyncio.to_thread(play, running)


async def test_a_kill_in_one_file_with_its_process_down_reaches_the_others(upstream, database, tmp_path):
    """`kill --config` tells the shared state itself; `unkill --config` clears both."""

    def play(running: Fleet) -> None:
        gone, other = running["a"], running["b"]
        gone.kill()
        done = command("kill", "upstream:newsroom", "--config", gone.house.config)
        assert (done.returncode, done.stderr) == (0, "")
        until(lambda: drafted(other) == "killed", "the kill at b")
        (kill,) = stops_of(gone).kills()
        assert command("unkill", kill.id, "--reason", "over", "--config", gone.house.config).returncode == 0
        until(lambda: drafted(other) == "ok", "its end at b")
        assert stops_of(gone).kills() == ()

    with fleet(tmp_path, upstream.url, database, NAMES) as running:
        await asyncio.to_thread(play, running)


async def test_a_database_that_is_gone(upstream, server, tmp_path):
    """Writes stop and drafts go on; a kill holds where it is given, is told as owed, and reaches the others later; nothing is lifted meanwhile."""

    def play(running: Fleet) -> None:
        people, a, b = running.people, running["a"], running["b"]
        assert people is not None
        assert (edited(a), edited(b)) == ("ok", "ok")
        server.stop()
        everywhere(running, "cannot_tell", edited)
        assert (drafted(a), drafted(b)) == ("ok", "ok")
        until(lambda: "no write goes through" in a.operations("/readyz").body.decode(), "a's word that it has not heard")
        age = next(line for line in a.operations("/metrics").body.decode().splitlines() if line.startswith("stagewarden_stops_heard_age_seconds"))
        assert float(age.split()[1]) > 1
        here = people.person("PUT", "/kill", "ines", {"scope": "upstream:intranet"})
        assert (here.status, here.json["owed"] != []) == (200, True)
        done = command("kill", "agent:drafter", "--config", a.house.config)
        assert (done.returncode, "the file holds here" in done.stderr) == (0, True), done
        assert (drafted(a), drafted(b)) == ("killed", "ok")
        (kill,) = stops_of(a).kills()
        refused = command("unkill", kill.id, "--reason", "over", "--config", a.house.config)
        assert (refused.returncode, stops_of(a).kills()) == (1, (kill,))
        assert people.person("DELETE", "/kill", "lena", {"id": here.json["id"], "reason": "over"}).status == 503
        server.start()
        until(lambda: drafted(b) == "killed", "a's kill at b")
        until(lambda: len(stops_of(b).kills()) == 2, "both kills at b")
        assert people.person("DELETE", "/kill", "lena", {"id": kill.id, "reason": "over"}).status == 200
        everywhere(running, "ok", edited)

    with fleet(tmp_path, upstream.url, server.state(server.database()), NAMES) as running:
        await asyncio.to_thread(play, running)


async def test_a_kill_cuts_the_streams_of_every_sidecar(database, tmp_path):
    """What is on its way to an agent at a sidecar that was not asked ends there, and not in order."""

    async def endless(peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.send(b"8\r\ndata: x\n\r\n")
            await asyncio.sleep(0.01)

    def play(running: Fleet) -> None:
        assert running.people is not None
        clients = [open_stream(each) for each in running.sidecars.values()]
        assert all(client.recv(65_536).startswith(b"HTTP/1.1 200") for client in clients)
        assert running.people.person("PUT", "/kill", "ines", {"scope": "all"}).status == 200
        for client in clients:
            tail = b""
            while data := client.recv(65_536):
                tail = (tail + data)[-16:]
            assert not tail.endswith(b"0\r\n\r\n")
            client.close()

    async with ScriptedUpstream(endless) as upstream:
        with fleet(tmp_path, upstream.url, database, NAMES) as running:
            await asyncio.to_thread(play, running)


def open_stream(one: Instance) -> socket.socket:
    """A client that reads an answer without end."""
    client = socket.create_connection(("127.0.0.1", one.ports["agents"]), PATIENCE)
    key = one.house.keys["drafter"]
    client.sendall(f"GET /newsroom/articles HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    return client
