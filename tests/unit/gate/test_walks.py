"""The gate's walks when something goes wrong: what must not be sent is not sent, and what is unknown is called unknown.

The whole product with real sockets; the upstream is the example newsroom, which counts what arrives.
"""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

from stagewarden.modes import LOOK_AGAIN, Modes
from tests.product import product, rulings, until
from tests.unit.gate.test_stopping import approved_and_looking

WRITE = ("POST", "/newsroom/articles")


@pytest.fixture
async def running(tmp_path):
    """The product with the Wasm engine and one draft at the newsroom."""
    async with product(tmp_path / "house") as made:
        made.newsroom.articles["1"] = {"id": "1", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
        yield made


def _entries(running, kind):
    """The log's entries of a kind, in order."""
    return [entry for entry in rulings(running.house.folder) if entry["kind"] == kind]


async def asked(running):
    """A publish that is held; its hold."""
    return (await running.ask("POST", "/newsroom/articles/1/publish")).json["hold"]["id"]


async def test_no_audit_no_action(running):
    """While the log cannot be written nothing reaches the upstream, and it is said so."""
    log = running.sidecar.rooms.log
    down, log._down = log._down, "the disk is gone"
    reply = await running.ask(*WRITE, json={"title": "x"})
    assert (reply.status, reply.json["type"], reply.headers["Retry-After"]) == (503, "urn:stagewarden:problem:audit_unavailable", "1")
    assert (await running.operations("/readyz")).status == 503
    log._down = down
    assert (await running.ask(*WRITE, json={"title": "x"})).status == 201
    assert len(running.newsroom.arrivals) == 1


async def test_with_state_locked_nothing_is_held_and_drafting_goes_on(running):
    """State gone: what needs people is refused, generate goes on while the audit works."""
    with closing(sqlite3.connect(running.house.folder / "state.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        held, drafted = await asyncio.gather(running.ask("POST", "/newsroom/articles/1/publish"), running.ask(*WRITE, json={"title": "x"}))
    assert (held.status, held.json["type"], drafted.status) == (503, "urn:stagewarden:problem:cannot_tell", 201)
    assert [arrival.path for arrival in running.newsroom.arrivals] == ["/articles"]
    assert (await running.ask("POST", "/newsroom/articles/1/publish")).json["type"].endswith(":held")


async def test_an_unreadable_stop_file_stops_everything(running):
    """What cannot be read might say stop."""
    path = running.house.folder / "stops.json"
    text = path.read_text()
    path.write_text("{")
    await asyncio.sleep(LOOK_AGAIN)
    assert (await running.ask(*WRITE, json={"title": "x"})).status == 503
    path.write_text(text)
    await asyncio.sleep(LOOK_AGAIN)
    assert (await running.ask(*WRITE, json={"title": "x"})).status == 201


async def test_a_kill_by_another_process_is_felt_by_the_next_request_and_recorded(running):
    """`kill --config` writes the file only: the running sidecar obeys at once and records it."""
    other = Modes(running.house.folder / "stops.json", running.sidecar.rooms.clock)
    other.open()
    kill = await other.kill("agent:drafter", by="terminal", reason="smoke")
    assert (await running.ask(*WRITE, json={"title": "x"})).json["type"].endswith(":killed")
    await until(lambda: any(entry["subject"] == kill.id for entry in _entries(running, "kill")))
    assert not running.newsroom.arrivals


async def test_a_kill_between_approve_and_send_is_not_sent(running):
    """What was approved before a kill does not fire after it, wherever the release stands."""
    hold, go_on = await approved_and_looking(running)
    assert (await running.person("PUT", "/kill", "tomas", {"scope": "upstream:newsroom", "reason": "now"})).status == 200
    go_on.set()
    assert await running.ended(hold) == "stopped"
    assert not running.newsroom.arrivals
    assert running.newsroom.articles["1"]["status"] == "draft"


async def test_identical_requests_at_once_open_one_hold(running):
    """Thirty at once find one hold."""
    replies = await asyncio.gather(*(running.ask("POST", "/newsroom/articles/1/publish") for _ in range(30)))
    assert len({reply.json["hold"]["id"] for reply in replies}) == 1
    assert {reply.status for reply in replies} == {403}


async def test_cve_2026_45720_parallel_votes_and_releases_send_once(running):
    """Many votes at once, by people who may and people who may not: one send."""
    hold = await asked(running)
    await asyncio.gather(*(running.vote(hold, person, "reviewer") for person in ("ines", "rita", "tomas", "ines", "ines-two") * 4))
    assert await running.ended(hold) == "done"
    assert [arrival.path for arrival in running.newsroom.arrivals] == ["/articles/1/publish"]


async def test_prefer_wait_gets_the_outcome(running):
    """A waiting agent gets the upstream's answer of its own request as soon as people have decided."""
    waiting = asyncio.create_task(running.ask("POST", "/newsroom/articles/1/publish", headers={"Prefer": "wait=30"}))
    opened = await until(lambda: [entry["hold"] for entry in _entries(running, "hold")])
    await running.vote(opened[0], "ines", "reviewer")
    reply = await waiting
    assert (reply.status, reply.headers["Stagewarden-Hold"], reply.json["status"]) == (200, opened[0], "published")


async def test_an_upstream_that_hangs_up_mid_answer_is_unknown_and_never_sent_again(running, monkeypatch):
    """Bytes left and no answer came: unknown, told as 502, no second hold and no second send."""
    hold = await asked(running)
    monkeypatch.setattr(type(running.newsroom), "_article", _cut_publish)
    await running.vote(hold, "ines", "reviewer")
    assert await running.ended(hold) == "unknown"
    reply = await running.ask("POST", "/newsroom/articles/1/publish")
    assert (reply.status, reply.json["type"]) == (502, "urn:stagewarden:problem:outcome_unknown")
    assert [arrival.path for arrival in running.newsroom.arrivals] == ["/articles/1/publish"]


def _cut_publish(newsroom, request):
    """The article, but a publish is cut off before any answer."""
    if request.path.endswith("/publish"):
        request.transport.abort()
    return newsroom.articles[request.match_info["id"]]


async def test_ruling_and_outcome_name_the_same_digest(running):
    """What was sent is what was judged: the log says so for a direct send and for a released one."""
    await running.ask(*WRITE, json={"title": "x"})
    hold = await asked(running)
    await running.vote(hold, "ines", "reviewer")
    assert await running.ended(hold) == "done"
    outcomes = await until(lambda: len(found := _entries(running, "outcome")) == 2 and found)
    proposed = {entry["ruling"]: entry["proposed"]["digest"] for entry in _entries(running, "ruling")}
    for outcome in outcomes:
        assert (outcome["sent"], outcome["as_approved"]) == (proposed[outcome["ruling"]], True)


async def test_refusals_of_nobody_are_summed_up(running):
    """Before identity nothing is recorded one by one: one summary per second, code and peer."""
    for _ in range(5):
        await running.ask(*WRITE, "sw_nobody", json={})
    found = await until(lambda: _entries(running, "refusals"))
    rows = [row for entry in found for row in entry["refusals"]]
    assert {(row["code"], row["peer"]) for row in rows} == {("unauthenticated", "127.0.0.1")}
    assert not _entries(running, "ruling")


async def test_the_agents_credential_and_our_own_headers_never_go_upstream(running):
    """CVE-2020-10518 family: what identifies the agent to us stays here, and nobody speaks in our name."""
    await running.ask(
        *WRITE, json={"title": "x"}, headers={"Cookie": "a=b", "X-Forwarded-For": "1.1.1.1", "Stagewarden-Review": "human", "Prefer": "wait=0"}
    )
    assert running.newsroom.arrivals[0].role == "drafter"
    assert running.newsroom.arrivals[0].ruling.startswith("r_")


async def test_too_many_at_once_are_told_so(running):
    """Over the limit of requests under way an agent gets 429 with Retry-After; counted by its name, not recorded one by one."""
    for _ in range(64):
        running.sidecar.judge._admission.enter("drafter")
    reply = await running.ask(*WRITE, json={"title": "x"})
    assert (reply.status, reply.json["type"]) == (429, "urn:stagewarden:problem:overloaded")
    assert (reply.headers["Retry-After"], running.newsroom.arrivals) == ("1", [])
    rows = [row for entry in await until(lambda: _entries(running, "refusals")) for row in entry["refusals"]]
    assert rows == [{"code": "overloaded", "peer": "127.0.0.1", "agent": "drafter", "count": 1}]
    assert not _entries(running, "ruling")
    for _ in range(64):
        running.sidecar.judge._admission.leave("drafter")


async def test_draining_starts_nothing(running):
    """Shutting down: requests are told so, and an approved hold is not sent."""
    hold = await asked(running)
    running.sidecar.releases.drain()
    await asyncio.sleep(0)
    await running.vote(hold, "ines", "reviewer")
    running.sidecar.listener.door.drain()
    reply = await running.ask(*WRITE, json={"title": "x"})
    assert (reply.status, json.loads(reply.body)["type"]) == (503, "urn:stagewarden:problem:draining")
    assert not running.newsroom.arrivals


async def test_a_mistake_of_ours_is_a_recorded_no(running):
    """Every exception path ends in a deny (CVE-2026-27780): what breaks inside is 503, recorded, and nothing is sent."""

    def broken(*_):
        raise RuntimeError("a bug")

    running.sidecar.rooms.routes.find = broken
    reply = await running.ask(*WRITE, json={"title": "x"})
    assert (reply.status, reply.json["type"]) == (503, "urn:stagewarden:problem:cannot_tell")
    assert [entry["effect"] for entry in _entries(running, "ruling")] == ["deny"]
    assert not running.newsroom.arrivals
