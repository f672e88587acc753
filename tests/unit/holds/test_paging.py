from __future__ import annotations

import pytest

from stagewarden.errors import Invalid
from stagewarden.holds.paging import Filter
from stagewarden.model import HoldState
from tests.unit.holds.bench import request


async def test_lists_are_paged_by_a_stable_cursor(bench):
    """Newest first; a page starts where the last ended, while new holds come and old ones move on."""
    made = []
    for number in range(5):
        made.append((await bench.pending(sent=request(bytes([number])))).id)
        bench.clock.advance(1)
    first, cursor = await bench.holds.list(Filter(), limit=2)
    newer = await bench.pending()
    await bench.holds.withdraw(made[2], "drafter")
    second, cursor = await bench.holds.list(Filter(), cursor, limit=2)
    third, end = await bench.holds.list(Filter(), cursor, limit=2)
    assert [hold.id for hold in (*first, *second, *third)] == made[::-1]
    assert end is None
    assert newer.id not in {hold.id for hold in third}
    assert all(not hold.payload and hold.request.body == b"" for hold in first)


async def test_holds_of_one_moment_are_all_listed(bench):
    """Holds asked for in the same nanosecond are ordered by id; none is skipped between pages."""
    made = {(await bench.pending()).id for _ in range(5)}
    seen, cursor = [], None
    while True:
        page, cursor = await bench.holds.list(Filter(), cursor, limit=2)
        seen += [hold.id for hold in page]
        if cursor is None:
            break
    assert len(seen) == 5
    assert set(seen) == made


async def test_lists_are_filtered(bench):
    """By states and by agent."""
    pending, approved, other = await bench.pending(), await bench.approved(), await bench.pending(agent="other")
    for wanted, ids in (
        (Filter(states=frozenset({HoldState.PENDING})), {pending.id, other.id}),
        (Filter(states=frozenset({HoldState.PENDING, HoldState.APPROVED})), {pending.id, approved.id, other.id}),
        (Filter(agent="other"), {other.id}),
        (Filter(states=frozenset({HoldState.DONE})), set()),
    ):
        assert {hold.id for hold in (await bench.holds.list(wanted))[0]} == ids


@pytest.mark.parametrize("cursor", ["", "x", "5", "5:h_1", "é", "٣:h_" + "0" * 26, "5:g_" + "0" * 26, "9" * 19 + ":h_" + "0" * 26], ids=repr)
async def test_a_cursor_that_is_none_of_ours(bench, cursor):
    """Invalid, never an error of ours or another list's place; also a time no column holds."""
    with pytest.raises(Invalid, match="cursor"):
        await bench.holds.list(Filter(), cursor)
