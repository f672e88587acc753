"""What other replicas say: notices, pushed by the database, and how long ago it was known that nothing can have been missed.

A notice says only that there is something new to read, never what it means. An empty one says: look for yourself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Notice(NamedTuple):
    """`channel` is "" where something may have been missed: connected anew, or not connected and it is time to look."""

    channel: str
    payload: str


LOOK = Notice("", "")


class Ear(Protocol):
    """Notices until closed. `connected` is whether they are pushed now; `heard_at` (monotonic seconds) when that was last proven."""

    connected: bool
    heard_at: float

    def notices(self) -> AsyncIterator[Notice]:
        """For one listener, until cancelled. Never raises: what cannot be heard is looked at, every second."""

    async def close(self) -> None:
        """Hear nothing more."""


class Silence:
    """Where nobody else can write there is nothing to hear: workers of a house hear from it."""

    connected = True
    heard_at = float("inf")

    async def notices(self) -> AsyncIterator[Notice]:
        """None, ever."""
        await asyncio.Event().wait()
        yield LOOK

    async def close(self) -> None:
        """Nothing to close."""
