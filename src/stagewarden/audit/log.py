"""The log as the gate uses it: append, and wait until it is durable.

`append` gives an entry its place in the chain at once; one flush is under way at any time, in a thread of its own, and
everybody who comes meanwhile shares the next one. Write error, full disk, failed sync: everybody waiting is told, nothing more is
accepted, and the log comes back by itself once the tail has been read back. Never says yes to what is not on the disk.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from stagewarden.audit import segments
from stagewarden.audit.batch import Batch, Flushed, failed, follow, unobserved
from stagewarden.audit.chain import Broken, walk
from stagewarden.audit.disk import SystemDisk, Tail, Written
from stagewarden.audit.line import MAX_LINE, VERSION, Stamp, canonical, check_envelope, digest, fill, plain
from stagewarden.clock import new_id
from stagewarden.errors import AuditUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.audit.batch import Drafted, Observer, Then
    from stagewarden.audit.chain import Tip
    from stagewarden.audit.disk import Disk
    from stagewarden.clock import Clock
    from stagewarden.config import Audit
    from stagewarden.model import Document

# What already happened, or makes things safer, may use the reserve: the end of what was begun is recorded to the last byte.
_MAY_USE_RESERVE = frozenset({"outcome", "mode", "kill", "recovered", "start"})
_REMEMBERED = 100_000  # entry ids; the outbox is struck off within moments, so what recovery asks for is recent
_WAITING = 20_000  # entries that may wait for one flush
_AT_THE_LATEST = 0.01  # seconds an entry nobody waits for may wait for company
_QUIET_TURNS = 3  # of the loop: from a request's bytes to its entry it takes so many
_GATHERING = 0.002  # seconds a flush may wait for company
_STALLED = 5.0  # seconds a flush may take before the disk counts as gone
_LOOK_AGAIN = 0.5  # seconds between looks at the free space


class AuditLog:
    """Append-only, hash-chained, durable. Belongs to the event loop it is made in; `open` before and `close` after."""

    def __init__(
        self, config: Audit, clock: Clock, *, base: Path = Path(), observe: Observer = unobserved, disk: Disk | None = None, retry: float = 1.0
    ) -> None:  # fmt: skip
        self._config = config
        self._clock = clock
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._disk = disk or SystemDisk()
        self._try_again = retry  # seconds between attempts to come back
        self.directory = base / config.directory
        self._boot = new_id("b", clock.now_ns())
        self._stamp = Stamp()
        self._seq = 0
        self._head = ""
        self._down: str | None = "the log is not open"
        self._next = Batch()
        self._flying: Batch | None = None
        self._since = 0.0
        self._scheduled = False
        self._later: asyncio.TimerHandle | None = None
        self._free, self._looked_at = 0, float("-inf")
        self._fine_until = float("-inf")
        self._over: asyncio.Future[None] | None = None  # whoever closes waits for the flush under way
        self._ids: dict[str, int] = {}  # entry id → seq
        self._order: deque[str] = deque()
        self._coming: dict[str, asyncio.Future[int]] = {}  # entry id → who waits for it to become durable
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._retry: asyncio.TimerHandle | None = None

    async def open(self, about: Document | None = None) -> None:
        """Check the whole log, cut a torn last line, go on; `about` is recorded in the `start` entry.

        Raises AuditUnavailable with file and line when the log is broken, another process writes it or the disk does not work.
        """
        self._lock, self._tail, tip = await asyncio.to_thread(self._prepare)
        self._seq, self._head, self._down = tip.seq, tip.head, None
        self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
        self._thread.start()
        try:
            if tip.torn:
                await self.append("recovered", {"why": "torn", "cut": tip.torn, "after": tip.seq - 1})
            await self.append("start", about or {})
        except BaseException:
            await self.close()
            raise

    def append(self, kind: str, body: Document, entry_id: str | None = None) -> asyncio.Future[int]:
        """Queue one entry; the future resolves to its `seq` when it is durable, or raises AuditUnavailable.

        An id is written once: who brings it again waits for, or is told of, the entry that is there. The body becomes the entry.
        Raises ValueError for a body that uses a member of the envelope, or an unknown kind: a fault in the caller.
        """
        if entry_id is not None and (known := self._known(entry_id)) is not None:
            return known
        future: asyncio.Future[int] = self._loop.create_future()
        why = self._place(kind, body, entry_id, future)
        return future if why is None else failed(future, why)

    def report(self, kind: str, body: Document, then: Then) -> None:
        """Queue an entry nobody waits for: it comes along with the next one that somebody does, at the latest after 10 ms; `then` is told."""
        why = self._place(kind, body, None, None)
        if why is None:
            self._next.then.append(then)
        else:
            then(why)

    def append_drafted(self, drafted: Drafted) -> asyncio.Future[int]:
        """`append` for an entry that was made in another process of ours, where somebody waits for it."""
        if drafted.id is not None and (known := self._known(drafted.id)) is not None:
            return known
        future: asyncio.Future[int] = self._loop.create_future()
        if (why := self._refused(drafted.kind)) is None:
            line = fill(drafted.text, self._boot, self._head, self._seq, self._stamp(self._clock.now_ns()))
            why = self._queue(line, drafted.kind, drafted.id, future)
        return future if why is None else failed(future, why)

    def _place(self, kind: str, body: Document, entry_id: str | None, waiter: asyncio.Future[int] | None) -> str | None:
        """Give the entry its place in the chain; why not, where it gets none."""
        if (why := self._refused(kind)) is not None:
            return why
        entry = plain(kind, body)
        members = len(entry)
        entry["v"] = VERSION
        entry["seq"] = self._seq
        entry["time"] = self._stamp(self._clock.now_ns())
        entry["boot"] = self._boot
        entry["kind"] = kind
        entry["prev"] = self._head
        if entry_id is not None:
            entry["id"] = entry_id
        check_envelope(kind, members, len(entry), entry_id)
        try:
            line = canonical(entry)
        except TypeError as failure:
            return f"{kind}: no canonical form: {failure}"
        return self._queue(line, kind, entry_id, waiter)

    def _queue(self, line: bytes, kind: str, entry_id: str | None, waiter: asyncio.Future[int] | None) -> str | None:
        """The line takes its place in the chain."""
        if len(line) > MAX_LINE:
            return f"{kind}: the entry has {len(line)} bytes"
        waiting = self._next
        waiting.lines.append(line)
        waiting.waiters.append(waiter)
        if waiter is not None:
            waiting.urgent = True
            if entry_id is not None:
                waiting.ids.append((entry_id, self._seq))
                self._coming[entry_id] = waiter
        self._seq += 1
        self._head = digest(line)
        if self._flying is None:
            self._schedule()
        return None

    def _known(self, entry_id: str) -> asyncio.Future[int] | None:
        """What somebody who brings this id again waits for; a future of their own, so that giving up is theirs alone."""
        seq, coming = self._ids.get(entry_id), self._coming.get(entry_id)
        if seq is None and coming is None:
            return None
        known: asyncio.Future[int] = self._loop.create_future()
        if coming is not None:
            coming.add_done_callback(lambda first: follow(first, known))
        elif seq is not None:
            known.set_result(seq)
        return known

    def has(self, entry_id: str) -> bool:
        """Whether an entry of this id is in the log, as far as the last ones go."""
        return entry_id in self._ids

    @property
    def writable(self) -> bool:
        """Whether a ruling would be accepted now."""
        return self.trouble is None

    @property
    def trouble(self) -> str | None:
        """Why no ruling would be accepted now; None when one would."""
        return self._refusal("ruling", self._clock.monotonic())

    @property
    def free_bytes(self) -> int:
        """Free space as last looked at."""
        self._look(self._clock.monotonic())
        return self._free

    async def close(self) -> None:
        """Flush what waits, stop the thread, let the lock go. Safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        while self._down is None and (self._flying is not None or self._next.lines):
            self._over = self._loop.create_future()
            self._flush()
            await self._over
        self._down = "closed"
        if self._retry is not None:
            self._retry.cancel()
        self._jobs.put(None)
        await asyncio.to_thread(thread.join, _STALLED)
        self._tail.close()
        segments.unlock(self._lock)

    # -- on the event loop ---------------------------------------------------------------------------------------------

    def _refused(self, kind: str) -> str | None:
        """Why this entry is not accepted now, counted. Where nothing stood against any, it is not asked again for a moment."""
        now = self._clock.monotonic()
        if now < self._fine_until and self._down is None and len(self._next.lines) < _WAITING:
            return None
        why = self._refusal(kind, now)
        if why is not None:
            self._observe(Flushed(1, 0.0, "refused"))
        return why

    def _refusal(self, kind: str, now: float) -> str | None:
        if self._down is not None:
            return self._down
        if self._flying is not None and now - self._since > _STALLED:
            return f"the disk has not answered for {_STALLED:.0f} s"
        if len(self._next.lines) >= _WAITING:
            return f"{_WAITING} entries are waiting for the disk"
        self._look(now)
        if self._free >= self._config.reserve:
            self._fine_until = self._looked_at + _LOOK_AGAIN  # long before a flush can count as stalled
        elif kind not in _MAY_USE_RESERVE:
            return f"{self.directory}: {self._free} bytes free, fewer than the reserve of {self._config.reserve}"
        return None

    def _look(self, now: float) -> None:
        if now - self._looked_at < _LOOK_AGAIN:
            return
        self._looked_at = now
        try:
            self._free = self._disk.free(self.directory)
        except OSError:
            self._free = 0

    def _schedule(self) -> None:
        """Flush what waits: soon where somebody waits for it, so that whoever is about to append comes along; later where nobody does."""
        if self._next.urgent and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._gather, 0, 0, self._clock.monotonic())
        elif self._later is None and self._next.lines and not self._scheduled:
            self._later = self._loop.call_later(_AT_THE_LATEST, self._flush)

    def _gather(self, seen: int, quiet: int, since: float) -> None:
        """Flush once nobody has come for some turns of the loop: a loop that is busy is about to append more, an idle one turns at once."""
        here = len(self._next.lines)
        quiet = quiet + 1 if here == seen else 0
        if quiet < _QUIET_TURNS and self._clock.monotonic() - since < _GATHERING:
            self._loop.call_soon(self._gather, here, quiet, since)
        else:
            self._flush()

    def _flush(self) -> None:
        """Hand everything that waits to the thread."""
        self._scheduled = False
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if not self._next.lines or self._flying is not None or self._down is not None:
            return
        batch, self._next = self._next, Batch()
        self._flying, self._since = batch, self._clock.monotonic()
        written = Written(b"\n".join(batch.lines) + b"\n", self._seq, self._head)
        self._jobs.put(lambda: self._write(written))

    def _landed(self, failure: str | None) -> None:
        """The flush is over: tell everybody, and start the next."""
        batch, self._flying = self._flying, None
        assert batch is not None
        if self._over is not None and not self._over.done():
            self._over.set_result(None)
        self._observe(Flushed(len(batch.lines), self._clock.monotonic() - self._since, "failed" if failure else "ok"))
        if failure is not None:
            self._go_down(failure, batch)
            return
        first = self._seq - len(self._next.lines) - len(batch.lines)
        for seq, waiter in enumerate(batch.waiters, first):
            if waiter is not None and not waiter.done():
                waiter.set_result(seq)
        for then in batch.then:
            then(None)
        self._remember(batch.ids)
        self._forget_coming(batch)
        self._schedule()

    def _go_down(self, failure: str, batch: Batch) -> None:
        """Nothing of this batch, nor of what came after it, is in the log: the chain goes back to what is durable."""
        waiting, self._next = self._next, Batch()
        if waiting.lines:
            self._observe(Flushed(len(waiting.lines), 0.0, "failed"))
        self._seq, self._head, self._down = self._tail.seq, self._tail.head, failure
        self._forget_coming(batch)
        self._forget_coming(waiting)
        for waiter in (*batch.waiters, *waiting.waiters):
            if waiter is not None and not waiter.done():
                failed(waiter, failure)
        for then in (*batch.then, *waiting.then):
            then(failure)
        self._retry = self._loop.call_later(self._try_again, self._jobs.put, self._recover)

    def _recovered(self, failure: str | None, dropped: int) -> None:
        if self._down == "closed":
            return
        if failure is not None:
            self._down = failure
            self._retry = self._loop.call_later(self._try_again, self._jobs.put, self._recover)
            return
        why, self._down, self._retry = self._down, None, None
        self.append("recovered", {"why": why, "cut": dropped, "after": self._seq - 1})

    def _remember(self, ids: list[tuple[str, int]]) -> None:
        self._ids.update(ids)
        self._order.extend([entry_id for entry_id, _ in ids])
        while len(self._order) > _REMEMBERED:
            self._ids.pop(self._order.popleft(), None)

    def _forget_coming(self, batch: Batch) -> None:
        for entry_id, _ in batch.ids:
            self._coming.pop(entry_id, None)

    # -- on the thread -------------------------------------------------------------------------------------------------

    def _prepare(self) -> tuple[int, Tail, Tip]:
        """(1) The directory is ours alone. (2) So is the lock. (3) The chain holds. (4) A torn last line goes."""
        segments.own_directory(self.directory)
        lock = segments.lock(self.directory)
        try:
            tip = walk(self.directory, self._see)
            if tip.torn and tip.segment is not None:
                segments.cut(tip.segment, tip.size)
            tail = Tail(self.directory, self._config.segment, self._disk, tip)
            tail.open()
        except Broken as broken:
            segments.unlock(lock)
            raise AuditUnavailable(f"the log is {broken}") from broken
        except OSError as failure:
            segments.unlock(lock)
            raise AuditUnavailable(_said(failure)) from failure
        return lock, tail, tip

    def _see(self, entry: Document) -> None:
        entry_id, seq = entry.get("id"), entry.get("seq")
        if isinstance(entry_id, str) and isinstance(seq, int):
            self._remember([(entry_id, seq)])

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _write(self, written: Written) -> None:
        failure = None
        try:
            self._tail.write(written)
        except (OSError, AuditUnavailable) as error:
            failure = _said(error)
        self._tell(lambda: self._landed(failure))

    def _recover(self) -> None:
        failure, dropped = None, 0
        try:
            dropped = self._tail.recover()
        except (OSError, AuditUnavailable) as error:
            failure = _said(error)
        self._tell(lambda: self._recovered(failure, dropped))

    def _tell(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:  # the loop is gone, and with it everybody who waited
            return


def _said(failure: Exception) -> str:
    return f"{failure.filename or 'audit'}: {failure.strerror}" if isinstance(failure, OSError) else str(failure)
