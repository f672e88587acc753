from __future__ import annotations

import pytest

from stagewarden.errors import Conflict
from stagewarden.holds import lifecycle
from stagewarden.holds.entries import Cause
from stagewarden.holds.lifecycle import ENDED, OPEN, TRANSITIONS, Event, answer_event, move
from stagewarden.model import HoldState
from tests.unit.holds.bench import OK

# The rows of lifecycles.md, "A hold", written a second time and by hand: from, event, to.
TABLE = {
    ("pending", "voted", "pending"), ("pending", "filled", "approved"), ("pending", "settling", "settling"), ("pending", "rejected", "rejected"),
    ("pending", "sent_back", "sent_back"), ("pending", "taken_up", "pending"), ("pending", "edited", "superseded"),
    ("pending", "decide_by_passed", "expired"),
    ("pending", "withdrawn", "withdrawn"), ("settling", "withdrawn", "withdrawn"), ("approved", "withdrawn", "withdrawn"),
    ("pending", "stopped", "stopped"), ("settling", "stopped", "stopped"), ("approved", "stopped", "stopped"), ("claimed", "stopped", "stopped"),
    ("settling", "killed", "stopped"), ("approved", "killed", "stopped"), ("claimed", "killed", "stopped"),
    ("pending", "superseded", "superseded"), ("settling", "superseded", "superseded"),
    ("approved", "superseded", "superseded"), ("claimed", "superseded", "superseded"),
    ("settling", "use_by_passed", "expired"), ("approved", "use_by_passed", "expired"), ("claimed", "use_by_passed", "expired"),
    ("settling", "claimed", "claimed"), ("approved", "claimed", "claimed"), ("claimed", "released", "approved"),
    ("claimed", "votes_lapsed", "pending"), ("claimed", "sending", "sent"),
    ("sent", "not_sent", "stopped"), ("sent", "answered", "done"), ("sent", "refused", "failed"), ("sent", "lost", "unknown"),
    ("sent", "retried", "approved"),
    ("unknown", "answered", "done"), ("unknown", "refused", "failed"),
    ("done", "rolled_back", "rolled_back"),
}  # fmt: skip
PAIRS = [(state, event) for state in HoldState for event in Event]


def test_the_table_is_the_design():
    """One dict is the life cycle; it says what the design says, no more."""
    written = {(str(state), str(event), str(to)) for (state, event), to in TRANSITIONS.items()}
    assert written == TABLE


def test_nothing_leaves_an_end_but_what_became_known():
    """Every state is open or ended; `unknown` may learn what happened, what was done may be rolled back, and nothing ever leads back from an end."""
    assert set(HoldState) == OPEN | ENDED
    assert not OPEN & ENDED
    assert {state for state, _ in TRANSITIONS if state in ENDED} == {HoldState.UNKNOWN, HoldState.DONE}
    assert all(to in ENDED for (state, _), to in TRANSITIONS.items() if state in ENDED)
    again = {(event, to) for (state, event), to in TRANSITIONS.items() if state is HoldState.SENT and to in OPEN}
    assert again == {(Event.RETRIED, HoldState.APPROVED)}


def test_only_a_claim_leads_to_sent():
    """`sent` has one way in, and it starts at a claim, which has one way in from an approval, which only votes fill."""
    into = {to: {(state, event) for (state, event), target in TRANSITIONS.items() if target is to} for to in HoldState}
    assert into[HoldState.SENT] == {(HoldState.CLAIMED, Event.SENDING)}
    assert into[HoldState.CLAIMED] == {(HoldState.APPROVED, Event.CLAIMED), (HoldState.SETTLING, Event.CLAIMED)}
    assert into[HoldState.SETTLING] == {(HoldState.PENDING, Event.SETTLING)}
    assert into[HoldState.APPROVED] == {(HoldState.PENDING, Event.FILLED), (HoldState.CLAIMED, Event.RELEASED), (HoldState.SENT, Event.RETRIED)}


