"""`serve --workers N`: several processes, and nothing an agent, a person or an auditor could tell from one."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e.crew import doors, metric, workers
from tests.e2e.houses import NOWHERE, edit
from tests.e2e.processes import PATIENCE, SidecarProcess, command, serving, until
from tests.product import house, rulings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.crew import Door
    from tests.upstreams import Received

DRAFT = "/newsroom/articles"


def verified(folder: Path) -> bool:
    """The chain holds, and no entry of an id stands twice."""
    ids = Counter(entry["id"] for entry in rulings(folder) if "id" in entry)
    return command("audit", "verify", "--directory", folder / "audit").returncode == 0 and max(ids.values(), default=1) == 1


def of_kind(folder: Path, kind: str) -> list[dict[str, object]]:
    """The log's entries of one kind."""
    return [entry for entry in rulings(folder) if entry["kind"] == kind]


# -- one log, one scrape --


@pytest.mark.parametrize("count", [2, 3])
async def test_every_worker_answers_and_one_log_and_one_scrape_know_it(upstream, tmp_path, count):
    """Each worker judges, sends and records; the log verifies; ruling and outcome of each request are there; the scrape equals what was asked."""

    def play() -> None:
        with serving(house(tmp_path, upstream.url), workers=count) as sidecar:
            assert len(workers(sidecar)) == count
            with doors(sidecar) as each:
                told = [door.ask("POST", DRAFT, json={"title": f"{turn} {door.pid}"}).status for turn in range(5) for door in each]
                told += [door.ask("DELETE", f"{DRAFT}/1").status for door in each]
            assert told == [200] * 5 * count + [403] * count
            assert metric(sidecar, "stagewarden_decisions_total", effect="allow") == 5 * count
            assert metric(sidecar, "stagewarden_decisions_total") == 6 * count
            assert metric(sidecar, "stagewarden_request_duration_seconds_count") == 6 * count
            assert metric(sidecar, "stagewarden_workers", state="ready") == count
            assert metric(sidecar, "stagewarden_build_info") == 1
            sidecar.signal(signal.SIGTERM)
            assert sidecar.ended() == 0

    await asyncio.to_thread(play)
    entries = Counter(entry["kind"] for entry in rulings(tmp_path))
    assert (entries["ruling"], entries["outcome"], entries["start"]) == (6 * count, 5 * count, 1)
    assert verified(tmp_path)
    assert len(upstream.writes()) == 5 * count


async def test_refusals_of_strangers_are_summed_up_once(upstream, tmp_path):
    """What both workers refused before identity stands in the house's summaries, each once."""

    def play() -> None:
        with serving(house(tmp_path, upstream.url), workers=2) as sidecar:
            with doors(sidecar) as each:
                for door in each:
                    door.key = "sw_drafter_" + "x" * 43
                    assert [door.ask("POST", DRAFT, json={}).status for _ in range(3)] == [401] * 3
            sidecar.signal(signal.SIGTERM)
            assert sidecar.ended() == 0

    await asyncio.to_thread(play)
    rows = [row for entry in of_kind(tmp_path, "refusals") for row in entry["refusals"]]  # type: ignore[attr-defined]
    assert sum(row["count"] for row in rows) == 6


# -- what people say reaches every worker --


async def test_a_vote_wakes_whoever_waits_in_any_worker(upstream, tmp_path):
    """An agent waits in each worker for its own hold; the votes land in the house; each is told the outcome long before its patience ends."""

    def play() -> None:
        with serving(house(tmp_path, upstream.url), workers=2) as sidecar, doors(sidecar) as each:
            answers: dict[int, int] = {}

            def wait(number: int) -> None:
                answers[number] = each[number].ask("POST", f"{DRAFT}/{number}/publish", headers={"Prefer": "wait=50"}).status

            threads = [threading.Thread(target=wait, args=(number,)) for number in range(2)]
            for thread in threads:
                thread.start()
            holds = until(lambda: found if len(found := sidecar.person("GET", "/holds?state=open", "ines").json["items"]) == 2 else None, "two holds")
            for hold in holds:
                assert sidecar.vote(hold["id"], "ines", "reviewer").status == 200
            for thread in threads:
                thread.join(40)  # below the 50 s after which each would have been told anyway
            assert answers == {0: 200, 1: 200}

    await asyncio.to_thread(play)
    assert upstream.publishes() == {"0": 1, "1": 1}


async def test_a_hold_withdrawn_in_one_worker_ends_the_wait_in_another(upstream, tmp_path):
    """The agent waits in one worker and withdraws through the other."""

    def play() -> None:
        with serving(house(tmp_path, upstream.url), workers=2) as sidecar, doors(sidecar) as (one, other):
            states: list[str] = []

            def wait() -> None:
                states.append(one.ask("POST", f"{DRAFT}/1/publish", headers={"Prefer": "wait=50"}).json["hold"]["state"])

            thread = threading.Thread(target=wait)
            thread.start()
            (hold,) = until(lambda: sidecar.person("GET", "/holds?state=open", "ines").json["items"], "the hold")
            assert other.ask("POST", f"/.stagewarden/holds/{hold['id']}/withdraw").json["state"] == "withdrawn"
            thread.join(40)
            assert states == ["withdrawn"]

    await asyncio.to_thread(play)
    assert verified(tmp_path)


