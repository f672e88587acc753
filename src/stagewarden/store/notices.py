"""Notices: what people are to hear of, written down by whoever strikes the entry off the outbox, in that very transaction.

So nobody hears of what is not in the log, and a crash between the two loses nothing. Knows neither people nor channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import insert

from stagewarden.store.tables import notices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection


class Heard(NamedTuple):
    """One entry that people are to hear of."""

    entry: str
    hold: str
    event: str
    state: str
    at_ns: int


async def note(connection: AsyncConnection, heard: Sequence[Heard]) -> None:
    """In the caller's transaction."""
    if heard:
        await connection.execute(insert(notices), [each._asdict() for each in heard])
