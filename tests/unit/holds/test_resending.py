"""Sent more than once only where the upstream honours `Idempotency-Key`: three times at most, inside use-by, counted before each."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from stagewarden.errors import Conflict
from stagewarden.holds.lifecycle import Event
from stagewarden.holds.resending import after_loss
from stagewarden.model import Answer, HoldState
from stagewarden.store.tables import SINGLE
from tests.unit.holds.bench import OK, new_hold, open_bench, request, states

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


AFTER = {
    "withdrawn": lambda holds, hold: holds.withdraw(hold, "drafter"),
    "stopped": lambda holds, hold: holds.stop(hold, "sam", "x"),
    "superseded": lambda holds, hold: holds.supersede(hold, (), new_hold(request(b"again"))),
}


@pytest.mark.parametrize("end", [*AFTER, "expired"])
async def test_what_may_have_arrived_is_not_judged_anew(bench, end):
    """Whatever ended it between two sends, the agent's repeat is told of that hold, and nobody is asked to approve the same once more."""
    new = new_hold(request(b"once"))
    hold = (await bench.holds.open(new)).hold
    await bench.force(hold, state="approved", sends=1, resend=True, use_by_ns=bench.clock.now_ns() + 1, approved_at_ns=1)
    if end == "expired":
        bench.clock.advance(1)
        assert states(await bench.holds.expire_due()) == {hold.id: "expired"}
    else:
        moved = (await AFTER[end](bench.holds, hold.id)).hold
        assert (moved.state, moved.successor) == (end, None)
    again = await bench.holds.open(new)
    assert (again.hold.id, again.entries) == (hold.id, ())
    assert "unknown" in SINGLE


async def test_after_a_crash_and_a_clock_set_back_the_term_is_no_longer(tmp_path):
    """What comes back to approved has at most its quarter of an hour from the restart on."""
    async with open_bench(tmp_path) as bench:
        hold = await sent(bench)
        clock = bench.clock
        clock.jump(-3600 if bench.store.exclusive else 0)  # another process's lease ends by the wall clock alone
        clock.advance(_until_it_is_ours(bench))
    async with open_bench(tmp_path, clock) as bench:
        assert states(await bench.holds.recover()) == {hold.id: "approved"}
        clock.advance(900)
        assert states(await bench.holds.expire_due()) == {hold.id: "expired"}
