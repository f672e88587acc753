"""People's acts on modes and stops through the whole product: in force first, told what is owed, loosened by whom the rules let."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from stagewarden.modes import Modes
from tests.product import product, rulings, until

DRAFT = ("POST", "/newsroom/articles")


@pytest.fixture
async def running(tmp_path):
    """The product with one draft at the newsroom."""
    async with product(tmp_path / "house") as made:
        made.newsroom.articles["1"] = {"id": "1", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
        yield made


async def drafted(running):
    """Status and code of a draft, which policy allows."""
    reply = await running.ask(*DRAFT, json={"title": "x"})
    return "ok" if reply.status == 201 else reply.json["type"].removeprefix("urn:stagewarden:problem:")


async def mode(running, name, by, agent="drafter", reason="because"):
    """Give it one; the answer."""
    return await running.person("PUT", f"/agents/{agent}/mode", by, {"mode": name, "reason": reason})


async def kill(running, scope, by="ines"):
    """Engage; the answer."""
    return await running.person("PUT", "/kill", by, {"scope": scope})


async def lift(running, engaged, by):
    """Lift; the status."""
    return (await running.person("DELETE", "/kill", by, {"id": engaged.json["id"], "reason": "over"})).status


@pytest.mark.parametrize(("scope", "owned"), [("agent:drafter", True), ("workflow:newsletter", True), ("upstream:newsroom", False), ("all", False)])
async def test_a_kill_by_security_is_not_lifted_by_the_owner_of_what_it_names(running, scope, owned):
    """Tomas is technical, and the agents' technical owner; where the scope names no agent of his he lifts it."""
    engaged = await kill(running, scope, "lena")
    assert engaged.json["security"]
    assert await lift(running, engaged, "tomas") == (403 if owned else 200)
    assert len(running.sidecar.rooms.modes.kills()) == owned
    if owned:
        assert await lift(running, engaged, "lena") == 200


async def test_a_kill_without_a_security_cause_is_lifted_by_the_owner(running):
    """One of technical may be the owner."""
    engaged = await kill(running, "agent:drafter")
    assert await lift(running, engaged, "tomas") == 200


async def test_after_a_loosening_the_agent_is_observed_and_a_kill_meanwhile_is_a_cause_of_security(running):
    """The window is shown to people; Ines's kill inside it is not lifted by the owner, as it would have been outside."""
    await mode(running, "paused", "ines")
    shown = (await mode(running, "active", "tomas")).json["mode"]
    assert shown["observed_until"] is not None
    engaged = await kill(running, "agent:drafter")
    assert engaged.json["security"]
    assert await lift(running, engaged, "tomas") == 403
    (entry,) = [entry for entry in rulings(running.house.folder) if entry["kind"] == "kill"]
    assert entry["relapse"]


@pytest.mark.parametrize("between", ["paused", "recommend_only"])
async def test_the_last_tightening_by_security_counts_not_the_last_setter(running, between):
    """The owner confirms, or tightens further, and is refused all the same; security's word, not a file of ours, ends it."""
    await mode(running, "recommend_only", "lena")
    assert (await mode(running, between, "tomas")).status == 200
    refused = await mode(running, "active", "tomas")
    assert (refused.status, running.sidecar.rooms.modes.mode_of("drafter", "active")) == (403, between)
    assert (await mode(running, "active", "lena")).status == 200


@pytest.mark.parametrize("loosen", ["active", "recommend_only"])
async def test_a_program_never_loosens(running, loosen):
    """Whatever its scopes; and nothing changes."""
    await mode(running, "paused", "ines")
    assert (await mode(running, loosen, "program")).status == 403
    assert running.sidecar.rooms.modes.mode_of("drafter", "active") == "paused"


async def test_revoked_stays_revoked(running):
    """Not even security."""
    assert (await mode(running, "revoked", "ines")).status == 200
    assert (await mode(running, "active", "lena")).status == 409
    assert await drafted(running) == "revoked"


async def approved_and_looking(running):
    """A hold that was approved and whose release is at its look-up; what lets it go on."""
    entered, go_on = asyncio.Event(), asyncio.Event()
    hold = (await running.ask("POST", "/newsroom/articles/1/publish")).json["hold"]["id"]
    acquire = running.sidecar.rooms.assets.acquire

    async def waiting(key):
        await acquire(key)
        entered.set()
        await go_on.wait()

    running.sidecar.rooms.assets.acquire = waiting
    assert (await running.vote(hold, "ines", "reviewer")).status == 200
    await asyncio.wait_for(entered.wait(), 60)
    return hold, go_on


