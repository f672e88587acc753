"""Several instances on one database: what others moved is heard here, and what a silent one left behind is brought into a log.

A notice moves nothing: it wakes whoever waits, and who is woken reads for himself. Also says which instances there are, and whether they
judge by the same policy and registry. Where the database is one sidecar's alone it does nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from stagewarden import __version__
from stagewarden.errors import CannotTell
from stagewarden.holds import CHANNEL
from stagewarden.store.instances import beat

if TYPE_CHECKING:
    from stagewarden.gate.rooms import Rooms
    from stagewarden.store import Ear, Notice
    from stagewarden.store.instances import Instance

_BEAT = 2.0  # seconds
SILENT = 20.0  # seconds without a beat after which an instance's unlogged entries are another's to log: below a lease, above any pause of ours


class Replicas:
    """Beside the requests: one per sidecar, in the process that has the clockwork."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._logger = structlog.get_logger("stagewarden.replicas")
        self._known: tuple[Instance, ...] = ()
        self._trouble: str | None = None
        self.ear: Ear = rooms.store.listen((CHANNEL,), rooms.clock)

    async def run(self) -> None:
        """Until cancelled. Notices are acted upon in the order in which they were committed."""
        async for notice in self.ear.notices():
            try:
                await self._heard(notice)
            except CannotTell as failure:
                self._logger.warning("deadlines_by_the_wall_clock_alone", cause=str(failure))

    async def tend(self) -> None:
        """Until cancelled: say that we are here, see who else is, and take over what silent ones left."""
        while not self._rooms.store.exclusive:
            try:
                await self._tend()
            except CannotTell as failure:
                self._trouble = str(failure)
                self._logger.warning("replicas_unknown", cause=str(failure))
            else:
                self._trouble = None
            await asyncio.sleep(_BEAT)

    async def trouble(self) -> str | None:
        """Why we have no place among the replicas; None when we have."""
        return self._trouble

    @property
    def heard(self) -> int | None:
        """How many instances share the state and were heard of lately, this one among them; None where we are alone."""
        return None if self._rooms.store.exclusive else max(1, len(self._living()))

    def details(self) -> dict[str, object]:
        """Every instance heard of lately, by name, for `/readyz`; nothing where we are alone."""
        if self._rooms.store.exclusive:
            return {}
        ours = (self._rooms.decider.revision, self._rooms.registry.revision)
        others = {
            each.name: {"policy": each.policy, "registry": each.registry, "agrees": (each.policy, each.registry) == ours}
            for each in self._known if each.name != self._rooms.store.instance and each.silent < SILENT
        }  # fmt: skip
        return {"replicas": others, "notices": "pushed" if self.ear.connected else "polled"}

    async def _tend(self) -> None:
        rooms = self._rooms
        await rooms.store.keep()
        before = {each.name for each in self._differing()}
        self._known = await beat(rooms.store, __version__, rooms.decider.revision, rooms.registry.revision)
        differing = self._differing()
        for each in differing:
            if each.name not in before:
                self._logger.warning("judges_otherwise", replica=each.name, policy=each.policy, registry=each.registry)
        rooms.recorder.metrics.replicas(len(self._living()), len(differing))
        if adopted := await rooms.holds.adopt([each.name for each in self._living()]):
            self._logger.warning("taken_over", entries=adopted)
            await rooms.recorder.recover()

    def _living(self) -> list[Instance]:
        return [each for each in self._known if each.silent < SILENT]

    def _differing(self) -> list[Instance]:
        ours = (self._rooms.decider.revision, self._rooms.registry.revision)
        return [each for each in self._living() if (each.policy, each.registry) != ours]

    async def _heard(self, notice: Notice) -> None:
        holds = self._rooms.holds
        if notice.channel != CHANNEL:  # something may have been missed
            holds.changed.wake_all()
            if self.ear.connected:
                await holds.heed_all()
            return
        mover, *moved = notice.payload.split(" ")
        if mover == self._rooms.store.instance:  # whoever waits here was told by the bell itself
            return
        holds.changed.ring(moved)  # our own workers too
        await holds.heed(moved)
