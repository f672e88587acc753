from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from stagewarden.holds.seats import SeatView, fill, fillable, filled
from stagewarden.model import Seat, Vote

RM = Seat(("manager", "reviewer"), 1)
RCL = Seat(("compliance", "legal", "reviewer"), 1)


def cast(person: str, function: str, decision: str = "approve") -> Vote:
    """A vote as it is kept."""
    return Vote(f"v_{person}", person, function, decision, None, None, "d", "w", 1)


@pytest.mark.parametrize(
    ("seats", "votes", "counts"),
    [
        pytest.param((RM, RCL), (), [0, 0], id="nobody"),
        pytest.param((RM, RCL), (("rita", "reviewer"),), [1, 0], id="one person, one seat"),
        pytest.param((RM, RCL), (("rita", "reviewer"), ("mo", "manager")), [1, 1], id="a later manager moves the reviewer to the other seat"),
        pytest.param((RM, RCL), (("mo", "manager"), ("rita", "reviewer")), [1, 1], id="the same, in the other order"),
        pytest.param((RM, RCL), (("ada", "reviewer"), ("mo", "manager")), [1, 1], id="whichever of them is looked at first"),
        pytest.param((RM, RCL), (("mo", "manager"), ("mia", "manager")), [1, 0], id="two managers cannot fill the other seat"),
        pytest.param((Seat(("reviewer",), 2),), (("a", "reviewer"),), [1], id="two places, one person"),
        pytest.param((Seat(("reviewer",), 2),), (("a", "reviewer"), ("b", "reviewer"), ("c", "reviewer")), [2], id="two places, three people"),
        pytest.param((RM,), (("x", "legal"),), [0], id="a function the seat does not list"),
        pytest.param((RM,), (("x", "administrator"),), [0], id="no administrator stands in"),
    ],
)
def test_votes_are_matched_to_seats(seats, votes, counts):
    """As many places as possible are filled, whatever the order of the votes."""
    views = fill(seats, [cast(*vote) for vote in votes])
    assert [view.filled for view in views] == counts
    assert filled(views) == all(count == seat.count for count, seat in zip(counts, seats, strict=True))


def test_a_rejection_fills_no_seat():
    """Only approvals are counted."""
    assert not filled(fill((RM,), [cast("rita", "reviewer", "reject")]))


def test_one_person_with_two_votes_fills_one_place():
    """Even where storage held two votes of one person, they are one human being."""
    assert not filled(fill((RM, RCL), [cast("rita", "reviewer"), cast("rita", "legal")]))


def test_no_seats_are_not_filled_seats():
    """Nothing asked for is not everything approved."""
    assert not filled(fill((), [cast("rita", "reviewer")]))
    assert not filled([])
    assert filled([SeatView(("reviewer",), 1, 1)])


@pytest.mark.parametrize(
    ("seats", "people", "missing"),
    [
        pytest.param((RM, RCL), {"rita": {"reviewer"}, "ravi": {"reviewer"}}, (), id="two reviewers"),
        pytest.param(
            (RM, RCL), {"rita": {"reviewer", "legal", "manager"}}, ("compliance|legal|reviewer",), id="one person with every function is one person"
        ),
        pytest.param((RM, RCL), {"lena": {"legal"}, "luis": {"legal"}}, ("manager|reviewer",), id="the one that nobody fits"),
        pytest.param((RM, RCL), {}, ("compliance|legal|reviewer", "manager|reviewer"), id="nobody at all"),
        pytest.param((Seat(("privacy",), 3),), {"a": {"privacy"}, "b": {"privacy"}}, ("privacy",), id="three places, two people"),
    ],
)
def test_what_nobody_can_fill_is_named(seats, people, missing):
    """`seats_unfillable` says which functions are missing."""
    assert fillable(seats, {person: frozenset(functions) for person, functions in people.items()}) == missing


FUNCTIONS = some.sampled_from("abcd")
SEATS = some.lists(
    some.builds(Seat, some.lists(FUNCTIONS, min_size=1, max_size=3, unique=True).map(tuple), some.integers(1, 2)), min_size=1, max_size=3
)
VOTES = some.dictionaries(some.sampled_from("pqrst"), FUNCTIONS, max_size=5)


def most(seats: list[Seat], votes: dict[str, str]) -> int:
    """The largest number of filled places, by trying every order of people."""
    places = [set(seat.functions) for seat in seats for _ in range(seat.count)]
    best = 0
    for order in permutations([*votes, *([None] * max(0, len(places) - len(votes)))], len(places)):
        best = max(best, sum(person is not None and votes[person] in place for person, place in zip(order, places, strict=True)))
    return best


@example(seats=[Seat(("a", "b"), 1), Seat(("a",), 1)], votes={"p": "a", "q": "b"})
@given(seats=SEATS.filter(lambda seats: sum(seat.count for seat in seats) <= 4), votes=VOTES)
@settings(max_examples=120, deadline=None)
def test_the_matching_is_maximum(seats, votes):
    """No other assignment of people to places would fill more, and none is filled twice."""
    views = fill(seats, [cast(person, function) for person, function in votes.items()])
    assert sum(view.filled for view in views) == most(seats, votes)
    assert all(0 <= view.filled <= view.needed for view in views)


@given(seats=SEATS, votes=VOTES)
@settings(max_examples=80, deadline=None)
def test_the_order_of_votes_does_not_matter(seats, votes):
    """First come is not first served."""
    ballots = [cast(person, function) for person, function in votes.items()]
    assert fill(seats, ballots) == fill(seats, ballots[::-1])
