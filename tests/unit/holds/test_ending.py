from __future__ import annotations

import pytest

from stagewarden.errors import Conflict, Invalid, NotFound
from stagewarden.model import HoldState
from tests.unit.holds.bench import HandClock, ballot, open_bench, states

HOUR, QUARTER = 3600, 900


async def test_the_agent_withdraws(bench):
    """Pending or approved, its own request is its own to take back."""
    for hold in (await bench.pending(), await bench.approved()):
        moved = await bench.holds.withdraw(hold.id, "drafter")
        assert (moved.hold.state, moved.entries[0].body["by"]) == (HoldState.WITHDRAWN, "drafter")


async def test_another_agents_hold_does_not_exist(bench):
    """Somebody else's hold cannot be told from none, and stays."""
    hold = await bench.pending()
    before = await bench.snapshot()
    for agent, hold_id in (("other", hold.id), ("drafter", "h_none")):
        with pytest.raises(NotFound, match="no such hold"):
            await bench.holds.withdraw(hold_id, agent)
    assert await bench.snapshot() == before


@pytest.mark.parametrize("state", ["claimed", "sent", "done", "unknown"])
async def test_it_is_too_late_to_withdraw(bench, state):
    """Once a release has begun, only a person can stop it, and once bytes leave nobody."""
    hold = await bench.force(await bench.pending(), state=state)
    before = await bench.snapshot()
    with pytest.raises(Conflict):
        await bench.holds.withdraw(hold.id, "drafter")
    assert await bench.snapshot() == before


async def test_a_person_stops_one_hold(bench):
    """Pending, approved or claimed: stopped, with who and why in the log, and no name where the agent looks."""
    for hold in (await bench.pending(), await bench.approved(), await bench.claimed()):
        moved = await bench.holds.stop(hold.id, "sam", "wrong campaign")
        assert (moved.hold.state, moved.hold.ended_by) == (HoldState.STOPPED, "stopped")
        assert (moved.entries[0].body["by"], moved.entries[0].body["reason"]) == ("sam", "wrong campaign")


async def test_what_is_being_sent_is_not_stopped_by_a_person(bench):
    """`stopped` would be a lie: the bytes may have left."""
    hold = await bench.sent()
    before = await bench.snapshot()
    with pytest.raises(Conflict, match="sent"):
        await bench.holds.stop(hold.id, "sam", "too late")
    assert await bench.snapshot() == before


SCOPES = [
    ("all", True), ("agent:drafter", True), ("agent:other", False), ("workflow:newsletter", True), ("workflow:social", False),
    ("upstream:cms", True), ("upstream:crm", False), ("stage:export", True), ("stage:queue", False),
]  # fmt: skip


@pytest.mark.parametrize(("scope", "hit"), SCOPES, ids=[scope for scope, _ in SCOPES])
async def test_a_kill_stops_what_was_approved_in_its_scope(bench, scope, hit):
    """Approved and claimed holds of the scope are stopped in one act; pending ones stay, and what is being sent is known as sent."""
    pending, approved, claimed, sent = await bench.pending(), await bench.approved(), await bench.claimed("a_1"), await bench.sent("a_2")
    moved = await bench.holds.stop_in_scope(scope, "sam", "incident", "paused")
    assert states(moved) == (dict.fromkeys((approved.id, claimed.id), "stopped") if hit else {})
    assert all(each.hold.ended_by == "paused" for each in moved)
    assert [(await bench.holds.get(hold.id)).state for hold in (pending, sent)] == [HoldState.PENDING, HoldState.SENT]


async def test_one_hold_is_a_scope(bench):
    """The release loop stops the hold it holds the claim of."""
    hold, other = await bench.approved(), await bench.approved()
    assert states(await bench.holds.stop_in_scope(f"hold:{hold.id}", None, "killed")) == {hold.id: "stopped"}
    assert (await bench.holds.get(other.id)).state is HoldState.APPROVED


@pytest.mark.parametrize("scope", ["", "everything", "agent:", "agent", "person:sam", "ALL", "stage"])
async def test_a_scope_that_is_not_understood_stops_nothing(bench, scope):
    """No scope is guessed; the caller's stop has its own file."""
    await bench.approved()
    before = await bench.snapshot()
    with pytest.raises(Invalid, match="scope"):
        await bench.holds.stop_in_scope(scope, "sam", "x")
    assert await bench.snapshot() == before


CLOCKS = [
    pytest.param("advance", id="time passes"),
    pytest.param("jump", id="the wall clock jumps ahead"),
    pytest.param("monotonic", id="the wall clock jumps back while time passes"),
]


