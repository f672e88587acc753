"""Watching: what must be noticed without a request. Stops made by another process, entries the log owes, refusals to sum up, gauges, old payloads.

Also knows what must work before we are ready. Decides nothing: every stop already holds the moment it is in the file.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import CannotTell, StagewardenError
from stagewarden.gate import reviews

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stagewarden.gate.rooms import Rooms
    from stagewarden.holds.bell import Moves
    from stagewarden.registry import Registry

_TICK = 0.25  # seconds
_FOLLOW = 0.025  # seconds until a stop reaches the answers that are on their way
_SIGNALS = 30.0  # seconds between two looks at what reviews look like
_RETRY = 1.0  # seconds after "could not tell"
_SHORTEST_SLEEP, _LONGEST_SLEEP = 0.05, 30.0
_GRANT = "g_"  # how ids of grants begin; the bell rings for whatever is struck off the outbox
_EVERY_SECOND, _EVERY_HOUR = 4, 14_400  # ticks


class Watch:
    """The clockwork beside the requests, and the answer to `/readyz`."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._logger = structlog.get_logger("stagewarden.watch")
        self.reload_trouble: str | None = None
        self.registry_waits: str | None = None
        self._epoch = -1  # of the stops that open answers were held against
        self._obeyed: int | None = None  # the last act whose way here was timed; None: those from before our start are not

    def loaded(self, registry: Registry) -> None:
        """A registry came into force."""
        data = registry.data
        self._epoch = -1  # the registry has modes too
        self._rooms.recorder.metrics.registry_loaded(registry.revision, data.workflows, data.agents, self._rooms.config.upstreams)

    async def run(self) -> None:
        """Until cancelled; what cannot be told in one tick is tried again in the next."""
        tick = 0
        while True:
            await asyncio.sleep(_TICK)
            tick += 1
            try:
                await self._tick(tick)
            except StagewardenError as failure:
                self._logger.warning("watch", code=failure.code, cause=str(failure))

    async def follow(self) -> None:
        """Until cancelled: cut the answers a new stop covers. Waits for nobody: neither a log nor a database keeps a stop from them."""
        moved = self._rooms.stops.moved
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FOLLOW):
                    await moved.wait()
            moved.clear()
            with contextlib.suppress(CannotTell):  # told by `run`, and by readiness
                epoch = self._rooms.modes.epoch
                if epoch != self._epoch:
                    self._rooms.streams.cut(self._rooms.stopped_now)
                    self._epoch = epoch
                    self._time(epoch)

    async def lapse(self) -> None:
        """Until cancelled: end grants that are out of time, when they are; one that moved, at whichever replica, may be the next.

        A wall clock that was set forward is noticed at the next look, `_LONGEST_SLEEP` later at most; no use waits for that (grants/using.py).
        """
        rooms = self._rooms
        with rooms.holds.changed.follow() as moves:
            while True:
                pause = _RETRY
                try:
                    for changed in await rooms.grants.end_due():
                        await rooms.recorder.deliver_grant(changed)
                    due = await rooms.grants.next_end()
                    pause = _LONGEST_SLEEP if due is None else min(_LONGEST_SLEEP, max(due, _SHORTEST_SLEEP))
                except StagewardenError as failure:
                    self._logger.warning("lapse", code=failure.code, cause=str(failure))
                await _a_grant_moved(moves, pause)

    async def signals(self) -> None:
        """Until cancelled: what the reviews of each workflow look like now, for the questions to come. What cannot be read stays as it was."""
        while True:
            try:
                self._rooms.signals = await reviews.current(self._rooms)
            except CannotTell as failure:
                self._logger.warning("signals", code=failure.code, cause=str(failure))
            await asyncio.sleep(_SIGNALS)

    def _time(self, epoch: int) -> None:
        """How long each order to stop took until it was obeyed here, open answers included."""
        since, self._obeyed = self._obeyed, epoch
        now = self._rooms.clock.now_ns()
        for change in () if since is None else self._rooms.modes.changes(since):
            if not change.loosens:
                self._rooms.recorder.metrics.revoked(max(0.0, (now - change.at_ns) / NANOSECONDS))

    async def _tick(self, tick: int) -> None:
        await self._rooms.stops.settle()
        if tick % _EVERY_SECOND == 0 and await self._rooms.modes.write_again():
            self._logger.info("stops_written")
            await self._rooms.stops.obeyed()
        if owed := await self._rooms.recorder.make_good():
            self._logger.info("made_good", entries=owed)
        if tick % _EVERY_SECOND == 0:
            await self._rooms.recorder.summarize_refusals()
        if tick % _EVERY_HOUR == 1:  # soon after a start too: a process that never lives for an hour deletes all the same
            await self._rooms.holds.purge()
            await self._rooms.holds.forget_reviews()
        if tick % _EVERY_HOUR == 0:  # not before what waited while nobody ran was tried
            await self._rooms.ledger.purge()

    async def gauges(self) -> None:
        """Set what is read at a scrape: stops in force and free space; then holds waiting, which need the state."""
        rooms, metrics = self._rooms, self._rooms.recorder.metrics
        metrics.disk(rooms.log.free_bytes)
        if rooms.shared is not None:
            metrics.stops_heard(rooms.shared.age)
        metrics.standing((kill.scope for kill in rooms.modes.kills()), {agent: rooms.mode(agent) for agent in rooms.registry.data.agents})
        now = rooms.clock.now_ns()
        waiting = {str(tier): (count, (now - oldest) / NANOSECONDS) for tier, (count, oldest) in (await rooms.holds.waiting()).items()}
        metrics.pending(waiting)
        metrics.grants_active(await rooms.grants.active())
        metrics.proposals(await rooms.holds.proposed())
        metrics.deliveries(await rooms.ledger.standing())

    def checks(self) -> dict[str, Callable[[], Awaitable[str | None]]]:
        """The parts that must work before agents are served; each says None, or why not. The policy is tested at start and reload only."""
        return {"audit": self._audit, "state": self._state, "stops": self._stops}

    def details(self) -> dict[str, object]:
        """Revisions in force, the last refused reload, and the registry that waits for people."""
        return {
            "policy": self._rooms.decider.revision,
            "registry": self._rooms.registry.revision,
            "reload": self.reload_trouble,
            "registry_waits": self.registry_waits,
        }

    async def _audit(self) -> str | None:
        return self._rooms.log.trouble

    async def _state(self) -> str | None:
        await self._rooms.store.ping()
        return None

    async def _stops(self) -> str | None:
        self._rooms.modes.kills()
        if self._rooms.modes.stale:
            age = None if self._rooms.shared is None else self._rooms.shared.age
            return f"the shared state was not heard for {'ever' if age is None else f'{age:.1f} s'}: no write goes through"
        if self._rooms.modes.unwritten:
            return "orders to stop hold in memory only: the stop file cannot be written"
        return None


async def _a_grant_moved(moves: Moves, seconds: float) -> None:
    """Until a grant moved, or may have, or so many seconds are over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not (moves.missed or any(moved.startswith(_GRANT) for moved in moves.take())):
                await moves.news.wait()
    moves.missed = False
