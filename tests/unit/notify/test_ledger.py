"""Deliveries on both databases: written once, claimed by one, settled by whoever holds the claim, sent again by people."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from stagewarden.errors import Conflict, Invalid, NotFound
from stagewarden.notify import Ledger, Outcome
from stagewarden.notify import ledger as ledgers
from stagewarden.store.tables import notices
from tests.databases import DATABASES
from tests.unit.holds.bench import HandClock, ballot
from tests.unit.notify.bench import new

pytestmark = pytest.mark.parametrize("database", DATABASES, indirect=True)
DAY = 86_400
HERE = "digest of here"


async def states(ledger: Ledger) -> list[tuple[str, str | None, int]]:
    """State, code and attempts, newest first."""
    page, _ = await ledger.page(None, None, 100)
    return [(each.state, each.code, each.attempts) for each in page]


async def heard(bench) -> list[tuple[str, str]]:
    """Notices that wait: event and the hold's state."""
    async with bench.store.reading() as connection:
        return [(row.event, row.state) for row in await connection.execute(select(notices).order_by(notices.c.number))]


async def test_a_notice_is_written_by_what_strikes_its_entry_off(bench):
    """Nobody hears of what is not in the log; then it is there, once, and not of every move."""
    bench.holds.heard = True
    hold = await bench.pending()
    await bench.holds.vote(hold.id, ballot(hold), bench.registry)
    assert await heard(bench) == []
    await bench.log()
    assert await heard(bench) == [("opened", "pending"), ("decided", "approved")]
    await bench.holds.claim(hold.id, "a_1")
    await bench.log()
    assert len(await heard(bench)) == 2


async def test_one_notice_of_an_entry_whoever_strikes_it_off(bench):
    """An instance that was taken for gone, and whoever took its entries over, at once: neither fails, and people hear once."""
    async with bench.beside() as other:
        bench.holds.heard = other.holds.heard = True
        for _ in range(10):
            await bench.pending()
            ids = [entry.id for entry in await bench.holds.undelivered()]
            await asyncio.gather(*(each.holds.delivered(ids) for each in (bench, other) * 3))
    assert await heard(bench) == [("opened", "pending")] * 10


async def test_where_nobody_delivers_nothing_is_written(bench):
    """A house without channels pays nothing."""
    await bench.pending()
    await bench.log()
    assert await heard(bench) == []


async def test_a_notice_becomes_deliveries_once(bench, ledger):
    """Two replicas turn the same notice over: one writes its deliveries, and the notice is gone."""
    bench.holds.heard = True
    await bench.pending()
    await bench.log()
    (pending,) = await ledger.pending()
    async with bench.beside() as other:
        second = Ledger(other.store, bench.clock)
        made = await asyncio.gather(*(each.enter(pending.entry, [new("1"), new("2")], {}) for each in (ledger, second) * 3))
    assert sorted(made) == [0, 0, 0, 0, 0, 2]
    assert await ledger.pending() == ()
    assert len(await states(ledger)) == 2


async def test_the_same_call_is_not_written_twice(ledger):
    """`once` is what makes a message one, whichever notice it comes from."""
    assert await ledger.enter(None, [new("1"), new("1")], {}) == 1
    assert await ledger.enter(None, [new("1"), new("2")], {}) == 1
    assert len(await states(ledger)) == 2


async def test_one_claim_at_a_time(bench, ledger):
    """Whoever claims has it until the lease is over; then it goes out again, under the same id, and the first claim settles nothing."""
    await ledger.enter(None, [new()], {})
    async with bench.beside() as other:
        second = Ledger(other.store, bench.clock)
        claims = await asyncio.gather(*(each.claim("desk", 4) for each in (ledger, second) * 3))
        (first,) = [delivery for claim in claims for delivery in claim]
        bench.clock.advance(ledgers.LEASE)
        (again,) = await second.claim("desk", 4)
        assert (again.id, again.attempts) == (first.id, 2)
        assert again.claim != first.claim
        assert await ledger.settle(first, Outcome("delivered", "http_200"), None, HERE) is None
        assert await states(ledger) == [("sending", None, 2)]
        assert await second.settle(again, Outcome("delivered", "http_200"), None, HERE) == "delivered"
    assert await states(ledger) == [("delivered", "http_200", 2)]
    assert await ledger.claim("desk", 4) == ()


async def test_another_channel_claims_nothing_of_it(ledger):
    """Each channel has its own."""
    await ledger.enter(None, [new()], {})
    assert await ledger.claim("mail", 4) == ()


async def test_it_waits_as_long_as_it_is_told(bench, ledger):
    """Not due before its pause is over; then it is."""
    await ledger.enter(None, [new()], {})
    (delivery,) = await ledger.claim("desk", 4)
    assert await ledger.settle(delivery, Outcome("again", "http_500"), 300.0, HERE) == "waiting"
    assert await ledger.claim("desk", 4) == ()
    assert await ledger.next_due("desk") == pytest.approx(300.0, abs=5)
    bench.clock.advance(300)
    assert len(await ledger.claim("desk", 4)) == 1


