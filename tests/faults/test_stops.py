"""A stop while the stop file cannot be written: by a folder that takes no new file, and by a disk that is full; over every worker."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from stagewarden.clock import SystemClock
from stagewarden.errors import CannotTell
from stagewarden.modes import Modes, NotDurable
from tests.e2e.articles import Articles
from tests.e2e.crew import doors, workers
from tests.e2e.processes import serving, until
from tests.product import house


@pytest.fixture
async def upstream():
    """The counting upstream."""
    async with Articles() as running:
        yield running


def code(reply):
    """`ok`, or the code of the problem."""
    return "ok" if reply.status < 300 else reply.json["type"].removeprefix("urn:stagewarden:problem:")


async def test_a_stop_that_cannot_be_written_holds_in_every_worker(upstream, tmp_path):
    """503 that says so, and both workers refuse, also one that starts afterwards; once there is room it is written, and lifted as any other."""

    def play():
        with serving(house(tmp_path, upstream.url), workers=2) as sidecar:
            beside = tmp_path / "stops.json.new"
            beside.mkdir()  # the new file cannot be made, whoever asks: a test may run as root
            refused = sidecar.person("PUT", "/kill", "ines", {"scope": "agent:drafter"})
            assert (refused.status, "holds in this process and its workers" in refused.json["detail"]) == (503, True)
            with doors(sidecar) as each:
                assert [code(door.ask("POST", "/newsroom/articles", json={"title": "t"})) for door in each] == ["killed"] * 2
            first = workers(sidecar)[0]
            os.kill(first, 9)
            until(lambda: first not in workers(sidecar) and len(workers(sidecar)) == 2, "another worker")
            with doors(sidecar) as each:
                assert [code(door.ask("POST", "/newsroom/articles", json={"title": "t"})) for door in each] == ["killed"] * 2
            assert upstream.writes() == []
            beside.rmdir()
            until(lambda: b"agent:drafter" in (tmp_path / "stops.json").read_bytes(), "the stop in its file")
            (kill,) = sidecar.person("GET", "/kill", "ines").json["items"]
            assert sidecar.person("DELETE", "/kill", "lena", {"id": kill["id"], "reason": "over"}).status == 200
            with doors(sidecar) as each:
                until(lambda: [code(door.ask("POST", "/newsroom/articles", json={"title": "t"})) for door in each] == ["ok"] * 2, "both go on")

    await asyncio.to_thread(play)


async def test_a_full_disk(tmp_path, monkeypatch):
    """`No space left on device` at the sync of the new file: what was in force stays readable, and the order is in force too."""
    modes = Modes(tmp_path / "stops.json", SystemClock())
    modes.open()
    first = await modes.kill("agent:a", "ines", "x")
    real = os.fsync

    def full(handle):
        if Path(f"/proc/self/fd/{handle}").readlink().name == "stops.json.new":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotDurable, match="No space left"):
        await modes.kill("agent:b", "ines", "x")
    with pytest.raises(CannotTell, match="No space left"):
        await modes.unkill(first.id, "lena", "over")
    assert modes.stop(agent="a") is not None
    assert modes.stop(agent="b") is not None
    monkeypatch.undo()
    assert await modes.write_again()
    again = Modes(tmp_path / "stops.json", SystemClock())
    again.open()
    assert [kill.scope for kill in again.kills()] == ["agent:a", "agent:b"]
