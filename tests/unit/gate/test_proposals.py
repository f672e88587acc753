"""Proposals of an agent that only recommends: stored whole, asked of nobody until somebody takes one up, and nothing written meanwhile."""

import pytest

from tests.product import product, rulings

WRITE = ("POST", "/newsroom/articles")


@pytest.fixture
async def running(tmp_path):
    """The product, the drafter recommending only."""
    async with product(tmp_path / "house") as made:
        reply = await made.person("PUT", "/agents/drafter/mode", "tomas", {"mode": "recommend_only", "reason": "observed"})
        assert reply.status == 200, reply.body
        yield made


async def proposal(running, title="x"):
    """A write, which is stored."""
    reply = await running.ask(*WRITE, json={"title": title})
    assert (reply.status, reply.json["type"].rpartition(":")[2], reply.json["hold"]["asked"]) == (403, "held", False), reply.body
    return reply.json["hold"]["id"]


async def listed(running, query):
    """Ids of a list."""
    return [hold["id"] for hold in (await running.person("GET", f"/holds?{query}", "ines")).json["items"]]


async def gauge(running, name):
    """One sample's value."""
    text = (await running.operations("/metrics")).body.decode()
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)), 0.0)


async def test_every_write_is_a_proposal_and_nothing_is_written(running):
    """Writes are stored, each once; reading goes on; what would have been denied is denied; upstream sees no write."""
    running.newsroom.articles["1"] = {"id": "1", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
    first = await proposal(running)
    assert await proposal(running) == first
    publish = await running.ask("POST", "/newsroom/articles/1/publish")
    assert (publish.json["type"].rpartition(":")[2], publish.json["hold"]["asked"]) == ("held", False)
    denied = await running.ask("DELETE", "/newsroom/articles/1")
    assert (denied.json["type"].rpartition(":")[2], denied.json["reasons"][0]["code"]) == ("denied", "prohibited")
    assert (await running.ask("GET", "/newsroom/articles")).status == 200
    assert not running.newsroom.arrivals


async def test_nobody_is_asked(running):
    """A list and a gauge of its own; not among what people are asked, and not counted as waiting for them; no vote approves it."""
    hold = await proposal(running)
    assert (await listed(running, "asked=false"), await listed(running, "asked=true")) == ([hold], [])
    assert (await gauge(running, "stagewarden_proposals_open"), await gauge(running, "stagewarden_approvals_pending")) == (1, 0)
    before = (await running.person("GET", f"/holds/{hold}", "ines")).json
    assert (before["asked"], before["you"]["why_not_edit"]) == (False, "the hold is a proposal: take it up first")
    for changed in ({}, {"edit": {"body": '{"title": "y"}'}}):
        refused = await running.vote(hold, "ines", "reviewer", **changed)
        assert (refused.status, "take it up" in refused.json["detail"]) == (409, True)
    assert (await running.person("GET", f"/holds/{hold}", "ines")).json == before


@pytest.mark.parametrize(("person", "says"), [("program", "program"), ("rita", "started this request"), ("tomas", "none of the functions")])
async def test_who_may_not_vote_takes_nothing_up(running, person, says):
    """A program, the initiator, another function: refused, and nothing changed."""
    hold = await proposal(running)
    before = (await running.person("GET", f"/holds/{hold}", "ines")).json
    refused = await running.person("POST", f"/holds/{hold}/take-up", person, {})
    assert (refused.status, says in refused.json["detail"]) == (403, True)
    assert (await running.person("GET", f"/holds/{hold}", "ines")).json == before


async def test_taken_up_it_is_decided_and_sent_though_the_agent_still_only_recommends(running):
    """Its seats, at least one reviewer, are asked; decide-by begins; approved, exactly the proposed bytes are sent once."""
    hold = await proposal(running, "kept")
    taken = await running.person("POST", f"/holds/{hold}/take-up", "ines", {})
    assert (taken.status, taken.json["asked"], taken.json["seats"]) == (200, True, [{"functions": ["reviewer"], "needed": 1, "filled": 0}])
    stored = await running.sidecar.rooms.holds.get(hold)
    assert stored.expires_at_ns - stored.asked_at_ns == 3600 * 10**9
    assert (await running.person("POST", f"/holds/{hold}/take-up", "ines", {})).json["expires_at"] == taken.json["expires_at"]
    assert (await gauge(running, "stagewarden_proposals_open"), await gauge(running, 'stagewarden_approvals_pending{risk="medium"}')) == (0, 1)
    assert not running.newsroom.arrivals
    assert (await running.vote(hold, "ines", "reviewer")).status == 200
    assert await running.ended(hold) == "done"
    assert [arrival.body for arrival in running.newsroom.arrivals] == [b'{"title": "kept"}']
    assert (await running.ask(*WRITE, json={"title": "kept"})).status == 201
    assert len(running.newsroom.arrivals) == 1
    assert (await running.ask(*WRITE, json={"title": "another"})).json["hold"]["asked"] is False
    moves = [(entry["event"], entry["by"]) for entry in rulings(running.house.folder) if entry["kind"] == "hold" and entry["hold"] == hold]
    assert moves[:2] == [("opened", "drafter"), ("taken_up", "ines")]


async def test_a_proposal_is_rejected_without_being_taken_up(running):
    """A no needs nobody else; what has ended is not taken up."""
    hold = await proposal(running)
    assert (await running.vote(hold, "ines", "reviewer", "reject")).json["state"] == "rejected"
    refused = await running.person("POST", f"/holds/{hold}/take-up", "ines", {})
    assert (refused.status, (await running.sidecar.rooms.holds.get(hold)).asked) == (409, False)


async def test_a_proposal_that_was_stored_before_stays_one(running):
    """Judged again with more people to ask, it is still nobody's to answer; after the mode's end its repeat finds it, and what is new passes."""
    hold = await proposal(running)
    await running.person("PUT", "/agents/drafter/mode", "lena", {"mode": "active", "reason": "observed long enough"})
    await running.sidecar.acts.judge_all_again()
    stands = await running.sidecar.rooms.holds.get(hold)
    assert (str(stands.state), stands.asked) == ("pending", False)
    assert (await running.ask(*WRITE, json={"title": "x"})).json["hold"]["id"] == hold
    assert (await running.ask(*WRITE, json={"title": "y"})).status == 201
    assert [arrival.body for arrival in running.newsroom.arrivals] == [b'{"title": "y"}']
