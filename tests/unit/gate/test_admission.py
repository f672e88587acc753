"""How much may be under way, and how often: told at once, with honest seconds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stagewarden.config import Limits
from stagewarden.config.units import Misfit, Rate, rate
from stagewarden.errors import TooMuch
from stagewarden.gate.admission import Admission


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.time

    def now_ns(self) -> int:
        """Unused."""
        return 0


def admission(**limits) -> tuple[Admission, Clock]:
    """One, and its clock."""
    clock = Clock()
    return Admission(Limits(**limits), clock), clock


def test_an_agent_over_its_share_is_told_and_others_are_not():
    """The limit is one agent's; what was refused is not inside."""
    inside, _ = admission(inflight_per_agent=2)
    inside.enter("a")
    inside.enter("a")
    with pytest.raises(TooMuch) as refused:
        inside.enter("a")
    assert (refused.value.code, refused.value.limit, refused.value.agent, refused.value.retry_after) == ("overloaded", "inflight_per_agent", "a", 1)
    inside.enter("b")
    assert inside.under_way == 3
    inside.leave("a")
    inside.enter("a")


def test_all_together_are_bounded_before_anybody_is_known():
    """`busy` is nobody's fault, and ends with the first answer."""
    inside, _ = admission(inflight=2)
    for agent in "ab":
        inside.check()
        inside.enter(agent)
    with pytest.raises(TooMuch) as refused:
        inside.check()
    assert (refused.value.code, refused.value.limit, refused.value.agent) == ("busy", "inflight", None)
    inside.leave("a")
    inside.check()


def test_a_rate_refuses_with_the_seconds_until_there_is_room():
    """Three a minute: three at once, then one every twenty seconds; asking at the time named is granted, and not before."""
    inside, clock = admission(rate_per_agent=Rate(3, 60.0))
    for _ in range(3):
        inside.enter("a")
        inside.leave("a")
    with pytest.raises(TooMuch) as refused:
        inside.enter("a")
    assert (refused.value.limit, refused.value.retry_after, str(refused.value)) == ("rate_per_agent", 20, "this agent may ask 3/m")
    assert inside.under_way == 0
    clock.time += 19
    with pytest.raises(TooMuch) as refused:
        inside.enter("a")
    assert refused.value.retry_after == 1
    clock.time += 1
    inside.enter("a")
    inside.enter("b")


@given(some.integers(1, 50), some.sampled_from([1.0, 60.0]), some.lists(some.floats(0, 5, allow_nan=False), min_size=1, max_size=80))
def test_no_window_holds_more_than_the_rate_allows(count, seconds, waits):
    """At most `count` at once and `count` in each `seconds` beside it, whenever one asks; the seconds told are enough and at most one too many."""
    inside, clock = admission(rate_per_agent=Rate(count, seconds), inflight_per_agent=10**6)
    entered: list[float] = []
    for wait in waits:
        clock.time += wait
        told = 0
        try:
            inside.enter("a")
        except TooMuch as refused:
            told = refused.retry_after
            clock.time += told
            inside.enter("a")
        assert told <= max(1, math.ceil(seconds / count))
        entered.append(clock.time)
    for start in entered:
        for span in (0.0, seconds, 3 * seconds):
            assert sum(start <= one <= start + span for one in entered) <= count + math.ceil(span * count / seconds + 1e-6) + 1


def test_agents_that_owe_nothing_are_forgotten():
    """However many names are asked under, memory is bounded by those that asked within the time of the rate."""
    inside, clock = admission(rate_per_agent=Rate(10, 1.0))
    for number in range(20_000):
        clock.time += 0.01
        inside.enter(f"agent-{number}")
        inside.leave(f"agent-{number}")
    assert len(inside._paid_until) <= 4097
    assert not inside._of_agent


@pytest.mark.parametrize("written", ["50/s", "600/m", "10000/h"])
def test_a_rate_is_written_as_it_is_read(written):
    """How many, in which time."""
    assert str(rate(written)) == written


@pytest.mark.parametrize("written", ["50", "0/s", "50/d", "-1/s", "1.5/s", "50 /s", 50, None, "\u0665/s"])
def test_what_is_no_rate_is_refused(written):
    """By its form, with an example."""
    with pytest.raises(Misfit):
        rate(written)
