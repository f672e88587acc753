from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from stagewarden.errors import CannotTell, Conflict, Refused
from stagewarden.model import Ask, HoldState, Reason, Seat, Tier
from tests.unit.holds.bench import HIGH, OK, ballot, new_hold, open_bench, request, states

DAY = 24 * 3600
ENDS = [
    # state, still answers within `holds.replay`, still answers after it
    pytest.param("pending", True, True, id="pending"),
    pytest.param("settling", True, True, id="settling"),
    pytest.param("approved", True, True, id="approved"),
    pytest.param("claimed", True, True, id="claimed"),
    pytest.param("sent", True, True, id="sent"),
    pytest.param("unknown", True, True, id="unknown: never a second hold"),
    pytest.param("done", True, False, id="done: the stored answer, for replay"),
    pytest.param("rejected", True, False, id="rejected: 403 for replay"),
    pytest.param("sent_back", True, False, id="sent_back: 403 for replay"),
    pytest.param("rolled_back", False, False, id="rolled back: judged anew"),
    pytest.param("stopped", True, False, id="stopped: 403 for replay"),
    pytest.param("superseded", False, False, id="superseded without successor: judged anew"),
    pytest.param("expired", False, False, id="expired: judged anew"),
    pytest.param("withdrawn", False, False, id="withdrawn: judged anew"),
    pytest.param("failed", False, False, id="failed: judged anew"),
]


async def find(bench, new, lookup_digest=None):
    """The hold that answers for this request."""
    return await bench.holds.find_repeat(new.agent, new.workflow, new.initiator, new.repeat_digest, lookup_digest)


@pytest.mark.parametrize(("state", "within", "after"), ENDS)
async def test_where_a_repeat_is_told_to_look(bench, state, within, after):
    """The row of lifecycles.md, "A repeat", for each state; opening agrees with finding, and opens a second hold only where none answers."""
    new = new_hold()
    hold = (await bench.holds.open(new)).hold
    ended = 0 if state in {"pending", "settling", "approved", "claimed", "sent"} else bench.clock.now_ns()
    await bench.force(hold, state=state, ended_at_ns=ended)
    for wait, answers in ((DAY - 1, within), (1, after)):
        bench.clock.advance(wait)
        found = await find(bench, new)
        assert (found is not None and found.id == hold.id) is answers
    opened = await bench.holds.open(new)
    assert (opened.hold.id == hold.id) is after
    assert (opened.entries == ()) is after


async def test_a_repeat_is_found_by_agent_workflow_initiator_and_digest(bench):
    """Another agent's, workflow's or initiator's same bytes are another request."""
    new = new_hold()
    hold = (await bench.holds.open(new)).hold
    assert (await find(bench, new)).id == hold.id
    for other in ({"agent": "other"}, {"workflow": "social"}, {"initiator": "rita"}, {"repeat_digest": "sha256:x"}):
        assert await find(bench, replace(new, **other)) is None


async def test_the_first_bytes_are_the_ones_sent(bench):
    """A repeat with another trace header finds the hold with the bytes that were judged and shown."""
    first = new_hold(request(headers=(("X-Request-Id", "1"),)))
    second = new_hold(request(headers=(("X-Request-Id", "2"),)))
    assert first.digest != second.digest
    hold = (await bench.holds.open(first)).hold
    again = await bench.holds.open(second)
    assert (again.hold.id, again.entries, again.hold.request) == (hold.id, (), first.request)


async def test_another_idempotency_key_is_meant_again(bench):
    """The agent's way to say that it wants the same thing twice."""
    ids = {(await bench.holds.open(new_hold(request(headers=(("Idempotency-Key", key),))))).hold.id for key in "aab"}
    assert len(ids) == 2


async def test_fifty_at_once_open_one_hold(bench):
    """Simultaneous identical requests: one hold, one entry, everybody told the same id."""
    moved = await asyncio.gather(*(bench.holds.open(new_hold()) for _ in range(50)))
    assert len({each.hold.id for each in moved}) == 1
    assert sum(len(each.entries) for each in moved) == 1


async def test_the_database_itself_holds_one_hold_per_repeat(bench, monkeypatch):
    """With replicas the look before is not enough: the unique index refuses the second, who is then told the first."""
    new = new_hold()
    hold = (await bench.holds.open(new)).hold
    real, blind = bench.holds._answering, iter([True])

    async def answering(*facts):
        return None if next(blind, False) else await real(*facts)

    monkeypatch.setattr(bench.holds, "_answering", answering)
    again = await bench.holds.open(new)
    assert (again.hold.id, again.entries) == (hold.id, ())


@pytest.mark.parametrize(
    ("after", "now", "answers"),
    [(None, "b", True), ("a", None, True), ("a", "a", True), ("a", "b", False)],
    ids=["not looked up after", "not looked up now", "as it was", "changed since"],
)
async def test_a_stored_answer_stands_until_the_asset_differs(bench, after, now, answers):
    """done: the answer for `replay`, or until the look-up differs from the one taken right after the send."""
    new = new_hold(lookup_digest=now)
    hold = (await bench.holds.open(new)).hold
    await bench.holds.vote(hold.id, ballot(hold), bench.registry)
    await bench.log()
    await bench.holds.claim(hold.id, "a_1")
    await bench.holds.mark_sent(hold.id, "a_1")
    await bench.holds.finish(hold.id, "a_1", OK, after_digest=after)
    found = await find(bench, new, now)
    assert (found is not None) is answers
    assert found is None or found.response == OK
    assert ((await bench.holds.open(new)).hold.id == hold.id) is answers


