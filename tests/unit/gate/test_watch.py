"""The clockwork of grants: it sleeps until one is out of time or one has moved."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from stagewarden.errors import StateUnavailable
from stagewarden.gate import watch
from stagewarden.gate.watch import Watch
from stagewarden.holds.bell import Bell


class Grants:
    """Says when the next end is, and counts the looks."""

    def __init__(self) -> None:
        self.looks = 0
        self.due: list[float | None] = []
        self.looked = asyncio.Condition()

    async def end_due(self):
        """None of them."""
        self.looks += 1
        return ()

    async def next_end(self):
        """As the test has it; below zero: the database is gone."""
        async with self.looked:
            self.looked.notify_all()
        due = self.due.pop(0) if self.due else None
        if due is not None and due < 0:
            raise StateUnavailable("gone")
        return due

    async def until(self, looks: int) -> None:
        """So many looks were taken."""
        async with self.looked:
            await self.looked.wait_for(lambda: self.looks >= looks)


@pytest.fixture
async def lapsing():
    """The loop, its bell and its grants."""
    bell, grants = Bell(), Grants()
    rooms = SimpleNamespace(holds=SimpleNamespace(changed=bell), grants=grants)
    task = asyncio.create_task(Watch(rooms).lapse())
    await grants.until(1)
    yield bell, grants
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_read_while_no_grant_moves(lapsing):
    """Not for the holds of a busy day; once for a grant that moved, and once where nobody can say what did."""
    bell, grants = lapsing
    for number in range(20):
        bell.ring([f"h_{number}", f"u_{number}"])
        await asyncio.sleep(0)
    assert grants.looks == 1
    bell.ring(["h_1", "g_1"])
    await grants.until(2)
    bell.wake_all()
    await grants.until(3)
    for _ in range(20):
        await asyncio.sleep(0)
    assert grants.looks == 3


async def test_it_wakes_when_one_is_due(lapsing, monkeypatch):
    """By itself; and again after the database was gone."""
    bell, grants = lapsing
    monkeypatch.setattr(watch, "_RETRY", 0.001)
    grants.due = [0.0, -1.0]
    bell.ring(["g_1"])
    await grants.until(4)


async def test_what_is_to_be_deleted_is_deleted_soon_after_a_start(monkeypatch):
    """A process that never lives for an hour deletes payloads too; what waited for a channel meanwhile is tried before it is given up."""
    monkeypatch.setattr(watch, "_TICK", 0.001)
    done, enough = [], asyncio.Event()

    def act(name):
        async def acts():
            done.append(name)
            if done.count("settle") == 3:
                enough.set()

        return acts

    holds = SimpleNamespace(purge=act("payloads"), forget_reviews=act("reviews"))
    recorder = SimpleNamespace(make_good=act("good"))
    rooms = SimpleNamespace(stops=SimpleNamespace(settle=act("settle")), recorder=recorder, holds=holds, ledger=SimpleNamespace(purge=act("ledger")))
    task = asyncio.create_task(Watch(rooms).run())
    await enough.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [name for name in done if name not in {"settle", "good"}] == ["payloads", "reviews"]
