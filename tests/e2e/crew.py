"""The workers of a sidecar process as a test meets them: their process ids, and a connection to each that is known to be its own.

Which worker has accepted a connection is the kernel's choice; /proc says which one it was.
"""

from __future__ import annotations

import http.client
import json as jsonlib
import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.processes import PATIENCE, SidecarProcess, until
from tests.product import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST = 200  # connections tried until every worker has one


def workers(sidecar: SidecarProcess) -> list[int]:
    """Process ids of those that serve now."""
    assert sidecar.process is not None
    house = sidecar.process.pid
    found = [int(pid) for task in Path(f"/proc/{house}/task").iterdir() for pid in (task / "children").read_text().split()]
    return sorted(pid for pid in found if b"stagewarden.cli.worker" in _words(pid))


def end(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """A signal to one worker."""
    os.kill(pid, number)


def metric(sidecar: SidecarProcess, name: str, **labels: str) -> float:
    """The sum of one metric's samples with these labels, in one scrape."""
    total = 0.0
    for line in sidecar.operations("/metrics").body.decode().splitlines():
        series, _, value = line.rpartition(" ")
        if series.partition("{")[0] == name and all(f'{label}="{wanted}"' in series for label, wanted in labels.items()):
            total += float(value)
    return total


@dataclass
class Door:
    """A kept connection to one worker."""

    pid: int
    key: str
    connection: http.client.HTTPConnection

    def ask(self, method: str, path: str, *, json: object = None, headers: Mapping[str, str] | None = None) -> Reply:
        """What an agent's client gets from this worker."""
        sent = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        data = None
        if json is not None:
            data, sent["Content-Type"] = jsonlib.dumps(json).encode(), "application/json"
        self.connection.request(method, path, data, sent)
        answer = self.connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())


@contextmanager
def doors(sidecar: SidecarProcess, agent: str = "drafter") -> Iterator[list[Door]]:
    """One connection to each worker, in the order of their process ids."""
    wanted = workers(sidecar)
    opened: list[http.client.HTTPConnection] = []
    found: dict[int, Door] = {}
    try:
        while len(found) < len(wanted):
            assert len(opened) < _MOST, f"{_MOST} connections reached {len(found)} of {len(wanted)} workers"
            connection = http.client.HTTPConnection("127.0.0.1", sidecar.ports["agents"], timeout=PATIENCE)
            connection.connect()
            opened.append(connection)
            pid = _accepted_by(connection, sidecar.ports["agents"], wanted)
            found.setdefault(pid, Door(pid, sidecar.house.keys[agent], connection))
        yield [found[pid] for pid in sorted(found)]
    finally:
        for connection in opened:
            connection.close()


def _accepted_by(connection: http.client.HTTPConnection, port: int, pids: list[int]) -> int:
    here = connection.sock.getsockname()[1]
    inode = until(lambda: _inode(port, here), "the other end of a connection")
    return until(lambda: next((pid for pid in pids if _holds(pid, inode)), None), "a worker that takes it in")


def _inode(local: int, remote: int) -> str | None:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if (int(fields[1].rpartition(":")[2], 16), int(fields[2].rpartition(":")[2], 16)) == (local, remote) and fields[9] != "0":
            return fields[9]
    return None


def _holds(pid: int, inode: str) -> bool:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(descriptor.readlink()) == f"socket:[{inode}]":
                return True
        except FileNotFoundError:
            continue
    return False


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
