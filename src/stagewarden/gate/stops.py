"""Stops that were engaged or lifted, by whatever process or replica: into the log once each, and what was approved in their scope ended.

The stop itself holds from the moment it is in the file; nothing here makes it hold.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stagewarden.modes import STOPPING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stagewarden.audit.remote import Log
    from stagewarden.gate.record import Recorder
    from stagewarden.holds import Holds
    from stagewarden.model import Document
    from stagewarden.modes import Change, Modes


class Stops:
    """Follows the stop file. Acts and the watch both call `settle`; whoever comes first records.

    `moved` wakes whoever cuts open answers. `workers`: has every worker feel the stops that are in force, and says who did not.
    """

    def __init__(self, modes: Modes, holds: Holds, log: Log, recorder: Recorder) -> None:
        self._modes = modes
        self._holds = holds
        self._log = log
        self._recorder = recorder
        self._epoch = 0
        self._one = asyncio.Lock()
        self.moved = asyncio.Event()
        self.workers: Callable[[], Awaitable[tuple[str, ...]]] | None = None

    async def obeyed(self) -> tuple[str, ...]:
        """What is in force is obeyed: nothing that was let go before it has its first byte still to send. Else who may have not."""
        self.moved.set()
        return () if self.workers is None else await self.workers()

    async def settle(self) -> None:
        """Record every act not recorded yet, in order; durable on return. Raises CannotTell, and then is called again."""
        if self._modes.epoch == self._epoch:
            return
        async with self._one:
            for change in self._modes.changes(self._epoch):
                if not self._log.has(change.id):
                    await self._record(change)
                if self._stands(change):
                    for moved in await self._holds.stop_in_scope(change.scope, change.by, change.reason, change.mode or "killed"):
                        await self._recorder.deliver(moved)
                self._epoch = change.epoch

    def _stands(self, change: Change) -> bool:
        """Whether what this act engaged is engaged still: after a restart old acts are met again, and some were lifted since."""
        if change.act == "mode":
            stored = self._modes.stored(change.subject)
            return change.mode in STOPPING and stored is not None and stored.mode in STOPPING
        return change.act == "kill" and any(kill.id == change.subject for kill in self._modes.kills())

    async def _record(self, change: Change) -> None:
        kind = "mode" if change.act == "mode" else "kill"
        body: Document = {
            "act": change.act,
            "subject": change.subject,
            "scope": change.scope,
            "mode": change.mode,
            "by": change.by,
            "reason": change.reason,
            "epoch": change.epoch,
            "security": change.security,
            "loosens": change.loosens,
            "relapse": change.relapse,
            "observed_until_ns": change.observed_until_ns,
        }
        await self._recorder.note(kind, body, change.id)
        if kind == "mode":
            self._recorder.metrics.mode_changed(change.mode)
        elif change.act == "kill":
            self._recorder.metrics.killed(change.scope.partition(":")[0])
