"""What the system says of a process and of itself: ports, cores, /proc. Linux only; nothing here knows what is measured."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TICK = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
_LISTEN = "0A"  # in /proc/net/tcp
ROOT = Path(__file__).parents[2]
SYSTEM, LOAD = 0, 1  # the core of what is measured; the core of everything else


def free_port() -> int:
    """A port nobody has; below those the system gives to connections, so that none takes it while its server starts."""
    first = int((PROC / "sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(first // 2, first)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def listens(at: int | Path) -> bool:
    """Whether somebody takes connections at this port, or at this unix socket."""
    if isinstance(at, Path):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(at)) == 0
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", at)) == 0


def start(
    command: list[str], core: int | None, at: int | Path | None = None, log: Path | None = None, patience: float = 60, **environment: str
) -> subprocess.Popen:
    """A process on one core (None: on any), listening there when this returns. `log` takes what it prints; its errors are shown either way."""
    with (log or Path(os.devnull)).open("ab") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=out,
            stderr=out if log else None, preexec_fn=lambda: os.sched_setaffinity(0, range(os.cpu_count() or 1) if core is None else {core}),  # noqa: PLW1509 - no thread runs here
        )  # fmt: skip
    deadline = time.monotonic() + patience
    while at is not None and not listens(at):
        if process.poll() is not None or time.monotonic() > deadline:
            stop([process])
            raise RuntimeError(f"{command[0]} does not listen: {log.read_text(errors='replace')[-600:] if log else 'see above'}")
        time.sleep(0.05)
    return process


def until(true: Callable[[], bool], what: str, patience: float = 60) -> None:
    """Return once it is so; RuntimeError with `what` where it is not inside so many seconds."""
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {patience:g} s for {what}")
        time.sleep(0.05)


def listeners(port: int) -> int:
    """How many sockets listen on the port at 127.0.0.1: with SO_REUSEPORT one for each process that takes its share."""
    rows = [row.split() for row in (PROC / "net/tcp").read_text().splitlines()[1:]]
    return sum(row[1] == f"0100007F:{port:04X}" and row[3] == _LISTEN for row in rows)


def descriptors(processes: list[subprocess.Popen]) -> int:
    """Open files of them all."""
    return sum(len(list((PROC / str(pid) / "fd").iterdir())) for process in processes for pid in family(process.pid))


def stop(processes: list[subprocess.Popen]) -> None:
    """SIGTERM by pid, then wait; SIGKILL for what has not gone in ten seconds. Ends nobody else."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_of(stat: str) -> float:
    """User and system seconds in the text of /proc/PID/stat; the name in it may hold anything, spaces and brackets too."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_of(status: str) -> float:
    """Resident memory, MB, in the text of /proc/PID/status."""
    return int(status.split("VmRSS:")[1].split(maxsplit=1)[0]) / 1024


def steal_of(before: str, after: str, cores: tuple[int, ...] = (SYSTEM, LOAD)) -> float:
    """The largest share of time the host took from one of these cores between two readings of /proc/stat."""
    first, last = _cores(before), _cores(after)
    shares = [0.0]
    for core in cores:
        passed = [now - then for then, now in zip(first[core], last[core], strict=True)]
        if sum(passed) > 0:
            shares.append(passed[7] / sum(passed))
    return max(shares)


def _cores(text: str) -> dict[int, list[int]]:
    """Core → user, nice, system, idle, iowait, irq, softirq, steal; guest time is part of user time already."""
    return {int(number): [int(value) for value in rest.split()[:8]] for number, rest in re.findall(r"^cpu(\d+) (.*)$", text, re.MULTILINE)}


def family(pid: int) -> list[int]:
    """A process and everything it has started."""
    tasks = list((PROC / str(pid) / "task").iterdir())
    children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return [pid, *(each for child in children for each in family(child))]


def cpu(processes: list[subprocess.Popen]) -> float:
    """User and system seconds of these processes and their children so far."""
    return sum(cpu_of((PROC / str(pid) / "stat").read_text()) for process in processes for pid in family(process.pid))


def resident(processes: list[subprocess.Popen]) -> float:
    """Resident memory of them all, MB."""
    return sum(resident_of((PROC / str(pid) / "status").read_text()) for process in processes for pid in family(process.pid))


def stat() -> str:
    """/proc/stat as it is now."""
    return (PROC / "stat").read_text()
