"""Seats: who could fill them, and which are filled, by maximum matching at each reading, never first come.

Pure. A person fills one seat only, and no seat is filled by a function it does not list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stagewarden.model import Seat, Vote


@dataclass(frozen=True, slots=True)
class SeatView:
    """A seat and how many of its places the votes fill."""

    functions: tuple[str, ...]
    needed: int
    filled: int


def fill(seats: Sequence[Seat], votes: Iterable[Vote]) -> list[SeatView]:
    """Match approving votes, one a person, to seats so that as many places as possible are filled."""
    cast = {vote.person: frozenset({vote.function}) for vote in votes if vote.decision == "approve"}
    taken = _match(_places(seats), cast)
    count = [0] * len(seats)
    for seat, holder in zip(_owners(seats), taken, strict=True):
        count[seat] += holder is not None
    return [SeatView(seat.functions, seat.count, count[index]) for index, seat in enumerate(seats)]


def filled(views: Iterable[SeatView]) -> bool:
    """Whether every place is taken. No seat at all is not "every seat": nothing was approved by anybody."""
    listed = tuple(views)
    return bool(listed) and all(view.filled >= view.needed for view in listed)


def fillable(seats: Sequence[Seat], people: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """What different `people` (id → functions held) cannot fill, as `reviewer|manager` texts; empty when all can be filled."""
    places = _places(seats)
    taken = _match(places, people)
    return tuple(sorted({"|".join(sorted(place)) for place, holder in zip(places, taken, strict=True) if holder is None}))


def covered(asked: Sequence[Seat], had: Sequence[Seat]) -> bool:
    """Whether whoever fills the seats of `had` also fills those of `asked`: each place of these has one of those that takes nobody else."""
    places = _places(asked)
    there = {str(number): place for number, place in enumerate(_places(had))}
    return None not in _match(places, there, lambda place, other: other <= place)


def _places(seats: Sequence[Seat]) -> list[frozenset[str]]:
    return [frozenset(seat.functions) for seat in seats for _ in range(seat.count)]


def _owners(seats: Sequence[Seat]) -> list[int]:
    return [index for index, seat in enumerate(seats) for _ in range(seat.count)]


def _shares(place: frozenset[str], functions: frozenset[str]) -> bool:
    return not place.isdisjoint(functions)


def _match(
    places: Sequence[frozenset[str]], people: Mapping[str, frozenset[str]], fits: Callable[[frozenset[str], frozenset[str]], bool] = _shares
) -> list[str | None]:
    """Kuhn's algorithm: per place the person who takes it, or None; as many places as possible."""
    holder: list[str | None] = [None] * len(places)

    def seat(person: str, seen: set[int]) -> bool:
        for index, functions in enumerate(places):
            if index in seen or not fits(functions, people[person]):
                continue
            seen.add(index)
            sitting = holder[index]
            if sitting is None or seat(sitting, seen):
                holder[index] = person
                return True
        return False

    for person in sorted(people):
        seat(person, set())
    return holder
