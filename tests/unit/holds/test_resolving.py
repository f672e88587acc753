"""What people find out about a send: only an unknown outcome is resolved, with evidence; only what was done is taken back."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from stagewarden.errors import Conflict, Invalid, NotFound
from stagewarden.holds.lifecycle import TRANSITIONS, Event
from stagewarden.holds.view import agent_view, person_view
from stagewarden.model import HoldState
from stagewarden.store.tables import holds as table
from tests.unit.holds.bench import OK

SEEN = "In the CMS: post 42 stands there since 10:02, with our title."


@pytest.mark.parametrize("found", ["done", "failed"])
async def test_a_person_looked_it_up(bench, found):
    """The state, who said so, a digest of what they saw in the log; the text itself sealed, and shown with the payload only."""
    hold = await bench.ended(None)
    await bench.log()
    moved = await bench.holds.resolve(hold.id, "tom", found, SEEN)
    assert (moved.hold.state, moved.hold.ended_by) == (found, f"resolved_{found}")
    entry = moved.entries[0].body
    assert (entry["by"], entry["reason"]) == ("tom", f"resolved_{found}")
    assert entry["evidence"].startswith("sha256:")
    assert SEEN not in str(entry)
    async with bench.store.reading() as connection:
        assert SEEN.encode() not in await connection.scalar(select(table.c.evidence).where(table.c.id == hold.id))
    kept = await bench.holds.get(hold.id)
    assert person_view(kept, payload=True)["evidence"] == SEEN
    assert "evidence" not in person_view(kept, payload=False)
    assert SEEN not in str(agent_view(kept))


@pytest.mark.parametrize("evidence", ["", " \n", "x" * 4001], ids=["none", "blank", "a book"])
async def test_without_evidence_it_stays_unknown(bench, evidence):
    """A word is not a look-up."""
    hold = await bench.ended(None)
    before = await bench.snapshot()
    with pytest.raises(Invalid, match="evidence"):
        await bench.holds.resolve(hold.id, "tom", "done", evidence)
    assert await bench.snapshot() == before


@pytest.mark.parametrize("state", [state for state in HoldState if state is not HoldState.UNKNOWN], ids=str)
async def test_only_an_unknown_outcome_is_resolved(bench, state):
    """While it is being sent too: the answer may still come."""
    hold = await bench.force(await bench.pending(), state=str(state))
    before = await bench.snapshot()
    with pytest.raises(Conflict, match=str(state)):
        await bench.holds.resolve(hold.id, "tom", "done", SEEN)
    assert await bench.snapshot() == before


async def test_who_comes_first_is_believed(bench):
    """A late answer of the same attempt, or a person: the second of the two changes nothing."""
    late, looked = await bench.ended(None, "a_1"), await bench.ended(None, "a_2")
    assert (await bench.holds.finish(late.id, "a_1", OK)).hold.state is HoldState.DONE
    await bench.holds.resolve(looked.id, "tom", "failed", SEEN)
    before = await bench.snapshot()
    with pytest.raises(Conflict):
        await bench.holds.resolve(late.id, "tom", "failed", SEEN)
    with pytest.raises(Conflict):
        await bench.holds.finish(looked.id, "a_2", OK)
    assert await bench.snapshot() == before


async def test_the_payload_of_a_resolved_one_is_deleted_in_time(bench):
    """`unknown` keeps its own until somebody has looked; then `holds.replay` runs, and the evidence goes with the rest."""
    hold = await bench.ended(None)
    bench.clock.advance(3 * 86_400)
    assert await bench.holds.purge() == 0
    await bench.holds.resolve(hold.id, "tom", "done", SEEN)
    bench.clock.advance(86_400)
    assert await bench.holds.purge() == 1
    async with bench.store.reading() as connection:
        assert await connection.scalar(select(table.c.evidence).where(table.c.id == hold.id)) is None


async def test_what_was_done_is_taken_back(bench):
    """Recorded with who says so and why; done once."""
    hold = await bench.ended(OK)
    moved = await bench.holds.roll_back(hold.id, "tom", "set back to draft")
    assert (moved.hold.state, moved.hold.ended_by) == (HoldState.ROLLED_BACK, "rolled_back")
    assert (moved.entries[0].body["by"], moved.entries[0].body["reason"]) == ("tom", "set back to draft")
    before = await bench.snapshot()
    with pytest.raises(Conflict):
        await bench.holds.roll_back(hold.id, "tom", "again")
    assert await bench.snapshot() == before


@pytest.mark.parametrize("state", [state for state in HoldState if (state, Event.ROLLED_BACK) not in TRANSITIONS], ids=str)
async def test_nothing_else_is_taken_back(bench, state):
    """What was not done cannot be undone."""
    hold = await bench.force(await bench.pending(), state=str(state))
    before = await bench.snapshot()
    with pytest.raises(Conflict, match=str(state)):
        await bench.holds.roll_back(hold.id, "tom", "x")
    assert await bench.snapshot() == before


async def test_no_such_hold(bench):
    """Nothing to say about nothing."""
    with pytest.raises(NotFound):
        await bench.holds.resolve("h_none", "tom", "done", SEEN)
    with pytest.raises(NotFound):
        await bench.holds.roll_back("h_none", "tom", "x")
