"""Escalation at half of the time to decide: once, to those who could still vote, and to nobody who could not."""

from __future__ import annotations

import asyncio

import pytest

from stagewarden import config
from stagewarden.holds.escalating import whom
from stagewarden.holds.view import agent_view, person_view
from stagewarden.registry import Person
from tests.unit.holds.bench import HIGH, ballot, open_bench, registry

HOUR = 3600
TERMS = config.Holds(settle=config.Seconds(0), remind_at=None)


@pytest.fixture
async def bench(tmp_path):
    """Holds that are escalated after two of their four hours."""
    async with open_bench(tmp_path, terms=TERMS) as made:
        yield made


async def escalated(bench) -> list[str]:
    """Ids of the holds that are escalated now."""
    return [moved.hold.id for moved in await bench.holds.escalate_due(bench.registry)]


@pytest.mark.parametrize("how", ["advance", "jump", "monotonic"])
async def test_at_half_of_the_time(bench, how):
    """By either clock, once, with an entry that names who was called; the hold waits on."""
    hold = await bench.pending()
    await bench.log()
    assert await bench.holds.next_deadline() == 2 * HOUR
    bench.clock.advance(HOUR)
    assert await escalated(bench) == []
    if how == "monotonic":
        bench.clock.jump(-10 * HOUR)
    (bench.clock.jump if how == "jump" else bench.clock.advance)(HOUR)
    if how != "jump":  # the release loop looks every half minute in any case
        assert await bench.holds.next_deadline() == 0
    assert await escalated(bench) == [hold.id]
    (entry,) = await bench.log()
    assert (entry["event"], entry["from"], entry["state"], entry["called"]) == ("escalated", "pending", "pending", ["ravi", "rita"])
    assert await escalated(bench) == []
    assert await bench.holds.next_deadline() > 0
    now = await bench.holds.get(hold.id)
    assert now.escalated_at_ns == bench.clock.now_ns()
    assert person_view(now, payload=False)["escalated_at"] is not None
    assert "escalated_at" not in agent_view(now)
    assert (await bench.holds.vote(hold.id, ballot(hold), bench.registry)).hold.state == "approved"


async def test_only_what_waits_for_people(bench):
    """Decided, withdrawn, being sent, or stored without asking anybody: nobody is called."""
    await bench.approved()
    await bench.sent()
    await bench.holds.withdraw((await bench.pending()).id, "drafter")
    await bench.force(await bench.pending(), asked=False)
    bench.clock.advance(3 * HOUR)
    before = await bench.snapshot()
    assert await escalated(bench) == []
    assert await bench.snapshot() == before


@pytest.mark.parametrize(
    "terms", [config.Holds(escalate_at=None, remind_at=None), config.Holds(escalate_at=0.75, remind_at=None)], ids=["never", "later"]
)
async def test_the_configuration_says_when(tmp_path, terms):
    """Another share, or none."""
    async with open_bench(tmp_path, terms=terms) as bench:
        hold = await bench.pending()
        bench.clock.advance(3 * HOUR - 1)
        assert await escalated(bench) == []
        bench.clock.advance(1)
        assert await escalated(bench) == ([] if terms.escalate_at is None else [hold.id])


async def test_half_of_the_working_time(tmp_path):
    """Saturday noon in Berlin, four hours from Monday nine on: called on Monday at eleven."""
    terms = config.Holds(hours=config.Hours(zone="Europe/Berlin"))
    async with open_bench(tmp_path, terms=terms) as bench:  # the bench's clock begins on Saturday, 2026-11-21 10:00 there
        hold = await bench.pending()
        assert hold.expires_at_ns - hold.asked_at_ns == (2 * 24 + 3) * HOUR * 10**9
        bench.clock.advance((2 * 24 + 1) * HOUR - 1)
        assert await escalated(bench) == []
        bench.clock.advance(1)
        assert await escalated(bench) == [hold.id]


