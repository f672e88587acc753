"""Watching: what must be noticed without a request. Stops made by another process, refusals to sum up, gauges, old payloads, a stalled loop.

Also says whether we are ready. Decides nothing: every stop already holds the moment it is in the file.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import StagewardenError

if TYPE_CHECKING:
    from stagewarden.gate.rooms import Rooms
    from stagewarden.registry import Registry

_TICK = 0.25  # seconds
_STALL = 1.0  # seconds a tick may be late before readiness fails
_EVERY_SECOND, _EVERY_FIVE, _EVERY_HOUR = 4, 20, 14_400  # ticks


class Watch:
    """The clockwork beside the requests, and the answer to `/readyz`."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._logger = structlog.get_logger("stagewarden.watch")
        self._last_tick = rooms.clock.monotonic()
        self.reload_trouble: str | None = None
        self.started = False

    def loaded(self, registry: Registry) -> None:
        """A registry came into force."""
        data = registry.data
        self._rooms.recorder.metrics.registry_loaded(registry.revision, data.workflows, data.agents, self._rooms.config.upstreams)

    async def run(self) -> None:
        """Until cancelled; what cannot be told in one tick is tried again in the next."""
        tick = 0
        self.started = True
        while True:
            before = self._rooms.clock.monotonic()
            await asyncio.sleep(_TICK)
            self._last_tick = self._rooms.clock.monotonic()
            self._rooms.recorder.metrics.loop_lag(max(0.0, self._last_tick - before - _TICK))
            tick += 1
            try:
                await self._tick(tick)
            except StagewardenError as failure:
                self._logger.warning("watch", code=failure.code, cause=str(failure))

    async def _tick(self, tick: int) -> None:
        await self._rooms.stops.settle()
        if tick % _EVERY_SECOND == 0:
            await self._rooms.recorder.summarize_refusals()
        if tick % _EVERY_FIVE == 0:
            await self._gauges()
        if tick % _EVERY_HOUR == 0:
            await self._rooms.holds.purge()

    async def _gauges(self) -> None:
        rooms, metrics = self._rooms, self._rooms.recorder.metrics
        now = rooms.clock.now_ns()
        waiting = {tier: (count, (now - oldest) / NANOSECONDS) for tier, (count, oldest) in (await rooms.holds.waiting()).items()}
        metrics.pending(waiting)
        metrics.disk(rooms.log.free_bytes)
        metrics.standing((kill.scope for kill in rooms.modes.kills()), {agent: rooms.mode(agent) for agent in rooms.registry.data.agents})

    async def trouble(self) -> dict[str, str]:
        """What stands against being ready: part → why. Empty when all is well."""
        found: dict[str, str] = {}
        if not self.started:
            found["start"] = "not started"
        if (why := self._rooms.log.trouble) is not None:
            found["audit"] = why
        try:
            await self._rooms.store.ping()
        except StagewardenError as failure:
            found["state"] = str(failure)
        try:
            self._rooms.modes.kills()
        except StagewardenError as failure:
            found["stops"] = str(failure)
        if (why := await self._rooms.decider.trouble()) is not None:
            found["policy"] = why
        if self._rooms.clock.monotonic() - self._last_tick > _TICK + _STALL:
            found["loop"] = "the event loop stalls"
        return found
