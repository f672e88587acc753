"""The process itself: an event loop that stands still, and no file descriptors left.

An end in order or not, under load, is tests/e2e/test_crash.py; a start or reload with broken input is tests/e2e/test_serve.py.
"""

import asyncio
import resource
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.articles import Articles
from tests.e2e.processes import serving, until
from tests.faults.doors import becomes, doors
from tests.product import house, rulings
from tests.product import until as eventually

CROWD = 60


async def test_a_loop_that_stood_still_fails_readiness(tmp_path):
    """Whoever probes after the stall is told; what was asked meanwhile is answered, and arrived once."""
    async with doors(tmp_path / "house") as there:
        assert (await there.product.operations("/readyz")).status == 200
        asked = asyncio.create_task(there.write())
        await asyncio.sleep(0)
        time.sleep(1.6)  # noqa: ASYNC251 - this is the fault
        told = await eventually(lambda: asked.done() and asked.result())
        assert told.status == 200
        assert len(there.upstream.requests) == 1

        async def unready():
            return [row["part"] for row in (await there.product.operations("/readyz")).json["reasons"]]

        await becomes(unready, ["loop"])
        assert (await there.product.operations("/livez")).status == 200


@pytest.fixture
async def upstream():
    """The counting upstream."""
    async with Articles() as running:
        yield running


async def test_no_descriptors_left(upstream, tmp_path):
    """Idle connections take every descriptor: nobody is told yes who was not judged, the process lives, and it serves again once they are gone."""

    def play(sidecar):
        assert sidecar.ask("GET", "/newsroom/articles").status == 200
        pid = sidecar.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        in_use = max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()) + 1
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (in_use + 8, before[1]))
        with ExitStack() as crowd:
            for _ in range(CROWD):
                crowd.enter_context(socket.create_connection(("127.0.0.1", sidecar.ports["agents"])))
            with crowd.enter_context(socket.create_connection(("127.0.0.1", sidecar.ports["agents"]), timeout=2)) as late:
                assert first_words(sidecar, late) in {None, b"HTTP/1.1 502", b"HTTP/1.1 503"}
            assert sidecar.process.poll() is None
        until(lambda: answers(sidecar), "an answer after the crowd has left")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)

    with serving(house(tmp_path, upstream.url)) as sidecar:
        await asyncio.to_thread(play, sidecar)
    allowed = [entry for entry in rulings(tmp_path) if entry["kind"] == "ruling" and entry["effect"] == "allow"]
    assert len(upstream.requests) <= len(allowed)


def first_words(sidecar, late):
    """Of the answer to a good request on this connection; None where there is none."""
    key = sidecar.house.keys["drafter"]
    try:
        late.sendall(f"GET /newsroom/articles HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        return late.recv(12) or None
    except (TimeoutError, ConnectionError):
        return None


def answers(sidecar):
    """Whether it serves."""
    try:
        return sidecar.ask("GET", "/newsroom/articles").status == 200
    except OSError:
        return False
