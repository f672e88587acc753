"""A hold that a bounded template approved in advance: opened and approved in one transaction, then released like any other.

The template's votes stand in it as they count for these bytes; the log has them where they were cast, on the template. Never sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import CannotTell
from stagewarden.holds.desk import Desk
from stagewarden.holds.entries import Cause, Moved
from stagewarden.holds.lifecycle import Event
from stagewarden.holds.opening import Opening, check_digest
from stagewarden.holds.seats import fill, filled
from stagewarden.store import Clash

if TYPE_CHECKING:
    from stagewarden.holds.rows import NewHold
    from stagewarden.model import Vote


class Covered(Opening, Desk):
    """The act of a template."""

    async def open_approved(self, new: NewHold, grant: str, votes: tuple[Vote, ...], until_ns: int) -> Moved:
        """The approved hold of this request, or (no entries) the one that stands for it already. `until_ns` ends its use at the latest.

        CannotTell where the votes do not fill its seats, Refused over the agent's limit: then nothing is stored.
        """
        await check_digest(new)
        key = (new.agent, new.workflow, new.initiator, new.repeat_digest)
        try:
            async with self._counted(new.agent) as pen:
                standing = await self._answering(pen.connection, key, new.lookup_digest)
                if standing is not None:
                    return Moved(standing, ())
                await self._check_room(pen, new.agent)
                fresh = replace(self._fresh(new, pen.now_ns), grant=grant)
                if not filled(fill(fresh.seats, votes)):
                    raise CannotTell("the template's votes do not fill the seats of this hold")
                opened = await pen.add(fresh, Cause(by=new.agent))
                for vote in votes:
                    await pen.lay_down(fresh, replace(vote, digest=fresh.digest, view_digest=fresh.view_digest))
                use_by = min(until_ns, pen.now_ns + int(self._terms.use_within * NANOSECONDS))
                cause = Cause(reason=f"template {grant}")
                moved = await pen.move(await pen.load(fresh.id, payload=True), Event.FILLED, cause, approved_at_ns=pen.now_ns, use_by_ns=use_by)
                return Moved(moved.hold, (*opened.entries, *moved.entries))
        except Clash:
            standing = await self.find_repeat(*key, new.lookup_digest)
            if standing is None:
                raise
            return Moved(standing, ())