async def test_a_deleted_answer_is_not_repeated(bench):
    """After the payload is gone there is nothing to repeat: judged anew."""
    new = new_hold()
    hold = (await bench.holds.open(new)).hold
    await bench.force(hold, state="done", ended_at_ns=bench.clock.now_ns(), data_key=None, request=None, question=None)
    assert await find(bench, new) is None


async def test_superseded_leads_to_the_successor(bench):
    """The next people, more of them, decide about the same bytes: no votes carried over, found by the same repeat, and by its successor's."""
    new = new_hold()
    hold = (await bench.holds.open(new)).hold
    stricter = replace(new, verdict=Ask(Tier.HIGH, (Reason("legal_or_price", "r", "t"),), HIGH))
    moved = await bench.holds.supersede(hold.id, stricter.verdict.reasons, stricter)
    assert (moved.hold.state, moved.hold.ended_by) == (HoldState.SUPERSEDED, "legal_or_price")
    assert [entry.body["event"] for entry in moved.entries] == ["superseded", "opened"]
    second = await find(bench, new)
    assert second.id == moved.hold.successor
    assert (second.state, second.votes, second.seats, second.request) == (HoldState.PENDING, (), HIGH, new.request)
    assert second.view_digest != hold.view_digest
    third = await bench.holds.supersede(second.id, stricter.verdict.reasons, replace(stricter, repeat_digest="sha256:edited"))
    assert (await find(bench, new)).id == third.hold.successor
    await bench.holds.withdraw(third.hold.successor, "drafter")
    assert await find(bench, new) is None


async def test_successors_in_a_circle_cannot_be_told(bench):
    """A database that was tampered with ends in a no, not in a loop."""
    new = new_hold()
    hold = (await bench.holds.open(new)).hold
    await bench.force(hold, state="superseded", successor=hold.id)
    with pytest.raises(CannotTell):
        await find(bench, new)


@pytest.mark.parametrize("state", ["rejected", "sent", "done", "unknown", "superseded"])
async def test_a_successor_is_opened_with_its_predecessors_end_or_not_at_all(bench, state):
    """What cannot be superseded leaves no successor behind."""
    new = new_hold()
    hold = (await bench.holds.open(new)).hold
    await bench.force(hold, state=state)
    before = await bench.snapshot()
    with pytest.raises(Conflict, match=state):
        await bench.holds.supersede(hold.id, new.verdict.reasons, new)
    assert await bench.snapshot() == before


async def test_an_edit_ends_the_open_holds_of_its_asset(bench):
    """An approval never survives a change of what it was about; other assets, other upstreams and what is being sent are left."""
    mine = [await bench.pending(asset="42"), await bench.approved(asset="42"), await bench.claimed()]
    others = [
        await bench.pending(asset="43"),
        await bench.pending(asset=None),
        await bench.pending(asset="42", upstream="crm"),
        await bench.sent("a_2"),
    ]
    moved = await bench.holds.supersede_asset("cms", "42", "edited")
    assert states(moved) == dict.fromkeys((hold.id for hold in mine), "superseded")
    assert all(each.hold.ended_by == "edited" for each in moved)
    assert [(await bench.holds.get(hold.id)).state for hold in others] == [hold.state for hold in others]


async def test_over_the_limit_nothing_is_stored(tmp_path):
    """The 3rd open hold of an agent that may have 2 is refused as overloaded; a repeat is still answered, another agent is not concerned."""
    async with open_bench(tmp_path, holds_per_agent=2) as bench:
        first = await bench.pending()
        await bench.pending()
        before = await bench.snapshot()
        with pytest.raises(Refused) as caught:
            await bench.pending()
        assert caught.value.code == "overloaded"
        assert await bench.snapshot() == before
        await bench.pending(agent="other")
        await bench.holds.withdraw(first.id, "drafter")
        await bench.pending()


async def test_the_limit_is_counted_by_the_store(tmp_path):
    """Processes that share a database share an agent's room: at once or one after the other, no more are open than it may have."""
    async with open_bench(tmp_path, holds_per_agent=3) as bench, bench.beside() as other:
        made = await asyncio.gather(*(each.pending() for each in (bench, other) * 4), return_exceptions=True)
        refused = [failure.code for failure in made if isinstance(failure, Refused)]
        assert (len(refused), set(refused)) == (5, {"overloaded"})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"seats": ()}, id="no seat"),
        pytest.param({"seats": (Seat((), 1),)}, id="a seat nobody fits"),
        pytest.param({"seats": (Seat(("reviewer",), 0),)}, id="a seat for nobody"),
        pytest.param({"digest": "sha256:other"}, id="a digest of other bytes"),
    ],
)
async def test_a_hold_that_could_not_mean_what_it_says_is_not_opened(bench, changes):
    """What would be approved by nobody, or would bind other bytes, cannot be told; nothing is stored."""
    before = await bench.snapshot()
    with pytest.raises(CannotTell):
        await bench.holds.open(new_hold(**changes))
    assert await bench.snapshot() == before
