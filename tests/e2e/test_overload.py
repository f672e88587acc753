"""Too many and too slow: a sidecar process under slowhttptest, and with thousands of idle connections, serves good agents all the while."""

from __future__ import annotations

import http.client
import resource
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.houses import edit
from tests.e2e.processes import PATIENCE, serving, until
from tests.needs import needs
from tests.ports import free_ports
from tests.product import house

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.processes import SidecarProcess

ROOT = Path(__file__).parents[2]
ATTACKERS = 300
SECONDS = 12  # of one attack
WORSE = 5.0  # times a good agent's p99 may grow
AT_ONCE = 0.5  # seconds: whoever waited for a slow client would wait ten times as long, until its deadline
PER_CONNECTION = 20 << 10  # bytes of resident memory of an idle one (design: hardening, "Numbers")


@contextmanager
def upstream() -> Iterator[str]:
    """A process that answers every request with 1 KB; its address."""
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.parts", "upstream", str(port)], cwd=ROOT)
    try:
        until(lambda: listens(port), "the upstream")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    """Whether anybody does."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def sidecar(folder: Path, limits: str) -> Iterator[SidecarProcess]:
    """A process with these limits, before that upstream."""
    with upstream() as url:
        made = house(folder, url)
        edit("stagewarden.yaml", "limits: {", f"limits: {{{limits}, ")(made)
        with serving(made) as running:
            yield running


class Agent:
    """A good one: one request after the other on one connection."""

    def __init__(self, running: SidecarProcess) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", running.ports["agents"], timeout=PATIENCE)
        self._headers = {"Authorization": f"Bearer {running.house.keys['drafter']}", "Content-Type": "application/json"}

    def ask(self) -> float:
        """Seconds one took; anything but a 200 is a failure."""
        started = time.perf_counter()
        self._connection.request("POST", "/newsroom/articles", b'{"title": "x"}', self._headers)
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status == 200
        return time.perf_counter() - started

    def close(self) -> None:
        """Done."""
        self._connection.close()


def p99(took: list[float]) -> float:
    """The 99th percentile."""
    return sorted(took)[int(len(took) * 0.99)]


def status(running: SidecarProcess, field: str) -> int:
    """A number of /proc/PID/status."""
    assert running.process is not None
    return int(Path(f"/proc/{running.process.pid}/status").read_text().split(f"{field}:")[1].split()[0])


def descriptors(running: SidecarProcess) -> int:
    """How many it has open."""
    assert running.process is not None
    return len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))


ATTACKS = {
    "slow headers": ["-H", "-i", "2", "-x", "24"],
    "slow body": ["-B", "-i", "2", "-x", "8", "-s", "8192", "-f", "application/json"],
    "slow read": ["-X", "-w", "1", "-y", "64", "-n", "3", "-z", "8"],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_slow_clients_keep_nobody_waiting(tmp_path, attack):
    """Hundreds of slow clients that hold an agent's key: every good request succeeds, p99 stays within bounds, all are let go of."""
    program = needs("slowhttptest")
    with sidecar(tmp_path, "header_deadline: 5s, body_deadline: 5s") as running:
        agent = Agent(running)
        for _ in range(200):
            agent.ask()
        before = descriptors(running)
        url = f"http://127.0.0.1:{running.ports['agents']}/newsroom/articles"
        # The tool writes its Accept as it is given: with it, the slow ones are known and get as far as an agent does.
        known = f"*/*\r\nAuthorization: Bearer {running.house.keys['briefer' if attack == 'slow body' else 'drafter']}"
        words = [program, *ATTACKS[attack], "-c", str(ATTACKERS), "-r", "150", "-l", str(SECONDS), "-u", url, "-m", known]
        calm, attacked, most = [], [], 0
        calm += [agent.ask() for _ in range(400)]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as attacker:
            while attacker.poll() is None:
                attacked += [agent.ask() for _ in range(20)]
                most = max(most, descriptors(running))
        calm += [agent.ask() for _ in range(400)]
        told = f"{attack}: p99 {p99(attacked) * 1000:.1f} ms of {len(attacked)}, calm {p99(calm) * 1000:.1f} ms, {most - before} connections at most"
        print(told)  # noqa: T201 - a figure, shown with -rP
        assert most - before > 20, "the attack did not take place"
        assert p99(attacked) <= max(WORSE * p99(calm), AT_ONCE)  # on a busy machine the calm may be calmer than the attack by chance
        until(lambda: descriptors(running) <= before + 5, "the slow ones to be let go of")
        agent.ask()
        agent.close()
        assert running.operations("/readyz").status == 200


def test_thousands_of_idle_connections_cost_little_and_harm_nobody(tmp_path):
    """As many as the system allows, up to 10,000: an agent is served beside them, each costs at most 20 KiB, and one more finds room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000, (hard if hard != resource.RLIM_INFINITY else 1 << 20) - 3000)
    assert count > 500, f"the hard limit of file descriptors is {hard}: raise it"
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 1000) if hard != resource.RLIM_INFINITY else count + 1000, hard))
    idle: list[socket.socket] = []
    try:
        with sidecar(tmp_path, f"header_deadline: 10m, connections: {count}") as running:
            agent = Agent(running)
            for _ in range(300):
                agent.ask()
            before, files = status(running, "VmRSS"), descriptors(running)
            address = ("127.0.0.1", running.ports["agents"])
            idle += [socket.create_connection(address) for _ in range(count - 1)]
            until(lambda: descriptors(running) >= files + count - 1, "all of them")
            for _ in range(300):
                agent.ask()
            each = (status(running, "VmRSS") - before) * 1024 / count
            print(f"{count} idle connections, {each / 1024:.1f} KiB each")  # noqa: T201 - a figure, shown with -rP
            assert each <= PER_CONNECTION
            # One more than the limit: idle ones leave for it, those at work do not.
            assert running.ask("GET", "/newsroom/articles").status == 200
            idle.append(socket.create_connection(address))
            assert running.ask("GET", "/newsroom/articles").status == 200
            assert descriptors(running) <= files + count
            agent.ask()
            for one in idle:
                one.close()
            until(lambda: descriptors(running) <= files + 5, "all of them gone")
            agent.close()
    finally:
        for one in idle:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
