"""The life of a grant as one table (lifecycles.md, "A grant"). A pair that is not listed cannot happen."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from stagewarden.errors import Conflict
from stagewarden.grants.grant import GrantState


class Event(StrEnum):
    """What happens to a grant."""

    VOTED = "voted"  # an approval, seats still open
    FILLED = "filled"  # the last seat
    REJECTED = "rejected"
    DECIDE_BY_PASSED = "decide_by_passed"  # always a no
    SPENT = "spent"
    COMPLETED = "completed"
    EXPIRED = "expired"
    REVOKED = "revoked"
    LAPSED = "lapsed"


_S = GrantState

TRANSITIONS: Final[dict[tuple[GrantState, Event], GrantState]] = {
    (_S.REQUESTED, Event.VOTED): _S.REQUESTED,
    (_S.REQUESTED, Event.FILLED): _S.ACTIVE,
    (_S.REQUESTED, Event.REJECTED): _S.REJECTED,
    (_S.REQUESTED, Event.DECIDE_BY_PASSED): _S.REJECTED,
    (_S.REQUESTED, Event.REVOKED): _S.REJECTED,  # taken back before anybody could use it
    (_S.ACTIVE, Event.SPENT): _S.SPENT,
    (_S.ACTIVE, Event.COMPLETED): _S.COMPLETED,
    (_S.ACTIVE, Event.EXPIRED): _S.EXPIRED,
    (_S.ACTIVE, Event.REVOKED): _S.REVOKED,
    (_S.ACTIVE, Event.LAPSED): _S.LAPSED,
}

OPEN: Final = frozenset({_S.REQUESTED, _S.ACTIVE})
ENDED: Final = frozenset(_S) - OPEN


def move(state: GrantState, event: Event) -> GrantState:
    """Where `event` leads from `state`; Conflict where it leads nowhere."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise Conflict(f"the grant is {state}: {event} is not possible") from None
