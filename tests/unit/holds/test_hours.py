"""Working time: never shorter than time on the wall, in order, and right where clocks are set."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from stagewarden.clock import NANOSECONDS
from stagewarden.config import Hours, TimeOfDay
from stagewarden.holds.hours import at_work, over_at

HOUR = 3600
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
BERLIN = Hours(zone="Europe/Berlin")


def at(text: str, zone: str = "Europe/Berlin") -> int:
    """A local time as nanoseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * NANOSECONDS


CASES = [
    pytest.param("2026-11-23 09:00", 4, "2026-11-23 13:00", id="a morning"),
    pytest.param("2026-11-23 16:00", 4, "2026-11-24 11:00", id="over night"),
    pytest.param("2026-11-27 17:00", 4, "2026-11-30 12:00", id="over the weekend"),
    pytest.param("2026-11-28 12:00", 4, "2026-11-30 13:00", id="asked on a Saturday"),
    pytest.param("2026-11-23 03:00", 4, "2026-11-23 13:00", id="asked at night"),
    pytest.param("2026-11-23 18:00", 4, "2026-11-24 13:00", id="asked at closing time"),
    pytest.param("2026-11-23 09:00", 9, "2026-11-23 18:00", id="to the last second of the day"),
    pytest.param("2026-11-23 09:00", 45, "2026-11-27 18:00", id="a whole week"),
    pytest.param("2026-03-27 17:00", 4, "2026-03-30 12:00", id="the weekend clocks go forward"),
    pytest.param("2026-10-23 17:00", 4, "2026-10-26 12:00", id="the weekend clocks go back"),
]


@pytest.mark.parametrize(("asked", "hours", "due"), CASES)
def test_four_hours_of_work(asked, hours, due):
    """Monday to Friday, nine to six, as a clock on the wall shows it, whatever the season does to it."""
    assert over_at(at(asked), hours * HOUR, BERLIN) == at(due)


@pytest.mark.parametrize(
    ("day", "length"), [pytest.param("2026-03-29", 23, id="clocks go forward"), pytest.param("2026-10-25", 25, id="clocks go back")]
)
def test_a_day_that_is_shorter_or_longer(day, length):
    """Counted are hours that pass, not hours that are named."""
    always = Hours(zone="Europe/Berlin", days=WEEK, from_=TimeOfDay(0), to=TimeOfDay(24 * 60))
    midnight = at(f"{day} 00:00")
    assert over_at(midnight, length * HOUR, always) == midnight + length * HOUR * NANOSECONDS
    night = Hours(zone="Europe/Berlin", days=WEEK, from_=TimeOfDay(60), to=TimeOfDay(4 * 60))
    assert over_at(midnight, (length - 24 + 3) * HOUR, night) == at(f"{day} 04:00")


def test_without_hours_all_time_counts():
    """And nothing is nothing."""
    assert over_at(7, 4 * HOUR, None) == 7 + 4 * HOUR * NANOSECONDS
    assert over_at(7, 0, BERLIN) == 7


@pytest.mark.parametrize(
    ("moment", "working"),
    [
        pytest.param("2026-11-20T08:59:59+01:00", False, id="before the day begins"),
        pytest.param("2026-11-20T09:00:00+01:00", True, id="as it begins"),
        pytest.param("2026-11-20T17:59:59+01:00", True, id="before it ends"),
        pytest.param("2026-11-20T18:00:00+01:00", False, id="as it ends"),
        pytest.param("2026-11-21T12:00:00+01:00", False, id="a Saturday"),
        pytest.param("2026-07-20T07:30:00+00:00", True, id="in summer time"),
    ],
)
def test_at_work(moment, working):
    """From the hour people begin to the hour they stop, in their own zone."""
    assert at_work(int(datetime.fromisoformat(moment).timestamp()) * NANOSECONDS, BERLIN) is working


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "America/Sao_Paulo", "Asia/Beirut", "Australia/Lord_Howe"]
HOURS = some.builds(
    lambda zone, days, opens, length: Hours(zone=zone, days=tuple(sorted(days)), from_=TimeOfDay(opens), to=TimeOfDay(min(24 * 60, opens + length))),
    some.sampled_from(ZONES),
    some.sets(some.sampled_from(WEEK), min_size=1),
    some.integers(0, 23 * 60),
    some.integers(30, 24 * 60),
)
MOMENTS = some.integers(int(datetime(2009, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2031, 1, 1, tzinfo=UTC).timestamp())).map(
    lambda seconds: seconds * NANOSECONDS
)


@settings(max_examples=150, deadline=None)
@given(HOURS, MOMENTS, some.integers(1, 12 * HOUR))
def test_people_never_have_less(hours, asked, seconds):
    """Whatever the zone does to its clocks: not before that much time has passed, and inside working hours."""
    due = over_at(asked, seconds, hours)
    assert due >= asked + seconds * NANOSECONDS
    assert over_at(due, 1, hours) > due


@settings(max_examples=150, deadline=None)
@given(HOURS, MOMENTS, some.integers(0, 8 * 86_400), some.integers(1, 12 * HOUR), some.integers(0, 12 * HOUR))
def test_who_asks_later_or_for_more_waits_no_shorter(hours, asked, later, seconds, more):
    """Monotone in both; and two stretches after one another are one."""
    due = over_at(asked, seconds, hours)
    assert over_at(asked + later * NANOSECONDS, seconds, hours) >= due
    assert over_at(asked, seconds + more, hours) >= due
    assert over_at(due, more, hours) == over_at(asked, seconds + more, hours)
