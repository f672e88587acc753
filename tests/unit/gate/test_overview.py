"""Agents and workflows as people look at them, through the whole product: mode and past, reach, what waits, what a stop did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stagewarden.errors import CannotTell, Invalid, NotAllowed, NotFound
from stagewarden.identity.people import Caller
from tests.product import HOUSE, product, rulings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stagewarden.gate import Acts
    from tests.product import Product

DRAFT = ("POST", "/newsroom/articles")
PUBLISH = ("POST", "/newsroom/articles/1/publish")
BLIND = Caller(None, "robot", frozenset({"stop"}), "token")


def person(name: str) -> Caller:
    """Somebody who signed in."""
    return Caller(name, None, frozenset(), "session")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Product]:
    """The product with one draft at the newsroom."""
    async with product(tmp_path / "house") as made:
        made.newsroom.articles["1"] = {"id": "1", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
        yield made


def acts(running: Product) -> Acts:
    """What the doors call."""
    return running.sidecar.acts


@pytest.mark.parametrize(
    ("agent", "grades"),
    [
        ("drafter", {"generate": "may", "edit": "may", "queue": "never", "approve": "never", "export": "held"}),
        ("reader", {"generate": "never", "edit": "never", "queue": "never", "approve": "never", "export": "held"}),
    ],
    ids=["who drafts may draft, and what is restricted waits for people", "without the stage only what is restricted is prepared"],
)
async def test_reach(running: Product, agent: str, grades: dict[str, str]) -> None:
    """Registry and route table held together, stage by stage."""
    picture = await acts(running).show_agent(person("ines"), agent)
    newsroom = next(one for one in picture.reach if one.upstream == "newsroom")
    assert {str(stage): grade for stage, grade in newsroom.grades} == grades
    assert (newsroom.destination, newsroom.external, newsroom.fields) == ("newsroom-site", True, ())


@pytest.mark.parametrize(
    ("path", "agent", "became"),
    [(DRAFT, "drafter", "allow"), (DRAFT, "reader", "deny"), (PUBLISH, "drafter", "hold")],
    ids=["may", "never", "held"],
)
async def test_reach_says_what_the_policy_does(running: Product, path: tuple[str, str], agent: str, became: str) -> None:
    """What the page calls may, never and held is what happens to such a request."""
    await running.ask(*path, agent, json={"title": "x"} if path == DRAFT else None)
    (ruling,) = [entry for entry in rulings(running.house.folder) if entry["kind"] == "ruling"]
    assert ruling["effect"] == became


async def test_the_past_of_a_mode_newest_first(running: Product) -> None:
    """Who, when, why, and whether the cause is one of security; the stop file and the log tell the same."""
    for mode, who in (("paused", "lena"), ("active", "lena"), ("recommend_only", "ines")):
        await acts(running).set_mode(person(who), "drafter", mode, f"because {mode}")
    await acts(running).set_mode(person("ines"), "reader", "paused", "another agent")
    picture = await acts(running).show_agent(person("ines"), "drafter")
    told = [(past.mode, past.by, past.reason, past.security) for past in picture.past]
    assert told == [
        ("recommend_only", "ines", "because recommend_only", False),
        ("active", "lena", "because active", False),
        ("paused", "lena", "because paused", True),
    ]
    logged, following = await acts(running).history(person("ines"), "agent:drafter", None, 2)
    rest, end = await acts(running).history(person("ines"), "agent:drafter", following, 2)
    assert [(past.mode, past.by, past.reason, past.security) for past in (*logged, *rest)] == told
    assert (len(logged), end) == (2, None)
    with pytest.raises(Invalid):
        await acts(running).history(person("ines"), "agent:drafter", "not ours", 2)


@pytest.mark.parametrize(
    ("who", "cause", "why"),
    [("ines", "ines", "function"), ("tomas", "ines", None), ("tomas", "lena", "the agent's own owner"), ("lena", "lena", None)],
    ids=["neither function", "technical", "technical and the owner, after security", "security"],
)
async def test_who_may_loosen(running: Product, who: str, cause: str, why: str | None) -> None:
    """The page offers the form to those whom the act would let, and tells the others why; the act itself agrees."""
    await acts(running).set_mode(person(cause), "drafter", "paused", "drill")
    engaged = await acts(running).kill(person(cause), "agent:drafter", "drill")
    picture = await acts(running).show_agent(person(who), "drafter")
    refusals = [picture.why_not_loosen, acts(running).why_not_lift(person(who), engaged.kill)]
    assert [None if said is None else (why or "nothing") in said for said in refusals] == [None if why is None else True] * 2
    assert picture.lifters == (("lena",) if cause == "lena" else ("lena", "tomas"))
    if why is None:
        await acts(running).set_mode(person(who), "drafter", "active", "over")
        return
    with pytest.raises(NotAllowed):
        await acts(running).set_mode(person(who), "drafter", "active", "over")
    assert running.sidecar.rooms.modes.mode_of("drafter", "active") == "paused"


async def test_what_waits_is_counted(running: Product) -> None:
    """Open holds of the agent and of its workflow, and one more asked and rejected today."""
    await running.ask(*PUBLISH)
    (hold,) = (await acts(running).traffic(person("ines"), agent="drafter")).holds
    await running.vote(hold.id, "ines", "reviewer", "reject", reason="not_needed")
    running.newsroom.articles["2"] = {**running.newsroom.articles["1"], "id": "2"}
    await running.ask("POST", "/newsroom/articles/2/publish")
    for asked in ({"agent": "drafter"}, {"workflow": "newsletter"}):
        traffic = await acts(running).traffic(person("ines"), **asked)
        assert (traffic.open, len(traffic.holds)) == (1, 1)
        assert [sum(row) for row in (traffic.days.asked, traffic.days.rejected, traffic.days.failed)] == [2, 1, 0]
        assert {len(row) for row in (traffic.days.asked, traffic.days.rejected, traffic.days.failed)} == {14}
    nobody = await acts(running).traffic(person("ines"), agent="briefer")
    assert (nobody.open, sum(nobody.days.asked), nobody.limit) == (0, 0, 500)


async def test_a_workflow(running: Product) -> None:
    """Its agents with their modes, its kinds where the route table lists them, and what stops it."""
    await acts(running).kill(person("ines"), "workflow:newsletter", "drill")
    picture = await acts(running).show_workflow(person("ines"), "newsletter")
    assert [(agent.id, agent.mode) for agent in picture.agents][:2] == [("drafter", "active"), ("ended", "revoked")]
    assert ("newsroom", "export", True) in {(way.upstream, str(way.stage), way.external) for way in picture.ways["article.publish"]}
    assert [kill.scope for kill in picture.kills] == ["workflow:newsletter"]
    assert (await acts(running).show_workflow(person("ines"), "briefs")).kills == ()


async def test_a_receipt_names_what_the_stop_ended(tmp_path: Path) -> None:
    """The hold that was approved, the request refused since, who lifted it; another stop's receipt has none of that."""
    source = tmp_path / "source"
    source.mkdir()
    for path in HOUSE.iterdir():
        (source / path.name).write_text(path.read_text().replace("use_within: 15m", "use_within: 15m, settle: 10m"))
    async with product(tmp_path / "house", source=source) as running:
        running.newsroom.articles["1"] = {"id": "1", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
        await running.ask(*PUBLISH)
        (hold,) = (await acts(running).traffic(person("ines"), agent="drafter")).holds
        await running.vote(hold.id, "ines", "reviewer")
        other = await acts(running).kill(person("ines"), "workflow:briefs", "drill")
        engaged = await acts(running).kill(person("ines"), "agent:drafter", "drill")
        assert (await running.ask(*DRAFT, json={"title": "x"})).status == 403
        await acts(running).unkill(person("tomas"), engaged.kill.id, "over")
        receipt = await acts(running).receipt(person("ines"), engaged.kill.id)
        assert [entry["act"] for entry in receipt.acts] == ["unkill", "kill"]
        assert (receipt.holds, receipt.cut, receipt.refused, receipt.whole) == ([hold.id], [], 1, True)
        elsewhere = await acts(running).receipt(person("ines"), other.kill.id)
        assert (elsewhere.holds, elsewhere.refused, elsewhere.whole) == ([], 0, True)


@pytest.mark.parametrize("asked", ["show_agent", "show_workflow", "receipt"])
async def test_what_is_not_there(running: Product, asked: str) -> None:
    """An unknown name is not found, whatever it looks like."""
    with pytest.raises(NotFound):
        await getattr(acts(running), asked)(person("ines"), "../etc")


@pytest.mark.parametrize(
    ("asked", "named"),
    [("show_agent", ("drafter",)), ("list_workflows", ()), ("show_workflow", ("newsletter",)), ("history", ("all", None, 5)), ("receipt", ("k_1",))],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_program_without_the_scope_reads_none_of_it(running: Product, asked: str, named: tuple[object, ...]) -> None:
    """Reading takes `read`, for programs too."""
    with pytest.raises(NotAllowed):
        await getattr(acts(running), asked)(BLIND, *named)
    with pytest.raises(NotAllowed):
        await acts(running).traffic(BLIND, agent="drafter")


async def test_the_page_with_the_stop_button_needs_no_database(running: Product) -> None:
    """With the state database gone an agent is shown, and what is counted is not."""
    await running.sidecar.rooms.store.close()
    assert (await acts(running).show_agent(person("ines"), "drafter")).view.mode == "active"
    with pytest.raises(CannotTell):
        await acts(running).traffic(person("ines"), agent="drafter")
