"""How a vote came about is written down with it, once, durably, and nothing depends on it."""

import pytest
from sqlalchemy import func, select, update

from stagewarden.config import Hours, TimeOfDay
from stagewarden.errors import Conflict
from stagewarden.holds.reviewing import KEPT_DAYS
from stagewarden.store.tables import reviews, views
from tests.unit.holds.bench import PLAIN, ballot, open_bench

DAY = 86_400.0


async def counted(bench, table):
    """Rows."""
    async with bench.store.reading() as connection:
        return await connection.scalar(select(func.count()).select_from(table))


async def test_the_first_view_counts(bench):
    """Shown again, the first moment stays; the review knows it, and the content's length."""
    hold = await bench.pending()
    await bench.holds.seen(hold, "rita")
    bench.clock.advance(30)
    await bench.holds.seen(hold, "rita")
    await bench.holds.seen(hold, "ravi")
    bench.clock.advance(12)
    moved = await bench.holds.vote(hold.id, ballot(hold, unread=frozenset()), bench.registry)
    assert moved.review is not None
    assert (moved.review.seconds, moved.review.in_view, moved.review.length) == (42.0, True, len(hold.request.body))
    assert await bench.holds.reviews(DAY) == await bench.holds.reviews(DAY, "rita") == (moved.review,)
    assert await bench.holds.reviews(DAY, "ravi") == ()


@pytest.mark.parametrize(
    ("seen", "unread", "in_view"),
    [
        pytest.param(True, None, True, id="shown where nothing can be marked"),
        pytest.param(True, frozenset(), True, id="shown, and all marked as read"),
        pytest.param(True, frozenset({"changes"}), False, id="shown, a part not marked"),
        pytest.param(False, frozenset(), False, id="marked, but never shown"),
        pytest.param(False, None, False, id="never shown"),
    ],
)
async def test_whether_the_content_was_in_view(bench, seen, unread, in_view):
    """What was never served was not in view, whatever a form says."""
    hold = await bench.pending()
    if seen:
        await bench.holds.seen(hold, "rita")
    moved = await bench.holds.vote(hold.id, ballot(hold, unread=unread), bench.registry)
    assert moved.review.in_view is in_view


async def test_a_vote_is_written_down_once(bench):
    """Handed in twice it is one vote and one review; a refused one leaves nothing."""
    hold = await bench.pending()
    await bench.holds.vote(hold.id, ballot(hold), bench.registry)
    assert (await bench.holds.vote(hold.id, ballot(hold), bench.registry)).review is None
    before = await bench.snapshot()
    with pytest.raises(Conflict):
        await bench.holds.vote(hold.id, ballot(hold, "ravi"), bench.registry)
    assert await bench.snapshot() == before
    assert await counted(bench, reviews) == 1


async def test_the_log_is_told_nothing_of_it(bench):
    """No entry holds a view, a time or a mark."""
    hold = await bench.pending()
    await bench.log()
    await bench.holds.seen(hold, "rita")
    assert await bench.log() == []
    await bench.holds.vote(hold.id, ballot(hold, unread=frozenset({"changes"})), bench.registry)
    assert not {"viewed", "unread", "in_view", "seconds"} & {name for body in await bench.log() for name in body}


async def test_what_is_decided_is_not_viewed_for_a_vote(bench):
    """A hold that ended is read by many, and by nobody who will vote on it."""
    hold = await bench.ended()
    await bench.holds.seen(hold, "ravi")
    assert await counted(bench, views) == 0


async def test_two_processes_keep_one_first_view(bench):
    """Shown by two replicas at once, the first is the one that stays."""
    hold = await bench.pending()
    async with bench.beside() as other:
        await bench.holds.seen(hold, "rita")
        bench.clock.advance(5)
        await other.holds.seen(hold, "rita")
        bench.clock.advance(5)
        moved = await other.holds.vote(hold.id, ballot(hold), bench.registry)
    assert moved.review.seconds == 10.0
    assert await counted(bench, views) == 1


async def test_after_hours(tmp_path, database):
    """Whether people were at work when it was cast; without hours they always are."""
    night = Hours(zone="UTC", days=("sun",), from_=TimeOfDay(0), to=TimeOfDay(1))
    for hours, late in ((night, True), (None, False)):
        terms = type(PLAIN)(settle=PLAIN.settle, escalate_at=None, hours=hours)
        async with open_bench(tmp_path, terms=terms) as bench:
            hold = await bench.pending()
            moved = await bench.holds.vote(hold.id, ballot(hold), bench.registry)
            assert moved.review.after_hours is late


async def test_what_is_old_is_forgotten(bench):
    """Reviews after 90 days, first views once their hold is decided; what is current stays."""
    decided, waits = await bench.pending(), await bench.pending()
    for hold in (decided, waits):
        await bench.holds.seen(hold, "rita")
    await bench.holds.vote(decided.id, ballot(decided, decision="reject"), bench.registry)
    await bench.holds.forget_reviews()
    assert (await counted(bench, views), await counted(bench, reviews)) == (1, 1)
    async with bench.store.writing() as connection:
        await connection.execute(update(reviews).values(at_ns=reviews.c.at_ns - int(KEPT_DAYS * DAY * 1_000_000_000)))
    await bench.holds.forget_reviews()
    assert (await counted(bench, views), await counted(bench, reviews)) == (1, 0)
