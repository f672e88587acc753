"""Holds counted by day: each once, on the day of what it is counted for."""

from __future__ import annotations

from tests.unit.holds.bench import ballot


async def test_each_is_counted_once(bench):
    """Asked on one day, and what became of it on the day it did: one that is unknown too, which may still be looked up."""
    await bench.ended(None)
    rejected = await bench.pending()
    await bench.holds.vote(rejected.id, ballot(rejected, decision="reject"), bench.registry)
    lost = await bench.sent()
    bench.clock.advance(86_400)
    await bench.holds.expire_due()
    assert (await bench.holds.get(lost.id)).state == "unknown"
    await bench.pending()
    for whose in ({}, {"agent": "drafter"}, {"workflow": "newsletter"}):
        days = await bench.holds.daily(days=3, **whose)
        assert (days.open, days.asked, days.rejected, days.failed) == (1, (0, 3, 1), (0, 1, 0), (0, 1, 1))
    assert sum((await bench.holds.daily(days=3, agent="nobody\0")).asked) == 0
