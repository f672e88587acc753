"""The log of another process of ours: a worker's end (`RemoteLog`), and the house's, which alone writes (`Inlet`).

Entries travel in batches: everything that gathered while one batch was under way goes with the next. Acknowledged is durable. Never
says yes to what the house has not acknowledged, and never sends an entry twice. How messages travel is the caller's affair.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec

from stagewarden.audit.batch import Drafted, Flushed, failed
from stagewarden.audit.line import draft, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.audit.batch import Observer, Then
    from stagewarden.audit.log import AuditLog
    from stagewarden.clock import Clock
    from stagewarden.model import Document

_WAITING = 20_000  # entries that may wait for the house, as in the log itself
_BATCH_BYTES = 8 << 20  # of drafts in one message
_AT_THE_LATEST = 0.01  # seconds an entry nobody waits for may wait for company
_QUIET_TURNS, _GATHERING = 3, 0.002  # as in the log itself: turns of the loop, and seconds, a batch may wait for company
_STALLED = 5.0  # seconds a batch may take before the house counts as gone


class Entries(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A worker's entries, in the order in which they were made."""

    number: int
    drafts: list[Drafted]


class Acknowledged(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What became of a batch: for each entry its `seq`, durable, or why it is not in the log."""

    number: int
    results: list[int | str]


class Log(Protocol):
    """The log as the gate knows it, wherever it is written."""

    def append(self, kind: str, body: Document, entry_id: str | None = None) -> asyncio.Future[int]:
        """Queue one entry; the future resolves to its `seq` when it is durable, or raises AuditUnavailable."""

    def report(self, kind: str, body: Document, then: Then) -> None:
        """Queue an entry nobody waits for; `then` is told what became of it."""

    def has(self, entry_id: str) -> bool:
        """Whether an entry of this id is in the log, as far as the last ones go."""

    @property
    def trouble(self) -> str | None:
        """Why no ruling would be accepted now; None when one would."""

    @property
    def free_bytes(self) -> int:
        """Free space as last looked at."""


class RemoteLog:
    """A worker's log. `send` hands one message to the house; `acknowledged` and `gone` are told what comes back."""

    def __init__(self, send: Callable[[Entries], None], clock: Clock, observe: Observer) -> None:
        self._send = send
        self._clock = clock
        self._observe = observe
        self._number = 0
        self._next: list[tuple[Drafted, asyncio.Future[int]]] = []
        self._flying: list[asyncio.Future[int]] = []
        self._since = 0.0
        self._scheduled = False
        self._urgent = False
        self._later: asyncio.TimerHandle | None = None
        self._gone: str | None = None

    def append(self, kind: str, body: Document, entry_id: str | None = None) -> asyncio.Future[int]:
        """As the log's own: raises ValueError for a fault in the caller; everything else is the future's."""
        return self._append(kind, body, entry_id, soon=True)

    def report(self, kind: str, body: Document, then: Then) -> None:
        """As the log's own."""
        landed = self._append(kind, body, None, soon=False)
        landed.add_done_callback(lambda future: then(None if (failure := future.exception()) is None else str(failure)))

    def _append(self, kind: str, body: Document, entry_id: str | None, *, soon: bool) -> asyncio.Future[int]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        if (why := self.trouble) is not None:
            self._observe(Flushed(1, 0.0, "refused"))
            return failed(future, why)
        try:
            drafted = Drafted(kind, draft(kind, plain(kind, body), entry_id), entry_id)
        except TypeError as failure:
            return failed(future, f"{kind}: no canonical form: {failure}")
        self._next.append((drafted, future))
        self._urgent = self._urgent or soon
        if not self._flying:
            self._schedule(loop)
        return future

    def has(self, entry_id: str) -> bool:  # noqa: ARG002 - the log's signature
        """Not to be told from here: whoever recovers an outbox is the house. An id that is brought again is written once all the same."""
        return False

    @property
    def trouble(self) -> str | None:
        """Why nothing would be accepted now, as far as it can be told from here."""
        if self._gone is not None:
            return self._gone
        if self._flying and self._clock.monotonic() - self._since > _STALLED:
            return f"the process that writes the log has not answered for {_STALLED:.0f} s"
        if len(self._next) >= _WAITING:
            return f"{_WAITING} entries are waiting for the process that writes the log"
        return None

    @property
    def free_bytes(self) -> int:
        """The house's to tell; nobody asks it here."""
        return 0

    def acknowledged(self, message: Acknowledged) -> None:
        """A batch has landed, or has not. Raises ValueError for an answer to something else: the two ends are out of step."""
        if message.number != self._number or len(message.results) != len(self._flying):
            raise ValueError("an acknowledgement of another batch")
        flying, self._flying = self._flying, []
        for future, result in zip(flying, message.results, strict=True):
            if future.done():
                continue
            if isinstance(result, int):
                future.set_result(result)
            else:
                failed(future, result)
        if self._next:
            self._schedule(asyncio.get_running_loop())

    def gone(self, why: str) -> None:
        """The house is gone: nobody waits any longer, and nothing more is accepted."""
        self._gone = why
        for future in (*self._flying, *(waiting for _, waiting in self._next)):
            if not future.done():
                failed(future, why)
        self._flying, self._next = [], []

    async def flush(self) -> None:
        """Until nothing is on its way."""
        while waiting := [*self._flying, *(future for _, future in self._next)]:
            self._flush()
            await asyncio.wait(waiting)
            await asyncio.sleep(0)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Soon where somebody waits, so that whoever is about to append comes along; a little later where nobody does."""
        if self._urgent and not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._gather, 0, 0, self._clock.monotonic())
        elif self._later is None and not self._scheduled:
            self._later = loop.call_later(_AT_THE_LATEST, self._flush)

    def _gather(self, seen: int, quiet: int, since: float) -> None:
        """As the log does: a loop that is busy is about to append more, an idle one turns at once. A message each would cost as much as its entry."""
        here = len(self._next)
        quiet = quiet + 1 if here == seen else 0
        if quiet < _QUIET_TURNS and self._clock.monotonic() - since < _GATHERING:
            asyncio.get_running_loop().call_soon(self._gather, here, quiet, since)
        else:
            self._flush()

    def _flush(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._scheduled = False
        if self._flying or not self._next:
            return
        self._urgent = False
        batch, size = self._next, 0
        for count, (drafted, _) in enumerate(batch):
            size += len(drafted.text)
            if size > _BATCH_BYTES and count:
                batch, self._urgent = batch[:count], True
                break
        self._next = self._next[len(batch) :]
        self._number += 1
        self._flying = [future for _, future in batch]
        self._since = self._clock.monotonic()
        self._send(Entries(self._number, [drafted for drafted, _ in batch]))


class Inlet:
    """The house's end for one worker: its entries into the one log, its answer once all of a batch are durable or refused."""

    def __init__(self, log: AuditLog, reply: Callable[[Acknowledged], None]) -> None:
        self._log = log
        self._reply = reply

    def take(self, entries: Entries) -> None:
        """Append, and answer when it is known what became of them. Raises ValueError for what is no draft."""
        self._wait(entries.number, [self._log.append_drafted(drafted) for drafted in entries.drafts])

    def _wait(self, number: int, landing: list[asyncio.Future[int]]) -> None:
        """They mostly land with one flush, in order: whoever waits for the last one finds all of them done."""
        for future in reversed(landing):
            if not future.done():
                future.add_done_callback(lambda _: self._wait(number, landing))
                return
        self._reply(Acknowledged(number, [_said(future) for future in landing]))


def _said(landed: asyncio.Future[int]) -> int | str:
    failure = landed.exception()
    return landed.result() if failure is None else str(failure)
