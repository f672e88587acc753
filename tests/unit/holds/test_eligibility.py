from __future__ import annotations

import pytest
from msgspec.structs import replace

from stagewarden.errors import Conflict
from stagewarden.holds.eligibility import candidates, eligible, seat_views, standing, writers
from stagewarden.model import Seat, Vote
from stagewarden.registry import Person
from tests.unit.holds.bench import HIGH, ballot, new_hold, principal, registry

CONFLICTED = {
    "cora": Person(functions=("reviewer",), conflicts=("agent:drafter",)),
    "cora-two": Person(functions=("reviewer",), aliases=("cora",)),
    "curt": Person(functions=("reviewer",), conflicts=("workflow:newsletter",)),
    "otto": Person(functions=("reviewer",), conflicts=("agent:other", "workflow:social")),
}
ROWS = [
    pytest.param("rita", {}, None, id="a reviewer"),
    pytest.param("nobody", {}, "not a person of the registry", id="unknown"),
    pytest.param("drafter", {}, "not a person of the registry", id="the agent itself"),
    pytest.param("gone", {}, "no longer active", id="left"),
    pytest.param("mike", {}, "none of the functions", id="another function"),
    pytest.param("lena", {}, "none of the functions", id="a function no seat lists"),
    pytest.param("olga", {}, "started this request", id="the agent's owner, nobody else being known to have started it"),
    pytest.param("olga", {"trigger": {"schedule": "daily"}}, None, id="the agent's owner, a registered trigger having started it"),
    pytest.param("olga", {"chain": [("human", "ravi", True)]}, None, id="the agent's owner is no link"),
    pytest.param("rita", {"chain": [("human", "rita", True)]}, "started this request", id="proven initiator"),
    pytest.param("rita", {"chain": [("human", "ravi", True), ("human", "rita", True)]}, "started this request", id="a human further down"),
    pytest.param("rita", {"chain": [("human", "ravi", True), ("service", "rita", True)]}, "in the chain", id="proven link"),
    pytest.param("rita", {"chain": [("human", "rita", False)]}, None, id="an unproven link excludes nobody"),
    pytest.param("olga", {"chain": [("human", "rita", False)]}, "started this request", id="and proves no initiator, so the owner counts"),
    pytest.param("rita", {"chain": [("human", "00u-rita", True)]}, "started this request", id="by the subject she signs in with"),
    pytest.param("rita", {"chain": [("human", "rita-admin", True)]}, "started this request", id="by an alias of hers"),
    pytest.param("rita", {"initiator": "rita", "trigger": {"t": 1}}, "started this request", id="as the gate settled it"),
    pytest.param("rita", {"authors": ("rita",)}, "wrote or edited", id="who wrote the content"),
    pytest.param("rita", {"authors": ("00u-rita",)}, "wrote or edited", id="who wrote it, as the upstream signs her in"),
    pytest.param("rita", {"authors": ("rita-admin",)}, "wrote or edited", id="who wrote it under another id"),
    pytest.param("rita", {"authors": ("ravi", "17")}, None, id="somebody else wrote it"),
    pytest.param("rita", {"chain": [("human", "ravi", True), ("editor", "rita", True)]}, "in the chain", id="who edited it"),
    pytest.param("olga", {"chain": [("editor", "rita", True)]}, "started this request", id="an editor proves no initiator, so the owner counts"),
    pytest.param("cora", {}, "agent:drafter", id="a conflict with the agent"),
    pytest.param("cora-two", {}, "agent:drafter", id="a conflict marked under another id"),
    pytest.param("curt", {}, "workflow:newsletter", id="a conflict with the workflow"),
    pytest.param("otto", {}, None, id="a conflict with something else"),
    pytest.param("rita", {"agent": "stranger"}, "nobody can tell", id="an agent nobody owns"),
]


@pytest.mark.parametrize(("person", "facts", "why"), ROWS)
def test_who_may_approve(person, facts, why):
    """The rule of lifecycles.md, "Who may vote", one row each."""
    chain, trigger = facts.get("chain", ()), facts.get("trigger")
    asked = replace(
        new_hold(),
        question={"principal": principal(*chain, trigger=trigger)},
        initiator=facts.get("initiator", ""),
        agent=facts.get("agent", "drafter"),
        authors=facts.get("authors", ()),
    )
    found = eligible(person, asked, registry(**CONFLICTED))
    assert found is None if why is None else why in (found or "")


@pytest.mark.parametrize(
    "question", [{}, {"principal": None}, {"principal": []}, {"principal": {"chain": "x"}}, {"principal": {"chain": [1, {"kind": "human"}]}}], ids=str
)
def test_a_question_without_a_chain_leaves_the_owner_out(question):
    """A chain that is missing or malformed proves nobody: the owner counts as initiator."""
    assert eligible("olga", new_hold(question=question), registry()) == "started this request"
    assert eligible("rita", new_hold(question=question), registry()) is None


