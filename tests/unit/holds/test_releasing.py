from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, update

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import CannotTell, Conflict, NotFound
from stagewarden.holds.entries import Cause
from stagewarden.holds.lifecycle import Event
from stagewarden.model import Answer, HoldState
from stagewarden.store.tables import holds as table
from stagewarden.store.tables import votes
from tests.unit.holds.bench import HIGH, OK, ballot, new_hold, states


def answer(status: int) -> Answer:
    """An upstream's answer."""
    return Answer(status, (), b"")


async def test_the_whole_way(bench):
    """Approved → claimed → sent → done, each with its entry, the answer kept."""
    hold = await bench.approved()
    assert await bench.holds.due() == (hold.id,)
    claimed = await bench.holds.claim(hold.id, "a_1")
    assert (claimed.hold.state, claimed.hold.attempt) == (HoldState.CLAIMED, "a_1")
    sent = await bench.holds.mark_sent(hold.id, "a_1")
    assert sent.hold.state is HoldState.SENT
    done = await bench.holds.finish(hold.id, "a_1", OK, after_digest="sha256:after")
    assert (done.hold.state, done.hold.response, done.hold.after_digest) == (HoldState.DONE, OK, "sha256:after")
    events = [(body["event"], body["attempt"]) for body in await bench.log()]
    assert events == [("claimed", "a_1"), ("sending", "a_1"), ("answered", "a_1")]
    assert await bench.holds.undelivered() == ()


@pytest.mark.parametrize(
    ("given", "state"),
    [
        pytest.param(answer(200), "done", id="200"), pytest.param(answer(303), "done", id="303"), pytest.param(answer(404), "failed", id="404"),
        pytest.param(answer(503), "unknown", id="503"), pytest.param(None, "unknown", id="no answer"),
    ],
)  # fmt: skip
async def test_what_became_of_a_send(bench, given, state):
    """Below 400 done, 4xx failed, 5xx or nothing unknown; whatever was answered is kept."""
    hold = await bench.ended(given)
    assert hold.state == state
    assert hold.response == given


@pytest.mark.parametrize(("late", "state"), [(answer(200), "done"), (answer(404), "failed"), (answer(502), "unknown"), (None, "unknown")], ids=str)
async def test_a_late_answer_of_the_same_attempt(bench, late, state):
    """An unknown outcome becomes done or failed by the answer of its own attempt, and by nothing else."""
    hold = await bench.ended(None)
    before = await bench.snapshot()
    with pytest.raises(Conflict, match="not held by this attempt"):
        await bench.holds.finish(hold.id, "a_other", answer(200))
    assert await bench.snapshot() == before
    moved = await bench.holds.finish(hold.id, "a_1", late)
    assert moved.hold.state == state
    assert bool(moved.entries) is (state != "unknown")


async def test_an_approval_that_is_not_in_the_log_is_not_ready(bench):
    """Entry first, effect second: until the outbox is delivered the hold is neither due nor claimable."""
    hold = await bench.pending()
    await bench.holds.vote(hold.id, ballot(hold), bench.registry)
    assert await bench.holds.due() == ()
    before = await bench.snapshot()
    with pytest.raises(Conflict, match="not in the log"):
        await bench.holds.claim(hold.id, "a_1")
    assert await bench.snapshot() == before
    await bench.log()
    assert await bench.holds.due() == (hold.id,)


SPOILED = {
    "gone": delete,
    "of other bytes": lambda votes: update(votes).values(digest="sha256:x"),
    "of another view": lambda votes: update(votes).values(view_digest="sha256:x"),
    "void": lambda votes: update(votes).values(void_at_ns=1),
    "a no": lambda votes: update(votes).values(decision="reject"),
}


@pytest.mark.parametrize("votes_are", SPOILED)
async def test_stored_votes_must_fill_the_seats(bench, votes_are):
    """An approved row without the votes for exactly it, however it came to be, is not sent."""
    hold = await bench.approved()
    async with bench.store.writing() as connection:
        await connection.execute(SPOILED[votes_are](votes))
    before = await bench.snapshot()
    with pytest.raises(CannotTell, match="do not fill"):
        await bench.holds.claim(hold.id, "a_1")
    assert await bench.snapshot() == before


async def test_sixty_claims_one_wins(bench):
    """Workers race for one hold: one attempt holds it, the others are told so."""
    hold = await bench.approved()
    claims = await asyncio.gather(*(bench.holds.claim(hold.id, f"a_{number}") for number in range(60)), return_exceptions=True)
    won = [claim for claim in claims if not isinstance(claim, BaseException)]
    assert len(won) == 1
    assert all(isinstance(claim, Conflict) for claim in claims if claim is not won[0])
    assert (await bench.holds.get(hold.id)).attempt == won[0].hold.attempt