def turn(clock: HandClock, how: str, seconds: float) -> None:
    """Make a deadline pass on both clocks, on the wall clock alone, or on the monotonic clock alone."""
    if how == "monotonic":
        clock.jump(-10 * HOUR)
        clock.advance(seconds)
    else:
        getattr(clock, how)(seconds)


@pytest.mark.parametrize("how", CLOCKS)
async def test_decide_by(bench, how):
    """A request nobody decided is a no after four hours by either clock: it takes no vote, and then expires."""
    hold = await bench.pending()
    turn(bench.clock, how, 4 * HOUR)
    assert await bench.holds.next_deadline() == 0
    with pytest.raises(Conflict, match="time is over"):
        await bench.holds.vote(hold.id, ballot(hold), bench.registry)
    moved = await bench.holds.expire_due()
    assert states(moved) == {hold.id: "expired"}
    assert moved[0].hold.ended_by == "decide_by"
    assert await bench.holds.expire_due() == ()
    assert await bench.holds.next_deadline() is None


@pytest.mark.parametrize("how", CLOCKS)
async def test_use_by(bench, how):
    """CVE-2020-25816: an approval does not outlive its time, whatever the clocks do: not claimed, not sent, expired."""
    approved, claimed = await bench.approved(), await bench.claimed()
    turn(bench.clock, how, QUARTER)
    for act in (bench.holds.claim(approved.id, "a_2"), bench.holds.mark_sent(claimed.id, "a_1")):
        with pytest.raises(Conflict, match="time is over"):
            await act
    assert states(await bench.holds.expire_due()) == {approved.id: "expired", claimed.id: "expired"}
    assert await bench.holds.expire_due() == ()


async def test_nothing_expires_early(bench):
    """A deadline that has not come moves nothing, and says when it will."""
    await bench.pending()
    assert await bench.holds.next_deadline() == 4 * HOUR
    hold = await bench.approved()
    assert await bench.holds.next_deadline() == QUARTER
    bench.clock.advance(QUARTER - 1)
    assert await bench.holds.expire_due() == ()
    assert (await bench.holds.claim(hold.id, "a_1")).hold.state is HoldState.CLAIMED


async def test_an_approval_near_decide_by_runs_on_use_by(bench):
    """Approved a minute before decide-by: it may be used for its quarter of an hour, and the passed deadline wakes nobody."""
    hold = await bench.pending()
    bench.clock.advance(4 * HOUR - 60)
    await bench.holds.vote(hold.id, ballot(hold), bench.registry)
    bench.clock.advance(120)
    assert await bench.holds.expire_due() == ()
    assert await bench.holds.next_deadline() == QUARTER - 120


async def test_a_jump_back_lengthens_nothing_for_a_hold_that_returned_to_pending(bench):
    """decide-by keeps its place on the monotonic clock through approval, claim and return."""
    hold = await bench.claimed()
    bench.clock.advance(10)
    await bench.holds.back_to_pending(hold.id, "a_1", [hold.votes[0].id])
    bench.clock.jump(-10 * HOUR)
    bench.clock.advance(4 * HOUR - 10)
    assert states(await bench.holds.expire_due()) == {hold.id: "expired"}


async def test_deadlines_are_known_again_after_a_restart(tmp_path):
    """A new process notes every open deadline at recovery, so that a later jump lengthens nothing."""
    clock = HandClock()
    async with open_bench(tmp_path, clock) as bench:
        hold = await bench.pending()
    async with open_bench(tmp_path, clock) as bench:
        await bench.holds.recover()
        turn(clock, "monotonic", 4 * HOUR)
        assert states(await bench.holds.expire_due()) == {hold.id: "expired"}


async def test_nothing_is_remembered_of_what_has_ended(bench):
    """The second opinion on deadlines is kept for open holds alone: memory does not grow with history."""
    for _ in range(5):
        await bench.holds.withdraw((await bench.pending()).id, "drafter")
        await bench.holds.vote((hold := await bench.pending()).id, ballot(hold, decision="reject"), bench.registry)
    await bench.sent()
    assert (bench.holds._deadlines._ends, bench.holds._deadlines._runs) == ({}, {})


async def test_a_clock_set_back_before_a_restart_gives_the_term_once_more_at_most(tmp_path):
    """Only the wall clock survives a restart; set back by hours, it still lends an approval no more than its quarter of an hour."""
    clock = HandClock()
    async with open_bench(tmp_path, clock) as bench:
        hold = await bench.approved()
        clock.advance(QUARTER - 1)
    clock.jump(-10 * HOUR)
    async with open_bench(tmp_path, clock) as bench:
        await bench.holds.recover()
        clock.advance(QUARTER)
        assert states(await bench.holds.expire_due()) == {hold.id: "expired"}
