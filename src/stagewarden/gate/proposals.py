"""Proposals: what an agent that only recommends would have written. Stored whole, and nobody is asked until somebody eligible takes it up.

Taking up sends nothing and approves nothing: it only begins the asking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.errors import Conflict, NotAllowed
from stagewarden.gate.callers import Callers
from stagewarden.model import HoldState

if TYPE_CHECKING:
    from stagewarden.gate.people import HoldView
    from stagewarden.identity.people import Caller
    from stagewarden.model import Ask, Hold, Question

RECOMMEND_ONLY = "recommend_only"  # the mode, and the code of the rule that holds for it


def proposed(question: Question, verdict: Ask) -> bool:
    """Whether what is held is a proposal: by the agent's mode, or because a rule says so for a reason of its own."""
    state = question.document["state"]
    by_mode = isinstance(state, dict) and state.get("mode") == RECOMMEND_ONLY
    return by_mode or any(reason.code == RECOMMEND_ONLY for reason in verdict.reasons)


def proposed_to(view: HoldView) -> bool:
    """Whether this caller could take it up."""
    return view.hold.state is HoldState.PENDING and not view.hold.asked and view.why_not is None


class Proposals(Callers):
    """The act of a person on a proposal."""

    async def take_up(self, caller: Caller, hold_id: str) -> Hold:
        """Ask the people of its seats from now on; decide-by begins. Order: state (Conflict), person (NotAllowed)."""
        hold = await self._rooms.holds.get(hold_id)
        if caller.person is None:
            raise NotAllowed("a program's credential takes nothing up")
        if stop := self._rooms.stopped(hold.agent, hold.workflow, hold.upstream, hold.stage):
            raise Conflict(f"stopped meanwhile: {stop.reasons[0].text}")
        return await self._rooms.recorder.deliver(await self._rooms.holds.take_up(hold_id, caller.person, self._rooms.registry))
