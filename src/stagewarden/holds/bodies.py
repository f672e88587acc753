"""Large bodies of holds: sealed in pieces beside their hold, in its transaction, and read back for a release. Never whole in memory.

Each piece is bound to its hold and its number, so that none can be moved; that none is missing is seen by the request digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import insert, select

from stagewarden.errors import StateUnavailable
from stagewarden.store.tables import bodies
from stagewarden.wire import spool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden.holds.crypto import Payload
    from stagewarden.model import Large


class Kept(msgspec.Struct, frozen=True):
    """A large body that lies in the state database: known by size and digest until `Holds.with_body` has read it."""

    size: int
    digest: str

    def blocks(self) -> Iterator[bytes]:
        """Not here. Raises StateUnavailable."""
        raise StateUnavailable("the stored body was not read")


async def store(connection: AsyncConnection, hold: str, payload: Payload, body: Large) -> None:
    """Seal every piece."""
    number = 0
    async for block in spool.pieces(body):
        sealed = payload.seal(_column(number), block)
        await connection.execute(insert(bodies).values(hold=hold, number=number, sealed=sealed))
        number += 1


async def load(connection: AsyncConnection, hold: str, payload: Payload) -> AsyncGenerator[bytes, None]:
    """Every piece in order. Raises StateUnavailable for one that was changed or moved."""
    number = 0
    while True:
        sealed = await connection.scalar(select(bodies.c.sealed).where(bodies.c.hold == hold, bodies.c.number == number))
        if sealed is None:
            return
        yield payload.open(_column(number), sealed)
        number += 1


def _column(number: int) -> str:
    return f"body/{number}"