async def test_what_is_due_comes_in_the_order_of_approval(bench):
    """The hold that has waited longest goes first; what is claimed is not due."""
    ids = []
    for _ in range(3):
        ids.append((await bench.approved()).id)
        bench.clock.advance(1)
    for number in range(3):
        assert list(await bench.holds.due()) == ids[number:]
        await bench.holds.claim(ids[number], f"a_{number}")
    assert await bench.holds.due() == ()


ACTS = {
    "renew": lambda holds, hold, attempt: holds.renew(hold, attempt),
    "release_claim": lambda holds, hold, attempt: holds.release_claim(hold, attempt),
    "back_to_pending": lambda holds, hold, attempt: holds.back_to_pending(hold, attempt, ()),
    "mark_sent": lambda holds, hold, attempt: holds.mark_sent(hold, attempt),
    "not_sent": lambda holds, hold, attempt: holds.not_sent(hold, attempt, None, "kill"),
    "finish": lambda holds, hold, attempt: holds.finish(hold, attempt, OK),
    "supersede": lambda holds, hold, attempt: holds.supersede(hold, (), None, attempt),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("state", ["claimed", "sent"])
async def test_who_does_not_hold_the_claim_changes_nothing(bench, act, state):
    """Every act of a release names its attempt; another's is refused."""
    hold = await (bench.claimed() if state == "claimed" else bench.sent())
    before = await bench.snapshot()
    with pytest.raises(Conflict):
        await ACTS[act](bench.holds, hold.id, "a_other")
    assert await bench.snapshot() == before


@pytest.mark.parametrize("act", ACTS)
async def test_acts_on_nothing(bench, act):
    """No hold, no act."""
    with pytest.raises((NotFound, Conflict)):
        await ACTS[act](bench.holds, "h_none", "a_1")


async def test_a_claim_given_back_is_tried_again_after_a_pause_that_doubles(bench):
    """Nothing was sent: approved again, retried until use-by, never in a tight loop."""
    hold = await bench.claimed()
    for number, pause in enumerate((1, 2, 4), start=1):
        moved = await bench.holds.release_claim(hold.id, f"a_{number}", "upstream_unavailable")
        assert (moved.hold.state, moved.hold.attempt) == (HoldState.APPROVED, None)
        await bench.log()
        assert await bench.holds.due() == ()
        assert await bench.holds.next_deadline() == pytest.approx(pause)
        bench.clock.advance(pause)
        assert await bench.holds.due() == (hold.id,)
        await bench.holds.claim(hold.id, f"a_{number + 1}")


async def test_votes_that_lapsed_are_void_and_the_others_stand(bench):
    """Back to pending: the one who lost the function no longer counts, decide-by stays, use-by is open again, somebody else may fill the seat."""
    hold = await bench.pending(seats=HIGH)
    await bench.holds.vote(hold.id, ballot(hold, "ravi", "manager"), bench.registry)
    hold = (await bench.holds.vote(hold.id, ballot(hold, "lena", "legal"), bench.registry)).hold
    await bench.log()
    await bench.holds.claim(hold.id, "a_1")
    lapsed = hold.votes[0]
    moved = await bench.holds.back_to_pending(hold.id, "a_1", [lapsed.id])
    assert (moved.hold.state, moved.hold.attempt, moved.hold.use_by_ns, moved.hold.approved_at_ns) == (HoldState.PENDING, None, 0, 0)
    assert moved.hold.expires_at_ns == hold.expires_at_ns
    assert [vote.person for vote in moved.hold.votes] == ["lena"]
    assert lapsed.id in moved.entries[0].body["reason"]
    again = await bench.holds.vote(hold.id, ballot(hold, "rita"), bench.registry)
    assert again.hold.state is HoldState.APPROVED


@pytest.mark.parametrize("code", ["killed", "paused", "revoked"])
async def test_a_stop_seen_before_the_first_byte(bench, code):
    """`sent` was durable, and no byte left: stopped, by the attempt itself."""
    hold = await bench.sent()
    moved = await bench.holds.not_sent(hold.id, "a_1", "sam", "incident", code)
    assert (moved.hold.state, moved.hold.ended_by) == (HoldState.STOPPED, code)


async def test_a_lease_that_is_over_is_taken_away(bench):
    """30 s without renewal: a claim is free again, a send is unknown; the late worker can then do nothing."""
    claimed, sent = await bench.claimed("a_1"), await bench.sent("a_2")
    bench.clock.advance(29)
    assert await bench.holds.expire_due() == ()
    await bench.holds.renew(claimed.id, "a_1")
    await bench.holds.renew(sent.id, "a_2")
    bench.clock.advance(29)
    assert await bench.holds.expire_due() == ()
    bench.clock.advance(1)
    with pytest.raises(Conflict, match="lease"):
        await bench.holds.mark_sent(claimed.id, "a_1")
    with pytest.raises(Conflict):
        await bench.holds.renew(claimed.id, "a_1")
    assert await bench.holds.next_deadline() == 0
    assert states(await bench.holds.expire_due()) == {claimed.id: "approved", sent.id: "unknown"}
    await bench.log()
    await bench.holds.claim(claimed.id, "a_3")
    with pytest.raises(Conflict, match="not claimed by this attempt"):
        await bench.holds.mark_sent(claimed.id, "a_1")
    assert (await bench.holds.mark_sent(claimed.id, "a_3")).hold.state is HoldState.SENT


async def test_a_claim_that_comes_back_does_not_send_twice(bench):
    """The first worker sleeps through its lease, the second sends: the first finds its fence gone at every step."""
    hold = await bench.claimed("a_slow")
    bench.clock.advance(31)
    await bench.holds.expire_due()
    await bench.log()
    await bench.holds.claim(hold.id, "a_fast")
    await bench.holds.mark_sent(hold.id, "a_fast")
    await bench.holds.finish(hold.id, "a_fast", OK)
    before = await bench.snapshot()
    for act in ACTS.values():
        with pytest.raises(Conflict):
            await act(bench.holds, hold.id, "a_slow")
    assert await bench.snapshot() == before


async def test_recovery_takes_what_a_crash_left(bench):
    """At start: claims under our name are free again, sends are unknown and never sent again, everything else stands."""
    kept = [await bench.pending(), await bench.approved(), await bench.ended(OK, "a_9")]
    claimed, sent = await bench.claimed("a_1"), await bench.sent("a_2")
    moved = await bench.holds.recover()
    assert states(moved) == {claimed.id: "approved", sent.id: "unknown"}
    assert [(await bench.holds.get(hold.id)).state for hold in kept] == [hold.state for hold in kept]
    assert await bench.holds.recover() == ()


async def test_recovery_beside_others_takes_only_what_has_outlived_its_lease(bench, monkeypatch):
    """With replicas on one database whoever lives under another name keeps its claim."""
    monkeypatch.setattr(type(bench.store), "exclusive", False)
    claimed, sent = await bench.claimed("a_1"), await bench.sent("a_2")
    bench.store.instance = "another"
    assert await bench.holds.recover() == ()
    bench.clock.advance(31)
    assert states(await bench.holds.recover()) == {claimed.id: "approved", sent.id: "unknown"}


async def test_an_asset_is_what_was_looked_at(bench):
    """The look-up's digest and the verdict are part of what a vote is about; the same facts give the same view."""
    one = (await bench.holds.open(new_hold(lookup_digest="sha256:a"))).hold
    for change in ({"lookup_digest": "sha256:b"}, {"seats": HIGH}, {"evidence": ({"claim": "c1"},)}):
        other = replace(new_hold(lookup_digest="sha256:a", repeat_digest=str(change)), **({} if "seats" in change else change))
        other = replace(other, verdict=replace(other.verdict, seats=HIGH)) if "seats" in change else other
        assert (await bench.holds.open(other)).hold.view_digest != one.view_digest
    bench.clock.advance(5)
    assert (await bench.holds.open(new_hold(lookup_digest="sha256:a", repeat_digest="again"))).hold.view_digest == one.view_digest
    assert one.use_by_ns == 0
    assert one.expires_at_ns - one.asked_at_ns == 4 * 3600 * NANOSECONDS


@pytest.mark.parametrize("meanwhile", [{"state": "stopped"}, {"attempt": "a_2"}], ids=["another state", "in other hands"])
async def test_a_move_is_made_from_what_was_read_or_not_at_all(bench, meanwhile):
    """Each move is one conditional write: whatever else keeps two apart, nothing is moved from where it no longer stands, and nothing entered."""
    hold = await bench.claimed()
    await bench.log()

    async def move_what_moved() -> None:
        async with bench.holds._writing() as pen:
            read = await pen.load(hold.id)
            await pen.connection.execute(update(table).where(table.c.id == hold.id).values(**meanwhile))
            await pen.move(read, Event.SENDING, Cause())

    with pytest.raises(Conflict, match="no longer"):
        await move_what_moved()
    assert (await bench.holds.get(hold.id)).state is HoldState.CLAIMED
    assert await bench.log() == []
