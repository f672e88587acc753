"""Several sidecars, one people's instance, one PostgreSQL: what is approved is sent once, by one of them, and told wherever it is asked."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.databases import Cluster, cluster, prepared
from tests.e2e.fleet import Fleet, fleet
from tests.e2e.processes import PATIENCE, until
from tests.e2e.test_crash import Seen, is_look_up, is_publish
from tests.needs import needs
from tests.product import rulings
from tests.unit.web.people.test_events import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from tests.upstreams import Received


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    """`state:` of a PostgreSQL."""
    needs("postgresql")
    with prepared("postgresql", tmp_path) as state:
        yield state


async def thread(work: Callable[..., Any], *words: object, **named: object) -> Any:
    """Clients block."""
    return await asyncio.to_thread(work, *words, **named)


def publish(running: Fleet, at: str, article: str, **headers: str) -> Any:
    """The agent asks one of the sidecars."""
    return running[at].ask("POST", f"/newsroom/articles/{article}/publish", headers={name.title(): value for name, value in headers.items()})


def check_logs(running: Fleet, folder: Path, state: str) -> None:
    """Over all logs every entry stands once, what the logs tell of a hold is its whole life, and nothing waits in the outbox."""
    name = state.rpartition("/")[2]
    assert until(lambda: cluster().run(name, "SELECT count(*) FROM outbox")[0][0] == 0, "an empty outbox")
    entries = [entry for each in running.every() for entry in rulings(each.house.folder)]
    assert max(Counter(entry["id"] for entry in entries if "id" in entry).values()) == 1
    ends = {row[0]: row[1] for row in cluster().run(name, "SELECT id, state FROM holds")}
    for hold, end in ends.items():
        moves = [entry for entry in entries if entry["kind"] == "hold" and entry["hold"] == hold]
        steps = Counter((move["from"], move["state"]) for move in moves)
        # One log knows no order of another's entries: they are one path from nothing to the end all the same.
        assert steps[(None, "pending")] == 1
        assert sum(count for (_, to), count in steps.items() if to == end) - sum(count for (was, _), count in steps.items() if was == end) == 1


async def test_held_at_one_voted_at_another_sent_once_told_everywhere(upstream, database, tmp_path):
    """A's client waits and is told at once; whoever sends, it is sent once; the repeat at B gets the stored answer."""
    with fleet(tmp_path, upstream.url, database) as running:
        waiting = asyncio.create_task(thread(publish, running, "a", "1", prefer="wait=50"))
        shown = await thread(until, lambda: running.people.person("GET", "/holds?state=open", "ines").json["items"], "the hold")
        hold = shown[0]["id"]
        elsewhere = asyncio.create_task(thread(publish, running, "c", "1", prefer="wait=50"))
        assert (await thread(running.vote, hold)).status == 200
        first, second = await asyncio.gather(waiting, elsewhere)
        assert (first.status, second.status) == (200, 200)
        assert first.body == second.body
        again = await thread(publish, running, "b", "1")
        assert (again.status, again.body, again.headers["Stagewarden-Review"]) == (200, first.body, "human")
        assert upstream.publishes() == {"1": 1}
        senders = [name for name, each in running.sidecars.items() if each.entries("release")]
        assert len(senders) == 1
        assert running.people.entries("release") == []
        check_logs(running, tmp_path, database)


async def test_people_see_who_is_there(upstream, database, tmp_path):
    """`/readyz` names every replica and whether it judges by the same; so does a metric."""
    with fleet(tmp_path, upstream.url, database, ("a", "b")) as running:
        details = await thread(
            until, lambda: found if len((found := running["a"].operations("/readyz").json["details"]).get("replicas", {})) == 2 else None, "all"
        )
        assert details["replicas"].keys() == {"b", "people"}
        assert all(each["agrees"] for each in details["replicas"].values())
        registry = running["b"].house.folder / "registry.yaml"
        registry.write_text(registry.read_text().replace("Rita Lund", "Rita Lundqvist"))
        running["b"].signal(signal.SIGHUP)
        wanted = 'stagewarden_replicas{state="differing"} 1.0'
        await thread(until, lambda: wanted in running["a"].operations("/metrics").body.decode(), "the difference")
        assert running["a"].operations("/readyz").json["details"]["replicas"]["b"]["agrees"] is False


