"""The people's plane: every act of a person or program, checked against "Who may do what" (lifecycles.md), recorded before it is told.

Agents reach none of this. A vote never sends anything: it only moves the hold; the release loop sends.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from stagewarden.audit import entries
from stagewarden.errors import Conflict, Invalid, NotAllowed, NotFound
from stagewarden.gate import bodies
from stagewarden.gate.adapters import through
from stagewarden.gate.callers import bounded, name_of
from stagewarden.gate.editing import Editing
from stagewarden.gate.grant_acts import GrantActs
from stagewarden.gate.history import History
from stagewarden.gate.inbox import SOON_NS, Inboxes
from stagewarden.gate.notifying import Notifying
from stagewarden.gate.overview import Overview
from stagewarden.gate.people import ballot_of
from stagewarden.gate.proposals import Proposals, proposed_to
from stagewarden.gate.rejudging import Rejudging
from stagewarden.gate.resolving import Resolving
from stagewarden.gate.reviews import Reviewed
from stagewarden.gate.revisions import Confirming
from stagewarden.gate.surroundings import Surroundings
from stagewarden.holds import lifecycle
from stagewarden.holds.paging import Filter
from stagewarden.model import HoldState, Tier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractContextManager

    from stagewarden.audit.reader import Reader
    from stagewarden.gate.feed import Listener
    from stagewarden.gate.inbox import Selection
    from stagewarden.gate.people import HoldView, VoteIntent
    from stagewarden.gate.rooms import Rooms
    from stagewarden.identity.people import Caller
    from stagewarden.model import Body, Hold
    from stagewarden.store import Callback


class Acts(Overview, Inboxes, History, GrantActs, Editing, Proposals, Confirming, Rejudging, Resolving, Surroundings, Reviewed, Notifying):
    """What people and programs can do; the people's listener and the terminal call nothing else."""

    def __init__(self, rooms: Rooms, reader: Reader) -> None:
        super().__init__(rooms)
        self._reader = reader

    # -- holds --

    async def list_holds(
        self, caller: Caller, wanted: Selection, *, state: str | None, mine: bool, asked: bool | None = None
    ) -> tuple[list[HoldView], str | None]:
        """Holds, newest first; `state` is a state, `open` or `ended`; `mine`: only those this caller could vote on; `asked` False: proposals.

        Of `wanted` its filters, place and limit.
        """
        self._reads(caller)
        soon = self._rooms.clock.now_ns() + SOON_NS if wanted.soon else None
        chosen = Filter(_states(state), asked=asked, narrowed=wanted.narrowing(soon))
        holds, following = await self._rooms.holds.list(chosen, wanted.place, wanted.limit)
        views = [self._view(caller, hold) for hold in holds]
        return [view for view in views if not mine or view.why_not is None], following

    async def show_hold(self, caller: Caller, hold_id: str) -> HoldView:
        """One hold; showing its bytes leaves a `read` entry."""
        view = await self.look_at_hold(caller, hold_id)
        if view.payload:
            await self._rooms.recorder.note("read", entries.read_entry(name_of(caller), "payload", hold_id))
            if caller.person is not None:
                await self._rooms.holds.seen(view.hold, caller.person)
        return view

    async def look_at_hold(self, caller: Caller, hold_id: str) -> HoldView:
        """The same for a door's own checks: nobody is shown its bytes, so nothing is recorded."""
        self._reads(caller)
        hold = await self._rooms.holds.get(hold_id)
        view = self._view(caller, hold)
        return replace(
            view,
            why_not_edit=view.why_not or self.why_not_edit(caller, hold),
            prove=self.owed_proof(caller) if hold.tier is Tier.HIGH else None,
            offers=self.offers(caller, hold) | (frozenset({"take_up"}) if proposed_to(view) else frozenset()),
        )

    @asynccontextmanager
    async def body(self, caller: Caller, hold_id: str) -> AsyncIterator[Body]:
        """The exact bytes of the held request, for whoever may see its payload; recorded as read first."""
        self._reads(caller)
        hold = await self._rooms.holds.get(hold_id)
        if not self._payload(caller, hold):
            raise NotAllowed("these bytes are shown to the hold's seats, its owners, security and privacy")
        if not hold.payload:
            raise NotFound(f"hold {hold_id}: its bytes are deleted")
        await self._rooms.recorder.note("read", entries.read_entry(name_of(caller), "payload", hold_id))
        async with bodies.whole(self._rooms, hold) as known:
            yield known.request.body

    async def vote(self, caller: Caller, hold_id: str, intent: VoteIntent) -> Hold:
        """Cast one vote, or edit. Order: hold state and digests (Conflict), person (NotAllowed), body (Invalid)."""
        if intent.edit is not None:
            return await self.edit(caller, hold_id, intent)
        hold = await self._rooms.holds.get(hold_id)
        if caller.person is None:
            raise NotAllowed("a program's credential never votes")
        if intent.decision == "approve":
            # Pending holds stay during a stop and take no approvals meanwhile.
            if stop := self._rooms.stopped(hold.agent, hold.workflow, hold.upstream, hold.stage):
                raise Conflict(f"stopped meanwhile: {stop.reasons[0].text}")
            # Open holds are judged again at each vote; a looser verdict changes nothing.
            if not await self.judge_again(hold):
                raise Conflict("the policy no longer lets this wait for the same people")
        ballot = ballot_of(caller.person, self._confirmed(caller, intent, hold))
        moved = await self._rooms.holds.vote(hold_id, ballot, self._rooms.registry)
        voted = await self._rooms.recorder.deliver(moved)
        if moved.review is not None:
            self._rooms.recorder.metrics.reviewed(moved.review.tier, moved.review.seconds)
        return voted

    async def vote_by_adapter(self, caller: Caller, callback: Callback, hold_id: str, intent: VoteIntent) -> Hold:
        """Cast one vote that another queue passed on with the person's own token; what is refused is recorded too."""
        return await through(self._rooms, caller, callback, hold_id, lambda: self.vote(caller, hold_id, intent))

    def turned_away(self, code: str, peer: str) -> None:
        """Such a token proved nobody: counted, and in the log as one summary a second, so that strangers cannot fill it."""
        self._rooms.recorder.refusal(code, peer)

    async def stop_hold(self, caller: Caller, hold_id: str, reason: str) -> Hold:
        """Any listed person may stop a hold; nothing of it is sent after this returns."""
        self._stops(caller)
        return await self._rooms.recorder.deliver(await self._rooms.holds.stop(hold_id, name_of(caller), bounded(reason)))

    # -- being told --

    def listen(self, caller: Caller, since: str | None) -> AbstractContextManager[Listener]:
        """A place among the events; ids and states, for whoever may read."""
        self._reads(caller)
        return self._rooms.feed.listen(name_of(caller), since)


def _states(wanted: str | None) -> frozenset[HoldState]:
    """`open`, `ended`, one state, or None for any."""
    if wanted is None:
        return frozenset()
    if wanted in {"open", "ended"}:
        return frozenset(state for state in HoldState if (state in lifecycle.OPEN) is (wanted == "open"))
    try:
        return frozenset({HoldState(wanted)})
    except ValueError:
        raise Invalid(f"state: open, ended or one of {', '.join(HoldState)}") from None
