"""What an arm's client sends: the same length every time, and never the same body twice."""

from __future__ import annotations

import json

import pytest

from tests.bench.arms import ARMS
from tests.bench.arms.arm import Arm, Missing, program
from tests.unit.shipping.manuals import CONTRIBUTORS, codes, table


def _bodies(arm: Arm, count: int) -> list[bytes]:
    return [arm.request().partition(b"\r\n\r\n")[2] for _ in range(count)]


def test_no_two_bodies_are_equal() -> None:
    """Across arms too: a decision cache, wherever it is, must not answer. The length stays, so that the work does."""
    one, other = (Arm(name, [], 1, "") for name in ("one", "other"))
    bodies = _bodies(one, 50) + _bodies(other, 50)
    assert len(set(bodies)) == 100
    assert len({len(body) for body in bodies}) == 1
    assert json.loads(bodies[0]).keys() == {"title", "body"}


def test_the_arm_that_repeats_does() -> None:
    """For it a cache may answer, and it says so by its name."""
    assert len(set(_bodies(Arm("x", [], 1, "", repeats=True), 5))) == 1


def test_what_is_missing_says_how_to_install_it() -> None:
    """One line, and no other program in its place."""
    with pytest.raises(Missing, match="apt-get install nothing"):
        program("stagewarden-no-such-program", "/nowhere/at/all", install="apt-get install nothing")


def test_the_manual_lists_every_arm() -> None:
    """By the name `--arms` takes, and no other."""
    assert sorted(name for first, _, _ in table(CONTRIBUTORS, "arm", "is", "install") for name in codes(first)) == sorted(ARMS)