def test_what_may_have_arrived_ends_as_unknown():
    """An end that says that nothing was sent is not said of a hold whose earlier send nobody answered; every other move is as listed."""
    noes = {"rejected", "sent_back", "expired", "withdrawn", "stopped", "superseded"}
    assert {state for state, event, to in TABLE if to in noes} == {"pending", "settling", "approved", "claimed", "sent"}
    for state, event, to in TABLE:
        assert move(HoldState(state), Event(event), doubtful=True) == ("unknown" if to in noes else to)


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=[f"{state}-{event}" for state, event in PAIRS])
async def test_every_pair_moves_as_listed_or_not_at_all(bench, state, event):
    """A listed pair moves the row and writes one entry; any other is refused and nothing changed."""
    hold = await bench.force(await bench.pending(), state=str(state), attempt="a_1")
    before = await bench.snapshot()
    to = TRANSITIONS.get((state, event))
    if to is None:
        with pytest.raises(Conflict, match=str(state)):
            async with bench.holds._writing() as pen:
                await pen.move(hold, event, Cause(reason="test"))
        assert await bench.snapshot() == before
        return
    async with bench.holds._writing() as pen:
        moved = await pen.move(hold, event, Cause(reason="test"))
    assert (await bench.holds.get(hold.id)).state is to is moved.hold.state
    (entry,) = moved.entries
    assert (entry.body["from"], entry.body["event"], entry.body["state"]) == (str(state), str(event), str(to))
    assert (await bench.holds.undelivered())[-1] == entry


async def test_a_move_from_a_state_that_is_past_changes_nothing(bench):
    """The write names the state and attempt it was decided on: who read before somebody else moved gets a conflict."""
    hold = await bench.pending()
    await bench.holds.withdraw(hold.id, "drafter")
    before = await bench.snapshot()
    with pytest.raises(Conflict, match="no longer pending"):
        async with bench.holds._writing() as pen:
            await pen.move(hold, Event.STOPPED, Cause())
    assert await bench.snapshot() == before


@pytest.mark.parametrize("state", sorted(ENDED))
async def test_an_end_is_dated_and_says_why(bench, state):
    """Whatever ends a hold leaves the moment and a code."""
    event, start = next((event, start) for (start, event), to in TRANSITIONS.items() if to is state)
    hold = await bench.force(await bench.pending(), state=str(start))
    bench.clock.advance(1)
    async with bench.holds._writing() as pen:
        moved = (await pen.move(hold, event, Cause(reason="because"))).hold
    assert (moved.ended_at_ns, moved.ended_by) == (bench.clock.now_ns(), "because")


@pytest.mark.parametrize(
    ("status", "event"),
    [(200, Event.ANSWERED), (204, Event.ANSWERED), (302, Event.ANSWERED), (399, Event.ANSWERED), (400, Event.REFUSED), (409, Event.REFUSED),
     (499, Event.REFUSED), (500, Event.LOST), (503, Event.LOST), (599, Event.LOST)],
    ids=str,
)  # fmt: skip
def test_what_an_answer_means(status, event):
    """Below 400 done, 4xx failed, 5xx nobody knows."""
    assert answer_event(status) is event


def test_the_table_covers_every_event():
    """No event is listed that nothing causes."""
    assert {event for _, event in TRANSITIONS} == set(Event)
    assert OK.status < 400
    assert lifecycle.LEASE_NS == 30 * 10**9


async def test_a_move_decided_on_another_attempts_claim_changes_nothing(bench):
    """Claimed again is not still claimed: the write names the attempt it was decided on, so that no fence is jumped."""
    stale = await bench.claimed("a_1")
    await bench.holds.release_claim(stale.id, "a_1")
    await bench.log()
    bench.clock.advance(1)
    await bench.holds.claim(stale.id, "a_2")
    before = await bench.snapshot()
    with pytest.raises(Conflict, match="no longer claimed"):
        async with bench.holds._writing() as pen:
            await pen.move(stale, Event.SENDING, Cause())
    assert await bench.snapshot() == before