async def test_workers_of_one_sidecar_hear_of_others(upstream, database, tmp_path):
    """Whichever worker a client waits at, a vote at the people's instance wakes it, and the house sends once."""
    with fleet(tmp_path, upstream.url, database, ("a",), workers=2) as running:
        waiting = [asyncio.create_task(thread(publish, running, "a", "1", prefer="wait=50")) for _ in range(3)]
        shown = await thread(until, lambda: running.people.person("GET", "/holds?state=open", "ines").json["items"], "the hold")
        assert (await thread(running.vote, shown[0]["id"])).status == 200
        replies = await asyncio.gather(*waiting)
        assert {reply.status for reply in replies} == {200}
        assert upstream.publishes() == {"1": 1}
        check_logs(running, tmp_path, database)


async def test_kill_9_of_whoever_claimed_it(upstream, database, tmp_path):
    """Nothing had left: another one sends it once the lease is over. Bytes had left: unknown, and nobody sends it again."""
    with fleet(tmp_path, upstream.url, database) as running:
        looking, arrived = Seen(lambda request: is_look_up(request) and "/1" in request.target, 2, keep=True), Seen(is_publish, 1, keep=True)

        async def keep(request: Received) -> None:
            await looking(request)
            await arrived(request)

        holds = [(await thread(publish, running, "a", article)).json["hold"]["id"] for article in ("1", "2")]
        upstream.before_answer = keep
        looking._left = 1
        for hold in holds:
            assert (await thread(running.vote, hold)).status == 200
        async with asyncio.timeout(PATIENCE):
            await looking.all.wait()
            await arrived.all.wait()
        for name in {await thread(running.claimer, hold) for hold in holds}:
            await thread(running[name].kill)
        upstream.before_answer = lambda _: asyncio.sleep(0)
        assert [await thread(running.settled, hold) for hold in holds] == ["done", "unknown"]
        assert upstream.publishes() == {"1": 1, "2": 1}


async def test_the_database_is_stopped_under_load_and_comes_back(upstream, tmp_path):
    """Meanwhile 503 and nothing that needs state reaches the upstream; afterwards everything goes on, sent once, at every replica."""
    needs("postgresql")
    own = Cluster(auth="trust")
    try:
        state = own.state(own.database())
        with fleet(tmp_path, upstream.url, state, ("a", "b")) as running:
            held = (await thread(publish, running, "a", "1")).json["hold"]["id"]
            stop = asyncio.Event()
            statuses: Counter[int] = Counter()

            async def load(name: str) -> None:
                number = 0
                while not stop.is_set():
                    number += 1
                    statuses[(await thread(publish, running, name, f"load-{name}-{number}")).status] += 1

            clients = [asyncio.create_task(load(name)) for name in ("a", "b")]
            await thread(until, lambda: statuses[403] >= 10, "some load")
            await thread(own.stop)
            before = statuses[503]
            await thread(until, lambda: statuses[503] >= before + 6, "refusals")
            assert upstream.publishes() == {}
            assert (await thread(running["a"].operations, "/readyz")).status == 503
            assert (await thread(running["a"].ask, "GET", "/newsroom/articles")).status == 200  # reads go on: nothing of them needs state
            await thread(own.start)
            after = statuses[403]
            await thread(until, lambda: statuses[403] >= after + 6, "holds again")
            stop.set()
            await asyncio.gather(*clients)
            assert set(statuses) == {403, 503}
            await thread(until, lambda: all(each.operations("/readyz").status == 200 for each in running.every()), "ready again")
            assert (await thread(running.vote, held)).status == 200
            assert await thread(running.settled, held) == "done"
            assert upstream.publishes() == {"1": 1}
    finally:
        own.close()


async def test_what_a_sidecar_holds_is_told_at_the_peoples_instance(upstream, database, tmp_path):
    """`GET events` there: a hold that one sidecar opened and another sent, and a stop, without asking for any of it."""
    with fleet(tmp_path, upstream.url, database, ("a", "b")) as running:
        people = running.people
        async with listening(f"http://127.0.0.1:{people.ports['people']}", people.house.tokens["program"]) as stream:
            assert (await stream.event())[0] in {"ready", "reset"}
            await thread(publish, running, "a", "1")
            told = [await stream.event()]
            hold = (await thread(people.person, "GET", "/holds?state=open", "ines")).json["items"][0]["id"]
            assert (await thread(running.vote, hold)).status == 200
            while told[-1][1].get("state") != "done":
                told.append(await stream.event())
            states = [data["state"] for name, data, _ in told if name == "hold" and data["hold"] == hold]
            assert (states[0], states[-1]) == ("pending", "done")
            await thread(people.person, "PUT", "/kill", "lena", {"scope": "workflow:briefs"})
            while told[-1][0] != "kill":
                told.append(await stream.event())
            assert told[-1][1]["scope"] == "workflow:briefs"
