"""People's acts on grants: ask, vote, look, complete, revoke. Each is recorded before it is told.

A program reads, and revokes where it may stop; it never asks, votes or completes. What a grant permits is felt by the next request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.errors import Invalid, NotAllowed
from stagewarden.gate import council, grant_terms, granting
from stagewarden.gate.callers import Callers, bounded, name_of
from stagewarden.grants import Ballot, Grant, GrantState
from stagewarden.grants.lifecycle import ENDED, OPEN
from stagewarden.grants.report import Report, report
from stagewarden.holds.seats import fillable

if TYPE_CHECKING:
    from stagewarden.gate.grant_terms import Wanted
    from stagewarden.grants import Use
    from stagewarden.holds.seats import SeatView
    from stagewarden.identity.people import Caller


@dataclass(frozen=True, slots=True)
class GrantView:
    """One grant as one caller may see it; `why_not`: why this caller cannot approve it (None: they can)."""

    grant: Grant
    seats: tuple[SeatView, ...]
    why_not: str | None
    functions: tuple[str, ...]
    report: Report
    uses: tuple[Use, ...] = ()


class GrantActs(Callers):
    """What people and programs can do about grants."""

    async def list_grants(
        self, caller: Caller, *, state: str | None, agent: str | None, wider: bool, cursor: str | None, limit: int
    ) -> tuple[list[GrantView], str | None]:
        """Grants, newest first; `state` is a state, `open` or `ended`; `wider`: of those that ended, only what was wider than used."""
        self._reads(caller)
        states = ENDED if wider and state is None else _states(state)
        found, following = await self._rooms.grants.list(states, agent, cursor, limit)
        uses = await self._rooms.grants.uses(*(grant.id for grant in found))
        views = [self._grant_view(caller, grant, uses) for grant in found]
        return [view for view in views if not wider or view.report.wider], following

    async def show_grant(self, caller: Caller, grant_id: str) -> GrantView:
        """One grant with its uses: what was used of what was granted."""
        self._reads(caller)
        grant = await self._rooms.grants.get(grant_id)
        uses = await self._rooms.grants.uses(grant_id)
        view = self._grant_view(caller, grant, uses)
        return GrantView(view.grant, view.seats, view.why_not, view.functions, view.report, uses)

    async def ask_grant(self, caller: Caller, wanted: Wanted) -> GrantView:
        """Ask for one. (1) A person. (2) Terms that could be granted. (3) What the policy says. (4) Seats that other people can fill."""
        if caller.person is None or not self.functions(caller):
            raise NotAllowed("a grant is asked for by a person of the registry")
        rooms = self._rooms
        terms = grant_terms.terms_of(wanted, rooms)
        asking = await grant_terms.ask(terms, caller.person, granting.sample(terms, rooms.clock.now_ns()), rooms)
        could = council.could_vote(council.Asked(terms.agent, terms.workflow, caller.person, asking.seats), rooms.registry)
        if missing := fillable(asking.seats, could):
            raise Invalid(f"seats_unfillable: nobody who may vote can fill {', '.join(missing)}")
        changed = await rooms.grants.request(terms, caller.person, asking.seats, asking.tier, rooms.config.holds.decide_within)
        return self._grant_view(caller, await rooms.recorder.deliver_grant(changed), ())

    async def vote_grant(self, caller: Caller, grant_id: str, ballot: Ballot) -> GrantView:
        """Cast one vote. Order: state and digest (Conflict), person (NotAllowed), body (Invalid)."""
        if caller.person is None:
            raise NotAllowed("a program's credential never votes")
        rooms = self._rooms
        self._prove_vote(caller, ballot.decision, (await rooms.grants.get(grant_id)).tier)
        function = ballot.function if ballot.function in self.functions(caller) else ""  # as the directory confirms it
        own = replace(ballot, person=caller.person, function=function)
        changed = await rooms.grants.vote(grant_id, own, council.Council(rooms.registry))
        return self._grant_view(caller, await rooms.recorder.deliver_grant(changed), await rooms.grants.uses(grant_id))

    async def complete_grant(self, caller: Caller, grant_id: str, reason: str) -> GrantView:
        """The task is done; any person of the registry may say so, because it only ends something."""
        if caller.person is None:
            raise NotAllowed("a person says that a task is done")
        changed = await self._rooms.grants.complete(grant_id, caller.person, bounded(reason))
        return self._grant_view(caller, await self._rooms.recorder.deliver_grant(changed), await self._rooms.grants.uses(grant_id))

    async def revoke_grant(self, caller: Caller, grant_id: str, reason: str) -> GrantView:
        """Any listed person may end one, or take a request for one back."""
        self._stops(caller)
        changed = await self._rooms.grants.revoke(grant_id, name_of(caller), bounded(reason))
        return self._grant_view(caller, await self._rooms.recorder.deliver_grant(changed), await self._rooms.grants.uses(grant_id))

    def _grant_view(self, caller: Caller, grant: Grant, uses: tuple[Use, ...]) -> GrantView:
        registry = self._rooms.registry
        asked = sorted({function for seat in grant.seats for function in seat.functions} & self.functions(caller))
        why_not = "a program's credential never votes" if caller.person is None else council.why_not(caller.person, grant, registry)
        return GrantView(grant, council.seat_views(grant, registry), why_not, tuple(asked), report(grant, uses))


def _states(wanted: str | None) -> frozenset[GrantState]:
    """`open`, `ended`, one state, or None for any."""
    if wanted is None:
        return frozenset()
    if wanted in {"open", "ended"}:
        return OPEN if wanted == "open" else ENDED
    try:
        return frozenset({GrantState(wanted)})
    except ValueError:
        raise Invalid(f"state: open, ended or one of {', '.join(GrantState)}") from None
