"""Lots: what lists say of a person and a hold is what a vote would find, whatever the hold, the registry and the votes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select

from stagewarden.errors import StagewardenError
from stagewarden.holds import ballot as ballots
from stagewarden.holds.eligibility import eligible, seat_views
from stagewarden.holds.lots import lot_of, standing_of
from stagewarden.model import Reason, Seat, Tier
from stagewarden.registry import Person
from stagewarden.store.tables import holds, lots
from tests.unit.holds.bench import HIGH, ballot, new_hold, principal, registry

if TYPE_CHECKING:
    from stagewarden.model import Hold
    from stagewarden.registry import Registry
    from tests.unit.holds.bench import Bench

TWO = (Seat(("reviewer",), 2),)
RITA = ("human", "rita", True)
# What is asked for, by whom, and who has voted on it.
SITUATIONS = {
    "plain": ({}, ()),
    "two alike": ({"seats": TWO}, ()),
    "one of two filled": ({"seats": TWO}, (("rita", "reviewer"),)),
    "one of two kinds filled": ({"seats": HIGH, "tier": Tier.HIGH}, (("ravi", "manager"),)),
    "filled by one who could sit elsewhere": ({"seats": HIGH, "tier": Tier.HIGH}, (("ravi", "reviewer"),)),
    "started by a proven human": ({"question": {"principal": principal(RITA)}}, ()),
    "started by a subject": ({"question": {"principal": principal(("human", "00u-rita", True))}}, ()),
    "claimed, not proven": ({"question": {"principal": principal(("human", "rita", False))}}, ()),
    "through another": ({"question": {"principal": principal(RITA, ("human", "ravi", True))}}, ()),
    "triggered": ({"question": {"principal": principal(trigger={"id": "nightly"})}}, ()),
    "initiator": ({"initiator": "ravi"}, ()),
    "written by": ({"authors": ("rita-admin",)}, ()),
    "nobody known": ({"agent": "stranger"}, ()),
    "legal": ({"seats": (Seat(("legal",), 1),)}, ()),
}
REGISTRIES = {
    "as it is": registry(),
    "rita has left": registry(rita=Person(functions=("reviewer",), active=False)),
    "a conflict is marked": registry(ravi=Person(functions=("reviewer", "manager"), conflicts=("workflow:newsletter",))),
    "olga is rita": registry(olga=Person(functions=("reviewer",), aliases=("rita",))),
}


def could(person: str, hold: Hold, known: Registry) -> bool:
    """Whether a vote of theirs would be counted, and fill a place."""
    before = sum(view.filled for view in seat_views(hold, known))
    for function in known.data.people[person].functions:
        given = ballot(hold, person, function)
        try:
            ballots.check(given, hold, known)
        except StagewardenError:
            continue
        after = replace(hold, votes=(*hold.votes, ballots.as_vote(given, "v_0", 0)))
        if sum(view.filled for view in seat_views(after, known)) > before:
            return True
    return False


@pytest.mark.parametrize("situation", SITUATIONS)
async def test_a_list_says_what_a_vote_finds(bench: Bench, situation: str) -> None:
    """For everybody, under four registries: the lot as stored answers as the hold itself does."""
    changes, cast = SITUATIONS[situation]
    hold = await bench.pending(**changes)
    for person, function in cast:
        await bench.holds.vote(hold.id, ballot(hold, person, function), bench.registry)
    hold = await bench.holds.get(hold.id)
    async with bench.holds.glance() as glance:
        (tally,) = await glance.tallies(0)
    assert tally.lot == lot_of(hold)
    for known in REGISTRIES.values():
        for person, entry in known.data.people.items():
            found = standing_of(person, frozenset(entry.functions), tally.lot, known)
            assert found.why_not == eligible(person, hold, known), person
            assert found.mine is could(person, hold, known), person


async def test_functions_the_directory_does_not_confirm_open_nothing(bench: Bench) -> None:
    """Somebody whose group is not confirmed is asked nothing."""
    lot = lot_of(await bench.pending())
    assert standing_of("rita", frozenset({"reviewer"}), lot, bench.registry).mine
    assert not standing_of("rita", frozenset(), lot, bench.registry).mine


async def test_holds_alike_are_of_one_lot(bench: Bench) -> None:
    """One row for many; a vote, a tier or a reason makes another."""
    alike = [await bench.pending() for _ in range(3)]
    other = await bench.pending(seats=TWO)
    await bench.holds.vote(other.id, ballot(other), bench.registry)
    usual = new_hold().verdict
    await bench.pending(verdict=replace(usual, reasons=(*usual.reasons, Reason("price", "r", "t"))))
    async with bench.holds.glance() as glance:
        tallies = await glance.tallies(0)
    assert sorted(tally.count for tally in tallies) == [1, 1, 3]
    assert len(alike) == 3
    async with bench.store.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(lots)) == 4  # the two seats before their vote, too


async def test_a_vote_that_lapses_is_no_longer_counted(bench: Bench) -> None:
    """Back to pending, its person may vote again: the hold is in the lot of those that nobody voted on."""
    fresh, hold = await bench.pending(), await bench.claimed()
    (vote,) = hold.votes
    await bench.holds.back_to_pending(hold.id, "a_1", {vote.id})
    async with bench.holds.glance() as glance:
        (tally,) = await glance.tallies(0)
    assert (tally.count, tally.lot) == (2, lot_of(fresh))


async def test_what_an_earlier_release_opened_is_sorted_by_the_first_list(bench: Bench) -> None:
    """No lot is written beside its hold: it gets one, its votes counted, and nothing else of it changes."""
    hold = await bench.pending(seats=TWO)
    await bench.holds.vote(hold.id, ballot(hold), bench.registry)
    before = await bench.force(hold, lot=None)
    async with bench.holds.glance() as glance:
        (tally,) = await glance.tallies(0)
    assert (tally.count, [name for name, _, _ in tally.lot.cast]) == (1, ["rita"])
    assert await bench.holds.get(hold.id) == before
    async with bench.store.reading() as connection:
        assert await connection.scalar(select(holds.c.lot).where(holds.c.id == hold.id)) == tally.id


async def test_a_lot_holds_nothing_an_agent_wrote(bench: Bench) -> None:
    """Ids, codes and people alone: what is stored in clear anyway."""
    await bench.pending(question={"principal": principal(RITA), "asserted": {"rationale": "secret words"}, "action": {"destination": "site"}})
    async with bench.store.reading() as connection:
        document = await connection.scalar(select(lots.c.document))
    assert ("secret" in document, '"channel":"site"' in document) == (False, True)
