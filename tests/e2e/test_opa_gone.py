"""OPA goes away under load: nobody gets a yes, nothing reaches the upstream, every answer still comes; and it comes back by itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import pytest

import stagewarden
from tests.e2e.opa import OpaServer, opa_server
from tests.e2e.processes import PATIENCE, until
from tests.product import product

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.product import Product, Reply

BUNDLE = Path(stagewarden.__file__).parent / "bundle" / "stagewarden.tar.gz"
TOKEN = "opa-e2e-token"
DEADLINE = 0.5  # seconds, of the policy
CLIENTS, SOME, MANY = 6, 20, 100


class Away(Protocol):
    """A way to be gone, and back."""

    async def leave(self, opa: OpaServer) -> None:
        """Return once it cannot answer any more."""

    async def come_back(self, opa: OpaServer) -> None:
        """Return once it answers again."""


class Killed:
    """The process is dead, its connections are cut; a new one knows no registry."""

    async def leave(self, opa: OpaServer) -> None:
        """SIGKILL."""
        await opa.stop()

    async def come_back(self, opa: OpaServer) -> None:
        """A new process."""
        await opa.start()


class Frozen:
    """The process takes connections in and says nothing."""

    async def leave(self, opa: OpaServer) -> None:
        """SIGSTOP, until every thread of it stands still."""
        os.kill(pid(opa), signal.SIGSTOP)
        await asyncio.to_thread(until, lambda: all(each == "T" for each in states(pid(opa))), "a frozen OPA")

    async def come_back(self, opa: OpaServer) -> None:
        """SIGCONT."""
        os.kill(pid(opa), signal.SIGCONT)


def pid(opa: OpaServer) -> int:
    """Of the server process."""
    assert opa._process is not None
    return opa._process.pid


def states(process: int) -> list[str]:
    """One letter for each thread (proc(5), /proc/pid/task/tid/stat): T is stopped."""
    return [(thread / "stat").read_text().rpartition(")")[2].split()[0] for thread in Path(f"/proc/{process}/task").iterdir()]


@dataclass
class Asked:
    """One draft the agent sent, and what it was told; `gone`: OPA was away from before the first byte until after the answer."""

    title: str
    reply: Reply
    gone: bool


@dataclass
class Load:
    """Clients that draft one article after another, which the policy allows."""

    product: Product
    gone: bool = False
    asked: list[Asked] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def allowed(self) -> int:
        """How many got through."""
        return sum(each.reply.status == 201 for each in self.asked)

    @property
    def while_gone(self) -> list[Asked]:
        """Those that were begun and ended without OPA."""
        return [each for each in self.asked if each.gone]

    async def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait for enough to have happened."""
        try:
            async with asyncio.timeout(PATIENCE), self._changed:
                await self._changed.wait_for(true)
        except TimeoutError:
            answers = Counter((each.reply.status, each.reply.body[:200]) for each in self.asked[-MANY:])
            pytest.fail(f"waited {PATIENCE:g} s for {what}; the last answers: {answers}")

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(CLIENTS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, number: int) -> None:
        for each in range(100_000):
            title, gone = f"{number}-{each}", self.gone
            async with asyncio.timeout(20 * DEADLINE):  # a frozen OPA answers never; the sidecar must not wait for it
                reply = await self.product.ask("POST", "/newsroom/articles", json={"title": title})
            async with self._changed:
                self.asked.append(Asked(title, reply, gone and self.gone))
                self._changed.notify_all()
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("way", [Killed(), Frozen()], ids=["killed", "frozen"])
@pytest.mark.parametrize("tcp", [False, True], ids=["unix socket", "TCP with a token"])
async def test_nothing_passes_while_opa_is_gone(tmp_path, tcp, way):
    """From the moment it is gone every answer is 503 `cannot_tell` and nothing arrives upstream; once it is back, drafts pass again."""
    secret = tmp_path / "house" / "secrets" / "opa-token"
    secret.parent.mkdir(parents=True)
    secret.touch(mode=0o600)
    secret.write_text(TOKEN)
    async with opa_server(tmp_path, BUNDLE, tcp=tcp, token=TOKEN if tcp else None) as opa:
        token = ", token: 'file:secrets/opa-token'" if tcp else ""
        engine = f"{{engine: opa, deadline: {DEADLINE * 1000:.0f}ms, opa: {{url: '{opa.url}'{token}}}}}"
        async with product(tmp_path / "house", engine) as running, Load(running) as load:
            await load.until(lambda: load.allowed >= SOME, "drafts before")
            await way.leave(opa)
            load.gone = True
            await load.until(lambda: len(load.while_gone) >= MANY, "answers without OPA")
            down = (await running.operations("/metrics")).body
            load.gone = False
            await way.come_back(opa)
            before = load.allowed
            await load.until(lambda: load.allowed >= before + SOME, "drafts afterwards")
            up = (await running.operations("/metrics")).body
        arrived = Counter(json.loads(arrival.body)["title"] for arrival in running.newsroom.arrivals)
    for each in load.while_gone:
        assert (each.reply.status, each.reply.json["type"]) == (503, "urn:stagewarden:problem:cannot_tell")
        assert each.reply.headers["Retry-After"]
        assert each.title not in arrived
    told = {each.title: each.reply.status for each in load.asked}
    assert {title for title, status in told.items() if status == 201} <= arrived.keys() <= {*told, *unfinished(load)}
    assert max(arrived.values()) == 1
    # Whoever was told no, at any time, was told the truth.
    assert not [title for title, status in told.items() if status != 201 and title in arrived]
    # 403 `registry_stale`: a new OPA answers before it has the registry.
    assert set(told.values()) <= {201, 503, 403}
    assert b"stagewarden_opa_up 0.0" in down
    assert b"stagewarden_opa_up 1.0" in up


def unfinished(load: Load) -> set[str]:
    """What each client was asking when the load was ended."""
    last = Counter(int(each.title.partition("-")[0]) for each in load.asked)
    return {f"{number}-{last[number]}" for number in range(CLIENTS)}
