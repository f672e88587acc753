"""What becomes of a send that nobody answered: unknown; or, where the upstream honours `Idempotency-Key`, approved again.

Pure. Never more than three sends, never one after use-by, never where the route did not say so when the bytes left (lifecycles.md, `sent`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stagewarden.clock import NANOSECONDS
from stagewarden.holds.lifecycle import Event
from stagewarden.model import HoldState

if TYPE_CHECKING:
    from stagewarden.model import Hold

MOST_SENDS: Final = 3
_LONGEST_PAUSE = 30.0  # seconds between two tries


def doubtful(hold: Hold) -> bool:
    """Whether a send before the one under way was begun, and nobody knows what became of it."""
    return hold.sends > (1 if hold.state is HoldState.SENT else 0)


def pause(tries: int) -> float:
    """Seconds until the next try after so many: 1, 2, 4 … 30."""
    return min(_LONGEST_PAUSE, 2.0 ** min(max(tries, 1) - 1, 16))


def after_loss(hold: Hold, now_ns: int, left: float) -> tuple[Event, dict[str, object]]:
    """The event, and what it writes; `left`: seconds to use-by on the clock that has less."""
    wait = pause(hold.sends)
    if not (hold.resend and hold.sends < MOST_SENDS and wait < left):
        return Event.LOST, {}
    return Event.RETRIED, {"attempt": None, "lease_until_ns": 0, "not_before_ns": now_ns + int(wait * NANOSECONDS)}
