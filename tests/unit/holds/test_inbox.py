"""What waits, as lists read it: in order of when it is due, by pages, right however much waits, and no more work for more of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import Invalid
from stagewarden.holds.inbox import Which
from stagewarden.holds.paging import Narrowed
from stagewarden.holds.rows import SEALED
from stagewarden.model import Tier
from tests.unit.holds.bench import ballot

if TYPE_CHECKING:
    from stagewarden.holds.inbox import Glance
    from tests.unit.holds.bench import Bench

HOUR = 3600


async def lots(glance: Glance, *, asked: bool = True) -> frozenset[str]:
    """All of them."""
    return frozenset(tally.id for tally in await glance.tallies(0) if tally.asked is asked)


async def ids(glance: Glance, which: Which) -> list[str]:
    """Of one page."""
    return [hold.id for hold in (await glance.page(which, None, 50))[0]]


async def test_due_first_and_by_pages(bench: Bench) -> None:
    """By when each is due, then by id; a page begins where the last one ended while holds come and go; without payload."""
    made = []
    for _ in range(5):
        made.append((await bench.pending()).id)
        bench.clock.advance(1)
    async with bench.holds.glance() as glance:
        which = Which(asked=True, lots=await lots(glance))
        first, place = await glance.page(which, None, 2)
    await bench.holds.withdraw(made[2], "drafter")
    newer = await bench.pending()
    async with bench.holds.glance() as glance:
        await lots(glance)
        second, place = await glance.page(which, place, 2)
        third, end = await glance.page(which, place, 2)
        assert await glance.count(which) == 5
    assert [hold.id for hold in (*first, *second, *third)] == [*made[:2], *made[3:], newer.id]
    assert (end, any(hold.payload for hold in first)) == (None, False)


@pytest.mark.parametrize("place", ["", "x", "5:h_1", "5:g_" + "0" * 26, "9" * 19 + ":h_" + "0" * 26], ids=repr)
async def test_a_place_that_is_none_of_ours(bench: Bench, place: str) -> None:
    """Invalid, in both orders."""
    await bench.pending()
    async with bench.holds.glance() as glance:
        which = Which(asked=True, lots=await lots(glance))
        with pytest.raises(Invalid, match="cursor"):
            await glance.page(which, place, 2)
        with pytest.raises(Invalid, match="cursor"):
            await glance.ended(Narrowed(), place, 2)


async def test_what_is_left_out(bench: Bench) -> None:
    """By lot either way round, by when it is due, by what was asked for since, by text in an id or an asset, as text."""
    early = await bench.pending(asset="a_1%")
    since = bench.clock.now_ns()
    bench.clock.advance(HOUR)
    late = await bench.pending(agent="other")
    async with bench.holds.glance() as glance:
        every = {tally.lot.agent: tally.id for tally in await glance.tallies(early.expires_at_ns)}
        assert {tally.lot.agent: tally.soon for tally in await glance.tallies(early.expires_at_ns)} == {"drafter": 1, "other": 0}
        both = frozenset(every.values())
        for which, found in (
            (Which(asked=True, lots=both), [early.id, late.id]),
            (Which(asked=True, lots=frozenset({every["other"]})), [late.id]),
            (Which(asked=True, lots=frozenset()), []),
            (Which(asked=False, lots=both), []),
            (Which(asked=True, lots=both, due_by_ns=early.expires_at_ns), [early.id]),
            (Which(asked=True, lots=both, after_ns=since), [late.id]),
            (Which(asked=True, lots=both, text=late.id[-6:].lower()), [late.id]),
            (Which(asked=True, lots=both, text="1%"), [early.id]),
            (Which(asked=True, lots=both, text="a%"), []),
            (Which(asked=True, lots=both, text="\0"), []),
            (Which(asked=True, lots=both, text="other", found=frozenset({every["other"]})), [late.id]),
        ):
            assert await ids(glance, which) == found, which
            assert await glance.count(which) == len(found), which


async def test_proposals_are_apart(bench: Bench) -> None:
    """What nobody is asked about is counted and listed by itself."""
    proposal, hold = await bench.pending(asked=False), await bench.pending()
    async with bench.holds.glance() as glance:
        tallies = await glance.tallies(0)
        assert sorted((tally.asked, tally.count) for tally in tallies) == [(False, 1), (True, 1)]
        assert await ids(glance, Which(asked=False, lots=await lots(glance, asked=False))) == [proposal.id]
        assert await ids(glance, Which(asked=True, lots=await lots(glance))) == [hold.id]


async def test_what_is_decided(bench: Bench) -> None:
    """Under way apart; what ended last comes first, by pages and by filter, each as text."""
    rejected = await bench.pending(tier=Tier.HIGH, question={"action": {"destination": "site"}})
    await bench.holds.vote(rejected.id, ballot(rejected, decision="reject"), bench.registry)
    bench.clock.advance(1)
    done, ended_at = await bench.ended(), bench.clock.now_ns()
    bench.clock.advance(1)
    under_way = await bench.approved()
    await bench.pending()
    async with bench.holds.glance() as glance:
        first, place = await glance.ended(Narrowed(), None, 1)
        second, end = await glance.ended(Narrowed(), place, 1)
        assert ([hold.id for hold in (*first, *second)], end) == ([done.id, rejected.id], None)
        assert [hold.id for hold in await glance.under_way(10)] == [under_way.id]
        assert {lot.tier for lot in await glance.ended_lots()} == {Tier.HIGH, Tier.MEDIUM}
        for wanted, found in (
            (Narrowed(tier="high"), [rejected.id]),
            (Narrowed(channel="site"), [rejected.id]),
            (Narrowed(channel="cms"), [done.id]),
            (Narrowed(code="publish_not_granted"), [done.id, rejected.id]),
            (Narrowed(code="publish%not_granted"), []),
            (Narrowed(workflow="newsletter", text=done.id[-5:]), [done.id]),
            (Narrowed(workflow="other"), []),
            (Narrowed(channel="\0", text="\0"), []),
        ):
            assert [hold.id for hold in (await glance.ended(wanted, None, 10))[0]] == found, wanted
        assert (await glance.ended_since(ended_at), await glance.ended_since(ended_at + 1)) == (1, 0)
        assert await glance.high_votes({"rita"}, 0) == 1
        assert (await glance.high_votes({"rita"}, bench.clock.now_ns()), await glance.high_votes({"ravi"}, 0)) == (0, 0)
        assert await glance.high_votes({"ravi", "rita"}, 0) == 1
        last, nothing = await glance.last_voted({"ravi", "rita"}), await glance.last_voted({"ravi"})
    assert (last and last.id, nothing) == (under_way.id, None)


async def test_more_holds_are_no_more_work(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many statements and no more rows for fifteen times as many holds; no payload is opened for any of them."""
    seen: list[int] = []
    rows: list[int] = []
    opened: list[str] = []
    monkeypatch.setattr("stagewarden.holds.crypto.Payload.open", lambda _, name, __: opened.append(name))

    async def look() -> tuple[int, int]:
        seen.clear()
        rows.clear()
        async with bench.holds.glance() as glance:
            counted = await glance.tallies(bench.clock.now_ns() + HOUR * NANOSECONDS)
            page, _ = await glance.page(Which(asked=True, lots=frozenset(tally.id for tally in counted)), None, 2)
            rows.append(len(counted) + len(page))
        return len(seen), sum(rows)

    engine = bench.store._live().sync_engine
    event.listen(engine, "before_cursor_execute", lambda *_: seen.append(1))
    for _ in range(3):
        await bench.pending()
    await look()
    few = await look()
    for _ in range(45):
        await bench.pending()
    assert await look() == few
    assert not set(opened) & set(SEALED)
