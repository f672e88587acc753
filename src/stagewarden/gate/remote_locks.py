"""The same locks over several processes: the house keeps them, its workers ask (contract section 3: one request per looked-up target).

Fair over all of them, the release loop included: the house's KeyedLocks hand out turns in the order in which requests arrive. What a
dead worker held or awaited is let go. How messages travel is the caller's affair.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from stagewarden.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.gate.locks import Key, Locks


class Wanted(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A worker waits for a key; the ticket is its own name for this turn."""

    ticket: int
    key: tuple[str, ...]


class Returned(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The turn is over, or no longer wanted."""

    ticket: int


class Granted(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The turn has come."""

    ticket: int


class RemoteLocks:
    """A worker's end. `granted` and `gone` are told what comes from the house."""

    def __init__(self, send: Callable[[Wanted | Returned], None]) -> None:
        self._send = send
        self._last = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._held: dict[Key, int] = {}
        self._gone = False

    async def acquire(self, key: Key) -> None:
        """Wait for the key; also whoever is cancelled while waiting leaves nothing behind. Raises CannotTell where the house is gone."""
        if self._gone:
            raise CannotTell("the process that keeps the locks is gone")
        self._last += 1
        ticket = self._last
        turn = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        self._send(Wanted(ticket, key))
        try:
            await turn
        except BaseException:
            self._send(Returned(ticket))
            raise
        finally:
            self._waiting.pop(ticket, None)
        self._held[key] = ticket

    def release(self, key: Key) -> None:
        """Hand the key on."""
        self._send(Returned(self._held.pop(key)))

    def granted(self, message: Granted) -> None:
        """A turn has come; for whoever gave up meanwhile it was returned already."""
        turn = self._waiting.get(message.ticket)
        if turn is not None and not turn.done():
            turn.set_result(None)

    def gone(self) -> None:
        """Nobody's turn comes any more."""
        self._gone = True
        for turn in self._waiting.values():
            if not turn.done():
                turn.set_exception(CannotTell("the process that keeps the locks is gone"))


class Keeper:
    """The house's end for one worker: takes tickets, and hands the house's own locks out for them."""

    def __init__(self, locks: Locks, reply: Callable[[Granted], None]) -> None:
        self._locks = locks
        self._reply = reply
        self._turns: dict[int, tuple[Key, asyncio.Task[None]]] = {}

    def want(self, message: Wanted) -> None:
        """Stand in line. Raises ValueError for a ticket that is in use."""
        if message.ticket in self._turns:
            raise ValueError("a ticket twice")
        task = asyncio.create_task(self._locks.acquire(message.key), name="asset-lock")
        self._turns[message.ticket] = (message.key, task)
        task.add_done_callback(lambda done: self._came(message.ticket, done))

    def give_back(self, message: Returned) -> None:
        """Leave the line, or hand the key on. Raises ValueError for a ticket nobody has."""
        turn = self._turns.pop(message.ticket, None)
        if turn is None:
            raise ValueError("a ticket nobody has")
        self._let_go(*turn)

    def close(self) -> None:
        """The worker is gone: whatever it held or awaited is the next one's."""
        turns, self._turns = self._turns, {}
        for turn in turns.values():
            self._let_go(*turn)

    def _let_go(self, key: Key, task: asyncio.Task[None]) -> None:
        if task.done():
            self._locks.release(key)
        else:
            task.cancel()

    def _came(self, ticket: int, done: asyncio.Task[None]) -> None:
        if done.cancelled():
            return
        if ticket in self._turns:
            self._reply(Granted(ticket))
