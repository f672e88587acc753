"""Edits and proposals in the store: one transaction each, whoever comes at the same time; nothing is half done."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import CannotTell, Conflict, NotAllowed, Refused
from stagewarden.holds.difference import MOST, difference
from stagewarden.holds.paging import Filter
from stagewarden.model import HoldState
from tests.unit.holds.bench import HIGH, ballot, new_hold, open_bench, principal, request

WEEK = 7 * 24 * 3600


def edited(hold, body=b"edited", editor="ravi"):
    """The hold of an edit's bytes."""
    chain = principal(("editor", editor, True))
    return new_hold(request(body), predecessor=hold.id, editor=editor, original=hold.request.body, question={"principal": chain})


async def test_an_edit_ends_one_hold_and_begins_another_or_does_neither(bench):
    """Both in one transaction, both entries; the earlier body lies sealed with the new hold."""
    hold = await bench.pending()
    moved = await bench.holds.edit(hold.id, ballot(hold, "ravi"), edited(hold), bench.registry)
    assert [(entry.body["event"], entry.body["by"], entry.body["state"]) for entry in moved.entries] == [
        ("edited", "ravi", "superseded"), ("opened", "ravi", "pending"),
    ]  # fmt: skip
    new = await bench.holds.get(moved.hold.id)
    assert (new.original, new.editor, new.predecessor, new.votes) == (hold.request.body, "ravi", hold.id, ())
    assert (await bench.holds.get(hold.id)).successor == new.id
    assert hold.request.body not in str(await bench.snapshot()).encode()


@pytest.mark.parametrize(
    ("state", "changes", "error"),
    [
        pytest.param("approved", {}, Conflict, id="approved"),
        pytest.param("done", {}, Conflict, id="done"),
        pytest.param("pending", {"digest": "sha256:x"}, Conflict, id="other bytes"),
        pytest.param("pending", {"person": "olga"}, NotAllowed, id="the initiator"),
        pytest.param("pending", {"person": "gone"}, NotAllowed, id="who left"),
    ],
)
async def test_a_refused_edit_changes_nothing(bench, state, changes, error):
    """What is not there to be edited, or not by them."""
    hold = await bench.force(await bench.pending(), state=state)
    before = await bench.snapshot()
    with pytest.raises(error):
        await bench.holds.edit(hold.id, replace(ballot(hold, "ravi"), **changes), edited(hold), bench.registry)
    assert await bench.snapshot() == before


async def test_an_edit_into_a_request_that_waits_already_changes_nothing(bench):
    """The index of one hold per repeat refuses the second; the first transaction is undone whole."""
    hold, other = await bench.pending(), await bench.pending()
    before = await bench.snapshot()
    with pytest.raises(Conflict, match="stands already"):
        await bench.holds.edit(hold.id, ballot(hold, "ravi"), edited(hold, other.request.body), bench.registry)
    assert await bench.snapshot() == before


async def test_an_edit_out_of_time(bench):
    """Decide-by ends editing too."""
    hold = await bench.pending()
    bench.clock.advance(4 * 3600)
    with pytest.raises(Conflict, match="time is over"):
        await bench.holds.edit(hold.id, ballot(hold, "ravi"), edited(hold), bench.registry)


async def test_a_digest_of_other_bytes_is_not_edited_in(bench):
    """People would approve what they are not shown."""
    hold = await bench.pending()
    with pytest.raises(CannotTell):
        await bench.holds.edit(hold.id, ballot(hold, "ravi"), replace(edited(hold), digest=hold.digest), bench.registry)


async def test_fifty_edits_and_votes_at_once(bench):
    """One of them wins; a vote that wins leaves nothing to edit, an edit nothing to vote on."""
    hold = await bench.pending()
    acts = [bench.holds.edit(hold.id, ballot(hold, "ravi"), edited(hold, f"e{number}".encode()), bench.registry) for number in range(25)]
    acts += [bench.holds.vote(hold.id, ballot(hold, note=str(number)), bench.registry) for number in range(25)]
    done = [each for each in await asyncio.gather(*acts, return_exceptions=True) if not isinstance(each, BaseException)]
    stands = await bench.holds.get(hold.id)
    assert len(done) == 1
    assert stands.state in {HoldState.APPROVED, HoldState.SUPERSEDED}
    assert (stands.successor is None) == (stands.state is HoldState.APPROVED)


# -- proposals ---------------------------------------------------------------------------------------------------------------


