"""Votes through adapters, one row each: what was used once is used, over restarts and over every replica. Rows are never deleted.

(GHSA-v2jf-442r-6mjh: ids remembered in memory, and only so many, were good again after a restart.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from sqlalchemy import insert, or_, select, update

from stagewarden.store.tables import adapter_votes

if TYPE_CHECKING:
    from stagewarden.store.database import Store

Begun: TypeAlias = Literal["begun", "used", "second"]


class Callback(NamedTuple):
    """One vote as a queue passed it on: its own id for it, and what makes the person's token one."""

    adapter: str
    id: str
    token: str


class Callbacks:
    """Over the state database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, callback: Callback, hold: str, person: str, now_ns: int) -> Begun:
        """Use id and token up, and take the hold's one place for votes through adapters.

        `used`: one of the two was used before; `second`: the place is taken, and both are used up all the same.
        """
        async with self._store.writing() as connection:
            await self._store.alone(connection, "adapters")
            same = (adapter_votes.c.adapter == callback.adapter) & (adapter_votes.c.callback == callback.id)
            if await connection.scalar(select(adapter_votes.c.number).where(or_(same, adapter_votes.c.token == callback.token)).limit(1)):
                return "used"
            standing = (adapter_votes.c.hold == hold, adapter_votes.c.state != "refused")
            taken = await connection.scalar(select(adapter_votes.c.number).where(*standing).limit(1)) is not None
            row = {"adapter": callback.adapter, "callback": callback.id, "token": callback.token, "hold": hold, "person": person, "at_ns": now_ns}
            await connection.execute(insert(adapter_votes).values(**row, state="refused" if taken else "begun"))
        return "second" if taken else "begun"

    async def settle(self, callback: Callback, *, cast: bool) -> None:
        """It was cast, or it was refused and the place is free again. What was begun and never settled keeps its place: it may have been cast."""
        ours = (adapter_votes.c.token == callback.token, adapter_votes.c.state == "begun")
        async with self._store.writing() as connection:
            await connection.execute(update(adapter_votes).where(*ours).values(state="cast" if cast else "refused"))
