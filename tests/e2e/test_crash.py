"""What a crash may not do (lifecycles.md): the real process is killed between approval and answer, again and again, before a counting upstream.

And what an orderly end may not do: lose a request that was taken in, or a send that was begun.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
import pytest

from stagewarden import config as configuration
from stagewarden.app import running
from tests.crash.matrix import check_life
from tests.e2e.processes import PATIENCE, SidecarProcess, command, serving, until
from tests.product import house, rulings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.e2e.articles import Articles
    from tests.upstreams import Received

ROUNDS = 20
HOLDS = 3  # approved in each round


@dataclass
class Drill:
    """Holds that were asked for, votes that were acknowledged, and how each hold ended."""

    sidecar: SidecarProcess
    upstream: Articles
    articles: dict[str, str] = field(default_factory=dict)  # hold → article
    votes: dict[str, str] = field(default_factory=dict)  # hold → the acknowledged vote
    ends: dict[str, str] = field(default_factory=dict)  # hold → state

    def open(self, article: str) -> str:
        """The agent asks to publish; the hold."""
        reply = self.sidecar.ask("POST", f"/newsroom/articles/{article}/publish")
        assert reply.status == 403, reply
        hold = reply.json["hold"]["id"]
        self.articles[hold] = article
        return hold

    def approve(self, hold: str) -> None:
        """The one vote that is needed."""
        reply = self.sidecar.vote(hold, "ines", "reviewer")
        assert reply.status == 200, reply
        (vote,) = reply.json["votes"]
        self.votes[hold] = vote["id"]


class Seen:
    """An upstream's hook: lets each request through, or keeps it waiting, and says when as many as expected have come."""

    def __init__(self, matches: Callable[[Received], bool], count: int, *, keep: bool) -> None:
        self.all = asyncio.Event()
        self._matches = matches
        self._left = count
        self._keep = keep

    async def __call__(self, request: Received) -> None:
        """The upstream's `before_answer`."""
        if not self._matches(request):
            return
        self._left -= 1
        if self._left <= 0:
            self.all.set()
        if self._keep:
            await asyncio.sleep(PATIENCE)


def is_publish(request: Received) -> bool:
    """A send."""
    return request.target.endswith("/publish")


def is_look_up(request: Received) -> bool:
    """A look-up."""
    return request.method == "GET"


async def looking(drill: Drill, _: random.Random) -> Callable[[], Awaitable[object]]:
    """All are claimed, and wait for their look-up's answer."""
    drill.upstream.before_answer = seen = Seen(is_look_up, HOLDS, keep=True)
    return seen.all.wait


async def arrived(drill: Drill, _: random.Random) -> Callable[[], Awaitable[object]]:
    """All have arrived, and none is answered."""
    drill.upstream.before_answer = seen = Seen(is_publish, HOLDS, keep=True)
    return seen.all.wait


async def answering(drill: Drill, _: random.Random) -> Callable[[], Awaitable[object]]:
    """One has arrived and is being answered."""
    drill.upstream.before_answer = seen = Seen(is_publish, 1, keep=False)
    return seen.all.wait


async def soon(_: Drill, chance: random.Random) -> Callable[[], Awaitable[object]]:
    """Any moment from the acknowledgement of the last vote on."""
    pause = chance.uniform(0, 0.12)
    return lambda: asyncio.sleep(pause)


MOMENTS = (looking, arrived, answering, soon, soon)