@pytest.mark.parametrize("scope", ["all", "agent:drafter", "workflow:newsletter", "upstream:newsroom", "stage:export"])
async def test_lifting_revives_nothing(running, scope):
    """A kill and its end, by another process, both before anybody here looked: what was approved before is stopped, and not sent."""
    hold, go_on = await approved_and_looking(running)
    other = Modes(running.house.folder / "stops.json", running.sidecar.rooms.clock)
    other.open()
    engaged = await other.kill(scope, "terminal", "x")
    await other.unkill(engaged.id, "terminal", "y")
    go_on.set()
    assert await running.ended(hold) == "stopped"
    assert not [each for each in running.newsroom.arrivals if each.path.endswith("/publish")]


async def test_a_pause_that_is_over_revives_nothing(running):
    """The same for a mode."""
    hold, go_on = await approved_and_looking(running)
    other = Modes(running.house.folder / "stops.json", running.sidecar.rooms.clock)
    other.open()
    await other.set_mode("drafter", "paused", "terminal", "x")
    await other.set_mode("drafter", "active", "terminal", "y")
    go_on.set()
    assert await running.ended(hold) == "stopped"


async def test_recommend_only_ends_no_approval(running):
    """It is no stop: what people approved while it was active still goes out, by the policy's word at its release."""
    hold, go_on = await approved_and_looking(running)
    assert (await mode(running, "recommend_only", "ines")).status == 200
    go_on.set()
    assert await running.ended(hold) == "done"


async def test_a_kill_with_the_state_locked_is_in_force_and_tells_what_is_owed(running):
    """Neither log nor database keeps a stop from holding; nothing is lifted before what it stopped is ended."""
    hold, go_on = await approved_and_looking(running)
    with closing(sqlite3.connect(running.house.folder / "state.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        engaged = await kill(running, "agent:drafter")
        assert (engaged.status, len(engaged.json["owed"])) == (200, 1)
        assert await drafted(running) == "killed"
        assert await lift(running, engaged, "lena") == 503
        assert await drafted(running) == "killed"
        other.rollback()
    go_on.set()
    assert await running.ended(hold) == "stopped"
    assert await lift(running, engaged, "lena") == 200
    assert not [each for each in running.newsroom.arrivals if each.path.endswith("/publish")]


async def test_a_kill_with_the_log_gone_is_in_force(running):
    """What it owes the log is made good when the log is back."""
    log = running.sidecar.rooms.log
    down, log._down = log._down, "the disk is gone"
    engaged = await kill(running, "agent:drafter")
    assert (engaged.status, len(engaged.json["owed"])) == (200, 1)
    log._down = down
    assert await drafted(running) == "killed"
    await until(lambda: [entry for entry in rulings(running.house.folder) if entry["kind"] == "kill" and entry["subject"] == engaged.json["id"]])


async def test_a_stop_file_that_cannot_be_written(running):
    """503 that says so, and it holds in this process; nothing is lifted; readiness names it; with room again it is written by itself."""
    path = running.house.folder / "stops.json"
    beside = path.with_name("stops.json.new")
    beside.mkdir()  # the new file cannot be made, whoever asks: a test may run as root
    refused = await kill(running, "agent:drafter")
    assert (refused.status, "holds in this process" in refused.json["detail"]) == (503, True)
    assert (await mode(running, "paused", "ines", "briefer")).status == 503
    assert await drafted(running) == "killed"
    assert (await running.ask("POST", "/intranet/articles", "briefer", json={"title": "x"})).json["type"].endswith(":paused")
    assert "memory only" in (await running.operations("/readyz")).body.decode()
    beside.rmdir()
    await until(lambda: not running.sidecar.rooms.modes.unwritten)
    assert b"agent:drafter" in path.read_bytes()
    assert (await running.operations("/readyz")).status == 200
    (engaged,) = running.sidecar.rooms.modes.kills()
    assert (await running.person("DELETE", "/kill", "lena", {"id": engaged.id, "reason": "over"})).status == 200
    assert await drafted(running) == "ok"
