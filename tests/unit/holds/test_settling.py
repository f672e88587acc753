"""The time between the last vote and the sending: nothing leaves in it, and anybody listed can still stop it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from stagewarden import config
from stagewarden.clock import NANOSECONDS
from stagewarden.errors import Conflict
from stagewarden.holds.view import agent_view, person_view
from stagewarden.model import HoldState, Obligations
from tests.unit.holds.bench import HIGH, OK, ballot, new_hold, open_bench, states

MINUTE, QUARTER = 60, 900
FIVE = config.Holds(settle=config.Seconds(5 * MINUTE), escalate_at=None, remind_at=None)


@pytest.fixture
async def bench(tmp_path):
    """Holds that settle for five minutes."""
    async with open_bench(tmp_path, terms=FIVE) as made:
        yield made


async def test_the_last_vote_begins_it(bench):
    """Both times are fixed by the last vote: sent from then on, and not for ever."""
    hold = await bench.pending(seats=HIGH)
    first = await bench.holds.vote(hold.id, ballot(hold, "ravi", "manager"), bench.registry)
    assert (first.hold.state, first.hold.settles_at_ns) == (HoldState.PENDING, 0)
    last = await bench.holds.vote(hold.id, ballot(hold, "lena", "legal"), bench.registry)
    assert (last.hold.state, last.entries[-1].body["event"]) == (HoldState.SETTLING, "settling")
    now = bench.clock.now_ns()
    assert (last.hold.approved_at_ns, last.hold.settles_at_ns) == (now, now + 5 * MINUTE * NANOSECONDS)
    assert last.hold.use_by_ns == last.hold.settles_at_ns + QUARTER * NANOSECONDS


@pytest.mark.parametrize(("asked", "seconds"), [(0.0, 300), (60.0, 300), (301.5, 301.5)], ids=str)
async def test_the_longer_of_the_two_counts(bench, asked, seconds):
    """What the configuration says is the least; a verdict may ask for more (contract section 2)."""
    new = new_hold()
    hold = (await bench.holds.open(replace(new, verdict=replace(new.verdict, obligations=Obligations("human", None, asked))))).hold
    settling = (await bench.holds.vote(hold.id, ballot(hold), bench.registry)).hold
    assert settling.settles_at_ns - settling.approved_at_ns == seconds * NANOSECONDS


async def test_a_verdict_settles_where_the_configuration_does_not(tmp_path):
    """In a sandbox too, what the policy asks for is waited for."""
    async with open_bench(tmp_path) as bench:
        new = new_hold()
        hold = (await bench.holds.open(replace(new, verdict=replace(new.verdict, obligations=Obligations("human", None, 60.0))))).hold
        assert (await bench.holds.vote(hold.id, ballot(hold), bench.registry)).hold.state is HoldState.SETTLING


async def test_it_is_sent_when_it_has_settled_and_not_before(bench):
    """Neither due nor claimable until then; the loop is told when to look again; then the whole way."""
    hold = await bench.approved()
    for left in (300, 1):
        assert await bench.holds.due() == ()
        assert await bench.holds.next_deadline() == left
        before = await bench.snapshot()
        with pytest.raises(Conflict, match="settle"):
            await bench.holds.claim(hold.id, "a_1")
        assert await bench.snapshot() == before
        bench.clock.advance(299 if left == 300 else 1)
    assert await bench.holds.due() == (hold.id,)
    assert (await bench.holds.claim(hold.id, "a_1")).hold.state is HoldState.CLAIMED
    await bench.holds.mark_sent(hold.id, "a_1")
    assert (await bench.holds.finish(hold.id, "a_1", OK)).hold.state is HoldState.DONE


ENDS = {
    "withdrawn": lambda holds, hold: holds.withdraw(hold.id, "drafter"),
    "stopped": lambda holds, hold: holds.stop(hold.id, "sam", "not that one"),
    "killed": lambda holds, hold: holds.stop_in_scope("agent:drafter", "sam", "incident"),
    "superseded": lambda holds, hold: holds.supersede(hold.id, ()),
    "edited": lambda holds, hold: holds.supersede_asset("cms", "42", "edited"),
}
STATES = {"killed": "stopped", "edited": "superseded"}


@pytest.mark.parametrize("end", ENDS)
async def test_it_can_still_be_ended(bench, end):
    """By its agent, by a person, by a stop, by a change of what it is about; and then it never becomes due."""
    hold = await bench.approved()
    moved = await ENDS[end](bench.holds, hold)
    (one,) = moved if isinstance(moved, tuple) else (moved,)
    assert str(one.hold.state) == STATES.get(end, end)
    await bench.log()
    bench.clock.advance(5 * MINUTE)
    assert await bench.holds.due() == ()
    with pytest.raises(Conflict):
        await bench.holds.claim(hold.id, "a_1")


async def test_it_takes_no_more_votes(bench):
    """All seats are filled: a rejection comes too late, and the stop is for everybody."""
    hold = await bench.approved()
    before = await bench.snapshot()
    with pytest.raises(Conflict, match="settling"):
        await bench.holds.vote(hold.id, ballot(hold, "ravi", decision="reject"), bench.registry)
    assert await bench.snapshot() == before


async def test_use_by_runs_from_the_end_of_it(bench):
    """Nobody sent it: a quarter of an hour after it had settled it expires, and not after the vote."""
    hold = await bench.approved()
    bench.clock.advance(5 * MINUTE + QUARTER - 1)
    assert await bench.holds.expire_due() == ()
    bench.clock.advance(1)
    assert states(await bench.holds.expire_due()) == {hold.id: "expired"}


async def test_a_release_that_could_not_go_on_does_not_settle_again(bench):
    """Connect failed: approved, tried again after the pause."""
    hold = await bench.approved()
    bench.clock.advance(5 * MINUTE)
    await bench.holds.claim(hold.id, "a_1")
    assert (await bench.holds.release_claim(hold.id, "a_1")).hold.state is HoldState.APPROVED
    await bench.log()
    bench.clock.advance(1)
    assert await bench.holds.due() == (hold.id,)


async def test_votes_that_lapsed_settle_anew(bench):
    """Pending again: the next last vote begins the time anew."""
    hold = await bench.approved()
    bench.clock.advance(5 * MINUTE)
    claimed = (await bench.holds.claim(hold.id, "a_1")).hold
    back = (await bench.holds.back_to_pending(hold.id, "a_1", [claimed.votes[0].id])).hold
    assert (back.state, back.settles_at_ns) == (HoldState.PENDING, 0)
    assert bench.holds._deadlines._waits == {}
    again = (await bench.holds.vote(hold.id, ballot(back, "ravi"), bench.registry)).hold
    assert again.settles_at_ns == bench.clock.now_ns() + 5 * MINUTE * NANOSECONDS


async def test_everybody_is_told_until_when(bench):
    """People, because they may stop it; the agent, because it waits."""
    hold = await bench.approved()
    for view in (agent_view(hold), person_view(hold, payload=False)):
        assert (view["state"], view["settles_at"]) == ("settling", "2026-11-21T09:05:00Z")


async def test_after_a_restart_it_settles_on(tmp_path):
    """Another process waits for what is left, and no longer."""
    async with open_bench(tmp_path, terms=FIVE) as bench:
        hold = await bench.approved()
        clock = bench.clock
    clock.advance(2 * MINUTE)
    async with open_bench(tmp_path, clock, terms=FIVE) as bench:
        assert await bench.holds.recover() == ()
        assert (await bench.holds.due(), await bench.holds.next_deadline()) == ((), 180)
        clock.advance(180)
        assert await bench.holds.due() == (hold.id,)
