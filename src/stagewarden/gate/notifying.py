"""What people may do about notifications: see what became of each, and have one sent again. Nothing here says anything about a hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.errors import Invalid, NotAllowed
from stagewarden.gate.callers import Callers
from stagewarden.gate.resolving import LOOKS_UP
from stagewarden.notify.ledger import STATES

if TYPE_CHECKING:
    from stagewarden.identity.people import Caller
    from stagewarden.notify import Delivery


class Notifying(Callers):
    """The acts."""

    async def list_deliveries(
        self, caller: Caller, *, state: str | None, cursor: str | None, limit: int
    ) -> tuple[list[Delivery], str | None]:  # fmt: skip
        """Newest first, and the cursor of the next page; `state` is one of waiting, sending, delivered, dead."""
        self._reads(caller)
        if state is not None and state not in STATES:
            raise Invalid(f"state: one of {', '.join(STATES)}")
        found, following = await self._rooms.ledger.page(state, cursor, limit)
        return [*found], following

    def why_not_resend(self, caller: Caller) -> str | None:
        """Why this caller cannot have one sent again; None: they can."""
        if caller.person is None:
            return "a program's credential sends nothing again"
        return "sending again takes the function security or technical" if self.functions(caller).isdisjoint(LOOKS_UP) else None

    async def resend(self, caller: Caller, delivery_id: str) -> Delivery:
        """Due now, under the same id; a channel whose receiver was gone speaks again. Recorded first."""
        if (why := self.why_not_resend(caller)) is not None:
            raise NotAllowed(why)
        delivery = await self._rooms.ledger.get(delivery_id)
        assert caller.person is not None
        entry = {"delivery": delivery.id, "act": "resent", "by": caller.person, "channel": delivery.channel, "subject": delivery.subject}
        await self._rooms.recorder.note("delivery", {**entry})
        again = await self._rooms.ledger.resend(delivery_id, caller.person)
        self._rooms.deliver_now()
        return again
