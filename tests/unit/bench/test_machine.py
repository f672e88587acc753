"""Reading /proc as the kernel writes it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.bench import machine

if TYPE_CHECKING:
    from pathlib import Path

STAT = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 {user} {system} 9 9 20 0 3 0 100 200 300"


def test_processor_time_survives_any_name() -> None:
    """The name is in brackets and may hold spaces and brackets; children's time is not the process's."""
    assert machine.cpu_of(STAT.format(user=3 * machine.TICK, system=machine.TICK)) == 4.0


def test_resident_memory_is_in_mb() -> None:
    """The kernel counts KB."""
    assert machine.resident_of("Name:\tx\nVmHWM:\t  9999 kB\nVmRSS:\t    2048 kB\nThreads:\t1\n") == 2.0


def _stat(*cores: tuple[int, int]) -> str:
    """A /proc/stat: user and stolen ticks by core."""
    lines = [f"cpu{number} {user} 0 0 0 0 0 0 {stolen} 5 0" for number, (user, stolen) in enumerate(cores)]
    return "\n".join(["cpu  1 2 3 4 5 6 7 8 9 10", *lines, "intr 1 2 3"])


@pytest.mark.parametrize(
    ("after", "share"),
    [
        pytest.param(_stat((200, 0), (200, 0)), 0.0, id="nothing-stolen"),
        pytest.param(_stat((190, 10), (200, 0)), 0.1, id="from-what-is-measured"),
        pytest.param(_stat((200, 0), (150, 50)), 0.5, id="from-the-load"),
        pytest.param(_stat((100, 0), (100, 0)), 0.0, id="no-time-passed"),
        pytest.param(_stat((200, 0), (200, 0), (100, 900)), 0.0, id="from-a-core-we-do-not-use"),
    ],
)
def test_stolen_time(after: str, share: float) -> None:
    """The worse of the two cores; guest time, a part of user time, is not counted twice."""
    assert machine.steal_of(_stat((100, 0), (100, 0), (100, 0)), after) == pytest.approx(share)


def test_a_family_is_a_process_and_what_it_started() -> None:
    """Nginx's worker is its master's child; its time counts."""
    script = "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); sys.stdin.read(); child.kill()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert machine.family(parent.pid) == [parent.pid, child]
        assert machine.resident([parent]) > 0
        assert parent.stdin is not None
        parent.stdin.close()


def test_our_own_process_can_be_read() -> None:
    """The formats above are this kernel's."""
    with open(f"/proc/{os.getpid()}/stat") as handle:  # noqa: PTH123 - as the bench reads it
        assert machine.cpu_of(handle.read()) > 0
    assert machine.steal_of(machine.stat(), machine.stat(), cores=(0,)) >= 0


def test_a_port_is_not_one_the_system_gives_away() -> None:
    """A server that takes minutes to start (valgrind) must still find it free."""
    first = int((machine.PROC / "sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert 1024 <= machine.free_port() < first


def test_a_unix_socket_listens_once_somebody_does(tmp_path: Path) -> None:
    """Its file alone, which a bound or an ended server leaves, is nobody who answers."""
    at = tmp_path / "s"
    assert not machine.listens(at)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(at))
        assert not machine.listens(at)
        server.listen()
        assert machine.listens(at)
    assert not machine.listens(at)
