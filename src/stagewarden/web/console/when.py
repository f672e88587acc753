"""Times for people: clock time beside what is left of it. UTC throughout: the server does not know the reader's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from stagewarden.clock import NANOSECONDS, rfc3339

_AMBER, _RED = 0.5, 0.1  # share of the time left: escalated at half, the last tenth


@dataclass(frozen=True, slots=True)
class Moment:
    """A time for people and for machines."""

    clock: str
    iso: str


@dataclass(frozen=True, slots=True)
class Due:
    """How long is left: in words, as a share (0 to 1), and by tone `ink`, `amber`, `red`."""

    left: str
    share: float
    tone: str
    at: Moment
    group: str


def moment(ns: int, now_ns: int) -> Moment:
    """The time; with the date when it is not today."""
    when, now = _utc(ns), _utc(now_ns)
    year = "" if when.year == now.year else f" {when.year}"
    date = "" if when.date() == now.date() else f"{when.day} {when:%b}{year} "
    return Moment(f"{date}{when:%H:%M} UTC", rfc3339(ns))


def logged(text: str, now_ns: int) -> Moment:
    """A time as the log writes it (RFC 3339)."""
    return moment(int(datetime.fromisoformat(text).timestamp()) * NANOSECONDS, now_ns)


def second(ns: int, now_ns: int) -> Moment:
    """The time to the second, for what happens at one."""
    to_minute = moment(ns, now_ns)
    return Moment(to_minute.clock.replace(" UTC", f":{_utc(ns):%S} UTC"), to_minute.iso)


def due(asked_ns: int, expires_ns: int, now_ns: int) -> Due:
    """Where a hold stands between asked and due."""
    left = max(0, expires_ns - now_ns)
    share = min(1.0, left / max(1, expires_ns - asked_ns))
    tone = "red" if share <= _RED else "amber" if share <= _AMBER else "ink"
    return Due(span(left) if left else "expired, a no", share, tone, moment(expires_ns, now_ns), _group(expires_ns, now_ns))


def span(ns: int) -> str:
    """`22 min`, `3 h 10 min`, `2 d 4 h`."""
    minutes = max(0, ns) // NANOSECONDS // 60
    if minutes < 1:
        return "under 1 min"
    hours, rest = divmod(minutes, 60)
    if hours < 1:
        return f"{rest} min"
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days} d {hours_left} h" if hours_left else f"{days} d"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def whole(ns: int) -> str:
    """The same in whole words, for a sentence: `8 hours`, `1 day 4 hours`, `30 minutes`."""
    minutes = max(0, ns) // NANOSECONDS // 60
    parts = ((minutes // 1440, "day"), (minutes // 60 % 24, "hour"), (minutes % 60, "minute"))
    said = [f"{count} {unit}" if count == 1 else f"{count} {unit}s" for count, unit in parts if count]
    return " ".join(said) or "under a minute"


def brief(seconds: float) -> str:
    """`1 min 48 s`, `12 s`: how long a person took."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    if minutes >= 60:  # noqa: PLR2004 - minutes of an hour
        return span(round(seconds) * NANOSECONDS)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def ago(ns: int, now_ns: int) -> str:
    """The day, as a heading of what is over."""
    days = (_utc(now_ns).date() - _utc(ns).date()).days
    return "Ended today" if days <= 0 else "Ended yesterday" if days == 1 else "Ended earlier"


def _group(expires_ns: int, now_ns: int) -> str:
    when, now = _utc(expires_ns), _utc(now_ns)
    if expires_ns - now_ns <= 3600 * NANOSECONDS:
        return "Due within the hour"
    if when.date() == now.date():
        return "Later today"
    return "Tomorrow" if when.date() == (now + timedelta(days=1)).date() else "Later"


def _utc(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // NANOSECONDS, UTC)


def day(written: str) -> date | None:
    """The date of an RFC 3339 date or time; None for anything else."""
    try:
        return date.fromisoformat(written[:10])
    except ValueError:
        return None


def distance(days: int) -> str:
    """Where a day lies that is so many days past: `today`, `1 day ago`, `3 days ahead`."""
    if not days:
        return "today"
    return f"{abs(days):,} day{'' if abs(days) == 1 else 's'} {'ago' if days > 0 else 'ahead'}"


def days_since(day: date, now_ns: int) -> int:
    """Whole days; negative for a day to come."""
    return (_utc(now_ns).date() - day).days


def written(day: date) -> str:
    """`4 Apr 2027`."""
    return f"{day.day} {day:%b %Y}"
