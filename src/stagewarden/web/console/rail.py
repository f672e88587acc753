"""The five stages in fixed order and where a held request stands on them. Says only what is known; a stage nobody recorded is "not known"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stagewarden.model import HoldState, Stage
from stagewarden.web.console import when, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stagewarden.holds.seats import SeatView
    from stagewarden.model import Hold

# What an asset's state proves about the stages behind it.
_PROVES = {
    "draft": {Stage.GENERATE: "a draft exists"},
    "queued": {Stage.GENERATE: "a draft exists", Stage.QUEUE: "is queued"},
    "approved": {Stage.GENERATE: "a draft exists", Stage.QUEUE: "was queued"},
    "exported": {Stage.GENERATE: "exists", Stage.EXPORT: "is already out"},
}


@dataclass(frozen=True, slots=True)
class Node:
    """One stage: done, now, asked for, or open (nothing known)."""

    stage: Stage
    state: Literal["done", "now", "asked", "open"]
    words: str


def rail(hold: Hold, seats: Sequence[SeatView], now_ns: int) -> tuple[Node, ...]:
    """Generate, edit, queue, approve, export."""
    proven = _PROVES.get(words.asset_state(hold), {})
    return tuple(_node(stage, hold, seats, proven, now_ns) for stage in Stage)


def _node(stage: Stage, hold: Hold, seats: Sequence[SeatView], proven: dict[Stage, str], now_ns: int) -> Node:
    if stage is Stage.APPROVE:
        needed = sum(seat.needed for seat in seats)
        count = f"{sum(seat.filled for seat in seats)} of {needed} {'seat' if needed == 1 else 'seats'}"
        if hold.approved_at_ns:
            return Node(stage, "done", f"{count}, {when.moment(hold.approved_at_ns, now_ns).clock}")
        return Node(stage, "now" if hold.state is HoldState.PENDING else "open", count)
    if stage is hold.stage:
        return _asked_for(hold)
    if stage in proven:
        return Node(stage, "done", proven[stage])
    return Node(stage, "open", "not known" if stage.rank < hold.stage.rank else "not asked for")


def _asked_for(hold: Hold) -> Node:
    """The stage that the hold itself would enter."""
    place = words.destination(hold)
    if hold.state in words.SENT:
        return Node(hold.stage, "done", f"sent to {place}")
    if words.doubtful(hold):
        return Node(hold.stage, "open", f"not known whether it reached {place}")
    ended = hold.state not in words.UNDER_WAY and hold.state is not HoldState.PENDING
    return Node(hold.stage, "open" if ended else "asked", "not sent" if ended else f"asked for: {place}")
