"""The bench's arithmetic: a wrong percentile or a wrong pair would be believed."""

from __future__ import annotations

import pytest

from tests.bench.numbers import Round, Spread, per_request, percentile, ratios, schedule, slope, spread, within

HUNDRED = [float(number) for number in range(1, 101)]


@pytest.mark.parametrize(
    ("ordered", "share", "found"),
    [
        pytest.param(HUNDRED, 0.5, 50.0, id="median-is-the-fiftieth"),
        pytest.param(HUNDRED, 0.99, 99.0, id="p99"),
        pytest.param(HUNDRED, 0.999, 100.0, id="p999-of-too-few-is-the-worst"),
        pytest.param(HUNDRED, 1.0, 100.0, id="all"),
        pytest.param(HUNDRED, 0.0, 1.0, id="none"),
        pytest.param([7.0], 0.99, 7.0, id="one-value"),
        pytest.param([1.0, 1.0, 9.0], 0.5, 1.0, id="nearest-rank-never-in-between"),
    ],
)
def test_percentile(ordered: list[float], share: float, found: float) -> None:
    """Nearest rank: a value that was measured."""
    assert percentile(ordered, share) == found


def test_ratios_are_taken_round_by_round() -> None:
    """The ratio of medians would be 2; the machine was slow in the last round for both."""
    mine, theirs = [Round(10), Round(20), Round(90)], [Round(10), Round(10), Round(30)]
    assert ratios(mine, theirs) == Spread(2.0, 1.0, 3.0)


@pytest.mark.parametrize("whose", [0, 1], ids=["mine", "theirs"])
def test_a_pair_with_stolen_time_is_dropped(whose: int) -> None:
    """From either side; exactly the limit is kept, and what was dropped is counted."""
    rounds = [[Round(10), Round(10, 0.02), Round(10)], [Round(5), Round(5), Round(5)]]
    rounds[whose][2] = Round(1000, 0.021)
    assert ratios(*rounds) == Spread(2.0, 2.0, 2.0, dropped=1)


def test_nothing_kept_is_no_ratio() -> None:
    """Not a ratio of what should not count."""
    assert ratios([Round(1, 0.5)], [Round(1)]) is None
    assert spread([]) is None


def test_rounds_that_do_not_pair_are_an_error() -> None:
    """A missing round must not shift the others against each other."""
    with pytest.raises(ValueError, match="argument"):
        ratios([Round(1)], [])


def test_the_open_loop_does_not_wait() -> None:
    """Evenly spaced from the start, as many as the time holds, none after it."""
    due = schedule(rate=4, seconds=2.1)
    assert due == [0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
    assert schedule(rate=0.1, seconds=5) == []


@pytest.mark.parametrize(
    ("points", "found"),
    [
        pytest.param([(0, 5), (1, 7), (2, 9)], 2.0, id="a-line"),
        pytest.param([(0, 5), (1, 5), (2, 5)], 0.0, id="flat"),
        pytest.param([(3, 5)], 0.0, id="one-sample"),
        pytest.param([(0, 0), (1, 3), (2, 0)], 0.0, id="up-and-down-again"),
    ],
)
def test_slope(points: list[tuple[float, float]], found: float) -> None:
    """Growth per unit of time."""
    assert slope(points) == pytest.approx(found)


def test_what_both_counts_share_falls_out() -> None:
    """A thousand of start-up, seven a request."""
    assert per_request(10, 1000 + 70, 50, 1000 + 350) == 7


@pytest.mark.parametrize(
    ("found", "held"), [(105.0, True), (105.1, False), (95.0, True), (94.9, False)], ids=["up", "too-far-up", "down", "too-far-down"]
)
def test_within(found: float, held: bool) -> None:  # noqa: FBT001 - a table's column
    """Both ways."""
    assert within(found, 100.0, 0.05) is held