async def test_the_house_ends_in_time_what_a_worker_opened(upstream, tmp_path):
    """A hold opened by a worker expires at its decide-by: the house's clockwork was told of it, and does not sleep over it."""
    made = house(tmp_path, upstream.url)
    edit("stagewarden.yaml", "decide_within: 1h", "decide_within: 2s")(made)

    def play() -> None:
        with serving(made, workers=2) as sidecar, doors(sidecar) as each:
            for number, door in enumerate(each):
                hold = door.ask("POST", f"{DRAFT}/{number}/publish").json["hold"]["id"]
                began = time.monotonic()
                assert until(lambda: state if (state := sidecar.hold(hold, "ines")["state"]) != "pending" else None, "its end") == "expired"  # noqa: B023
                assert time.monotonic() - began < 25  # the release loop's longest sleep is 30 s

    await asyncio.to_thread(play)
    assert upstream.publishes() == {}


async def test_an_edit_in_one_worker_ends_a_hold_opened_in_another(upstream, tmp_path):
    """What people were asked about has changed: superseded, and a vote that comes too late is refused."""

    def play() -> None:
        with serving(house(tmp_path, upstream.url), workers=2) as sidecar, doors(sidecar) as (one, other):
            hold = one.ask("POST", f"{DRAFT}/7/publish").json["hold"]["id"]
            assert other.ask("PATCH", f"{DRAFT}/7", json={"title": "another"}).status == 200
            assert sidecar.hold(hold, "ines")["state"] == "superseded"
            assert sidecar.vote(hold, "ines", "reviewer").status == 409

    await asyncio.to_thread(play)
    assert upstream.publishes() == {}
    assert verified(tmp_path)


@contextmanager
def killed(sidecar: SidecarProcess, way: str) -> Iterator[None]:
    """Everything is stopped while the block runs."""
    if way == "api":
        kill = sidecar.person("PUT", "/kill", "lena", {"scope": "all", "reason": "test"})
        assert kill.status == 200, kill
        yield
        assert sidecar.person("DELETE", "/kill", "lena", {"id": kill.json["id"], "reason": "over"}).status in {200, 204}
    else:
        made = command("kill", "all", "--config", sidecar.house.config, "--json")
        assert made.returncode == 0, made
        yield
        assert command("unkill", json.loads(made.stdout)[0]["id"], "--reason", "over", "--config", sidecar.house.config).returncode == 0


@pytest.mark.parametrize("way", ["api", "terminal"])
async def test_g10_no_worker_lets_anything_through_once_the_kill_has_returned(upstream, tmp_path, way):
    """Clients of all workers never pause; of the requests begun after the kill returned none is allowed and none arrives; lifted, all go on."""

    def play() -> None:
        with serving(house(tmp_path, upstream.url), workers=3) as sidecar, doors(sidecar) as each:
            stop, began_after = threading.Event(), threading.Event()
            told: list[tuple[bool, int]] = []

            def run(number: int) -> None:
                turn = 0
                while not stop.is_set():
                    turn += 1
                    after = began_after.is_set()
                    name = "after" if after else "before"
                    told.append((after, each[number].ask("POST", DRAFT, json={"title": f"{name} {number} {turn}"}).status))

            threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
            for thread in threads:
                thread.start()
            until(lambda: len(told) > 60, "some load")
            with killed(sidecar, way):
                began_after.set()
                until(lambda: sum(after for after, _ in told) > 60, "requests after the kill")
                stop.set()
                for thread in threads:
                    thread.join()
                assert {status for after, status in told if after} == {403}
                assert {status for after, status in told if not after} <= {200, 403}
            assert [door.ask("POST", DRAFT, json={"title": "lifted"}).status for door in each] == [200] * 3

    await asyncio.to_thread(play)
    assert not [request for request in upstream.writes() if b'"after' in request.body]


# -- what must hold over all of them --