async def test_gone_silences_its_channel(bench, ledger):
    """410: what waits is dead, what comes is dead from the start; another address of the channel is another receiver."""
    await ledger.enter(None, [new("1"), new("2")], {"desk": HERE})
    (first, *_) = await ledger.claim("desk", 1)
    assert await ledger.settle(first, Outcome("gone", "http_410"), None, HERE) == "dead"
    assert sorted(await states(ledger)) == [("dead", "http_410", 1), ("dead", "silenced", 0)]
    await ledger.enter(None, [new("3")], {"desk": HERE})
    await ledger.enter(None, [new("4")], {"desk": "digest of elsewhere"})
    assert sorted(await states(ledger), key=str)[1:] == [("dead", "silenced", 0), ("dead", "silenced", 0), ("waiting", None, 0)]


async def test_sent_again(ledger):
    """Under the same id, with all its attempts before it, and the channel speaks again; the row says who."""
    await ledger.enter(None, [new("1")], {"desk": HERE})
    (first,) = await ledger.claim("desk", 1)
    with pytest.raises(Conflict):
        await ledger.resend(first.id, "sara")
    await ledger.settle(first, Outcome("gone", "http_410"), None, HERE)
    again = await ledger.resend(first.id, "sara")
    assert (again.state, again.attempts, again.resent_by) == ("waiting", 0, "sara")
    assert [each.id for each in await ledger.claim("desk", 1)] == [first.id]
    await ledger.enter(None, [new("2")], {"desk": HERE})
    assert (await ledger.page("waiting", None, 10))[0][0].code is None


async def test_what_is_due_is_one_question_of_all_replicas(bench, ledger, database):
    """One whose own clock is an hour ahead writes, claims, puts off and counts by the clock they share."""
    ahead = HandClock()
    ahead.jump(3600)
    other = Ledger(bench.store, ahead)
    after = 3600 if database == "sqlite" else 0  # a database of one process alone has no clock beside that one's
    assert await other.enter(None, [new()], {}) == 1
    bench.clock.advance(after)
    (delivery,) = await ledger.claim("desk", 4)
    await other.settle(delivery, Outcome("again", "http_500"), 300.0, HERE)
    assert await ledger.next_due("desk") == pytest.approx(300.0, abs=5)
    assert await other.next_due("desk") == pytest.approx(300.0, abs=5)
    bench.clock.advance(300)
    assert [each.id for each in await ledger.claim("desk", 4)] == [delivery.id]


@pytest.mark.parametrize("unknown", ["n_01M7YNAYM0KZRJ65AWGYZCHKK2", "", "n\0", "' OR 1=1"], ids=["unknown", "empty", "nul", "quote"])
async def test_no_such_delivery(ledger, unknown):
    """And nothing changed."""
    await ledger.enter(None, [new()], {})
    with pytest.raises(NotFound):
        await ledger.resend(unknown, "sara")
    with pytest.raises(NotFound):
        await ledger.get(unknown)
    assert await states(ledger) == [("waiting", None, 0)]


async def test_a_full_queue_is_bounded(ledger, monkeypatch):
    """What comes on top is dead at once, is shown, and can be sent again."""
    monkeypatch.setattr(ledgers, "MOST_WAITING", 2)
    for number in range(4):
        await ledger.enter(None, [new(str(number))], {})
    await ledger.enter(None, [new("x", channel="mail")], {})
    assert sorted(await states(ledger), key=str) == [("dead", "queue_full", 0)] * 2 + [("waiting", None, 0)] * 3
    assert await ledger.standing() == {"waiting": 3, "dead": 2}


async def test_pages(bench, ledger):
    """Newest first, whole, each once; a made-up place is refused."""
    for number in range(5):
        await ledger.enter(None, [new(str(number))], {})
        bench.clock.advance(1)
    seen, place = [], None
    while True:
        page, place = await ledger.page(None, place, 2)
        seen += [each.id for each in page]
        if place is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 5
    with pytest.raises(Invalid):
        await ledger.page(None, "1:h_01M7YNAYM0KZRJ65AWGYZCHKK2", 2)


async def test_what_is_old_is_forgotten(bench, ledger):
    """What arrived after a week, what is dead after a month, notices nobody delivers after three days; what nobody tries either is dead by then."""
    bench.holds.heard = True
    await bench.pending()
    await bench.log()
    await ledger.enter(None, [new("1"), new("2"), new("3")], {})
    one, two = await ledger.claim("desk", 2)
    await ledger.settle(one, Outcome("delivered", "http_200"), None, HERE)
    await ledger.settle(two, Outcome("never", "smtp_550"), None, HERE)
    left = []
    for days in (2, 2, 4, 23):
        bench.clock.advance(days * DAY)
        await ledger.purge()
        left.append((len(await ledger.pending()), sorted(state for state, _, _ in await states(ledger))))
    assert left == [(1, ["dead", "delivered", "waiting"]), (0, ["dead", "dead", "delivered"]), (0, ["dead", "dead"]), (0, ["dead"])]


async def test_a_channel_that_is_configured_nowhere_is_waited_for_no_longer(bench, ledger):
    """What is left of it is dead and says why, and can be sent again; what waits for its next attempt, however long, is not of it."""
    await ledger.enter(None, [new("1"), new("2", channel="removed"), new("3", channel="removed")], {})
    (tried,) = await ledger.claim("desk", 1)
    await ledger.claim("removed", 1)  # by a process that is gone
    await ledger.settle(tried, Outcome("again", "http_500"), float(DAY), HERE)
    bench.clock.advance(3 * DAY + 1)
    await ledger.purge()
    assert sorted(await states(ledger), key=str) == [("dead", "no_channel", 0), ("dead", "no_channel", 1), ("waiting", "http_500", 1)]
    assert await ledger.standing() == {"waiting": 1, "dead": 2}
