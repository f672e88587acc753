"""A hold as one caller may see it: its seats as they stand, whether its bytes are shown, and why this caller cannot approve it.

Must never show more than "Who may do what" (lifecycles.md) lets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.gate.callers import Callers
from stagewarden.gate.people import HoldView
from stagewarden.holds.eligibility import eligible, seat_views, voted_already
from stagewarden.identity.oidc import Proven
from stagewarden.identity.people import Caller

if TYPE_CHECKING:
    from stagewarden.model import Hold

_READS_PAYLOADS = frozenset({"security", "privacy"})


class Views(Callers):
    """Base of the acts that show holds."""

    def _payload(self, caller: Caller, hold: Hold) -> bool:
        if caller.person is None:
            return "payloads" in caller.scopes and (caller.creator is None or self._payload(_creator(caller.creator), hold))
        functions = self.functions(caller)
        entry = self._rooms.registry.data.agents.get(hold.agent)
        owners = {entry.owners.human, entry.owners.business, entry.owners.technical} if entry else set()
        asked = {function for seat in hold.seats for function in seat.functions}
        return caller.person in owners or not functions.isdisjoint(asked | _READS_PAYLOADS)

    def _view(self, caller: Caller, hold: Hold) -> HoldView:
        registry = self._rooms.registry
        asked = sorted({function for seat in hold.seats for function in seat.functions} & self.functions(caller))
        if caller.person is None:
            why_not: str | None = "a program's credential never votes"
        else:
            why_not = eligible(caller.person, hold, registry) or voted_already(caller.person, hold, registry)
        return HoldView(hold, tuple(seat_views(hold, registry)), self._payload(caller, hold), why_not, tuple(asked))


def _creator(person: str) -> Caller:
    """Whoever created a token, as they are now. No directory confirms their groups here: functions that need one count for nothing."""
    return Caller(person, None, frozenset(), "token", Proven("", ""))