class Overlaps:
    """The upstream's hook: how many requests about one article were under way at once, at most."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def __call__(self, request: Received) -> None:
        """Count, and give others the time to come in between."""
        article = request.target.split("/")[2]
        self.now[article] += 1
        self.most[article] = max(self.most[article], self.now[article])
        await asyncio.sleep(0.01)
        self.now[article] -= 1


async def test_one_asset_is_changed_by_one_request_at_a_time(upstream, tmp_path):
    """From look-up to answer there is one request per asset, whichever workers they came to and the release loop included."""
    upstream.before_answer = overlaps = Overlaps()

    def play() -> None:
        with serving(house(tmp_path, upstream.url), workers=2) as sidecar, doors(sidecar) as each:
            hold = each[0].ask("POST", f"{DRAFT}/7/publish").json["hold"]["id"]
            told: list[int] = []

            def run(number: int) -> None:
                told.extend(each[number].ask("POST", f"{DRAFT}/7/publish").status for _ in range(10))

            threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
            for thread in threads:
                thread.start()
            sidecar.vote(hold, "ines", "reviewer")
            for thread in threads:
                thread.join()
            sidecar.settled(hold, "ines")
            assert (len(told), set(told) <= {200, 403}) == (20, True)  # 200: the stored answer, once it was sent

    await asyncio.to_thread(play)
    looks = [request for request in upstream.requests if request.target == "/articles/7"]
    assert len(looks) >= 21
    assert overlaps.most["7"] == 1


async def test_edits_of_one_asset_through_two_workers_are_serialized(upstream, tmp_path):
    """Look-up and PATCH of one worker never mix with those of the other."""
    upstream.before_answer = overlaps = Overlaps()

    def play() -> None:
        with serving(house(tmp_path, upstream.url), workers=2) as sidecar, doors(sidecar) as each:
            told: list[int] = []

            def run(number: int) -> None:
                told.extend(each[number].ask("PATCH", f"{DRAFT}/7", json={"title": f"{number} {turn}"}).status for turn in range(10))

            threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert told == [200] * 20

    await asyncio.to_thread(play)
    assert overlaps.most["7"] == 1
    methods = [request.method for request in upstream.requests]
    assert methods == ["GET", "PATCH"] * 20
    assert len({request.body for request in upstream.writes()}) == 20


async def test_an_agents_limit_is_one_over_all_workers(upstream, tmp_path):
    """`inflight_per_agent: 4`: of many requests at once to both workers four are let in, all others are told 429, and all places come back."""
    made = house(tmp_path, upstream.url)
    edit("stagewarden.yaml", "limits: {", "limits: {inflight_per_agent: 4, ")(made)
    go, arrived = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def keep(request: Received) -> None:
        if request.method == "POST":
            if len(upstream.writes()) >= 4:
                arrived.set()
            await go.wait()

    upstream.before_answer = keep

    def play() -> None:
        with serving(made, workers=2) as sidecar, doors(sidecar) as one, doors(sidecar) as two, doors(sidecar) as three:
            every = [*one, *two, *three]
            told: list[int] = []

            def ask(door: Door) -> None:
                told.append(door.ask("POST", DRAFT, json={"title": "x"}).status)

            threads = [threading.Thread(target=ask, args=(door,)) for door in every[:4]]
            for thread in threads:
                thread.start()
            asyncio.run_coroutine_threadsafe(asyncio.wait_for(arrived.wait(), PATIENCE), loop).result()
            assert metric(sidecar, "stagewarden_inflight_requests") == 4
            assert [door.ask("POST", DRAFT, json={"title": "y"}).status for door in every[4:]] == [429, 429]
            loop.call_soon_threadsafe(go.set)
            for thread in threads:
                thread.join()
            assert told == [200] * 4
            assert [door.ask("POST", DRAFT, json={"title": "z"}).status for door in every] == [200] * 6
            assert metric(sidecar, "stagewarden_inflight_requests") == 0

    await asyncio.to_thread(play)


# -- the port, and the command line --


@pytest.mark.parametrize("stranger", ["alone", "sharing"])
def test_a_port_somebody_listens_on_is_an_error(tmp_path, stranger):
    """Also one that would share: a process left over must not get a part of the requests unseen. Exit 1, naming the address."""
    sidecar = SidecarProcess(house(tmp_path, NOWHERE))
    with socket.socket() as taken:
        if stranger == "sharing":
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", sidecar.ports["agents"]))
        taken.listen()
        done = command("serve", "--config", sidecar.house.config, "--workers", "2")
        assert (done.returncode, str(sidecar.ports["agents"]) in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_workers_without_agents_to_serve_are_refused(tmp_path):
    """A sidecar without the agents' listener has nothing for workers to do: exit 1, naming it; nothing is written."""
    made = house(tmp_path, NOWHERE)
    edit("stagewarden.yaml", '  agents: {bind: "127.0.0.1:0", hosts: [127.0.0.1, localhost]}\n', "")(made)
    before = sorted(tmp_path.rglob("*"))
    done = command("serve", "--config", made.config, "--workers", "2")
    assert (done.returncode, "listen.agents" in done.stderr, "Traceback" in done.stderr) == (1, True, False)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("count", ["0", "-1", "two", "1.5", "65"])
def test_a_number_of_workers_that_is_none_is_a_usage_error(tmp_path, count):
    """Exit 2, naming the option; nothing is started or written."""
    made = house(tmp_path, NOWHERE)
    before = sorted(tmp_path.rglob("*"))
    done = command("serve", "--config", made.config, "--workers", count)
    assert (done.returncode, "--workers" in done.stderr) == (2, True)
    assert sorted(tmp_path.rglob("*")) == before