async def test_no_crash_sends_twice_or_loses_a_vote(upstream, tmp_path):
    """SIGKILL at chosen and at random moments between the last vote and the answer: every approval is sent at most once, and nothing is lost."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    made = house(tmp_path, upstream.url)
    sidecar = SidecarProcess(made)
    drill = Drill(sidecar, upstream)
    try:
        await asyncio.to_thread(sidecar.start)
        for number in range(ROUNDS):
            moment = MOMENTS[number % len(MOMENTS)]
            await crash(drill, [f"{number}-{each}" for each in range(HOLDS)], moment, chance)
            check_round(drill, moment, f"round {number}, seed {seed}")
        sidecar.signal(signal.SIGTERM)
        assert await asyncio.to_thread(sidecar.ended) == 0
    finally:
        sidecar.close()
    assert set(Counter(drill.ends.values())) >= {"done", "unknown"}  # both ends were seen
    check_log(tmp_path, drill)


async def crash(drill: Drill, articles: list[str], moment: Callable[..., Awaitable[Callable[[], Awaitable[object]]]], chance: random.Random) -> None:
    """One round: ask, approve, kill, start again, wait for every end."""
    holds = [await asyncio.to_thread(drill.open, article) for article in articles]
    now = await moment(drill, chance)
    for hold in holds:
        await asyncio.to_thread(drill.approve, hold)
    async with asyncio.timeout(PATIENCE):
        await now()
    await asyncio.to_thread(drill.sidecar.kill)
    drill.upstream.before_answer = lambda _: asyncio.sleep(0)
    await asyncio.to_thread(drill.sidecar.start)
    for hold in holds:
        drill.ends[hold] = (await asyncio.to_thread(drill.sidecar.settled, hold, "ines"))["state"]


def check_round(drill: Drill, moment: object, where: str) -> None:
    """At most once each; `done` was sent, `unknown` may have been; a person can read which."""
    published = drill.upstream.publishes()
    for hold, state in drill.ends.items():
        count = published[drill.articles[hold]]
        assert (state, count) in {("done", 1), ("unknown", 0), ("unknown", 1)}, f"{where}: {hold} is {state}, sent {count} times"
    last = list(drill.ends.items())[-HOLDS:]
    if moment is looking:  # nothing had left: the next process sends all of it
        assert [state for _, state in last] == ["done"] * HOLDS, where
    if moment is arrived:  # everything had left: nobody sends any of it again
        assert [(state, published[drill.articles[hold]]) for hold, state in last] == [("unknown", 1)] * HOLDS, where


def check_log(folder: Path, drill: Drill) -> None:
    """The chain holds; no entry is doubled; database and log say the same of every hold and vote; nothing is left in the outbox."""
    verified = command("audit", "verify", "--directory", folder / "audit")
    assert (verified.returncode, verified.stdout.split()[0]) == (0, "unanchored"), verified
    entries = rulings(folder)
    assert max(Counter(entry["id"] for entry in entries if "id" in entry).values()) == 1
    with closing(sqlite3.connect(folder / "state.db")) as state:
        assert state.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
        stored = dict(state.execute("SELECT id, state FROM holds"))
        voted = dict(state.execute("SELECT hold, id FROM votes WHERE void_at_ns = 0"))
    assert voted == drill.votes
    assert {entry["hold"]: entry["vote"] for entry in entries if entry["kind"] == "vote"} == drill.votes
    assert stored == drill.ends
    for hold, end in stored.items():
        check_life([entry for entry in entries if entry["kind"] == "hold" and entry["hold"] == hold], end)


@dataclass
class Told:
    """What the agent's clients were told of each title, or why they were not."""

    answered: dict[str, int] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


