"""When each token of the tokens file was last used: known at once in this process, written to the state database at most once a minute.

No request waits for it and none fails by it. A crash loses the last minute; what is shown is never later than what was.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from stagewarden.errors import StateUnavailable
from stagewarden.store import Clash
from stagewarden.store.tables import token_uses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.clock import Clock
    from stagewarden.store import Store

EVERY = 60.0  # seconds between two writes


class Uses:
    """By a token's SHA-256, as the tokens file has it; so many entries as that file ever had."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[str, int] = {}
        self._kept: dict[str, int] = {}

    def used(self, token: str) -> None:
        """Now."""
        self._last[token] = self._clock.now_ns()

    async def last(self, store: Store) -> Mapping[str, int]:
        """The last use of each token, by this process and every other one on this database (ns since the epoch). StateUnavailable."""
        async with store.reading() as connection:
            known = {row.token: row.last_ns for row in await connection.execute(select(token_uses))}
        return {token: max(known.get(token, 0), self._last.get(token, 0)) for token in known.keys() | self._last.keys()}

    async def keep(self, store: Store) -> None:
        """Write what was used since the last time; a later use that another process wrote stays. StateUnavailable: the next time."""
        changed = {token: at for token, at in self._last.items() if at > self._kept.get(token, 0)}
        for token, at in changed.items():
            with suppress(Clash):  # another process wrote the first row of it meanwhile: ours follows with the next use
                await _write(store, token, at)
            self._kept[token] = at

    async def run(self, store: Store) -> None:
        """Once a minute, for as long as the process serves people."""
        while True:
            await asyncio.sleep(EVERY)
            with suppress(StateUnavailable):  # told by readiness
                await self.keep(store)


async def _write(store: Store, token: str, at: int) -> None:
    async with store.writing() as connection:
        there = token_uses.c.token == token
        if await connection.scalar(select(token_uses.c.last_ns).where(there)) is None:
            await connection.execute(insert(token_uses).values(token=token, last_ns=at))
        else:
            await connection.execute(update(token_uses).where(there, token_uses.c.last_ns < at).values(last_ns=at))