async def test_a_reminder_at_three_quarters(tmp_path):
    """Called at half of the time, reminded at three quarters, once each, whichever clock says so; the votes still count."""
    async with open_bench(tmp_path, terms=config.Holds(settle=config.Seconds(0))) as bench:
        hold = await bench.pending()
        await bench.log()
        events = []
        for _ in range(8):
            bench.clock.advance(HOUR / 2)
            bench.clock.jump(-HOUR / 2)  # the wall clock stands still
            if await escalated(bench):
                events += [(entry["event"], entry["called"]) for entry in await bench.log()]
            else:
                events.append(None)
        assert events == [None, None, None, ("escalated", ["ravi", "rita"]), None, ("reminded", ["ravi", "rita"]), None, None]
        now = await bench.holds.get(hold.id)
        assert 0 < now.reminded_at_ns == now.escalated_at_ns


async def test_who_was_away_is_called_and_reminded_once(tmp_path):
    """Both moments passed while no process looked: one call and one reminder, and nothing more at the next look."""
    async with open_bench(tmp_path, terms=config.Holds()) as bench:
        hold = await bench.pending()
        await bench.log()
        bench.clock.advance(3 * HOUR)
        assert await escalated(bench) == [hold.id, hold.id]
        assert [entry["event"] for entry in await bench.log()] == ["escalated", "reminded"]
        assert await escalated(bench) == []
        assert await bench.holds.next_deadline() == HOUR


async def test_it_is_known_again_after_a_restart(tmp_path):
    """Not called twice, and not forgotten."""
    async with open_bench(tmp_path, terms=TERMS) as bench:
        first = await bench.pending()
        bench.clock.advance(2 * HOUR)
        assert await escalated(bench) == [first.id]
        second, clock = await bench.pending(), bench.clock
    async with open_bench(tmp_path, clock, terms=TERMS) as bench:
        await bench.holds.recover()
        clock.advance(HOUR)
        assert await escalated(bench) == []
        clock.jump(-10 * HOUR)
        clock.advance(HOUR)
        assert await escalated(bench) == [second.id]


async def test_nothing_is_remembered_of_it(bench):
    """Memory does not grow with what was decided in time."""
    for _ in range(5):
        await bench.holds.withdraw((await bench.pending()).id, "drafter")
        await bench.approved()
    assert bench.holds._deadlines._calls == {}


DELEGATES = {
    "lena": Person(functions=("legal",), delegate="lara"),
    "lara": Person(functions=("legal",)),
    "rita": Person(functions=("reviewer",), delegate="mike"),
    "ravi": Person(functions=("reviewer", "manager"), delegate="gone"),
    "olga": Person(functions=("reviewer",), delegate="rita"),
}


async def test_who_is_called(bench):
    """Who could fill a seat and has not voted, and whom they stand by for; never somebody without the function, who left or owns the agent."""
    people = registry(**DELEGATES)
    hold = await bench.pending(seats=HIGH)
    told = whom(hold, people)
    assert told == {"called": ["lara", "lena", "ravi", "rita"], "delegates": {"lena": "lara", "olga": "rita"}}
    voted = (await bench.holds.vote(hold.id, ballot(hold, "rita-admin", "legal"), people)).hold
    assert whom(voted, people) == {"called": ["lara", "lena", "ravi"], "delegates": {"lena": "lara"}}


async def test_a_delegate_gains_no_right(bench):
    """Declared for a function they do not hold, they vote in it no more than before: nobody stands in for another."""
    people = registry(lena=Person(functions=("legal",), delegate="mike"))
    hold = await bench.pending(seats=HIGH)
    bench.clock.advance(2 * HOUR)
    await bench.holds.escalate_due(people)
    before = await bench.snapshot()
    for function in ("legal", "marketing"):
        with pytest.raises(Exception, match="mike"):
            await bench.holds.vote(hold.id, ballot(hold, "mike", function), people)
    assert await bench.snapshot() == before


async def test_two_processes_call_once(bench):
    """Replicas that see the moment together: one entry, and the other goes on."""
    hold = await bench.pending()
    await bench.log()
    bench.clock.advance(2 * HOUR)
    async with bench.beside() as other:
        moved = await asyncio.gather(*(each.holds.escalate_due(each.registry) for each in (bench, other) * 3))
        assert [one.hold.id for each in moved for one in each] == [hold.id]
        assert len([*await bench.log(), *await other.log()]) == 1