async def write_until_gone(sidecar: SidecarProcess, told: Told, name: str) -> None:
    """One client that drafts article after article on one connection, until nobody listens any more."""
    headers = {"Authorization": f"Bearer {sidecar.house.keys['drafter']}"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
        for number in range(10_000):
            title = f"{name}-{number}"
            try:
                async with session.post(f"http://127.0.0.1:{sidecar.ports['agents']}/newsroom/articles", json={"title": title}) as answer:
                    await answer.read()
                    told.answered[title] = answer.status
            except aiohttp.ClientConnectorError:
                return
            except (aiohttp.ClientError, OSError) as gone:
                told.broken[title] = repr(gone)


async def test_sigterm_under_load_drops_no_request(upstream, tmp_path):
    """Whatever reached the upstream was answered to its client, and whatever was answered 200 arrived once; the process ends with 0."""
    upstream.before_answer = lambda _: asyncio.sleep(random.uniform(0, 0.4))
    with serving(house(tmp_path, upstream.url)) as sidecar:
        told = Told()
        clients = [asyncio.create_task(write_until_gone(sidecar, told, f"client {number}")) for number in range(8)]
        await asyncio.to_thread(until, lambda: len(told.answered) >= 40, "some load")
        sidecar.signal(signal.SIGTERM)
        assert await asyncio.to_thread(sidecar.ended) == 0
        await asyncio.gather(*clients)
    arrived_titles = Counter(json.loads(request.body)["title"] for request in upstream.writes())
    allowed = {title for title, status in told.answered.items() if status == 200}
    assert set(told.answered.values()) <= {200, 503}
    assert arrived_titles == Counter(allowed)
    assert told.broken.keys().isdisjoint(arrived_titles)


async def test_sigterm_finishes_a_send_that_was_begun(upstream, tmp_path):
    """The upstream takes its time over an approved publish: its answer is waited for, and the hold is done, not unknown."""
    upstream.before_answer = seen = Seen(is_publish, 1, keep=False)
    with serving(house(tmp_path, upstream.url)) as sidecar:
        drill = Drill(sidecar, upstream)
        hold = await asyncio.to_thread(drill.open, "1")
        answer = asyncio.Event()

        async def wait_for_it(request: Received) -> None:
            await seen(request)
            if is_publish(request):
                await answer.wait()

        upstream.before_answer = wait_for_it
        await asyncio.to_thread(drill.approve, hold)
        async with asyncio.timeout(PATIENCE):
            await seen.all.wait()
        sidecar.signal(signal.SIGTERM)
        await asyncio.to_thread(until, lambda: not listens(sidecar), "the end of listening")
        # Meanwhile it is alive, and no longer ready.
        ready = await asyncio.to_thread(sidecar.operations, "/readyz")
        assert (ready.status, ready.json["reasons"]) == (503, [{"part": "process", "why": "shutting down"}])
        assert (await asyncio.to_thread(sidecar.operations, "/livez")).status == 200
        answer.set()
        assert await asyncio.to_thread(sidecar.ended) == 0
        await asyncio.to_thread(sidecar.start)
        assert (await asyncio.to_thread(sidecar.settled, hold, "ines"))["state"] == "done"
    assert upstream.publishes() == {"1": 1}


async def test_sigterm_starts_no_send(upstream, tmp_path):
    """What was approved and not yet sent stays approved, and the next process sends it."""
    with serving(house(tmp_path, upstream.url)) as sidecar:
        drill = Drill(sidecar, upstream)
        hold = await asyncio.to_thread(drill.open, "1")
        seen, answer = Seen(is_look_up, 1, keep=False), asyncio.Event()

        async def wait_for_it(request: Received) -> None:
            await seen(request)
            await answer.wait()

        upstream.before_answer = wait_for_it
        await asyncio.to_thread(drill.approve, hold)
        async with asyncio.timeout(PATIENCE):
            await seen.all.wait()
        sidecar.signal(signal.SIGTERM)
        await asyncio.to_thread(until, lambda: not listens(sidecar), "the end of listening")
        answer.set()
        assert await asyncio.to_thread(sidecar.ended) == 0
        assert upstream.publishes() == {}
        await asyncio.to_thread(sidecar.start)
        assert (await asyncio.to_thread(sidecar.settled, hold, "ines"))["state"] == "done"
    assert upstream.publishes() == {"1": 1}


async def test_sigterm_answers_whoever_waits_for_people(upstream, tmp_path):
    """A client that waits for the outcome of its hold is told where it stands instead of being cut off; the hold stays."""
    with serving(house(tmp_path, upstream.url)) as sidecar:
        waiting = asyncio.create_task(asyncio.to_thread(sidecar.ask, "POST", "/newsroom/articles/1/publish", headers={"Prefer": "wait=50"}))
        hold = await asyncio.to_thread(until, lambda: sidecar.person("GET", "/holds?state=open", "ines").json["items"], "the hold")
        sidecar.signal(signal.SIGTERM)
        assert await asyncio.to_thread(sidecar.ended) == 0
        reply = await waiting
        assert (reply.status, reply.json["hold"]["id"], reply.json["hold"]["state"]) == (403, hold[0]["id"], "pending")
        await asyncio.to_thread(sidecar.start)
        assert (await asyncio.to_thread(sidecar.hold, hold[0]["id"], "ines"))["state"] == "pending"


async def test_the_grace_does_not_begin_anew(upstream, tmp_path):
    """An upstream that never answers costs one grace, and its request an unknown outcome; then the end goes on."""
    made = house(tmp_path, upstream.url)
    upstream.before_answer = seen = Seen(lambda request: request.method == "POST", 1, keep=True)
    async with running(configuration.load(made.config)) as sidecar, aiohttp.ClientSession() as session:
        host, port = sidecar.agents_address
        headers = {"Authorization": f"Bearer {made.keys['drafter']}"}
        asked = asyncio.create_task(session.post(f"http://{host}:{port}/newsroom/articles", json={"title": "x"}, headers=headers))
        await seen.all.wait()
        sidecar.grace = 0.1
        await sidecar.drain()
        sidecar.grace = 2 * PATIENCE
        async with asyncio.timeout(PATIENCE):
            await sidecar.drain()
    with pytest.raises(aiohttp.ClientError):
        await asked
    assert [entry["result"] for entry in rulings(tmp_path) if entry["kind"] == "outcome"] == ["unknown"]


def listens(sidecar: SidecarProcess) -> bool:
    """Whether the agents' listener still takes connections in."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", sidecar.ports["agents"])) == 0