def test_candidates_are_human_beings():
    """Two ids of one person are one candidate with both functions; conflicted people are none."""
    found = candidates(new_hold(seats=HIGH), registry())
    assert found == {"rita": {"reviewer", "legal"}, "ravi": {"reviewer", "manager"}, "lena": {"legal"}}


async def test_eligibility_is_that_of_today(bench):
    """A vote stops counting when its person leaves, loses the function, or is found to be in the chain; others stand."""
    hold = await bench.pending(seats=HIGH)
    await bench.holds.vote(hold.id, ballot(hold, "ravi", "manager"), bench.registry)
    hold = (await bench.holds.vote(hold.id, ballot(hold, "lena", "legal"), bench.registry)).hold
    assert [vote.person for vote in standing(hold, bench.registry)] == ["ravi", "lena"]
    for changed in (Person(functions=("manager",), active=False), Person(functions=("reviewer",)), Person(functions=("manager",), aliases=("olga",))):
        assert [vote.person for vote in standing(hold, registry(ravi=changed))] == ["lena"]
        assert [view.filled for view in seat_views(hold, registry(ravi=changed))] == [0, 1]


async def test_a_vote_counts_for_what_it_names_alone(bench):
    """A vote on another digest or another view is not counted, whoever wrote it into the row."""
    hold = await bench.pending()
    good = Vote("v_1", "rita", "reviewer", "approve", None, None, hold.digest, hold.view_digest, 1)
    for vote in (
        replace(good, digest="sha256:x"),
        replace(good, view_digest="sha256:x"),
        replace(good, decision="reject"),
        replace(good, function="legal"),
    ):
        assert standing(replace(hold, votes=(vote,)), bench.registry) == ()
    assert standing(replace(hold, votes=(good, replace(good, id="v_2", person="rita-admin"))), bench.registry) == (good,)


async def test_two_who_turn_out_to_be_one_count_once(bench):
    """The registry says after both votes that they are one human being: at release the first counts, and the other place is open again."""
    two = (Seat(("reviewer",), 2),)
    hold = await bench.pending(seats=two)
    await bench.holds.vote(hold.id, ballot(hold, "rita"), bench.registry)
    hold = (await bench.holds.vote(hold.id, ballot(hold, "ravi"), bench.registry)).hold
    assert [view.filled for view in seat_views(hold, bench.registry)] == [2]
    one = registry(ravi=Person(functions=("reviewer", "manager"), aliases=("rita",)))
    assert [vote.person for vote in standing(hold, one)] == ["rita"]
    assert [view.filled for view in seat_views(hold, one)] == [1]


async def test_who_wrote_an_asset_is_known_from_its_earlier_holds(bench):
    """Whoever started what was sent, stood in its chain or edited it wrote it; what was never sent wrote nothing, and another asset is another's."""
    chain = {"principal": principal(("human", "ravi", True), ("human", "mike", False))}
    sent = await bench.force(await bench.pending(asset="7", question=chain, editor="lena", authors=("17",)), state="done")
    await bench.force(await bench.pending(asset="7", question={"principal": principal(("human", "rita", True))}), state="rejected")
    await bench.force(await bench.pending(asset="8", question={"principal": principal(("human", "rita", True))}), state="done")
    await bench.force(await bench.pending(asset="7", upstream="crm", question={"principal": principal(("human", "rita", True))}), state="done")
    (found,) = await bench.holds.written("cms", "7")
    assert (found.id, writers(found, bench.registry)) == (sent.id, {"ravi", "lena", "17"})
    unproven = await bench.force(await bench.pending(asset="9"), state="unknown")
    assert writers(unproven, bench.registry) == {"olga"}


async def test_three_places_take_three_people(bench):
    """A count of 3 is three different human beings: not two, not one under three ids."""
    people = registry(rob=Person(functions=("reviewer",)), **{"rob-two": Person(functions=("reviewer",), aliases=("rob",))})
    hold = await bench.pending(seats=(Seat(("reviewer",), 3),))
    for person in ("rita", "rob"):
        hold = (await bench.holds.vote(hold.id, ballot(hold, person), people)).hold
    with pytest.raises(Conflict, match="already voted"):
        await bench.holds.vote(hold.id, ballot(hold, "rob-two"), people)
    assert [view.filled for view in seat_views(hold, people)] == [2]
    assert str((await bench.holds.vote(hold.id, ballot(hold, "ravi"), people)).hold.state) == "approved"
