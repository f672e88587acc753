"""Both clocks, set at will: nothing is sent on an approval that either clock has ended, nor before both say that it has settled."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from stagewarden import config
from stagewarden.errors import Conflict
from stagewarden.model import HoldState
from tests.unit.holds.bench import OK, HandClock, ballot, open_bench, states

MINUTE, HOUR = 60, 3600
TERMS = config.Holds(settle=config.Seconds(5 * MINUTE))
QUIET = config.Holds(settle=config.Seconds(0), escalate_at=None, remind_at=None)
# What happens to the clocks: time passes, or somebody sets the wall clock.
PASSES = some.tuples(some.just("advance"), some.sampled_from([1, 29, 31, MINUTE, 4 * MINUTE, 10 * MINUTE, HOUR]))
IS_SET = some.tuples(some.just("jump"), some.sampled_from([-10 * HOUR, -HOUR, -MINUTE, MINUTE, 6 * MINUTE, HOUR]))
DAY = some.lists(some.one_of(PASSES, IS_SET), min_size=1, max_size=8)


class Watched:
    """What both clocks showed at a moment, and how far each has gone since."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self._wall, self._seconds = clock.wall_ns, clock.seconds

    @property
    def passed(self) -> tuple[float, float]:
        """Seconds on the wall clock and on the monotonic clock."""
        return (self._clock.wall_ns - self._wall) / 1e9, self._clock.seconds - self._seconds


def run(terms, body):
    """A life on a fresh bench."""

    async def life():
        with tempfile.TemporaryDirectory() as folder:
            async with open_bench(Path(folder), terms=terms) as bench:
                await body(bench)

    asyncio.run(life())


async def tried(awaited):
    """What came of it, or None where it was refused."""
    try:
        return await awaited
    except Conflict:
        return None


@settings(max_examples=40, deadline=None)
@given(DAY)
def test_settle_and_use_by(day):
    """Claimed only once both clocks have seen the whole time to settle and neither the end of use-by; expired once one has."""

    async def life(bench):
        hold = await bench.approved()
        since = Watched(bench.clock)
        for how, seconds in day:
            getattr(bench.clock, how)(seconds)
            wall, monotonic = since.passed
            over = max(wall, monotonic) >= 20 * MINUTE
            ready = await bench.holds.due() == (hold.id,)
            claimed = await tried(bench.holds.claim(hold.id, "a_1"))
            assert (claimed is not None) is (min(wall, monotonic) >= 5 * MINUTE and not over)
            assert ready or claimed is None
            if claimed is not None or over:
                break
        else:
            return
        if over:
            assert states(await bench.holds.expire_due()) == {hold.id: "expired"}
            assert await bench.holds.expire_due() == ()

    run(TERMS, life)


@settings(max_examples=40, deadline=None)
@given(DAY)
def test_decide_by_and_escalation(day):
    """No vote counts after either clock has seen four hours; others are called once either has seen two, reminded at three, once only."""

    async def life(bench):
        hold = await bench.pending()
        since = Watched(bench.clock)
        farthest, called = 0.0, 0
        for how, seconds in day:
            getattr(bench.clock, how)(seconds)
            wall, monotonic = since.passed
            called += len(await bench.holds.escalate_due(bench.registry))
            farthest = max(farthest, wall, monotonic)
            assert called == (farthest >= 2 * HOUR) + (farthest >= 3 * HOUR)
            if max(wall, monotonic) >= 4 * HOUR:
                before = await bench.snapshot()
                assert await tried(bench.holds.vote(hold.id, ballot(hold), bench.registry)) is None
                assert await bench.snapshot() == before
                assert states(await bench.holds.expire_due()) == {hold.id: "expired"}
                return
            assert await bench.holds.expire_due() == ()
        assert (await bench.holds.vote(hold.id, ballot(hold), bench.registry)).hold.state is HoldState.SETTLING

    run(TERMS, life)


@settings(max_examples=40, deadline=None)
@given(DAY)
def test_a_lease(day):
    """A claim sends nothing after either clock has seen thirty seconds, and is free again by then: to this process, and by the wall to any."""

    async def life(bench):
        hold = await bench.claimed()
        since = Watched(bench.clock)
        for how, seconds in day:
            getattr(bench.clock, how)(seconds)
            wall, monotonic = since.passed
            if max(wall, monotonic) < 30:
                await bench.holds.renew(hold.id, "a_1")
                since, wall, monotonic = Watched(bench.clock), 0.0, 0.0
                continue
            before = await bench.snapshot()
            assert await tried(bench.holds.renew(hold.id, "a_1")) is None
            assert await tried(bench.holds.mark_sent(hold.id, "a_1")) is None
            assert await bench.snapshot() == before
            assert set(states(await bench.holds.expire_due()).values()) <= {"approved", "expired"}
            assert (await bench.holds.get(hold.id)).state is not HoldState.CLAIMED
            return

    run(QUIET, life)


@pytest.mark.parametrize("how", ["advance", "jump"])
async def test_two_processes_cannot_both_send(tmp_path, how):
    """One claims and falls asleep past its lease; the other claims and sends. The fence holds at each step, whichever clock ended the lease."""
    async with open_bench(tmp_path, terms=QUIET) as slow, slow.beside() as fast:
        hold = await slow.approved()
        await slow.holds.claim(hold.id, "a_slow")
        await slow.log()
        getattr(slow.clock, how)(30)
        assert await tried(slow.holds.mark_sent(hold.id, "a_slow")) is None
        assert states(await fast.holds.expire_due()) == {hold.id: "approved"}
        await fast.log()
        await fast.holds.claim(hold.id, "a_fast")
        won = await asyncio.gather(tried(slow.holds.mark_sent(hold.id, "a_slow")), tried(fast.holds.mark_sent(hold.id, "a_fast")))
        assert [each is not None for each in won] == [False, True]
        assert await tried(slow.holds.finish(hold.id, "a_slow", OK)) is None
        assert (await fast.holds.finish(hold.id, "a_fast", OK)).hold.sends == 1


async def test_two_processes_at_once_send_once(tmp_path):
    """Sixty claims from two processes, and every one of them tries to send: one does."""
    async with open_bench(tmp_path, terms=QUIET) as one, one.beside() as other:
        hold = await one.approved()

        async def attempt(bench, number):
            if await tried(bench.holds.claim(hold.id, f"a_{number}")) is None:
                return None
            return await tried(bench.holds.mark_sent(hold.id, f"a_{number}"))

        won = await asyncio.gather(*(attempt(bench, number) for number, bench in enumerate((one, other) * 30)))
        assert sum(each is not None for each in won) == 1
        assert (await one.holds.get(hold.id)).sends == 1
