"""Using a grant: found, a use reserved with the ruling, sent before the first byte, or given back because nothing was sent.

The last use is one conditional UPDATE: of two replicas that want it one gets it. A reservation nobody settled counts as used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, or_, select, update

from stagewarden.clock import NANOSECONDS, new_id
from stagewarden.errors import StateUnavailable
from stagewarden.grants import rows
from stagewarden.grants.desk import Desk, fetch
from stagewarden.grants.grant import Changed, Grant, GrantState, Use
from stagewarden.grants.lifecycle import Event
from stagewarden.store.tables import grant_uses, grants, outbox

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from stagewarden.grants.desk import Pen
    from stagewarden.grants.known import Place

_REMEMBERED = 3600  # seconds an ended grant is still named as the reason for a no
_TOLD = (GrantState.ACTIVE, GrantState.SPENT, GrantState.EXPIRED, GrantState.LAPSED)
_AT_MOST = 50  # grants shown to the policy at once


class Using(Desk):
    """Acts of the gate."""

    async def standing(self, place: Place) -> tuple[Grant, ...]:
        """Grants of exactly this agent, workflow, upstream and stage: those active, and those that ended lately, newest first.

        An agent without any costs a look into a set. Where the database cannot say, there is none: a grant only ever loosens.
        """
        try:
            if self.known.stale:
                await self._read_known()
            if not self.known.could(place):
                return ()
            async with self._store.reading() as connection:
                order = (grants.c.state != str(GrantState.ACTIVE), grants.c.number.desc())
                return await fetch(connection, *_of(place), self._told(), order=order, limit=_AT_MOST)
        except StateUnavailable:
            self.known.forget()
            return ()

    def over(self, grant: Grant) -> bool:
        """Whether it permits nothing any more, on either clock."""
        return self.known.over(grant)

    async def reserve(self, grant: Grant, ruling: str, digest: str, fields: tuple[str, ...]) -> tuple[Use, Changed] | None:
        """Take one use, or None where none is left, the grant has ended, or its approval is not in the log yet: whoever comes second gets none."""
        async with self._writing() as pen:
            alive = (
                grants.c.id == grant.id, grants.c.state == str(GrantState.ACTIVE), grants.c.used < grants.c.uses,
                grants.c.expires_at_ns > pen.now_ns, or_(grants.c.review_by_ns == 0, grants.c.review_by_ns > pen.now_ns),
                ~select(outbox.c.number).where(outbox.c.hold == grants.c.id).exists(),
            )  # fmt: skip
            if self.known.over(grant):
                return None
            result = await pen.connection.execute(update(grants).where(*alive).values(used=grants.c.used + 1))
            if result.rowcount != 1:
                return None
            use = Use(id=new_id("u", pen.now_ns), grant=grant.id, ruling=ruling, state="reserved", digest=digest, fields=fields, at_ns=pen.now_ns)
            await pen.connection.execute(
                insert(grant_uses).values(
                    id=use.id, grant=grant.id, ruling=ruling, state="reserved", digest=digest, fields=list(fields), at_ns=pen.now_ns
                )
            )  # fmt: skip
            now = await pen.load(grant.id)
            return use, Changed(now, (await pen.enter_use(now, "reserved", use),))

    async def sent(self, use_id: str) -> Changed | None:
        """The next step is the first byte. None: the grant has ended meanwhile, or the use is not reserved; then nothing may be sent."""
        async with self._writing() as pen:
            use = await self._use(pen, grant_uses.c.id == use_id)
            if use is None or self.known.over(await pen.load(use.grant)):
                return None
            return await self._sent(pen, use)

    async def give_back(self, use_id: str) -> Changed | None:
        """Nothing was sent: the use is free again. None where it was sent or given back already."""
        async with self._writing() as pen:
            use = await self._use(pen, grant_uses.c.id == use_id)
            return None if use is None else await self._returned(pen, use)

    async def follow(self, ruling: str, *, sent: bool) -> Changed | None:
        """The hold of this ruling, which carried a use, was sent, or ended unsent."""
        async with self._writing() as pen:
            use = await self._use(pen, grant_uses.c.ruling == ruling)
            if use is None:
                return None
            return await (self._sent(pen, use) if sent else self._returned(pen, use))

    async def _sent(self, pen: Pen, use: Use) -> Changed | None:
        """(1) Still reserved, in one UPDATE. (2) With the last use sent, the grant is spent. The grant is held meanwhile: one of two is the last."""
        grant = await pen.load(use.grant)
        if not await self._settle(pen, use, "sent"):
            return None
        waiting = select(grant_uses.c.id).where(grant_uses.c.grant == grant.id, grant_uses.c.state == "reserved").limit(1)
        if grant.state is not GrantState.ACTIVE or grant.uses_left or await pen.connection.scalar(waiting) is not None:
            return Changed(grant)
        return await pen.move(grant, Event.SPENT, None, "every use is sent")

    async def _returned(self, pen: Pen, use: Use) -> Changed | None:
        await pen.load(use.grant)
        if not await self._settle(pen, use, "returned"):
            return None
        await pen.connection.execute(update(grants).where(grants.c.id == use.grant).values(used=grants.c.used - 1))
        grant = await pen.load(use.grant)
        return Changed(grant, (await pen.enter_use(grant, "returned", use),))

    async def _settle(self, pen: Pen, use: Use, state: str) -> bool:
        ours = (grant_uses.c.id == use.id, grant_uses.c.state == "reserved")
        result = await pen.connection.execute(update(grant_uses).where(*ours).values(state=state, settled_at_ns=pen.now_ns))
        return result.rowcount == 1

    async def _use(self, pen: Pen, where: ColumnElement[bool]) -> Use | None:
        query = select(grant_uses).where(where, grant_uses.c.state == "reserved")
        row = (await pen.connection.execute(query)).mappings().first()
        return None if row is None else rows.use(row)

    async def _read_known(self) -> None:
        self.known.reading()
        columns = (grants.c.agent, grants.c.workflow, grants.c.upstream, grants.c.stage, grants.c.completes_on, grants.c.state)
        async with self._store.reading() as connection:
            found = (await connection.execute(select(*columns).where(self._told()))).all()
        waiting = [row for row in found if row.completes_on is not None and row.state == str(GrantState.ACTIVE)]
        self.known.read(
            ((row.agent, row.workflow, row.upstream, row.stage) for row in found),
            ((row.agent, row.workflow, row.completes_on) for row in waiting),
        )

    def _told(self) -> ColumnElement[bool]:
        lately = self._clock.now_ns() - _REMEMBERED * NANOSECONDS
        ended = grants.c.state.in_([str(state) for state in _TOLD[1:]]) & (grants.c.ended_at_ns > lately)
        return or_(grants.c.state == str(GrantState.ACTIVE), ended)


def _of(place: Place) -> tuple[ColumnElement[bool], ...]:
    agent, workflow, upstream, stage = place
    return grants.c.agent == agent, grants.c.workflow == workflow, grants.c.upstream == upstream, grants.c.stage == stage
