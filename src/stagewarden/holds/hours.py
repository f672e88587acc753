"""Working time: when a number of seconds of it is over. Pure; knows no clock.

Only the time to decide is counted so (contract section 2, `holds.hours`); how long an approval may be used is not, because nobody has to
be at work for it. Counting it can only make people's time longer on the wall, never shorter.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from stagewarden.clock import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.config import Hours, TimeOfDay

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # datetime.weekday: Monday is 0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def over_at(start_ns: int, seconds: float, hours: Hours | None) -> int:
    """When `seconds` of working time have passed since `start_ns`; without `hours` all time is working time."""
    left = int(seconds * NANOSECONDS)
    if hours is None or left <= 0:
        return start_ns + left
    for opens, closes in _windows(start_ns, hours):
        begins = max(opens, start_ns)
        if closes - begins >= left:
            return begins + left
        left -= max(0, closes - begins)
    raise AssertionError("windows have no end")  # `check` refuses hours that leave none


def at_work(moment_ns: int, hours: Hours) -> bool:
    """Whether people are at work at this moment."""
    opens, closes = next(window for window in _windows(moment_ns, hours) if window[1] > moment_ns)
    return opens <= moment_ns < closes


def _windows(start_ns: int, hours: Hours) -> Iterator[tuple[int, int]]:
    """Stretches of work from the day before `start_ns` on, in order, none touching an earlier one."""
    zone = ZoneInfo(hours.zone)
    first = datetime.fromtimestamp(start_ns // NANOSECONDS, zone).date() - timedelta(days=1)
    last = 0
    for day in (first + timedelta(days=number) for number in count()):
        if _WEEKDAYS[day.weekday()] not in hours.days:
            continue
        # A clock that is set forward or back makes a day shorter or longer; a time that is skipped or comes twice is read as before the change.
        opens, closes = max(last, _ns(day, hours.from_, zone)), _ns(day, hours.to, zone)
        if opens < closes:
            yield opens, closes
            last = closes


def _ns(day: date, at: TimeOfDay, zone: ZoneInfo) -> int:
    days, minutes = divmod(at.minutes, 24 * 60)
    local = datetime.combine(day + timedelta(days=days), time(minutes // 60, minutes % 60), tzinfo=zone)
    return (local.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1000
