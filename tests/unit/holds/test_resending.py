"""Sent more than once only where the upstream honours `Idempotency-Key`: three times at most, inside use-by, counted before each."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from stagewarden.errors import Conflict
from stagewarden.gate.editing import unfit
from stagewarden.holds.lifecycle import Event
from stagewarden.holds.resending import after_loss
from stagewarden.model import Answer, HoldState
from stagewarden.store.tables import SINGLE
from tests.unit.holds.bench import OK, ballot, new_hold, request

SERVER_ERROR = Answer(503, (), b"")


async def sent(bench, number: int = 1, *, resend: bool = True, hold: str | None = None):
    """A hold whose bytes may have left under a key, for the `number`th time."""
    hold = hold or (await bench.approved()).id
    await bench.holds.claim(hold, f"a_{number}")
    return (await bench.holds.mark_sent(hold, f"a_{number}", resend=resend)).hold


LOSSES = {
    "no answer": lambda bench, hold, attempt: bench.holds.finish(hold, attempt, None, code="outcome_unknown"),
    "5xx": lambda bench, hold, attempt: bench.holds.finish(hold, attempt, SERVER_ERROR),
    "lease over": lambda bench, hold, attempt: _later(bench, 30, bench.holds.expire_due),
    "crash": lambda bench, hold, attempt: _later(bench, _until_it_is_ours(bench), bench.holds.recover),
}


async def _later(bench, seconds, act):
    bench.clock.advance(seconds)
    return await act()


def _until_it_is_ours(bench) -> int:
    """Seconds until a restarted process takes what it left: beside others, only once its lease is over."""
    return 0 if bench.store.exclusive else 31


@pytest.mark.parametrize("loss", LOSSES)
async def test_three_sends_and_then_unknown(bench, loss):
    """Each loss leads back to approved, with a pause that doubles, until three were begun; the attempt that lost can do nothing more."""
    hold = await sent(bench)
    for number, pause in ((1, 1), (2, 2)):
        assert hold.sends == number
        moved = await LOSSES[loss](bench, hold.id, f"a_{number}")
        (moved,) = moved if isinstance(moved, tuple) else (moved,)
        assert (moved.hold.state, moved.hold.attempt, moved.entries[0].body["event"]) == (HoldState.APPROVED, None, "retried")
        with pytest.raises(Conflict, match="not held by this attempt"):
            await bench.holds.finish(hold.id, f"a_{number}", OK)
        await bench.log()
        assert await bench.holds.due() == ()
        bench.clock.advance(pause)
        assert await bench.holds.due() == (hold.id,)
        hold = await sent(bench, number + 1, hold=hold.id)
    moved = await LOSSES[loss](bench, hold.id, "a_3")
    (moved,) = moved if isinstance(moved, tuple) else (moved,)
    assert (moved.hold.state, moved.hold.sends) == (HoldState.UNKNOWN, 3)
    assert (await bench.holds.finish(hold.id, "a_3", OK)).hold.state is HoldState.DONE


@pytest.mark.parametrize("loss", LOSSES)
async def test_without_the_routes_word_never_again(bench, loss):
    """The rule: a send nobody answered is unknown."""
    hold = await sent(bench, resend=False)
    moved = await LOSSES[loss](bench, hold.id, "a_1")
    (moved,) = moved if isinstance(moved, tuple) else (moved,)
    assert (moved.hold.state, moved.hold.sends) == (HoldState.UNKNOWN, 1)


async def test_a_route_that_says_so_no_longer_sends_no_second_time(bench):
    """The word is asked for before each send; what may have arrived does not go out without a key."""
    hold = await sent(bench)
    await bench.holds.finish(hold.id, "a_1", None)
    await bench.log()
    bench.clock.advance(1)
    await bench.holds.claim(hold.id, "a_2")
    before = await bench.snapshot()
    with pytest.raises(Conflict, match="may not be again"):
        await bench.holds.mark_sent(hold.id, "a_2")
    assert await bench.snapshot() == before


async def test_an_answer_ends_it(bench):
    """A second send that is answered is done, and a 4xx failed: nothing is retried that was understood."""
    for answer, state in ((OK, "done"), (Answer(422, (), b""), "failed")):
        hold = await sent(bench)
        await bench.holds.finish(hold.id, "a_1", None)
        await bench.log()
        bench.clock.advance(1)
        await sent(bench, 2, hold=hold.id)
        assert (await bench.holds.finish(hold.id, "a_2", answer)).hold.state == state


@pytest.mark.parametrize("how", ["advance", "jump"])
async def test_use_by_ends_it(bench, how):
    """No try begins that the approval would not outlive, by either clock; also where the clock was set back while it was being sent."""
    hold = await sent(bench)
    if how == "jump":
        bench.clock.jump(-3600)
    for _ in range(45):  # the send goes on, and keeps its lease
        bench.clock.advance(19.99)
        await bench.holds.renew(hold.id, "a_1")
    assert (await bench.holds.finish(hold.id, "a_1", None)).hold.state is HoldState.UNKNOWN


def test_the_pause_fits_into_what_is_left(a_hold_being_sent):
    """A pause that ends after use-by is none."""
    for left, event in ((2.1, Event.RETRIED), (2.0, Event.LOST), (-1.0, Event.LOST)):
        assert after_loss(replace(a_hold_being_sent, sends=2), 0, left)[0] is event


@pytest.fixture
async def a_hold_being_sent(bench):
    """Under a key."""
    return await sent(bench)


async def test_a_stop_before_the_first_byte_was_no_send(bench):
    """`sent` was durable and nothing left: it is not counted as if it had."""
    hold = await sent(bench)
    assert (await bench.holds.not_sent(hold.id, "a_1", None, "incident")).hold.sends == 0


async def test_a_stop_before_the_second_first_byte_says_nothing_of_the_first(bench):
    """The second send did not leave; whether the first arrived is as unknown as before."""
    hold = await sent(bench)
    await bench.holds.finish(hold.id, "a_1", None)
    await bench.log()
    bench.clock.advance(1)
    await sent(bench, 2, hold=hold.id)
    stopped = (await bench.holds.not_sent(hold.id, "a_2", None, "incident")).hold
    assert (stopped.state, stopped.ended_by, stopped.sends) == (HoldState.UNKNOWN, "killed", 1)


async def _over(bench, hold):
    bench.clock.advance(1)
    (moved,) = await bench.holds.expire_due()
    return moved


ENDS = {
    "withdrawn": ("approved", lambda bench, hold: bench.holds.withdraw(hold.id, "drafter")),
    "stopped": ("approved", lambda bench, hold: bench.holds.stop(hold.id, "sam", "x")),
    "killed": ("approved", lambda bench, hold: bench.holds.stop_in_scope("all", "sam", "x")),
    "superseded": ("approved", lambda bench, hold: bench.holds.supersede(hold.id, (), new_hold(request(b"again")))),
    "use-by": ("approved", _over),
    "decide-by": ("pending", _over),
    "rejected": ("pending", lambda bench, hold: bench.holds.vote(hold.id, ballot(hold, decision="reject"), bench.registry)),
    "sent back": ("pending", lambda bench, hold: bench.holds.vote(hold.id, ballot(hold, decision="send_back"), bench.registry)),
}


@pytest.mark.parametrize(("state", "end"), ENDS.values(), ids=ENDS)
async def test_what_may_have_arrived_ends_unknown(bench, state, end):
    """Law 7: whatever ends it between two sends, nobody knows what became of the first. A person finds out; until then the repeat is told so."""
    new = new_hold(request(b"once"))
    hold = (await bench.holds.open(new)).hold
    soon = bench.clock.now_ns() + 1
    times = {"use_by_ns": soon, "approved_at_ns": 1} if state == "approved" else {"expires_at_ns": soon}
    await bench.force(hold, state=state, sends=1, resend=True, **times)
    moved = await end(bench, hold)
    (moved,) = moved if isinstance(moved, tuple) else (moved,)
    assert (moved.hold.state, moved.hold.successor) == (HoldState.UNKNOWN, None)
    bench.clock.advance(30 * 86_400)
    await bench.holds.purge()
    again = await bench.holds.open(new)
    assert (again.hold.id, again.entries, again.hold.payload) == (hold.id, (), True)
    found = await bench.holds.resolve(hold.id, "tom", "failed", "The CMS has no such post.")
    assert found.hold.state is HoldState.FAILED


async def test_what_an_earlier_release_ended_between_two_sends_is_not_judged_anew(bench):
    """It stands as stopped in the database; its repeat is told of it for as long as any no is."""
    new = new_hold(request(b"once"))
    hold = (await bench.holds.open(new)).hold
    await bench.force(hold, state="expired", sends=1, ended_at_ns=bench.clock.now_ns())
    again = await bench.holds.open(new)
    assert (again.hold.id, again.entries) == (hold.id, ())
    assert "unknown" in SINGLE


async def test_what_may_have_arrived_is_not_edited(bench):
    """Two bodies could stand at the upstream, and people have seen one of them."""
    hold = await bench.force(await bench.pending(), sends=1, resend=True)
    before = await bench.snapshot()
    with pytest.raises(Conflict, match="may have arrived"):
        await bench.holds.edit(hold.id, ballot(hold, "ravi"), new_hold(request(b"edited")), bench.registry)
    assert await bench.snapshot() == before
    assert unfit(hold) == "it was begun to be sent, and may have arrived as it is"
