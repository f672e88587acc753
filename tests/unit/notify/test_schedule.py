"""When a failed delivery is tried again: pauses that grow, with jitter, to an end; and as the receiver asks, within bounds."""

from __future__ import annotations

import pytest

from stagewarden.notify.schedule import PAUSES, pause_after, retry_after

NOW_NS = 1_795_251_600 * 10**9  # 2026-11-21T09:00:00Z


def test_pauses_grow_and_end():
    """Each pause is longer than the one before in the middle of the dice; after the last attempt there is none."""
    middle = [pause_after(number, 0.5) for number in range(1, len(PAUSES) + 1)]
    assert middle == sorted(middle) == [*PAUSES]
    assert pause_after(len(PAUSES) + 1, 0.5) is None
    assert 2 * 86_400 < sum(PAUSES) < 5 * 86_400  # a weekend is outlived


def test_jitter_spreads_a_fifth_either_way():
    """Receivers that come back are not met by everybody at once."""
    assert [pause_after(2, dice) for dice in (0.0, 0.5, 1.0)] == pytest.approx([240.0, 300.0, 360.0])


@pytest.mark.parametrize(("value", "seconds"), [
    ("120", 120.0), (" 7 ", 7.0), ("0", 0.0), ("Sat, 21 Nov 2026 09:10:00 GMT", 600.0), ("Sat, 21 Nov 2026 08:00:00 GMT", 0.0),
    ("9" * 40, 86_400.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0), ("soon", None), ("-5", None), ("1.5", None), ("٣", None), (None, None),
], ids=["seconds", "spaces", "none", "date", "past", "huge", "for ever", "words", "negative", "fraction", "arabic digits", "absent"])  # fmt: skip
def test_retry_after(value, seconds):
    """RFC 9110 section 10.2.3: seconds or a date; what cannot be read is not obeyed, and nobody puts us off for more than a day."""
    assert retry_after(value, NOW_NS) == seconds


def test_what_the_receiver_asks_for_is_the_least():
    """It may put us off, never make us hurry."""
    assert pause_after(1, 0.5, 60.0) == 60.0
    assert pause_after(3, 0.5, 1.0) == PAUSES[2]
    assert pause_after(len(PAUSES) + 1, 0.5, 60.0) is None
