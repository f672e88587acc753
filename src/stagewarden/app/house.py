"""The house: the process that keeps log, locks, people and clockwork, and several workers that serve agents for it (`serve --workers N`).

It alone writes the log, releases, and hears people; workers judge and send. A worker that dies is replaced by one that judges by the very
same things, after what it left in the outbox is in the log. Workers that cannot stay alive end the house: it never serves with fewer than
it was told to, unseen.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
import structlog

from stagewarden import __version__
from stagewarden.app import ports
from stagewarden.app.link import Shared
from stagewarden.app.messages import Count, Drain, Hello, InForce, Moved, Obey, Prepare, Prepared, Settle
from stagewarden.app.slot import AFTER_GRACE, Beginning, Slot
from stagewarden.errors import CannotTell, StagewardenError
from stagewarden.gate.inflight import Columns, Table
from stagewarden.metrics.rows import Rows, joined

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from stagewarden.app.building import Built
    from stagewarden.app.link import Answer, Link
    from stagewarden.registry import Registry

_QUICK, _MOST_QUICK = 10.0, 5  # so many deaths of one worker in a row, each within so many seconds of its start, are the end
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds before a dead worker's place is filled again
_COUNT = 0.5  # seconds a scrape waits for a worker
_UNHEARD = 5.0  # seconds of silence after which a worker does not count as serving
_OBEY = 1.0  # seconds a stop waits for a worker's word that it is obeyed; it is in force all the same
_PREPARE, _SETTLE = 10.0, 5.0  # seconds for the two steps of a reload
_MEND = 1.0  # seconds between attempts to bring what a dead worker left into the log


class HouseEnded(StagewardenError):
    """The workers do not stay alive."""

    code = "workers_ended"


@dataclass(frozen=True, slots=True)
class Workers:
    """How many, and the words that start one; two descriptors are appended to them: the conversation, and the table of places.

    Nobody waits for them to serve once `stop` is set.
    """

    count: int
    command: tuple[str, ...]
    stop: asyncio.Event


class House:
    """Starts the workers, keeps them alive, speaks for them, and ends with them."""

    def __init__(self, workers: Workers, built: Built, grace: float) -> None:
        self._workers = workers
        self._grace = grace  # seconds
        self._broken: str | None = None
        self._built = built
        self._rooms = built.rooms
        self._columns = Columns()
        self._slots = [Slot(number) for number in range(workers.count)]
        self._shared = Shared(built.log, built.locks, self._rooms.recorder, self._rooms.clock, self._moved_by)
        self._departed = Rows()
        self._moves: asyncio.Queue[list[str]] = asyncio.Queue()
        self._left_behind = asyncio.Event()
        self._draining = asyncio.Event()
        self._full = asyncio.Event()
        self._own: list[tuple[str, int]] = []
        self._addresses: list[tuple[str, int]] = []
        self._logger = structlog.get_logger("stagewarden.house")

    def open(self, stack: AsyncExitStack) -> tuple[str, int]:
        """Take the agents' address and the shared memory; the address as bound. Raises OSError where somebody listens there."""
        listener = self._rooms.config.listen.agents
        assert listener is not None
        reserved = ports.reserve(listener.bind)
        for taken in reserved:
            stack.callback(taken.close)
        self._addresses = [taken.getsockname()[:2] for taken in reserved]
        self._table = Table.make(self._workers.count)
        stack.callback(self._table.close)
        self._beginning = Beginning(
            self._workers.command, self._table.handle, self._shared, self._hello, self._is_in_force, self._draining
        )  # fmt: skip
        self._rooms.holds.changed.tell = self._moved_here
        self._rooms.stops.workers = self.obey
        self._rooms.recorder.metrics.processes.workers = self._pids
        return self.address

    @property
    def address(self) -> tuple[str, int]:
        """The agents' address, of several the first."""
        return self._addresses[0]

    async def run(self, own: list[tuple[str, int]]) -> None:
        """Until drained, or HouseEnded. `own` are all listeners of ours, which are nobody's upstream."""
        self._own = own
        async with asyncio.TaskGroup() as group:
            tending = [group.create_task(work) for work in (self._heed(), self._mend())]
            await asyncio.gather(*[group.create_task(self._keep(slot)) for slot in self._slots])
            for task in tending:
                task.cancel()
        if self._broken is not None:
            raise HouseEnded(self._broken)

    async def full(self) -> None:
        """Until every worker serves for the first time, or none needs to any more."""
        waits = [asyncio.create_task(event.wait()) for event in (self._full, self._workers.stop)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    # -- keeping workers alive -----------------------------------------------------------------------------------------

    async def _keep(self, slot: Slot) -> None:
        """One worker after another in this place."""
        clock, metrics = self._rooms.clock, self._rooms.recorder.metrics
        while not self._draining.is_set():
            began = clock.monotonic()
            end = await slot.life(self._beginning, self._serves)
            self._table.clear(slot.number)
            self._departed = joined(self._departed, end.rows)
            if self._draining.is_set():
                return
            self._left_behind.set()
            if end.stale:
                continue
            lived = clock.monotonic() - began
            slot.quick = slot.quick + 1 if lived < _QUICK else 0
            metrics.worker_died()
            self._logger.error("worker_ended", worker=slot.number, cause=end.why, lived=round(lived, 3))
            if slot.quick >= _MOST_QUICK or not self._full.is_set():
                await self._give_up(f"worker {slot.number} does not stay alive (lives under {_QUICK:.0f} s in a row: {slot.quick}): {end.why}")
                return
            await self._pause(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**slot.quick))

    async def _give_up(self, why: str) -> None:
        """The other workers finish what they have, and nobody starts any more; then `run` raises it."""
        self._broken = why
        self.drain(self._grace)
        await self.ended(self._grace)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._draining.wait()

    def _serves(self, slot: Slot, pid: int) -> None:
        self._logger.info("worker_serves", worker=slot.number, pid=pid)
        if all(each.serving for each in self._slots):
            self._full.set()

    def _hello(self, number: int) -> Hello:
        config = self._rooms.config
        return Hello(
            version=__version__, worker=number, workers=self._workers.count, file=config.source.file, base=str(config.base),
            configuration=orjson.dumps(config.source.document), bundle=self._built.bundle, in_force=self._in_force(self._rooms.registry),
            addresses=self._addresses, own=self._own,
        )  # fmt: skip

    def _is_in_force(self, revision: str) -> bool:
        return revision == self._rooms.registry.revision

    def _in_force(self, registry: Registry) -> InForce:
        return InForce(registry.data, registry.revision, self._columns.name(registry.data.agents))

    # -- holds that move -----------------------------------------------------------------------------------------------

    def _moved_here(self, holds: tuple[str, ...]) -> None:
        for slot in self._slots:
            if slot.link is not None:
                slot.link.send(Moved([*holds]))

    def _moved_by(self, link: Link, holds: list[str]) -> None:
        for slot in self._slots:
            if slot.link is not None and slot.link is not link:
                slot.link.send(Moved(holds))
        self._moves.put_nowait(holds)

    async def _heed(self) -> None:
        """What workers opened or ended: our clocks watch it, then the release loop looks."""
        while True:
            holds = await self._moves.get()
            try:
                await self._rooms.holds.heed(holds)
            except CannotTell as failure:
                self._logger.warning("deadlines_by_the_wall_clock_alone", cause=str(failure))
            self._rooms.holds.changed.wake(holds)

    async def _mend(self) -> None:
        """What a dead worker had written into the outbox, and not told: into the log, once each."""
        while True:
            await self._left_behind.wait()
            self._left_behind.clear()
            try:
                await self._rooms.recorder.recover()
            except CannotTell as failure:
                self._logger.warning("outbox_waits", cause=str(failure))
                self._left_behind.set()
                await asyncio.sleep(_MEND)

    # -- stops ---------------------------------------------------------------------------------------------------------

    async def obey(self) -> tuple[str, ...]:
        """Every worker has felt the stops in force: what it let go before them has left. Else which have not said so."""
        unwritten = [*self._rooms.modes.unwritten]
        asked = {slot.number: slot.link for slot in self._slots if slot.link is not None}
        said = await asyncio.gather(*[link.ask(lambda number: Obey(number, unwritten), _OBEY) for link in asked.values()], return_exceptions=True)
        serving = {slot.number for slot in self._slots if slot.serving}
        silent = [str(number) for number, answer in zip(asked, said, strict=True) if isinstance(answer, BaseException) and number in serving]
        return (f"workers have not confirmed it: {', '.join(silent)}",) if silent else ()

    # -- reload, in two steps ------------------------------------------------------------------------------------------

    async def prepare(self, registry: Registry) -> dict[Link, int]:
        """Every worker is ready to take this registry, and none has; raises CannotTell with the first that is not."""
        asked = {slot.number: slot.link for slot in self._slots if slot.link is not None and slot.serving}
        in_force = self._in_force(registry)
        said = await asyncio.gather(
            *[link.ask(lambda number: Prepare(number, in_force), _PREPARE) for link in asked.values()], return_exceptions=True
        )
        prepared: dict[Link, int] = {}
        trouble: str | None = None
        for (number, link), answer in zip(asked.items(), said, strict=True):
            if isinstance(answer, Prepared) and answer.why is None:
                prepared[link] = answer.number
            else:
                trouble = trouble or f"worker {number}: {answer.why if isinstance(answer, Prepared) else answer}"
        if trouble is not None:
            await self.settle(prepared, take=False)
            raise CannotTell(trouble)
        return prepared

    async def settle(self, prepared: dict[Link, int], *, take: bool) -> None:
        """Take it or drop it, everywhere; a worker of which we do not know that it did is replaced."""
        said = await asyncio.gather(*[_settled(link, number, take=take) for link, number in prepared.items()], return_exceptions=True)
        lost = {link for link, answer in zip(prepared, said, strict=True) if isinstance(answer, BaseException)}
        for slot in self._slots:
            if slot.link in lost or (take and slot.serving and slot.link not in prepared):
                slot.kill()

    # -- speaking for them ---------------------------------------------------------------------------------------------

    async def count(self) -> None:
        """What the workers have counted, for a scrape; one that does not answer in time is shown as it was last, and as silent."""
        serving = [slot.link for slot in self._slots if slot.link is not None and slot.serving]
        said = await asyncio.gather(*[link.ask(Count, _COUNT) for link in serving], return_exceptions=True)
        silent = sum(isinstance(answer, BaseException) for answer in said)
        metrics = self._rooms.recorder.metrics
        metrics.speak_for([slot.link.rows for slot in self._slots if slot.link is not None], self._departed)
        metrics.workers(len(serving) - silent, len(self._slots) - len(serving), silent)

    async def trouble(self) -> str | None:
        """Why not all workers serve; None when they do. Each says something once a second, unless its loop stands still."""
        latest = self._rooms.clock.monotonic() - _UNHEARD
        missing = [str(slot.number) for slot in self._slots if slot.link is None or not slot.serving or slot.link.heard_at < latest]
        return f"workers not serving: {', '.join(missing)} of {len(self._slots)}" if missing else None

    def _pids(self) -> list[int]:
        return [slot.process.pid for slot in self._slots if slot.process is not None and slot.process.returncode is None]

    # -- the end -------------------------------------------------------------------------------------------------------

    def drain(self, grace: float) -> None:
        """Tell every worker to finish, and start no other."""
        self._draining.set()
        for slot in self._slots:
            if slot.link is not None:
                slot.link.send(Drain(grace))

    async def ended(self, within: float) -> None:
        """Until all have ended; at the latest after so many seconds, and a little for writing down what came of it."""
        processes = [slot.process for slot in self._slots if slot.process is not None]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within + AFTER_GRACE):
                await asyncio.gather(*[process.wait() for process in processes])
        for process in processes:
            if process.returncode is None:
                self._logger.error("worker_outlived_the_grace", pid=process.pid)
                process.kill()
        await asyncio.gather(*[process.wait() for process in processes])


async def _settled(link: Link, prepared: int, *, take: bool) -> Answer:
    return await link.ask(lambda number: Settle(number, prepared, take), _SETTLE)
