from __future__ import annotations

import pytest
from msgspec.structs import replace

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import Conflict, Invalid, NotAllowed, NotFound
from stagewarden.holds.ballot import NOTE_LIMIT, REASONS, questions
from stagewarden.model import HoldState, Tier
from stagewarden.registry import Person
from tests.unit.holds.bench import HIGH, ballot, principal, registry

ORDINARY = ("factual", "brand", "policy", "approved_data")


def test_questions_by_tier():
    """An approval answers four questions, on high ten."""
    assert questions(Tier.MEDIUM) == questions(Tier.LOW) == ORDINARY
    assert questions(Tier.HIGH) == (*ORDINARY, "source", "claims", "segment", "triggers", "legal", "rollback")


async def test_the_last_seat_approves_and_fixes_use_by(bench):
    """One reviewer fills a medium hold: approved, to be used within 15 minutes, with a vote and a hold entry."""
    hold = await bench.pending()
    bench.clock.advance(60)
    moved = await bench.holds.vote(hold.id, ballot(hold, note="fine"), bench.registry)
    assert moved.hold.state is HoldState.APPROVED
    assert moved.hold.approved_at_ns == bench.clock.now_ns()
    assert moved.hold.use_by_ns == bench.clock.now_ns() + 15 * 60 * NANOSECONDS
    assert moved.hold.expires_at_ns == hold.expires_at_ns
    vote, move = moved.entries
    assert (vote.kind, vote.body["person"], vote.body["function"], vote.body["decision"]) == ("vote", "rita", "reviewer", "approve")
    assert (move.kind, move.body["event"], move.body["state"], move.body["by"]) == ("hold", "filled", "approved", "rita")
    assert "fine" not in str(moved.entries)
    assert vote.body["note"].startswith("sha256:")


async def test_one_of_two_is_not_enough(bench):
    """High tier takes two different people; the first leaves it pending."""
    hold = await bench.pending(seats=HIGH, tier=Tier.HIGH)
    first = await bench.holds.vote(hold.id, ballot(hold, "rita"), bench.registry)
    assert (first.hold.state, first.hold.use_by_ns) == (HoldState.PENDING, 0)
    second = await bench.holds.vote(hold.id, ballot(hold, "ravi", "manager"), bench.registry)
    assert second.hold.state is HoldState.APPROVED
    assert [vote.person for vote in second.hold.votes] == ["rita", "ravi"]


async def test_a_reject_ends_at_once(bench):
    """One rejection ends a hold that others approved, with its reason."""
    hold = await bench.pending(seats=HIGH, tier=Tier.HIGH)
    await bench.holds.vote(hold.id, ballot(hold, "rita"), bench.registry)
    moved = await bench.holds.vote(hold.id, ballot(hold, "lena", "legal", "reject", reason="unapproved_claim", note="no source"), bench.registry)
    assert (moved.hold.state, moved.hold.ended_by) == (HoldState.REJECTED, "unapproved_claim")
    assert moved.hold.votes[-1].note == "no source"


@pytest.mark.parametrize(
    ("person", "function", "chain"),
    [
        pytest.param("olga", "reviewer", (), id="the initiator"),
        pytest.param("rita", "reviewer", (("human", "rita", True),), id="somebody in the chain"),
        pytest.param("ravi", "manager", (), id="for a seat that is filled already"),
    ],
)
@pytest.mark.parametrize(("decision", "state"), [("reject", HoldState.REJECTED), ("send_back", HoldState.SENT_BACK)])
async def test_a_no_is_open_to_the_conflicted(bench, person, function, chain, decision, state):
    """Whoever holds a function some seat lists may say no, filled or not, conflicted or not: it ends at once."""
    hold = await bench.pending(seats=HIGH, tier=Tier.HIGH, question={"principal": principal(*chain)})
    await bench.holds.vote(hold.id, ballot(hold, "lena", "legal"), bench.registry)
    moved = await bench.holds.vote(hold.id, ballot(hold, person, function, decision), bench.registry)
    assert moved.hold.state is state


GOOD = dict.fromkeys(ORDINARY, True)
REFUSED = [
    pytest.param({"digest": "sha256:x", "person": "nobody", "answers": {}}, Conflict, "digest", id="digest, before person and body"),
    pytest.param({"view_digest": "sha256:x", "person": "nobody", "answers": {}}, Conflict, "view_digest", id="view digest, before person and body"),
    pytest.param({"person": "nobody", "answers": {}}, NotAllowed, "not a person", id="person, before body"),
    pytest.param({"person": ""}, NotAllowed, "not a person", id="no person: a program"),
    pytest.param({"person": "gone"}, NotAllowed, "no longer active", id="who left"),
    pytest.param({"person": "olga"}, NotAllowed, "started", id="self-approval"),
    pytest.param({"person": "mike", "function": "marketing"}, NotAllowed, "none of the functions", id="a function not asked for"),
    pytest.param({"person": "mike", "decision": "reject", "reason": "other"}, NotAllowed, "none of the functions", id="rejecting without a function"),
    pytest.param({"person": "mike", "decision": "send_back", "reason": "other"}, NotAllowed, "none of the functions", id="sending back without"),
    pytest.param({"decision": "send_back", "reason": None}, Invalid, "reason", id="send back without a reason"),
    pytest.param({"person": "gone", "decision": "reject", "reason": "other"}, NotAllowed, "no longer active", id="rejecting after leaving"),
    pytest.param({"person": "rita", "function": "manager"}, NotAllowed, "does not hold", id="a function she does not hold"),
    pytest.param({"person": "ravi", "function": "manager"}, NotAllowed, "no seat of this hold", id="a function he holds and no seat asks for"),
    pytest.param({"answers": {}}, Invalid, "missing factual", id="no answers"),
    pytest.param({"answers": {"factual": True}}, Invalid, "missing brand, policy", id="too few answers"),
    pytest.param({"answers": {**GOOD, "brand": False}}, Invalid, "with a no .brand", id="approve with a no"),
    pytest.param({"answers": {**GOOD, "brand": 1}}, Invalid, "with a no .brand", id="an answer that is not yes"),
    pytest.param({"answers": {**GOOD, "legal": True}}, Invalid, "not asked: legal", id="an answer nobody asked for"),
    pytest.param({"decision": "reject", "reason": None}, Invalid, "reason", id="reject without a reason"),
    pytest.param({"decision": "reject", "reason": "because"}, Invalid, "reason", id="reject with a reason of its own"),
    pytest.param({"decision": "postpone", "reason": "other"}, Invalid, "decision", id="a decision nobody knows"),
    pytest.param({"note": "x" * (NOTE_LIMIT + 1)}, Invalid, "note", id="an endless note"),
]


