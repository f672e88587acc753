"""Stops without a running process: the stop file of a configuration, and the shared state where replicas have one.

To stop, the file is enough, or the shared state is; what of the two was not reached is told. To lift, the shared state must be reached.
Loads no policy and waits for nobody longer than a few seconds.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from stagewarden import registry as registries
from stagewarden.clock import SystemClock
from stagewarden.config import Secrets, stops_path
from stagewarden.errors import CannotTell, ConfigError, StateUnavailable
from stagewarden.gate.people import Engaged
from stagewarden.model import Stage
from stagewarden.modes import Kill, Modes, NotDurable, Shared
from stagewarden.store import Store, locate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from stagewarden.config import Config

_PATIENCE = 3.0  # seconds for a database
_FELT = 0.1  # seconds: whoever looked for stops just before ours was written has its first byte out by then


class LocalStops:
    """The stops of one configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clock = SystemClock()
        self._store: Store | None = None
        self._why = ""
        try:
            self._store = Store(locate(config.state, config.base, Secrets(config.base)))
        except ConfigError as unread:  # a secret that is gone keeps nobody from stopping
            self._why = str(unread)
        self._alone = self._store is not None and self._store.exclusive
        self._modes = Modes(stops_path(config), self._clock, shared=not self._alone)
        self.unread = False  # the registry does not read: names are not checked

    def unknown(self, scope: str) -> str | None:
        """Why this scope stops nothing; None where it may. A registry that does not read keeps nobody from stopping."""
        kind, _, name = scope.partition(":")
        known: dict[str, Iterable[str]] = {"all": ("",), "stage": [*Stage], "upstream": self._config.upstreams}
        try:
            data = registries.load(self._config.base / self._config.registry).data
        except ConfigError:
            self.unread = kind in {"agent", "workflow"}
        else:
            known |= {"agent": data.agents, "workflow": data.workflows}
        if kind not in known or name in known[kind]:
            return None
        return f"{scope} names no {kind} of this {'configuration' if kind == 'upstream' else 'registry'}"

    async def list(self) -> tuple[Kill, ...]:
        """What is stopped by the file, and by the shared state where it is reached."""
        self._modes.open()
        with suppress(CannotTell):
            async with self._shared() as shared:
                if shared is not None:
                    await shared.hear()
        return self._modes.kills()

    async def kill(self, scope: str, by: str, reason: str) -> Engaged:
        """(1) The file. (2) The shared state. Either is enough; raises CannotTell where neither took it."""
        with suppress(CannotTell):
            self._modes.open()
        failure: NotDurable | None = None
        try:
            kill = await self._modes.kill(scope, by, reason)
        except NotDurable as unwritten:
            failure, change = unwritten, unwritten.change
            kill = Kill(id=change.subject, scope=change.scope, by=change.by, at_ns=change.at_ns, reason=change.reason)
        await asyncio.sleep(_FELT)
        owed = [] if failure is None else [f"{failure.__cause__}: only the shared state holds it"]
        if self._alone:
            if failure is not None:
                raise CannotTell(f"nothing is stopped: {failure.__cause__}")
            return Engaged(kill)
        try:
            async with self._shared() as shared:
                assert shared is not None
                await (shared.hear() if failure is None else shared.order(failure.change))
        except CannotTell as unreached:
            if failure is not None:
                raise CannotTell(f"nothing is stopped: {failure.__cause__}; {unreached}") from unreached
            owed.append(f"the file holds here; the shared state was not reached, and a sidecar that runs here tells it later: {unreached}")
        return Engaged(kill, tuple(owed))

    async def lift(self, kill_id: str, by: str, reason: str) -> None:
        """Clear both; raises CannotTell, with nothing changed, where the shared state is not reached."""
        self._modes.open()
        async with self._shared() as shared:
            if shared is None:
                await self._modes.unkill(kill_id, by, reason)
            else:
                await shared.loosen(self._modes.lifting(kill_id, by, reason))

    @asynccontextmanager
    async def _shared(self) -> AsyncIterator[Shared | None]:
        """The shared state, for a moment; None where there is none."""
        if self._alone:
            yield None
            return
        if self._store is None:
            raise StateUnavailable(self._why)
        try:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._store.join()
            except TimeoutError as failure:
                raise StateUnavailable(f"the state database does not answer within {_PATIENCE:.0f} s") from failure
            yield Shared(self._modes, self._store, self._clock, _PATIENCE)
        finally:
            await self._store.close()
