"""The house's end of the conversation with one worker: its entries into the log, its turns at the locks, its counts, its answers.

Does what a worker asks and nothing on its behalf: no decision is taken here. A message out of turn ends the conversation, and with it the
worker.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from stagewarden.app.channel import Channel
from stagewarden.app.messages import Counted, Failed, Moved, Prepared, Ready, Settled, ToHouse
from stagewarden.audit.remote import Entries, Inlet
from stagewarden.errors import CannotTell
from stagewarden.gate.remote_locks import Keeper, Returned, Wanted
from stagewarden.metrics.rows import Rows

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from stagewarden.audit.log import AuditLog
    from stagewarden.clock import Clock
    from stagewarden.gate import Recorder
    from stagewarden.gate.locks import Locks

Answer: TypeAlias = "Prepared | Settled | Counted"

_DECODER: msgspec.msgpack.Decoder[ToHouse] = msgspec.msgpack.Decoder(ToHouse)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the house has for all its workers; `moved` is told by whom which holds were moved."""

    log: AuditLog
    locks: Locks
    recorder: Recorder
    clock: Clock
    moved: Callable[[Link, list[str]], None]


class Link:
    """One worker, as long as it lives."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._channel: Channel[ToHouse] | None = None
        self._inlet = Inlet(shared.log, self.send)
        self._keeper = Keeper(shared.locks, self.send)
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._number = 0
        self.ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self.why = ""
        self.rows = Rows()
        self.heard_at = shared.clock.monotonic()  # of what it says once a second

    async def open(self, connected: socket.socket) -> None:
        """Begin the conversation on this socket."""
        self._channel = await Channel.over(connected, _DECODER, self._heard, self._gone)

    def send(self, message: object) -> None:
        """Say something; to a worker that is gone, nothing."""
        if self._channel is not None:
            self._channel.send(message)

    async def ask(self, make: Callable[[int], object], seconds: float) -> Answer:
        """One answer; raises CannotTell where none comes in time, or the worker is gone."""
        self._number += 1
        number = self._number
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            if self.ended.is_set():
                raise CannotTell("it has ended")
            self.send(make(number))
            async with asyncio.timeout(seconds):
                said: Answer = await answer
                return said
        except TimeoutError:
            raise CannotTell(f"no answer within {seconds:g} s") from None
        finally:
            del self._asked[number]

    def close(self) -> None:
        """End the conversation."""
        if self._channel is not None:
            self._channel.close()

    def _heard(self, message: ToHouse) -> None:
        match message:
            case Entries():
                self._inlet.take(message)
            case Wanted():
                self._keeper.want(message)
            case Returned():
                self._keeper.give_back(message)
            case Moved(holds):
                self._shared.moved(self, holds)
            case Counted():
                self.rows, self.heard_at = message.rows, self._shared.clock.monotonic()
                self._shared.recorder.add_refusals(message.refusals)
                self._answered(message)
            case Prepared() | Settled():
                self._answered(message)
            case Ready():
                if self.ready.done():
                    raise ValueError("ready twice")
                self.ready.set_result(message)
            case Failed(why):
                self.why = why

    def _answered(self, message: Answer) -> None:
        answer = self._asked.get(message.number)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _gone(self, why: str) -> None:
        self._keeper.close()
        self.why = self.why or why
        if not self.ready.done():
            self.ready.set_exception(CannotTell(self.why))
            self.ready.exception()  # nobody may be waiting
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(CannotTell("it has ended"))
        self.ended.set()
