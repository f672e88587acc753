"""The store behind Idempotency-Key."""

from __future__ import annotations

import pytest

from stagewarden.clock import SystemClock
from stagewarden.errors import Conflict, Invalid
from stagewarden.web.people.repeats import KEPT, Repeats


def test_while_the_first_is_running() -> None:
    """The same key meanwhile is a conflict, not a second act."""
    repeats = Repeats(SystemClock())
    with repeats.once("ines", "k", b"x"), pytest.raises(Conflict), repeats.once("ines", "k", b"x"):
        pass


@pytest.mark.parametrize("key", ["", "x" * 129, "a b", "ä", "a\nb"])
def test_malformed_keys(key: str) -> None:
    """A key is visible ASCII of bounded length."""
    with pytest.raises(Invalid), Repeats(SystemClock()).once("ines", key, b"x"):
        pass


def test_bounded() -> None:
    """However many keys somebody sends, so many are kept."""
    repeats = Repeats(SystemClock())
    for number in range(KEPT + 10):
        with repeats.once("ines", str(number), b"x") as entry:
            entry.answer, entry.done = number, True
    with repeats.once("ines", str(KEPT + 9), b"x") as newest, repeats.once("ines", "0", b"x") as oldest:
        assert (newest.done, oldest.done) == (True, False)
