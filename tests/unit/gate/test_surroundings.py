"""What stands around a hold: registry entries as they are now, its like that have ended, and no payload of any other hold."""

import pytest
from sqlalchemy import text

from stagewarden.errors import NotAllowed
from stagewarden.gate.surroundings import ALIKE
from stagewarden.identity.people import Caller
from tests.product import product

WRITE = ("POST", "/newsroom/articles")
INES = Caller("ines", None, frozenset(), "session")
QUERY = """SELECT * FROM holds WHERE agent = 'a' AND kind = 'k' AND upstream = 'u' AND state IN ('done', 'failed')
    ORDER BY asked_at_ns DESC, id DESC LIMIT 6"""


@pytest.fixture
async def running(tmp_path):
    """The product with a drafter whose every write is stored as a proposal."""
    async with product(tmp_path / "house") as made:
        reply = await made.person("PUT", "/agents/drafter/mode", "tomas", {"mode": "recommend_only", "reason": "observed"})
        assert reply.status == 200, reply.body
        yield made


def acts(running):
    """The gate's acts."""
    return running.sidecar.acts


async def test_its_like_and_their_outcome(running):
    """Newest first, at most five, only ended ones, without their bytes."""
    ids = [(await running.ask(*WRITE, json={"title": f"t{number}"})).json["hold"]["id"] for number in range(ALIKE + 3)]
    for stopped in ids[1:]:
        assert (await running.person("POST", f"/holds/{stopped}/stop", "tomas", {"reason": "x"})).status == 200
    gate, caller = acts(running), INES
    hold = (await gate.show_hold(caller, ids[0])).hold
    around = await gate.around(caller, hold)
    assert [each.id for each in around.alike] == ids[: -ALIKE - 1 : -1]
    assert not any(each.payload or each.request.body for each in around.alike)
    assert around.workflow is not None
    assert around.predecessor is None
    assert (await gate.around(caller, (await gate.show_hold(caller, ids[-1])).hold)).alike[0].id == ids[-2]


async def test_the_question_is_answered_from_an_index(running):
    """Agent, kind and upstream lead the index, time ends it: the cost does not grow with the number of holds."""
    async with running.sidecar.rooms.store.reading() as connection:
        if connection.dialect.name != "sqlite":
            pytest.skip("the plan is SQLite's")
        plan = [row[-1] for row in (await connection.execute(text(f"EXPLAIN QUERY PLAN {QUERY}"))).all()]
    assert any("holds_alike" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


async def test_who_may_look(running):
    """A program without the scope is refused."""
    hold = (await running.ask(*WRITE, json={"title": "x"})).json["hold"]["id"]
    shown = (await acts(running).show_hold(INES, hold)).hold
    with pytest.raises(NotAllowed):
        await acts(running).around(Caller(None, "robot", frozenset({"stop"}), "token"), shown)
