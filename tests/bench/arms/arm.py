"""What every arm is: processes on the measured core, a port, the requests its client sends, and what it does not do."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import machine

if TYPE_CHECKING:
    import subprocess

CACHE = Path("~/.cache/stagewarden/bench")  # where peers are installed: never in the product's environment
_COUNTED = itertools.count(1)  # no two bodies of one bench are equal, whichever arm they go to
_BODY = b'{"title": "Winter opening hours", "body": "%012d ' + b"x" * 940 + b'"}'


class Missing(Exception):
    """A part of this arm is not here; the message is the one line that installs it, or says why nothing does."""


@dataclass(slots=True)
class Ground:
    """What all arms of one bench stand on: a folder, the upstream's port, and every process an arm has started."""

    folder: Path
    upstream: int
    started: list[subprocess.Popen] = field(default_factory=list)

    def start(self, command: list[str], at: int | Path | None, log: Path | None = None, **environment: str) -> subprocess.Popen:
        """A process of an arm, alone on the measured core."""
        self.started.append(machine.start(command, machine.SYSTEM, at, log or self.folder / "arms.log", **environment))
        return self.started[-1]


@dataclass(slots=True)
class Arm:
    """One way to pass a request on. `lacks`: what it does not do of what the product does. `operations`: the product's other port."""

    name: str
    processes: list[subprocess.Popen]
    port: int
    lacks: str
    headers: bytes = b""
    mount: bytes = b""
    judges: bool = True
    repeats: bool = False
    operations: int | None = None
    folder: Path | None = None

    def request(self) -> bytes:
        """An allowed request: 1 KB of JSON, its text unlike any before unless this arm repeats itself; always of one length."""
        body = _BODY % (0 if self.repeats else next(_COUNTED))
        return b"POST %s/articles HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s" % (
            self.mount, self.headers, len(body), body,
        )  # fmt: skip

    def forbidden(self) -> bytes:
        """A request the policy denies: the workflow prohibits deleting, and the agent does not hold the stage."""
        return b"DELETE %s/articles/7 HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (self.mount, self.headers)

    def read(self, path: bytes) -> bytes:
        """A GET of something below the upstream's articles."""
        return b"GET %s/articles/%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (self.mount, path, self.headers)


def program(name: str, *places: str, install: str) -> str:
    """Where a program is: one of these places, else on PATH or where Debian puts servers; raises Missing."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin"]
    for path in [*(Path(place).expanduser() for place in places), *(Path(folder) / name for folder in folders)]:
        if os.access(path, os.X_OK) and path.is_file():
            return str(path)
    raise Missing(install)
