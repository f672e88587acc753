"""What people find out about a send: what became of one whose outcome was unknown, and that what was done was taken back.

They record it and nothing more: nothing is sent from here, and a late answer of the upstream that came first stands.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from stagewarden.errors import Conflict, Invalid
from stagewarden.holds.desk import Desk
from stagewarden.holds.entries import Cause, Moved
from stagewarden.holds.lifecycle import Event
from stagewarden.model import HoldState

if TYPE_CHECKING:
    from stagewarden.model import Hold

Found = Literal["done", "failed"]
EVIDENCE_LIMIT = 4000  # characters


class Resolving(Desk):
    """Acts on what has left."""

    async def resolve(self, hold_id: str, by: str, found: Found, evidence: str) -> Moved:
        """A person looked an unknown outcome up. Raises NotFound, Conflict where it is known, Invalid without evidence."""
        if not evidence.strip() or len(evidence) > EVIDENCE_LIMIT:
            raise Invalid(f"evidence: say where it was looked up and what stood there, in 1 to {EVIDENCE_LIMIT} characters")
        async with self._writing() as pen:
            hold = await pen.load(hold_id)
            if hold.state is not HoldState.UNKNOWN:
                raise Conflict(f"the hold is {hold.state}; only an unknown outcome is resolved")
            sealed = await pen.seal(hold, "evidence", evidence.encode())
            cause = Cause(by, f"resolved_{found}", _digest(hold, evidence))
            return await pen.move(hold, Event.ANSWERED if found == "done" else Event.REFUSED, cause, evidence=sealed)

    async def roll_back(self, hold_id: str, by: str, reason: str) -> Moved:
        """What was done was taken back, by whatever means: recorded, with who says so. Raises NotFound, Conflict."""
        async with self._writing() as pen:
            hold = await pen.load(hold_id)
            return await pen.move(hold, Event.ROLLED_BACK, Cause(by, reason), ended_by="rolled_back")


def _digest(hold: Hold, evidence: str) -> str:
    """What the log keeps of it: a digest salted by the hold's id (80 random bits) and what it was sent as."""
    return "sha256:" + hashlib.sha256(f"{hold.id}\0{hold.attempt}\0{evidence}".encode()).hexdigest()
