"""`python -m tests.bench.inbox [--holds 10000] [--situations 40] [--rounds 60] [--databases sqlite,postgresql]`: what a long inbox costs.

The product in this process, one reader, one request at a time, the lists in turn; what is timed is the server's own work on each page, from the
request's head to the answer, by its own clock, and what of it was the processor's, which means the same on a busy machine. The ratio is to the
same list of an empty inbox, in the same rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession, CookieJar, web
from msgspec.structs import replace
from sqlalchemy import delete

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.clock import NANOSECONDS, SystemClock, new_id
from stagewarden.config import PasswordPeople, Secret, Secrets
from stagewarden.config import People as PeopleSettings
from stagewarden.gate.repeats import Repeats
from stagewarden.holds import NewHold, Vault
from stagewarden.holds.ballot import Ballot, as_vote
from stagewarden.holds.entries import Cause
from stagewarden.holds.lifecycle import Event
from stagewarden.identity.passwords import hash_password
from stagewarden.identity.people import People
from stagewarden.model import Ask, Reason, Request, Seat, Stage, Tier
from stagewarden.store.tables import outbox
from stagewarden.web.people.ports import Settings
from stagewarden.web.plane import listener
from tests.bench.numbers import percentile
from tests.databases import cluster, prepared
from tests.product import house
from tests.unit.web.people.test_guard import PASSWORD, sign_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.typedefs import Handler

    from stagewarden.app import Sidecar
    from stagewarden.holds.desk import Pen
    from stagewarden.model import Hold

READER = "ines"
VOTED, PROPOSED = 0.2, 0.05  # of the holds with two seats; of all
PEOPLE = 8  # who start requests
TIERS = tuple(Tier)
WARMING = 3  # rounds
AT_ONCE = 200  # holds in a transaction
HOUR_NS = 3600 * NANOSECONDS
SEATS = (
    (Seat(("reviewer",), 1),), (Seat(("reviewer",), 2),), (Seat(("privacy",), 1), Seat(("compliance",), 1)), (Seat(("technical",), 1),),
)  # fmt: skip
CODES = ("customer_data", "large_audience", "legal_or_price", "unreviewed_external", "sampled", "first_time")
LISTS = {
    "mine": "/", "others": "/?tab=others", "all": "/?tab=all", "proposals": "/?tab=proposals", "done": "/?tab=done",
    "tier": "/?tab=all&tier=high", "four filters": "/?tab=all&tier=high&workflow=briefs&channel=intranet&why=customer_data",
    "due in an hour": "/?tab=all&due=hour", "search, an agent": "/?tab=all&q=briefer", "search, nothing": "/?tab=all&q=zzzz",
    "what is new": f"/inbox/new?since={time.time_ns() - 60 * NANOSECONDS}",
}  # fmt: skip


@dataclass
class Console:
    """The console of a sidecar, and what each answer took: seconds, and seconds of the processor."""

    http: ClientSession
    url: str
    took: list[tuple[float, float]] = field(default_factory=list)

    async def get(self, path: str) -> tuple[float, float]:
        """One page."""
        self.took.clear()
        async with self.http.get(self.url + path) as answer:
            text = await answer.text()
            assert answer.status == 200, text[:400]
        return self.took[0]


@asynccontextmanager
async def console(folder: Path, state: str) -> AsyncIterator[tuple[Sidecar, Console]]:
    """A house on that database, with a people's listener that somebody signed in to."""
    made = house(folder, "http://127.0.0.1:9", **{"sqlite:state.db": state})
    (folder / "users.yaml").touch(mode=0o600)
    (folder / "users.yaml").write_text(f'{READER}: "{hash_password(PASSWORD)}"\n')
    clock = SystemClock()
    took: list[tuple[float, float]] = []

    @web.middleware
    async def timed(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter(), time.process_time()
        try:
            return await handler(request)
        finally:
            took.append((time.perf_counter() - began[0], time.process_time() - began[1]))

    async with running(configuration.load(made.config)) as sidecar:
        people = People(
            (PasswordPeople(users=Secret("file:users.yaml")),), Secrets(folder, {}), sidecar.rooms.registry, clock, PeopleSettings(), sandbox=True
        )
        settings = Settings("bench", "sandbox", None, frozenset({"127.0.0.1"}), ("newsroom",), 28800, 28800)
        application = listener(sidecar.acts, people, settings, clock, Repeats(sidecar.rooms.store, Vault(bytes(32)), clock))
        application.middlewares.insert(0, timed)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
            made_console = Console(http, f"http://127.0.0.1:{runner.addresses[0][1]}", took)
            await sign_in(http, made_console, READER)
            yield sidecar, made_console
        await runner.cleanup()


async def fill(sidecar: Sidecar, count: int, situations: int) -> None:
    """That many open holds, a twentieth of them proposals, and a tenth as many that have ended, as opening and voting write them."""
    chosen, rooms = random.Random(7), sidecar.rooms
    known = [_situation(chosen) for _ in range(situations)]
    for start in range(0, count + count // 10, AT_ONCE):
        async with rooms.holds._writing() as pen:
            for number in range(start, min(start + AT_ONCE, count + count // 10)):
                asked = _asked(chosen.choice(known), f"person-{chosen.randrange(PEOPLE)}", number, chosen.random() > PROPOSED)
                fresh = rooms.holds._fresh(asked, pen.now_ns - chosen.randrange(3600) * NANOSECONDS)
                hold = (
                    await pen.add(replace(fresh, expires_at_ns=fresh.asked_at_ns + chosen.randrange(4, 24) * HOUR_NS), Cause(by=asked.agent))
                ).hold
                if number >= count:
                    await pen.move(hold, Event.WITHDRAWN, Cause(by=hold.agent))
                elif hold.asked and sum(seat.count for seat in hold.seats) > 1 and chosen.random() < VOTED:
                    await _vote(pen, hold, chosen.choice(("rita", "ines-two", "lena")))
            await pen.connection.execute(delete(outbox))  # nobody follows: what is measured comes after the log has it


async def _vote(pen: Pen, hold: Hold, person: str) -> None:
    ballot = Ballot(person, hold.seats[0].functions[0], "approve", hold.digest, hold.view_digest)
    await pen.lay_down(hold, as_vote(ballot, new_id("v", pen.now_ns), pen.now_ns))
    await pen.move(hold, Event.VOTED, Cause(person))


def _situation(chosen: random.Random) -> dict[str, Any]:
    """What a policy says of one kind of request of one agent: the same each time."""
    codes = sorted(chosen.sample(CODES, chosen.randint(1, 3)))
    reasons = tuple(Reason(code, "stagewarden.rules.triggers", "Why") for code in codes)
    return {
        "agent": chosen.choice(("drafter", "briefer", "poster", "torn")), "workflow": chosen.choice(("newsletter", "briefs")),
        "kind": chosen.choice(("article.publish", "brief.post", "article.change_live")),
        "verdict": Ask(chosen.choice(TIERS), reasons, chosen.choice(SEATS)),
        "destination": chosen.choice(("newsroom-site", "intranet", "leaky-site")),
    }  # fmt: skip


def _asked(situation: dict[str, Any], person: str, number: int, asked: object) -> NewHold:
    """A request of that kind, started by that person."""
    agent = situation["agent"]
    body = b'{"status": "publish", "title": "Number %d", "content": "%s"}' % (number, b"x" * 2000)
    sent = Request("newsroom", "POST", "http", "newsroom", f"/articles/{number}", (("Content-Type", "application/json"),), body)
    chain = [{"kind": "human", "id": person, "verified": True}, {"kind": "agent", "id": agent, "verified": True}]
    return NewHold(
        ruling=new_id("r", 1), digest=sent.digest(agent, Stage.EXPORT), repeat_digest=sent.repeat_digest(agent), agent=agent,
        workflow=situation["workflow"], initiator="", upstream="newsroom", stage=Stage.EXPORT, kind=situation["kind"], asset=str(number),
        lookup_digest=None, verdict=situation["verdict"], request=sent, asked=bool(asked),
        question={"principal": {"agent": agent, "chain": chain, "trigger": None}, "action": {"destination": situation["destination"]}},
    )  # fmt: skip


@asynccontextmanager
async def pair(database: str) -> AsyncIterator[tuple[Sidecar, Console, Console, str]]:
    """Two houses of one kind: the one to be filled, its console, the other's, and the state of the first."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        first, second = Path(one), Path(other)
        with prepared(database, first) as much, prepared(database, second) as nothing:
            async with console(first / "house", much) as (sidecar, full), console(second / "house", nothing) as (_, empty):
                yield sidecar, full, empty, much


async def measure(database: str, count: int, situations: int, rounds: int) -> None:
    """Empty and full beside each other, in turn."""
    async with pair(database) as (sidecar, full, empty, state):
        await fill(sidecar, count, situations)
        if database == "postgresql":  # its own autovacuum does this in a few minutes; the tests' server has none
            cluster().run(state.rpartition("/")[2], "VACUUM ANALYZE")
        async with sidecar.rooms.holds.glance() as glance:
            lots = len(await glance.tallies(0))
        print(f"{database}: {count} open holds of {lots} lots, {rounds} rounds; ms of the server's own time")
        taken: dict[tuple[str, str], list[tuple[float, float]]] = {(name, which.url): [] for name in LISTS for which in (empty, full)}
        for turn in range(rounds + WARMING):
            for name, path in LISTS.items():
                for which in random.sample((empty, full), 2):
                    took = await which.get(path)
                    if turn >= WARMING:
                        taken[name, which.url].append(took)
        for name in LISTS:
            _tell(name, taken[name, full.url], taken[name, empty.url])


def _tell(name: str, full: list[tuple[float, float]], empty: list[tuple[float, float]]) -> None:
    took, cpu = (sorted(1000 * each[which] for each in full) for which in (0, 1))
    bare = percentile(sorted(1000 * each[1] for each in empty), 0.5)
    p50, p95, work = percentile(took, 0.5), percentile(took, 0.95), percentile(cpu, 0.5)
    print(f"  {name:<18} p50 {p50:6.1f}  p95 {p95:6.1f}  processor {work:6.1f}  ÷ empty {work / bare:5.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--holds", type=int, default=10_000)
    parser.add_argument("--situations", type=int, default=40, help="kinds of requests; as many as holds: no two alike (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--databases", default="sqlite,postgresql")
    options = parser.parse_args()
    for database in options.databases.split(","):
        asyncio.run(measure(database, options.holds, options.situations, options.rounds))


if __name__ == "__main__":
    main()
