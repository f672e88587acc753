"""A door's own look at a hold: what the caller may do with it, told as it will be judged, and recorded nowhere."""

from __future__ import annotations

import pytest

from stagewarden.errors import NotAllowed
from stagewarden.gate import Acts
from stagewarden.gate.inbox import Selection
from stagewarden.identity.oidc import Proven
from stagewarden.identity.people import Caller
from tests.product import product


@pytest.fixture
async def running(tmp_path):
    """The product."""
    async with product(tmp_path / "house") as made:
        yield made


def person(name, via="session"):
    """Somebody signed in."""
    return Caller(name, None, frozenset(), via, Proven("i", "s", auth_time=0))


async def held(running):
    """A request that waits, by its id."""
    article = (await running.ask("POST", "/newsroom/articles", json={"title": "x"})).json["id"]
    return (await running.ask("POST", f"/newsroom/articles/{article}/publish")).json["hold"]["id"]


async def test_a_look_is_not_a_reading(running):
    """Showing bytes leaves an entry in the log and the beginning of a review; a check leaves neither."""
    hold, acts = await held(running), Acts(running.sidecar.rooms, None)
    noted = []
    recorder = running.sidecar.rooms.recorder
    note = recorder.note

    async def watched(kind, entry):
        noted.append(kind)
        await note(kind, entry)

    recorder.note = watched
    looked = await acts.look_at_hold(person("ines"), hold)
    assert noted == []
    shown = await acts.show_hold(person("ines"), hold)
    assert (noted, shown.hold.id, shown.functions, shown.offers) == (["read"], hold, looked.functions, looked.offers)


@pytest.mark.parametrize("via", ["session", "terminal"])
async def test_a_sign_in_that_is_owed_keeps_nobody_from_reading(running, via):
    """Whoever has not just signed in, or comes by a terminal, reads what waits; only the approval takes more, and only outside a sandbox."""
    hold, acts = await held(running), Acts(running.sidecar.rooms, None)
    view = await acts.look_at_hold(person("ines", via), hold)
    assert (view.hold.id, view.prove, view.offers) == (hold, None, frozenset())


async def test_a_program_that_may_not_read_does_not_look(running):
    """The same right as reading."""
    hold, acts = await held(running), Acts(running.sidecar.rooms, None)
    with pytest.raises(NotAllowed):
        await acts.look_at_hold(Caller(None, "stopper", frozenset({"stop"}), "token", None), hold)


@pytest.mark.parametrize(("name", "offered"), [("ines", True), ("rita", False), ("tomas", False)])
async def test_a_proposal_is_offered_to_whoever_could_take_it_up(running, name, offered):
    """The offer is what `take_up` will say."""
    reply = await running.person("PUT", "/agents/drafter/mode", "tomas", {"mode": "recommend_only", "reason": "observed"})
    assert reply.status == 200
    hold = (await running.ask("POST", "/newsroom/articles", json={"title": "x"})).json["hold"]["id"]
    view = await Acts(running.sidecar.rooms, None).look_at_hold(person(name), hold)
    assert view.offers == (frozenset({"take_up"}) if offered else frozenset())
    assert ((await running.person("POST", f"/holds/{hold}/take-up", name, {})).status == 200) is offered


async def test_one_human_being_is_told_that_they_have_voted_under_whichever_id(running):
    """The second id holds the function of a seat that is open; the look says no, as the vote would."""
    running.newsroom.articles["9"] = {"id": "9", "status": "draft", "title": "x", "body": "", "offers": ["now 9 EUR"], "claims": []}
    hold = (await running.ask("POST", "/newsroom/articles/9/publish")).json["hold"]["id"]
    acts = Acts(running.sidecar.rooms, None)
    assert (await acts.look_at_hold(person("ines-two"), hold)).why_not is None
    assert (await running.vote(hold, "ines", "reviewer")).status == 200
    assert (await acts.look_at_hold(person("ines-two"), hold)).why_not == "has voted already, as ines"
    assert (await acts.look_at_hold(person("ines"), hold)).why_not == "has voted already"
    shown = (await running.person("GET", f"/holds/{hold}", "ines")).json
    assert shown["you"]["why_not"] == "has voted already"
    listed, _ = await acts.list_holds(person("ines"), Selection(), state="open", mine=True)
    assert hold not in {view.hold.id for view in listed}
    assert (await running.vote(hold, "ines-two", "compliance")).status == 409
    assert (await acts.look_at_hold(person("lena"), hold)).why_not is None
