"""What the death of a worker, or of the house, may not do: lose what was acknowledged, double anything, send unrecorded, or go unseen."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import aiohttp
import pytest

from tests.e2e.crew import doors, end, metric, workers
from tests.e2e.houses import NOWHERE
from tests.e2e.processes import PATIENCE, SidecarProcess, command, serving, until
from tests.e2e.test_crash import Drill, Told, check_log, write_until_gone
from tests.product import house, rulings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.articles import Articles
    from tests.upstreams import Received

QUICK_DEATHS = 5
DRAFT = "/newsroom/articles"


@dataclass
class Load:
    """Clients that draft article after article over connections to all workers, each on a new connection where its worker has died."""

    sidecar: SidecarProcess
    rulings: dict[str, str] = field(default_factory=dict)  # title answered 200 → its ruling
    others: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    over: bool = False

    async def client(self, name: str) -> None:
        """One of them."""
        headers = {"Authorization": f"Bearer {self.sidecar.house.keys['drafter']}"}
        url = f"http://127.0.0.1:{self.sidecar.ports['agents']}{DRAFT}"
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
            turn = 0
            while not self.over:
                turn += 1
                title = f"{name}-{turn}"
                try:
                    async with session.post(url, json={"title": title}) as answer:
                        await answer.read()
                        if answer.status == 200:
                            self.rulings[title] = answer.headers["Stagewarden-Ruling"]
                        else:
                            self.others[answer.status] += 1
                except (aiohttp.ClientError, OSError):
                    self.broken += 1
                    await asyncio.sleep(0.02)

    async def __aenter__(self) -> Self:
        self._clients = [asyncio.create_task(self.client(f"c{number}")) for number in range(12)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.over = True
        await asyncio.gather(*self._clients)

    async def more(self, count: int) -> None:
        """So many answers from now."""
        goal = len(self.rulings) + count
        await asyncio.to_thread(until, lambda: len(self.rulings) >= goal, f"{count} more answers")


def check_recorded(folder: Path, load: Load, upstream: Articles) -> None:
    """The chain holds; what was answered is recorded, once, and arrived once; nothing arrived without a ruling."""
    verified = command("audit", "verify", "--directory", folder / "audit")
    assert verified.returncode == 0, verified
    recorded = Counter(entry["ruling"] for entry in rulings(folder) if entry["kind"] == "ruling")
    assert max(recorded.values()) == 1
    assert set(load.rulings.values()) <= recorded.keys()
    arrived = Counter(request.header("Stagewarden-Ruling") for request in upstream.writes())
    assert max(arrived.values()) == 1
    assert arrived.keys() <= recorded.keys()
    assert set(load.rulings.values()) <= arrived.keys()


async def test_a_killed_worker_loses_nothing_and_is_replaced(upstream, tmp_path):
    """SIGKILL of a random worker under load, three times: the others go on, it is replaced and counted, and no counter goes back."""
    with serving(house(tmp_path, upstream.url), workers=3) as sidecar:
        async with Load(sidecar) as load:
            seen = 0.0
            for deaths in range(1, 4):
                await load.more(100)
                before = await asyncio.to_thread(workers, sidecar)
                end(random.choice(before))
                await load.more(50)
                await asyncio.to_thread(until, lambda: metric(sidecar, "stagewarden_worker_deaths_total") == deaths, "its death")  # noqa: B023
                await asyncio.to_thread(until, lambda: sidecar.operations("/readyz").status == 200, "all workers again")
                assert len(await asyncio.to_thread(workers, sidecar)) == 3
                now = await asyncio.to_thread(metric, sidecar, "stagewarden_decisions_total")
                assert now >= seen
                seen = now
        assert load.others == {}
        assert await asyncio.to_thread(metric, sidecar, "stagewarden_inflight_requests") == 0
        sidecar.signal(signal.SIGTERM)
        assert await asyncio.to_thread(sidecar.ended) == 0
    check_recorded(tmp_path, load, upstream)


async def test_a_killed_house_ends_its_workers_and_loses_nothing(upstream, tmp_path):
    """SIGKILL of the house under load: its workers end by themselves, nothing unrecorded was sent, and the next house takes the same port."""
    made = house(tmp_path, upstream.url)
    with serving(made, workers=2) as sidecar:
        async with Load(sidecar) as load:
            await load.more(200)
            left = await asyncio.to_thread(workers, sidecar)
            await asyncio.to_thread(sidecar.kill)
            await asyncio.to_thread(until, lambda: not any(map(alive, left)), "the end of the workers")
            sent = len(upstream.writes())
            await asyncio.to_thread(sidecar.start)
            await load.more(100)
        assert sent < len(upstream.writes())
        sidecar.signal(signal.SIGTERM)
        assert await asyncio.to_thread(sidecar.ended) == 0
    assert set(load.others) <= {503}  # told so, in the moment between the house's end and the worker's
    check_recorded(tmp_path, load, upstream)


async def test_a_worker_that_hangs_ends_with_its_house(tmp_path):
    """It stands still (SIGSTOP) when the house is killed, and is gone nevertheless: the next house finds its port free."""
    with serving(house(tmp_path, NOWHERE), workers=2) as sidecar:
        left = await asyncio.to_thread(workers, sidecar)
        end(left[0], signal.SIGSTOP)
        await asyncio.to_thread(sidecar.kill)
        await asyncio.to_thread(until, lambda: not any(map(alive, left)), "the end of the workers")
        await asyncio.to_thread(sidecar.start)


def alive(pid: int) -> bool:
    """Whether there is a process of that id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_crashes_of_workers_and_house_send_no_approval_twice(upstream, tmp_path):
    """While holds are opened and approved, a worker or the house is killed at random: each is sent at most once, log and database agree."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    sidecar = SidecarProcess(house(tmp_path, upstream.url), workers=2)
    drill = Drill(sidecar, upstream)
    try:
        await asyncio.to_thread(sidecar.start)
        for turn in range(6):
            holds = [await asyncio.to_thread(drill.open, f"{turn}-{each}") for each in range(3)]
            for hold in holds:
                await asyncio.to_thread(drill.approve, hold)
            await asyncio.sleep(chance.uniform(0, 0.06))
            if turn % 2:
                end(chance.choice(await asyncio.to_thread(workers, sidecar)))
                await asyncio.to_thread(until, lambda: sidecar.operations("/readyz").status == 200, "all workers again")
            else:
                await asyncio.to_thread(sidecar.kill)
                await asyncio.to_thread(sidecar.start)
            for hold in holds:
                drill.ends[hold] = (await asyncio.to_thread(sidecar.settled, hold, "ines"))["state"]
        sidecar.signal(signal.SIGTERM)
        assert await asyncio.to_thread(sidecar.ended) == 0
    finally:
        sidecar.close()
    published = upstream.publishes()
    for hold, state in drill.ends.items():
        assert (state, published[drill.articles[hold]]) in {("done", 1), ("unknown", 0), ("unknown", 1)}, f"seed {seed}"
    check_log(tmp_path, drill)


async def test_what_a_dead_worker_left_in_the_outbox_is_recorded_once(upstream, tmp_path):
    """Workers are killed while they open holds: every hold in the database is in the log once, none is left behind, and each can be released."""
    with serving(house(tmp_path, upstream.url), workers=2) as sidecar:
        over = threading.Event()

        def ask(name: int) -> None:
            turn = 0
            while not over.is_set() and turn < 60:
                turn += 1
                try:
                    sidecar.ask("POST", f"{DRAFT}/{name}-{turn}/publish")
                except OSError:
                    continue

        clients = [asyncio.create_task(asyncio.to_thread(ask, name)) for name in range(4)]
        for _ in range(3):
            await asyncio.sleep(random.uniform(0.2, 0.5))
            end(random.choice(await asyncio.to_thread(until, lambda: workers(sidecar), "a worker")))
            await asyncio.to_thread(until, lambda: sidecar.operations("/readyz").status == 200, "all workers again")
        over.set()
        await asyncio.gather(*clients)
        with closing(sqlite3.connect(tmp_path / "state.db")) as state:
            await asyncio.to_thread(until, lambda: outbox(tmp_path) == 0, "an empty outbox")
            stored = [hold for (hold,) in state.execute("SELECT id FROM holds")]
        for hold in stored[:3]:
            assert (await asyncio.to_thread(sidecar.vote, hold, "ines", "reviewer")).status == 200
            assert (await asyncio.to_thread(sidecar.settled, hold, "ines"))["state"] == "done"
        sidecar.signal(signal.SIGTERM)
        assert await asyncio.to_thread(sidecar.ended) == 0
    opened = Counter(entry["hold"] for entry in rulings(tmp_path) if entry["kind"] == "hold" and entry["event"] == "opened")
    assert opened == Counter(stored)


def outbox(folder: Path) -> int:
    """Entries not known to be in the log."""
    with closing(sqlite3.connect(folder / "state.db")) as state:
        return int(state.execute("SELECT count(*) FROM outbox").fetchone()[0])


async def test_workers_that_do_not_stay_alive_end_the_house(upstream, tmp_path):
    """One that is killed as often as it comes up: the house says so and exits with 1; the other one finishes what it has."""
    go = asyncio.Event()
    upstream.before_answer = lambda _: go.wait()
    loop = asyncio.get_running_loop()

    def play() -> tuple[int, str]:
        with serving(house(tmp_path, upstream.url), workers=2) as sidecar, doors(sidecar) as (one, _):
            told: list[int] = []
            asking = threading.Thread(target=lambda: told.append(one.ask("POST", DRAFT, json={"title": "x"}).status))
            asking.start()
            until(upstream.writes, "the request at the upstream")
            while sidecar.process is not None and sidecar.process.poll() is None:
                for pid in set(workers(sidecar)) - {one.pid}:
                    end(pid)
                if sidecar.log.count("worker_ended") == QUICK_DEATHS:
                    loop.call_soon_threadsafe(go.set)
                    break
            asking.join()
            assert told == [200]
            return sidecar.ended(), sidecar.log

    code, log = await asyncio.to_thread(play)
    assert code == 1
    assert "does not stay alive" in log
    assert "Traceback" not in log


def test_a_worker_that_cannot_start_says_why(tmp_path):
    """A secret is gone when a dead worker is to be replaced: the house ends with the cause, after it has tried."""
    with serving(house(tmp_path, NOWHERE), workers=2) as sidecar:
        (tmp_path / "secrets" / "drafter").unlink()
        end(workers(sidecar)[0])
        assert sidecar.ended() == 1
        assert "does not stay alive" in sidecar.log
        assert "secrets/drafter" in sidecar.log.splitlines()[-1]


def test_sigterm_while_workers_start_ends_in_order(tmp_path):
    """Whoever is told to end before all serve does so: exit 0, and nobody is left."""
    sidecar = SidecarProcess(house(tmp_path, NOWHERE), workers=2)
    try:
        sidecar.launch()
        left = until(lambda: found if len(found := workers(sidecar)) == 2 else None, "the workers' processes")
        sidecar.signal(signal.SIGTERM)
        assert sidecar.ended() == 0, sidecar.log
        assert not any(map(alive, left))
    finally:
        sidecar.close()


async def test_sigterm_under_load_drops_no_request(upstream, tmp_path):
    """All workers finish what they have: whatever arrived was answered, and whatever was answered 200 arrived once; exit 0."""
    upstream.before_answer = lambda _: asyncio.sleep(random.uniform(0, 0.4))
    with serving(house(tmp_path, upstream.url), workers=2) as sidecar:
        told = Told()
        clients = [asyncio.create_task(write_until_gone(sidecar, told, f"client {number}")) for number in range(12)]
        await asyncio.to_thread(until, lambda: len(told.answered) >= 60, "some load")
        left = await asyncio.to_thread(workers, sidecar)
        sidecar.signal(signal.SIGTERM)
        assert await asyncio.to_thread(sidecar.ended) == 0
        await asyncio.gather(*clients)
    assert not any(map(alive, left))
    titles = Counter(request.body.decode() for request in upstream.writes())
    assert max(titles.values()) == 1
    assert set(told.answered.values()) <= {200, 503}
    assert len(titles) == sum(status == 200 for status in told.answered.values())
    outcomes = Counter(entry["result"] for entry in rulings(tmp_path) if entry["kind"] == "outcome")
    assert outcomes == {"done": len(titles)}


async def test_a_house_that_stands_still_lets_nothing_through(upstream, tmp_path):
    """Stopped (SIGSTOP) it acknowledges nothing: who asked waits, later ones are told 503, the upstream sees nothing; then all go on."""

    def play() -> None:
        with serving(house(tmp_path, upstream.url), workers=2) as sidecar, doors(sidecar) as one, doors(sidecar) as two:
            first: list[int] = []
            sidecar.signal(signal.SIGSTOP)
            try:
                waiting = threading.Thread(target=lambda: first.append(one[0].ask("POST", DRAFT, json={"title": "first"}).status))
                waiting.start()
                waiting.join(5.5)
                assert waiting.is_alive()
                refused = two[0].ask("POST", DRAFT, json={"title": "second"})
                assert (refused.status, refused.json["type"]) == (503, "urn:stagewarden:problem:audit_unavailable")
                assert upstream.writes() == []
            finally:
                sidecar.signal(signal.SIGCONT)
            waiting.join()
            assert first == [200]
            assert two[0].ask("POST", DRAFT, json={"title": "third"}).status == 200

    await asyncio.to_thread(play)


async def test_a_worker_that_hangs_is_ended_and_replaced(upstream, tmp_path):
    """It stands still (SIGSTOP): nothing it was asked arrives, the other one answers; the house notices, ends it, counts it, and all serve again."""

    def play() -> None:
        with serving(house(tmp_path, upstream.url), workers=2) as sidecar, doors(sidecar) as (hangs, goes):
            end(hangs.pid, signal.SIGSTOP)
            cut: list[type] = []

            def ask() -> None:
                try:
                    hangs.ask("POST", DRAFT, json={"title": "to nobody"})
                except OSError as failure:  # http.client.RemoteDisconnected is one
                    cut.append(type(failure))

            asking = threading.Thread(target=ask)
            asking.start()
            until(lambda: sidecar.operations("/readyz").status == 503, "the silence to be noticed")
            assert goes.ask("POST", DRAFT, json={"title": "x"}).status == 200
            until(lambda: metric(sidecar, "stagewarden_worker_deaths_total", cause="hung") == 1, "its end")
            asking.join()
            assert len(cut) == 1
            until(lambda: sidecar.operations("/readyz").status == 200, "the next worker")
            assert goes.pid in workers(sidecar)
            assert hangs.pid not in workers(sidecar)
            assert metric(sidecar, "stagewarden_worker_deaths_total") == 1
            assert "nothing was heard of it" in sidecar.log
            with doors(sidecar) as after:
                assert [door.ask("POST", DRAFT, json={"title": "y"}).status for door in after] == [200, 200]

    await asyncio.to_thread(play)
    assert [request.body.count(b"to nobody") for request in upstream.writes()] == [0, 0, 0]


@pytest.mark.parametrize("asleep", ["before-it-reads", "while-it-looks-up"])
async def test_g10_a_worker_that_slept_through_a_stop_sends_nothing(upstream, tmp_path, asleep):
    """SIGSTOP, everything is killed meanwhile, SIGCONT: what it was asked before, or had begun to judge, is refused, and nothing was changed."""
    looking, go = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def keep(request: Received) -> None:
        if request.method == "GET" and asleep == "while-it-looks-up":
            looking.set()
            await go.wait()

    upstream.before_answer = keep

    def play() -> None:
        with serving(house(tmp_path, upstream.url), workers=2) as sidecar, doors(sidecar) as (sleeps, wakes):
            told: list[tuple[int, str]] = []

            def ask() -> None:
                reply = sleeps.ask("PATCH", f"{DRAFT}/7", json={"title": "too late"})
                told.append((reply.status, reply.json["type"]))

            asking = threading.Thread(target=ask)
            if asleep == "before-it-reads":
                end(sleeps.pid, signal.SIGSTOP)
            asking.start()
            if asleep == "while-it-looks-up":
                assert looking.wait(PATIENCE)
                end(sleeps.pid, signal.SIGSTOP)
            try:
                assert sidecar.person("PUT", "/kill", "lena", {"scope": "all", "reason": "test"}).status == 200
                loop.call_soon_threadsafe(go.set)
                assert wakes.ask("POST", DRAFT, json={"title": "x"}).status == 403
                assert told == []
            finally:
                end(sleeps.pid, signal.SIGCONT)
            asking.join()
            assert told == [(403, "urn:stagewarden:problem:killed")]

    await asyncio.to_thread(play)
    assert upstream.writes() == []
    assert not [entry for entry in rulings(tmp_path) if entry["kind"] == "outcome" and entry["result"] != "not_sent"]
