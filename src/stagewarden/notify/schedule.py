"""When a message that did not arrive is tried again: the schedule of Standard Webhooks' operational advice, with jitter; what a receiver asks for.

Pure: the clock and the dice are the caller's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from stagewarden.clock import NANOSECONDS

# Seconds after the first, second … failure; after the last one the message is dead: some three days, so that a weekend is outlived.
PAUSES: Final = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
_JITTER: Final = 0.2  # of the pause, either way: receivers that come back are not met by everybody at once
_LONGEST: Final = 86_400.0  # a receiver may put us off by a day, not for ever


def pause_after(attempts: int, dice: float, asked: float | None = None) -> float | None:
    """Seconds until the next attempt after so many; None: no more. `dice` is in [0, 1); what the receiver asked for is the least."""
    if attempts > len(PAUSES):
        return None
    pause = PAUSES[attempts - 1] * (1 - _JITTER + 2 * _JITTER * dice)
    return pause if asked is None else min(_LONGEST, max(pause, asked))


def retry_after(value: str | None, now_ns: int) -> float | None:
    """`Retry-After` (RFC 9110 section 10.2.3) in seconds from now; None where there is none that can be read."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(_LONGEST, float(text[:9]))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.fromtimestamp(now_ns / NANOSECONDS, UTC)).total_seconds()
    return min(_LONGEST, max(0.0, seconds))