async def test_a_proposal_waits_longer_and_expires_as_a_no(bench):
    """`holds.proposals`, on both clocks; nobody was asked, so nobody was late."""
    hold = await bench.pending(asked=False)
    assert hold.expires_at_ns - hold.asked_at_ns == WEEK * NANOSECONDS
    bench.clock.advance(WEEK - 1)
    assert await bench.holds.expire_due() == ()
    bench.clock.advance(1)
    assert [each.hold.state for each in await bench.holds.expire_due()] == [HoldState.EXPIRED]


async def test_taking_up_begins_decide_by_on_both_clocks(bench):
    """The whole of `holds.decide_within`, counted from then; a jump of the wall clock lengthens nothing."""
    hold = await bench.pending(asked=False)
    bench.clock.advance(WEEK - 60)
    taken = (await bench.holds.take_up(hold.id, "rita", bench.registry)).hold
    assert (taken.asked, taken.expires_at_ns - bench.clock.now_ns(), taken.asked_at_ns) == (True, 4 * 3600 * NANOSECONDS, bench.clock.now_ns())
    bench.clock.advance(4 * 3600 - 1)
    assert await bench.holds.expire_due() == ()
    bench.clock.jump(-3600)
    bench.clock.advance(1)
    assert [each.hold.state for each in await bench.holds.expire_due()] == [HoldState.EXPIRED]


async def test_proposals_are_listed_and_counted_apart(bench):
    """Not among what waits for people."""
    asked, proposal = await bench.pending(), await bench.pending(asked=False)
    for wanted, found in ((True, [asked.id]), (False, [proposal.id]), (None, [proposal.id, asked.id])):
        assert sorted(hold.id for hold in (await bench.holds.list(Filter(asked=wanted)))[0]) == sorted(found)
    assert sum(count for count, _ in (await bench.holds.waiting()).values()) == await bench.holds.proposed() == 1


async def test_over_the_limit_a_proposal_is_not_stored(tmp_path):
    """Proposals count among an agent's open holds: over `limits.holds_per_agent` it is 429."""
    async with open_bench(tmp_path, holds_per_agent=1) as bench:
        await bench.pending(asked=False)
        before = await bench.snapshot()
        with pytest.raises(Refused) as caught:
            await bench.pending(asked=False)
        assert (caught.value.code, await bench.snapshot()) == ("overloaded", before)


async def test_taken_up_twice_at_once_is_taken_up_once(bench):
    """Fifty at once: one move, and everybody is told the same."""
    hold = await bench.pending(asked=False, seats=HIGH)
    moved = await asyncio.gather(*(bench.holds.take_up(hold.id, who, bench.registry) for who in ("rita", "ravi") * 25))
    assert sum(len(each.entries) for each in moved) == 1
    assert len({each.hold.expires_at_ns for each in moved}) == 1


# -- what changed ------------------------------------------------------------------------------------------------------------

DIFFERENCES = {
    "same": (b'{"a": [1, {"b": null}]}', b'{"a":[1,{"b":null}]}', []),
    "escaped": (b'{"a/b": {"~": 1}}', b'{"a/b": {"~": 2}}', [{"pointer": "/a~1b/~0", "from": 1, "to": 2}]),
    "added and removed": (b'{"a": 1, "b": null}', b'{"c": null, "b": null}', [{"pointer": "/a", "from": 1}, {"pointer": "/c", "to": None}]),
    "in a list": (b"[1, 2, 3]", b"[1, 4]", [{"pointer": "/1", "from": 2, "to": 4}, {"pointer": "/2", "from": 3}]),
    "another type": (b'{"a": 1}', b'{"a": true}', [{"pointer": "/a", "from": 1, "to": True}]),
    "an object for a list": (b'{"a": []}', b'{"a": {}}', [{"pointer": "/a", "from": [], "to": {}}]),
    "whole": (b"1", b'"1"', [{"pointer": "", "from": 1, "to": "1"}]),
    "no JSON": (b"a=1", b"{}", None),
    "no JSON after": (b"{}", b"\xff", None),
}


@pytest.mark.parametrize(("before", "after", "changes"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_what_changed_by_pointer(before, after, changes):
    """Each place that differs, in the order of the bodies."""
    assert difference(before, after) == changes


def test_a_long_list_of_changes_ends():
    """Both bodies stand beside it whole."""
    assert len(difference(b"[%b]" % b",".join([b"1"] * 3000), b"[%b]" % b",".join([b"2"] * 3000)) or ()) == MOST
