"""The sidecar as a process of its own, and a plain HTTP client: what a test sees is what an operator and an unmodified agent see.

Waits are on conditions, with a patience far beyond what a loaded machine needs; nothing here asserts how fast anything is.
"""

from __future__ import annotations

import base64
import http.client
import json as jsonlib
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.ports import free_ports
from tests.product import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.product import House

PATIENCE = 60.0  # seconds for something to come true
_LISTENERS = ("agents", "people", "operations")


def until(true: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """The first truthy value; fails with `what` when there is none inside the patience."""
    deadline = time.monotonic() + patience
    while not (value := true()):
        assert time.monotonic() < deadline, f"waited {patience:g} s for: {what}"
        time.sleep(0.02)
    return value


def exchange(port: int, method: str, path: str, headers: Mapping[str, str] | None = None, data: bytes | None = None) -> Reply:
    """One request on a connection of its own; the path is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, data, dict(headers or {}))
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def basic(user: str, password: str) -> str:
    """HTTP Basic (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def basic_parts(credential: str) -> tuple[str, str]:
    """User and password of an HTTP Basic credential."""
    user, _, password = base64.b64decode(credential.removeprefix("Basic ")).decode().partition(":")
    return user, password


@dataclass
class SidecarProcess:
    """`python -m stagewarden serve` on fixed ports, to be stopped, killed and started again.

    `house` is a folder with a configuration of three listeners on loopback; free ports are written into it here.
    """

    house: House
    environ: Mapping[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    workers: int = 1

    def __post_init__(self) -> None:
        text = self.house.config.read_text()
        for name, port in zip(_LISTENERS, free_ports(len(_LISTENERS)), strict=True):
            text, found = re.subn(rf'( {name}: {{bind: "127\.0\.0\.1:)\d+"', rf'\g<1>{port}"', text)
            assert found == 1, f"the configuration has no listener {name} on loopback"
            self.ports[name] = port
        self.house.config.write_text(text)

    @property
    def log(self) -> str:
        """Everything it has written to standard error."""
        return (self.house.folder / "serve.log").read_text()

    def start(self) -> None:
        """Start, and wait until it is ready."""
        self.launch()
        until(self._ready, "a ready sidecar")

    def launch(self) -> None:
        """Start, and wait for nothing."""
        words = [sys.executable, "-m", "stagewarden", "serve", "--config", self.house.config]
        words += ["--workers", str(self.workers)] if self.workers > 1 else []
        with (self.house.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**_environ(), **self.environ})

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self, patience: float = PATIENCE) -> int:
        """Wait for its end; the exit code."""
        assert self.process is not None
        return self.process.wait(patience)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.ended()

    def close(self) -> None:
        """Whatever state it is in: gone."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def ask(
        self,
        method: str,
        path: str,
        agent: str | None = "drafter",
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Reply:
        """What an agent's client gets."""
        sent = dict(headers or {})
        if agent is not None:
            sent.setdefault("Authorization", f"Bearer {self.house.keys.get(agent, agent)}")
        if json is not None:
            data = jsonlib.dumps(json).encode()
            sent.setdefault("Content-Type", "application/json")
        return exchange(self.ports["agents"], method, path, sent, data)

    def person(self, method: str, path: str, person: str, json: object = None) -> Reply:
        """What a person's client of the API gets."""
        headers = {"Authorization": f"Bearer {self.house.tokens[person]}", "Content-Type": "application/json"}
        return exchange(self.ports["people"], method, f"/api/v1{path}", headers, None if json is None else jsonlib.dumps(json).encode())

    def operations(self, path: str) -> Reply:
        """What a probe or a scrape gets."""
        return exchange(self.ports["operations"], "GET", path)

    def vote(self, hold: str, person: str, function: str, decision: str = "approve", **changed: object) -> Reply:
        """Read the hold as this person and vote on what was shown, every question answered with yes."""
        shown = self.hold(hold, person)
        ballot = {"decision": decision, "function": function, "digest": shown["digest"], "view_digest": shown["view_digest"]}
        ballot |= {"answers": dict.fromkeys(shown["questions"], True)} if decision == "approve" else {"reason": "timing"}
        return self.person("POST", f"/holds/{hold}/votes", person, ballot | changed)

    def hold(self, hold: str, person: str) -> dict[str, Any]:
        """The hold as this person sees it."""
        reply = self.person("GET", f"/holds/{hold}", person)
        assert reply.status == 200, reply
        return reply.json

    def settled(self, hold: str, person: str) -> dict[str, Any]:
        """The hold once it has ended."""
        return until(lambda: ended if (ended := self.hold(hold, person))["state"] not in OPEN else None, f"the end of {hold}")

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the sidecar ended at start:\n{self.log}"
        try:
            return self.operations("/readyz").status == 200
        except OSError:
            return False


OPEN = frozenset({"pending", "approved", "claimed", "sent"})


@contextmanager
def serving(house: House, environ: Mapping[str, str] | None = None, workers: int = 1) -> Iterator[SidecarProcess]:
    """A running sidecar process, or the house of so many workers; gone at the end, however the test ends."""
    sidecar = SidecarProcess(house, environ or {}, workers=workers)
    try:
        sidecar.start()
        yield sidecar
    finally:
        sidecar.close()


def command(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One run of the command line."""
    words = [sys.executable, "-m", "stagewarden", *arguments]
    return subprocess.run(words, capture_output=True, text=True, env=_environ(), cwd=cwd, timeout=PATIENCE, check=False)


def _environ() -> dict[str, str]:
    """Ours, with what we import found from every folder."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
