"""The same locks over several replicas: first come first served in each, one of them at a time by a lock in the database they share.

Not fair between replicas, and never longer than the database answers: where it does not, the key is not given, and the request is a no.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from stagewarden.errors import CannotTell

if TYPE_CHECKING:
    from stagewarden.gate.locks import Key, KeyedLocks
    from stagewarden.store import Store


class FleetLocks:
    """Those of a sidecar that is not alone; its workers ask it as they ask KeyedLocks."""

    def __init__(self, ours: KeyedLocks, store: Store) -> None:
        self._ours = ours
        self._store = store
        self._returning: set[asyncio.Task[None]] = set()

    async def acquire(self, key: Key) -> None:
        """(1) Our own turn. (2) Ours among the replicas. Raises CannotTell."""
        await self._ours.acquire(key)
        try:
            await self._store.lock(_name(key))
        except BaseException:
            self._ours.release(key)
            raise

    def release(self, key: Key) -> None:
        """Hand the key on: to the other replicas first, so that none of ours takes it for granted."""
        task = asyncio.create_task(self._give_back(key), name="asset-unlock")
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    async def _give_back(self, key: Key) -> None:
        try:
            await self._store.unlock(_name(key))
        except CannotTell as failure:  # the lock ends with the connection that is lost
            structlog.get_logger("stagewarden.replicas").warning("lock_lost", cause=str(failure))
        finally:
            self._ours.release(key)


def _name(key: Key) -> str:
    return "asset " + " ".join(key)  # an upstream's name has no space
