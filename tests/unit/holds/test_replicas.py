"""Acts of several replicas at the same moment, on one PostgreSQL: whatever is read before it is written is still so when it is written."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stagewarden import config
from stagewarden.clock import NANOSECONDS
from stagewarden.errors import Conflict, Refused, StateUnavailable
from stagewarden.holds import Holds, Vault
from stagewarden.holds.paging import Filter
from stagewarden.model import HoldState, Vote
from stagewarden.store import Store, locate
from tests.databases import prepared
from tests.unit.holds.bench import HIGH, OK, Bench, HandClock, ballot, new_hold, open_bench, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from stagewarden.model import Hold

ROUNDS = 8
LIMIT = 3


@pytest.fixture
def database(tmp_path: Path):
    """SQLite has one owner: replicas share a PostgreSQL."""
    with prepared("postgresql", tmp_path):
        yield "postgresql"


@pytest.fixture
async def fleet(database: str, tmp_path: Path) -> AsyncIterator[tuple[Bench, ...]]:
    """Three replicas by one clock."""
    clock = HandClock()
    async with AsyncExitStack() as stack:
        yield tuple([await stack.enter_async_context(open_bench(tmp_path, clock, holds_per_agent=LIMIT)) for _ in range(3)])


async def at_once(*acts: Awaitable[object]) -> list[object]:
    """What each came to."""
    return await asyncio.gather(*acts, return_exceptions=True)


def kinds(said: list[object]) -> Counter[str]:
    """How often each kind of end."""
    return Counter(type(each).__name__ for each in said)


async def finished(bench: Bench, hold: Hold) -> None:
    """Out of the way of the limit."""
    await bench.holds.stop(hold.id, "sam", "done with it") if hold.state in {HoldState.PENDING, HoldState.APPROVED} else None


async def test_two_votes_for_the_last_seats_at_once_approve(fleet):
    """Each must see the other: else both find a seat open, and the hold waits for ever with every seat filled."""
    for _ in range(ROUNDS):
        hold = await fleet[0].pending(seats=HIGH)
        said = await at_once(
            fleet[0].holds.vote(hold.id, ballot(hold, "ravi", "manager"), fleet[0].registry),
            fleet[1].holds.vote(hold.id, ballot(hold, "lena", "legal"), fleet[1].registry),
        )
        assert kinds(said) == {"Moved": 2}
        now = await fleet[2].holds.get(hold.id)
        assert (now.state, {vote.person for vote in now.votes}) == (HoldState.APPROVED, {"ravi", "lena"})
        await finished(fleet[0], now)


async def test_one_human_under_two_names_counts_once(fleet):
    """Aliases are no two people, however close together they vote."""
    for _ in range(ROUNDS):
        hold = await fleet[0].pending(seats=HIGH)
        said = await at_once(
            fleet[0].holds.vote(hold.id, ballot(hold, "rita"), fleet[0].registry),
            fleet[1].holds.vote(hold.id, ballot(hold, "rita-admin", "legal"), fleet[1].registry),
        )
        assert kinds(said) == {"Moved": 1, "Conflict": 1}
        assert len((await fleet[2].holds.get(hold.id)).votes) == 1
        await finished(fleet[0], await fleet[0].holds.get(hold.id))


async def test_an_approval_and_a_rejection_at_once(fleet):
    """One of them ends it; the other is told so, and is not recorded."""
    for _ in range(ROUNDS):
        hold = await fleet[0].pending()
        said = await at_once(
            fleet[0].holds.vote(hold.id, ballot(hold, "rita"), fleet[0].registry),
            fleet[1].holds.vote(hold.id, ballot(hold, "ravi", decision="reject"), fleet[1].registry),
        )
        assert kinds(said) == {"Moved": 1, "Conflict": 1}
        now = await fleet[2].holds.get(hold.id)
        assert (now.state, [vote.decision for vote in now.votes]) in [(HoldState.APPROVED, ["approve"]), (HoldState.REJECTED, ["reject"])]
        await finished(fleet[0], now)


async def test_an_agents_limit_is_one_limit(fleet):
    """However many replicas its requests reach at once: over it 429, nothing stored."""
    said = await at_once(*[fleet[number % 3].holds.open(new_hold(request(f"{number}".encode()))) for number in range(15)])
    assert kinds(said) == {"Moved": LIMIT, "Refused": 15 - LIMIT}
    assert all(isinstance(each, Refused) and each.code == "overloaded" for each in said if isinstance(each, Exception))
    assert len((await fleet[0].holds.list(Filter()))[0]) == LIMIT


async def test_an_agents_limit_counts_what_a_template_approves(fleet):
    """Opened and approved at once, at every replica, beside what is opened to be asked about: the same limit, and over it nothing stored."""
    vote = Vote("v_1", "rita", "reviewer", "approve", None, None, "", "", 1)
    until_ns = fleet[0].clock.now_ns() + 3600 * NANOSECONDS

    def opened(number):
        new, bench = new_hold(request(f"{number}".encode())), fleet[number % 3]
        own = (replace(vote, id=f"v_{number}"),)
        return bench.holds.open_approved(new, "g_1", own, until_ns) if number % 2 else bench.holds.open(new)

    said = await at_once(*[opened(number) for number in range(24)])
    assert kinds(said) == {"Moved": LIMIT, "Refused": 24 - LIMIT}
    assert len((await fleet[0].holds.list(Filter()))[0]) == LIMIT


async def test_one_request_at_several_replicas_is_one_hold(fleet):
    """Whoever comes second is told where the first stands."""
    for number in range(ROUNDS):
        said = await at_once(*[bench.holds.open(new_hold(request(f"{number}".encode()))) for bench in fleet])
        assert kinds(said) == {"Moved": 3}
        assert len({each.hold.id for each in said}) == 1
        assert sum(bool(each.entries) for each in said) == 1
        await finished(fleet[0], said[0].hold)


async def test_a_crowd_of_one_agent_keeps_nobody_else_waiting(fleet, tmp_path):
    """However many requests of it wait for their turn to be counted: they hold one connection of the pool, and the others are served."""
    bench = fleet[0]
    async with bench.store.writing() as connection:
        await bench.store.alone(connection, "agent drafter")
        crowd = [asyncio.create_task(bench.holds.open(new_hold(request(f"{number}".encode())))) for number in range(40)]
        await asyncio.sleep(0)
        async with asyncio.timeout(3):  # the crowd waits for its lock for four
            await bench.holds.open(new_hold(request(b"another"), agent="another"))
    assert kinds(await at_once(*crowd)) == {"Moved": LIMIT, "Refused": 40 - LIMIT}


async def approved(fleet: tuple[Bench, ...]) -> Hold:
    """Approved, and its entries in the log of whoever wrote them."""
    return await fleet[0].approved()


async def test_sixty_claims_at_once_are_one(fleet):
    """The others are told that it is claimed, and change nothing."""
    hold = await approved(fleet)
    said = await at_once(*[fleet[number % 3].holds.claim(hold.id, f"a_{number}") for number in range(60)])
    assert kinds(said) == {"Moved": 1, "Conflict": 59}


async def test_sixty_votes_of_one_person_at_once_are_one(fleet):
    """The same ballot again says the same; it is stored and logged once."""
    hold = await fleet[0].pending(seats=HIGH)
    said = await at_once(*[fleet[number % 3].holds.vote(hold.id, ballot(hold, "ravi", "manager"), fleet[0].registry) for number in range(60)])
    assert kinds(said) == {"Moved": 60}
    assert sum(bool(each.entries) for each in said) == 1


ENDS = {
    "kill": lambda bench, hold: bench.holds.stop_in_scope("all", "sam", "incident"),
    "a person stops it": lambda bench, hold: bench.holds.stop(hold.id, "sam", "no"),
    "the asset is edited": lambda bench, hold: bench.holds.supersede_asset("cms", "42", "edited"),
    "withdrawn": lambda bench, hold: bench.holds.withdraw(hold.id, "drafter"),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_an_end_against_a_claim_and_a_send(fleet, end):
    """Either it ends unsent, or its bytes may leave: never both, and never an error of the database."""
    for _ in range(ROUNDS):
        hold = await approved(fleet)
        await fleet[0].log()

        async def release(hold=hold) -> str:
            await fleet[1].holds.claim(hold.id, "a_1")
            await fleet[1].holds.mark_sent(hold.id, "a_1")
            return "sent"

        said = await at_once(release(), end(fleet[2], hold))
        assert all(not isinstance(each, StateUnavailable) for each in said), said
        now = await fleet[0].holds.get(hold.id)
        assert (now.state is HoldState.SENT) == (said[0] == "sent")
        assert now.state in {HoldState.SENT, HoldState.STOPPED, HoldState.SUPERSEDED, HoldState.WITHDRAWN}
        if now.state is HoldState.SENT:
            await fleet[1].holds.finish(hold.id, "a_1", OK)


async def test_everybody_expires_what_is_due_and_it_expires_once(fleet):
    """The loops of all replicas wake at the same deadline."""
    for _ in range(LIMIT):
        await fleet[0].pending()
    fleet[0].clock.advance(5 * 3600)
    said = await at_once(*[bench.holds.expire_due() for bench in fleet for _ in range(3)])
    assert kinds(said) == {"tuple": 9}
    assert sorted(moved.hold.state for each in said for moved in each) == [HoldState.EXPIRED] * LIMIT


async def test_a_deadline_in_our_books_ends_no_send_of_another_replica(fleet):
    """Use-by runs until the bytes leave; what another sends is its own until its lease is over, also where nobody told us that it is sent."""
    hold = await approved(fleet)
    await fleet[2].holds.heed_all()
    fleet[0].clock.advance(15 * 60 - 5)
    await fleet[1].holds.claim(hold.id, "a_1")
    await fleet[1].holds.mark_sent(hold.id, "a_1")
    fleet[0].clock.advance(10)
    assert await fleet[2].holds.expire_due() == ()
    assert (await fleet[2].holds.next_deadline() or 0) > 1
    fleet[0].clock.advance(25)
    assert [moved.hold.state for moved in await fleet[2].holds.expire_due()] == [HoldState.UNKNOWN]


async def test_entries_of_one_that_is_gone_are_taken_over_by_one(fleet):
    """By id, once; those of the living stay theirs."""
    gone, *left = fleet
    await gone.pending()
    await left[0].pending()
    living = [bench.store.instance for bench in left]
    said = await asyncio.gather(*[bench.holds.adopt(living) for bench in left for _ in range(3)])
    assert sorted(said) == [0, 0, 0, 0, 0, 1]
    assert await gone.holds.undelivered() == ()
    assert sorted([len(await bench.holds.undelivered()) for bench in left]) in ([0, 2], [1, 1])


async def test_nothing_is_released_before_its_approval_is_in_a_log(fleet):
    """Whoever's log it belongs in: others wait for it."""
    hold = await fleet[0].pending()
    await fleet[1].holds.vote(hold.id, ballot(hold), fleet[1].registry)
    await fleet[0].log()
    assert await fleet[2].holds.due() == ()
    with pytest.raises(Conflict, match="not in the log yet"):
        await fleet[2].holds.claim(hold.id, "a_1")
    await fleet[1].log()
    assert await fleet[2].holds.due() == (hold.id,)


async def test_openers_with_two_keys_agree_on_one(database, tmp_path):
    """`holds.key` is one over all replicas: of two that start at once with different ones one is refused."""
    stores = [Store(locate((tmp_path / "state.url").read_text(), tmp_path)) for _ in range(6)]
    for store in stores:
        await store.open()
    keys = [bytes([number % 2]) * 32 for number in range(6)]
    made = [Holds(store, Vault(key), HandClock(), config.Holds(), config.Limits()) for store, key in zip(stores, keys, strict=True)]
    said = await at_once(*[holds.recover() for holds in made])
    assert kinds(said) == {"tuple": 3, "StateUnavailable": 3}
    refused = {key for key, each in zip(keys, said, strict=True) if isinstance(each, Exception)}
    assert len(refused) == 1
    for store in stores:
        await store.close()
