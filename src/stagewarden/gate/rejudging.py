"""Open holds judged again: at each reload of policy, registry or evidence, and at each vote (lifecycles.md, "The release question").

A stricter verdict supersedes, a looser one changes nothing. Asked without any approval: whether the votes still count is asked at release.
While something stops a hold, what people approved is stopped and what waits stays (lifecycles.md, "A hold").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from stagewarden.errors import CannotTell, Conflict, NotFound
from stagewarden.gate import bodies
from stagewarden.gate import question as asking
from stagewarden.gate.callers import Callers
from stagewarden.gate.successor import stricter, successor
from stagewarden.holds.paging import Filter
from stagewarden.model import Ask, Deny, HoldState
from stagewarden.modes import STOPPING

if TYPE_CHECKING:
    from stagewarden.model import Hold

JUDGED: Final = frozenset({HoldState.PENDING, HoldState.SETTLING, HoldState.APPROVED, HoldState.CLAIMED})
"""Nothing of it has left. A release that has asked already finds its claim gone when it wants to send."""

_PAGE = 100


class Rejudging(Callers):
    """The question, once more."""

    async def judge_again(self, hold: Hold) -> bool:
        """Ask the policy about an open hold as things stand now; whether it may go on waiting as it is."""
        if hold.state not in JUDGED:
            return True
        if hold.state is not HoldState.PENDING and (stop := self._rooms.stopped_since_approved(hold)):
            await self._stop(hold, stop)
            return False
        if self._rooms.mode(hold.agent) in STOPPING:  # the policy would say no to all of it; the next vote asks it, once that is over
            return True
        question = asking.again(hold.question, self._rooms.circumstances(hold.agent, hold.workflow), None, None)
        verdict = await self._rooms.decider.decide(question)
        if isinstance(verdict, Deny):
            await self._rooms.recorder.deliver(await self._rooms.holds.supersede(hold.id, verdict.reasons))
            return False
        if isinstance(verdict, Ask) and stricter(verdict, hold):
            async with bodies.whole(self._rooms, hold) as known:
                linked = successor(known, verdict, question, None)
                await self._rooms.recorder.deliver(await self._rooms.holds.supersede(hold.id, verdict.reasons, linked))
            return False
        return True

    async def _stop(self, hold: Hold, stop: Deny) -> None:
        """Also where nobody gave an order to stop: the registry that was read says so."""
        first = stop.reasons[0]
        for moved in await self._rooms.holds.stop_in_scope(f"hold:{hold.id}", None, first.text, first.code):
            await self._rooms.recorder.deliver(moved)

    async def judge_all_again(self) -> None:
        """After a reload: every open hold. One that cannot be judged now keeps no other from it; its release asks again in any case."""
        cursor: str | None = None
        while True:
            holds, cursor = await self._rooms.holds.list(Filter(JUDGED), cursor, _PAGE)
            for hold in holds:
                await self._try(hold.id)
            if cursor is None:
                return

    async def _try(self, hold_id: str) -> None:
        try:
            await self.judge_again(await self._rooms.holds.get(hold_id))
        except (Conflict, NotFound):
            pass  # somebody else moved it meanwhile: where it stands now is right
        except CannotTell as failure:
            structlog.get_logger("stagewarden.rejudging").warning("not_judged_again", hold=hold_id, code=failure.code, cause=str(failure))
