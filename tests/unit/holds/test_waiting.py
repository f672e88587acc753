from __future__ import annotations

import asyncio

from stagewarden.model import HoldState, Tier
from tests.unit.holds.bench import OK, START_NS, ballot


async def test_who_waits_is_told_at_the_end_and_not_before_the_log(bench):
    """`Prefer: wait` returns when the outcome's entry is in the log, not when the row says so, and not at the moves in between."""
    hold = await bench.approved()
    waiting = asyncio.create_task(bench.holds.outcome(hold.id, 30))
    await bench.holds.claim(hold.id, "a_1")
    await bench.log()
    await bench.holds.mark_sent(hold.id, "a_1")
    await bench.log()
    await bench.holds.finish(hold.id, "a_1", OK)
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await bench.log()
    assert (await waiting).response == OK


async def test_who_waits_long_enough_is_told_where_it_stands(bench):
    """The time is over: the hold as it is."""
    hold = await bench.pending()
    assert (await bench.holds.outcome(hold.id, 0.02)).state is HoldState.PENDING
    assert bench.holds.changed._waiting == {}


async def test_who_waits_for_an_end_that_is_past_does_not_wait(bench):
    """An ended hold answers at once."""
    hold = await bench.ended()
    await bench.log()
    assert (await asyncio.wait_for(bench.holds.outcome(hold.id, 30), 60)).state is HoldState.DONE


async def test_the_release_loop_wakes_at_an_approval(bench):
    """The bell rings when the approval is in the log; rung before anybody waits, it is not lost; the time limit is no move."""
    assert await bench.holds.changed.wait(0.01) is False
    hold = await bench.pending()
    await bench.holds.vote(hold.id, ballot(hold), bench.registry)
    assert await bench.holds.changed.wait(0.01) is False
    await bench.log()
    assert await bench.holds.changed.wait(5) is True
    assert await bench.holds.changed.wait(0.01) is False
    waiting = asyncio.create_task(bench.holds.changed.wait())
    await asyncio.sleep(0)
    await bench.holds.withdraw(hold.id, "drafter")
    await bench.log()
    assert await waiting is True


async def test_entries_leave_the_outbox_once_and_in_order(bench):
    """What is not known to be in the log is offered again, oldest first, until it is."""
    hold = await bench.pending()
    moved = await bench.holds.vote(hold.id, ballot(hold), bench.registry)
    entries = await bench.holds.undelivered()
    assert [entry.kind for entry in entries] == ["hold", "vote", "hold"]
    assert entries[1:] == moved.entries
    assert len({entry.id for entry in entries}) == 3
    assert await bench.holds.undelivered(1) == entries[:1]
    await bench.holds.delivered([entries[0].id, "e_unknown"])
    assert await bench.holds.undelivered() == entries[1:]
    await bench.holds.delivered([])
    await bench.holds.delivered([entry.id for entry in entries])
    assert await bench.holds.undelivered() == ()


async def test_what_waits_for_people_is_counted_by_tier(bench):
    """How many, and since when the oldest; nothing that is decided counts."""
    assert await bench.holds.waiting() == {}
    await bench.approved()
    await bench.pending()
    bench.clock.advance(1)
    await bench.pending()
    await bench.pending(tier=Tier.HIGH)
    assert await bench.holds.waiting() == {Tier.MEDIUM: (2, START_NS), Tier.HIGH: (1, START_NS + 10**9)}
