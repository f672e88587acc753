"""A worker's place: when its silence counts."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from stagewarden.app.slot import Slot


@dataclass
class Spoken:
    """A conversation, as far as it was heard."""

    heard_at: float


# what is heard before each look, and whether it serves; → what each look finds
SILENCES = {
    "speaks": ([1.0, 2.0, 3.0, 4.0], True, [0, 0, 0, 0]),
    "falls-silent": ([1.0, 2.0, 2.0, 2.0], True, [0, 0, 1, 2]),
    "speaks-again": ([1.0, 1.0, 1.0, 2.0, 2.0], True, [0, 1, 2, 0, 1]),
    "only-starts": ([1.0, 1.0, 1.0], False, [0, 0, 0]),
    "the-house-stood-still-for-an-hour": ([1.0, 2.0, 2.0, 3603.0, 3604.0], True, [0, 0, 1, 0, 0]),
}


@pytest.mark.parametrize(("heard", "serves", "found"), SILENCES.values(), ids=SILENCES)
def test_silence_is_counted_in_looks(heard, serves, found):
    """However long it was between two of them: whoever looks late has looked once."""
    slot = Slot(0, serving=serves)
    looked = []
    for at in heard:
        slot.link = Spoken(at)  # type: ignore[assignment]
        looked.append(slot.look())
    assert looked == found


def test_the_next_one_in_the_place_begins_anew():
    """What was not heard of the one before is not held against it."""
    slot = Slot(0, link=Spoken(1.0), serving=True)  # type: ignore[arg-type]
    assert [slot.look() for _ in range(3)] == [0, 1, 2]
    slot.link = None
    assert slot.look() == 0
    slot.link = Spoken(9.0)  # type: ignore[assignment]
    assert slot.look() == 0