@pytest.mark.parametrize(("changes", "error", "says"), REFUSED)
async def test_a_vote_is_checked_in_order_and_a_refused_one_changes_nothing(bench, changes, error, says):
    """Hold and digests (409), person (403), body (422), in this order; whatever is refused leaves no trace."""
    hold = await bench.pending()
    before = await bench.snapshot()
    with pytest.raises(error, match=says):
        await bench.holds.vote(hold.id, ballot(hold, **changes), bench.registry)
    assert await bench.snapshot() == before


@pytest.mark.parametrize("state", [state for state in HoldState if state is not HoldState.PENDING], ids=str)
@pytest.mark.parametrize("decision", ["approve", "reject", "send_back"])
async def test_only_a_pending_hold_takes_votes(bench, state, decision):
    """A late approval revives nothing and a late rejection stops nothing."""
    hold = await bench.force(await bench.pending(), state=str(state))
    before = await bench.snapshot()
    with pytest.raises(Conflict, match=str(state)):
        await bench.holds.vote(hold.id, ballot(hold, decision=decision), bench.registry)
    assert await bench.snapshot() == before


async def test_no_such_hold(bench):
    """A vote on nothing is NotFound."""
    hold = await bench.pending()
    with pytest.raises(NotFound):
        await bench.holds.vote("h_none", ballot(hold), bench.registry)


@pytest.mark.parametrize("decision", ["approve", "reject", "send_back"])
async def test_the_same_ballot_again_changes_nothing_and_is_no_error(bench, decision):
    """A client that repeats itself is told where the hold stands, also after its vote ended or approved it."""
    hold = await bench.pending()
    handed_in = ballot(hold, decision=decision, note="n")
    first = await bench.holds.vote(hold.id, handed_in, bench.registry)
    before = await bench.snapshot()
    again = await bench.holds.vote(hold.id, handed_in, bench.registry)
    assert again.entries == ()
    assert again.hold == first.hold
    assert await bench.snapshot() == before


@pytest.mark.parametrize(
    ("second", "function"),
    [pytest.param("rita", "reviewer", id="the same id"), pytest.param("rita-admin", "legal", id="an alias of hers")],
)
@pytest.mark.parametrize("decision", ["approve", "reject", "send_back"])
async def test_a_person_votes_once(bench, second, function, decision):
    """One human being has one vote on a hold, under whatever id or function."""
    hold = await bench.pending(seats=HIGH, tier=Tier.HIGH)
    await bench.holds.vote(hold.id, ballot(hold, "rita"), bench.registry)
    before = await bench.snapshot()
    with pytest.raises(Conflict, match="already voted"):
        await bench.holds.vote(hold.id, ballot(hold, second, function, decision, note="other"), bench.registry)
    assert await bench.snapshot() == before


async def test_a_vote_that_no_longer_counts_fills_nothing(bench):
    """Between two votes the first person left: the second does not complete what the first no longer holds."""
    hold = await bench.pending(seats=HIGH, tier=Tier.HIGH)
    await bench.holds.vote(hold.id, ballot(hold, "ravi", "manager"), bench.registry)
    left = registry(ravi=Person(functions=("manager",), active=False))
    moved = await bench.holds.vote(hold.id, ballot(hold, "lena", "legal"), left)
    assert moved.hold.state is HoldState.PENDING


async def test_reason_is_ignored_on_approve(bench):
    """An approval keeps no reason, a rejection no answers."""
    hold, other, third = await bench.pending(), await bench.pending(), await bench.pending()
    approved = await bench.holds.vote(hold.id, ballot(hold, reason="off_brand"), bench.registry)
    rejected = await bench.holds.vote(other.id, ballot(other, decision="reject"), bench.registry)
    assert approved.hold.votes[0].reason is None
    assert dict(approved.hold.votes[0].answers) == GOOD
    sent_back = await bench.holds.vote(third.id, ballot(third, decision="send_back"), bench.registry)
    assert rejected.hold.votes[0].answers == sent_back.hold.votes[0].answers == ()
    assert (sent_back.hold.votes[0].reason, sent_back.hold.ended_by, sent_back.entries[-1].body["event"]) == ("off_brand", "off_brand", "sent_back")


@pytest.mark.parametrize("reason", REASONS)
async def test_every_reason_of_the_list_is_taken(bench, reason):
    """The nine reasons reports are made from."""
    hold = await bench.pending()
    moved = await bench.holds.vote(hold.id, replace(ballot(hold, decision="reject"), reason=reason), bench.registry)
    assert moved.hold.ended_by == reason
