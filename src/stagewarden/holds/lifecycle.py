"""The life of a hold as one table (lifecycles.md, "A hold"): what may become of it, and by which event.

Code and tests read the same dict. A pair that is not listed cannot happen; there is no other way to change a state.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from stagewarden.errors import Conflict
from stagewarden.model import HoldState

LEASE_NS: Final = 30_000_000_000  # how long a claim lives without being renewed


class Event(StrEnum):
    """What happens to a hold."""

    TAKEN_UP = "taken_up"  # a proposal: from now on its people are asked
    EDITED = "edited"  # by a person: a hold of the new bytes takes its place
    VOTED = "voted"  # an approval, seats still open
    FILLED = "filled"  # the last seat
    SETTLING = "settling"  # the last seat, and a time to settle begins
    REJECTED = "rejected"
    SENT_BACK = "sent_back"
    DECIDE_BY_PASSED = "decide_by_passed"
    USE_BY_PASSED = "use_by_passed"
    WITHDRAWN = "withdrawn"  # by the agent
    STOPPED = "stopped"  # this hold, by a person
    KILLED = "killed"  # kill, pause or revoke in scope
    SUPERSEDED = "superseded"
    CLAIMED = "claimed"  # release begins
    RELEASED = "released"  # lease over, connect failed, could not tell
    VOTES_LAPSED = "votes_lapsed"  # the release question held only because some votes no longer count
    SENDING = "sending"  # connected, stop checked again; the next step is the first byte
    NOT_SENT = "not_sent"  # a stop was seen before the first byte
    ANSWERED = "answered"  # < 400
    REFUSED = "refused"  # 4xx
    RETRIED = "retried"  # no answer, and the upstream honours `Idempotency-Key`: approved again, at most three sends
    LOST = "lost"  # 5xx, no answer, lease over, crash
    ROLLED_BACK = "rolled_back"


_S = HoldState

TRANSITIONS: Final[dict[tuple[HoldState, Event], HoldState]] = {
    (_S.PENDING, Event.TAKEN_UP): _S.PENDING,
    (_S.PENDING, Event.EDITED): _S.SUPERSEDED,
    (_S.PENDING, Event.VOTED): _S.PENDING,
    (_S.PENDING, Event.FILLED): _S.APPROVED,
    (_S.PENDING, Event.SETTLING): _S.SETTLING,
    (_S.PENDING, Event.REJECTED): _S.REJECTED,
    (_S.PENDING, Event.SENT_BACK): _S.SENT_BACK,
    (_S.PENDING, Event.DECIDE_BY_PASSED): _S.EXPIRED,
    (_S.PENDING, Event.WITHDRAWN): _S.WITHDRAWN,
    (_S.SETTLING, Event.WITHDRAWN): _S.WITHDRAWN,
    (_S.APPROVED, Event.WITHDRAWN): _S.WITHDRAWN,
    (_S.PENDING, Event.STOPPED): _S.STOPPED,
    (_S.SETTLING, Event.STOPPED): _S.STOPPED,
    (_S.APPROVED, Event.STOPPED): _S.STOPPED,
    (_S.CLAIMED, Event.STOPPED): _S.STOPPED,
    (_S.SETTLING, Event.KILLED): _S.STOPPED,
    (_S.APPROVED, Event.KILLED): _S.STOPPED,
    (_S.CLAIMED, Event.KILLED): _S.STOPPED,
    (_S.PENDING, Event.SUPERSEDED): _S.SUPERSEDED,
    (_S.SETTLING, Event.SUPERSEDED): _S.SUPERSEDED,
    (_S.APPROVED, Event.SUPERSEDED): _S.SUPERSEDED,
    (_S.CLAIMED, Event.SUPERSEDED): _S.SUPERSEDED,
    (_S.SETTLING, Event.USE_BY_PASSED): _S.EXPIRED,
    (_S.APPROVED, Event.USE_BY_PASSED): _S.EXPIRED,
    (_S.CLAIMED, Event.USE_BY_PASSED): _S.EXPIRED,
    (_S.SETTLING, Event.CLAIMED): _S.CLAIMED,
    (_S.APPROVED, Event.CLAIMED): _S.CLAIMED,
    (_S.CLAIMED, Event.RELEASED): _S.APPROVED,
    (_S.CLAIMED, Event.VOTES_LAPSED): _S.PENDING,
    (_S.CLAIMED, Event.SENDING): _S.SENT,
    (_S.SENT, Event.NOT_SENT): _S.STOPPED,
    (_S.SENT, Event.ANSWERED): _S.DONE,
    (_S.SENT, Event.REFUSED): _S.FAILED,
    (_S.SENT, Event.LOST): _S.UNKNOWN,
    (_S.SENT, Event.RETRIED): _S.APPROVED,
    (_S.UNKNOWN, Event.ANSWERED): _S.DONE,
    (_S.UNKNOWN, Event.REFUSED): _S.FAILED,
    (_S.DONE, Event.ROLLED_BACK): _S.ROLLED_BACK,
}

OPEN: Final = frozenset({_S.PENDING, _S.SETTLING, _S.APPROVED, _S.CLAIMED, _S.SENT})
"""Something may still be sent, or is being sent."""

WAITING: Final = tuple(map(str, (_S.PENDING, _S.SETTLING, _S.APPROVED, _S.CLAIMED)))
"""A deadline runs."""

ENDED: Final = frozenset(_S) - OPEN
"""Nothing more will be sent. `unknown` may still learn what happened, and what was done may be rolled back."""

FINAL: Final = ENDED - {_S.UNKNOWN}

NOTHING_SENT: Final = frozenset({_S.REJECTED, _S.SENT_BACK, _S.EXPIRED, _S.WITHDRAWN, _S.STOPPED, _S.SUPERSEDED})
"""Ends that say that nothing was sent. Of a hold whose earlier send nobody answered that is not known: it ends unknown, whatever ended it."""


def move(state: HoldState, event: Event, *, doubtful: bool = False) -> HoldState:
    """Where `event` leads from `state`; Conflict where it leads nowhere. `doubtful`: an earlier send may have arrived."""
    try:
        to = TRANSITIONS[state, event]
    except KeyError:
        raise Conflict(f"the hold is {state}: {event} is not possible") from None
    return _S.UNKNOWN if doubtful and to in NOTHING_SENT else to


def answer_event(status: int) -> Event:
    """What an upstream's status means for a hold: < 400 answered, 4xx refused, 5xx nobody knows what it did."""
    if status < 400:  # noqa: PLR2004  # RFC 9110 section 15: the class is the first digit
        return Event.ANSWERED
    return Event.REFUSED if status < 500 else Event.LOST  # noqa: PLR2004  # as above
