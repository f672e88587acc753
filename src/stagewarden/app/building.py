"""Config → rooms: for the process that has everything (alone, or the house of several workers), and for a worker.

Everything is opened in order and closed in reverse by the stack; whatever fails on the way up leaves nothing half-started behind.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from stagewarden import __version__, decision
from stagewarden.audit import entries
from stagewarden.audit.entries import Standing
from stagewarden.audit.log import AuditLog
from stagewarden.classify import RouteTable
from stagewarden.config import expand_routes, spool_path, stops_path
from stagewarden.errors import CannotTell, ConfigError, PolicyUnavailable
from stagewarden.gate import Recorder, Rooms, Sender
from stagewarden.gate.fleet_locks import FleetLocks
from stagewarden.gate.locks import KeyedLocks
from stagewarden.gate.stops import Stops
from stagewarden.grants import Grants
from stagewarden.holds import Holds, Vault
from stagewarden.identity.agents import AgentIdentities
from stagewarden.identity.fetch import fetch
from stagewarden.metrics import Metrics
from stagewarden.modes import Modes, Shared
from stagewarden.notify import Ledger
from stagewarden.store import Store, locate
from stagewarden.wire.spool import Spools
from stagewarden.wire.upstream import endpoint

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from stagewarden.audit.remote import Log
    from stagewarden.clock import Clock
    from stagewarden.config import Config, Places, Secrets
    from stagewarden.decision import Bundle, Decider
    from stagewarden.gate.inflight import Places as InFlight
    from stagewarden.gate.locks import Locks
    from stagewarden.registry import Registry
    from stagewarden.wire.upstream import Upstreams

_OPA_PATIENCE, _OPA_RETRY = 30.0, 0.5  # seconds at start


def state(config: Config, secrets: Secrets) -> Store:
    """The state database of this configuration, not opened. Raises ConfigError."""
    try:
        return Store(locate(config.state, config.base, secrets), config.name)
    except ConfigError as error:
        found = (config.source.problem(("state",), problem.message, problem.remedy) for problem in error.problems)
        raise ConfigError(tuple(found)) from None


@dataclass(frozen=True, slots=True)
class Built:
    """The rooms, and what a house shares of them with its workers."""

    rooms: Rooms
    bundle: Bundle
    log: AuditLog
    locks: Locks


@dataclass(frozen=True, slots=True)
class Borrowed:
    """What a worker has at its house instead of having it itself."""

    bundle: Bundle
    metrics: Metrics
    log: Log
    locks: Locks
    places: InFlight


@dataclass(frozen=True, slots=True)
class Building:
    """What rooms are built from; whatever is opened closes behind itself on the stack."""

    config: Config
    clock: Clock
    secrets: Secrets
    registry: Registry
    stack: AsyncExitStack
    store: Store

    async def whole(self, pool: Upstreams, places: Places) -> Built:
        """Identities and policy, which may be refused for what they say; then stops, state and log, which write."""
        config, clock = self.config, self.clock
        bundle = await asyncio.to_thread(decision.load_bundle, config.policy.bundle, Path(config.base), places)
        identities, decider = await self._judges(bundle)
        metrics = Metrics(__version__)
        store = self.store
        modes = Modes(stops_path(config), clock, shared=not store.exclusive)
        modes.open()
        if not store.is_open:
            await store.open()
            self.stack.push_async_callback(store.close)
        shared = await self._shared(modes, store)
        holds = self._holds(store)
        decider = decision.cached(decider, config, clock, lambda: modes.epoch, metrics.cache_asked)
        await self._ready(decider)
        metrics.policy_loaded(decider.revision, config.policy.engine, clock.now_ns())
        log = AuditLog(config.audit, clock, base=config.base, observe=metrics.flushed)
        revisions = {"policy": decider.revision, "registry": self.registry.revision, "configuration": config.revision}
        await log.open(entries.start_entry(__version__, config.name, config.environment, revisions))
        self.stack.push_async_callback(log.close)
        locks = KeyedLocks() if store.exclusive else FleetLocks(KeyedLocks(), store)
        grants = Grants(store, clock)
        recorder = self._recorder(log, metrics, holds, grants)
        rooms = Rooms(
            config=config, registry=self.registry, clock=clock, identities=identities, routes=self._routes(), decider=decider, holds=holds,
            grants=grants, modes=modes, sender=self._sender(pool), recorder=recorder, assets=locks, stops=Stops(modes, holds, log, recorder),
            log=log, store=store, spools=self._spools(), ledger=Ledger(store, clock), shared=shared,
        )  # fmt: skip
        if shared is not None:
            shared.told = rooms.stops.obeyed
        return Built(rooms, bundle, log, locks)

    async def shared(self, pool: Upstreams, borrowed: Borrowed) -> Rooms:
        """A worker's rooms. It begins neither stop file nor database: where one is missing by now, everything is refused."""
        config, clock = self.config, self.clock
        identities, decider = await self._judges(borrowed.bundle)
        store = self.store
        modes = Modes(stops_path(config), clock, shared=not store.exclusive)
        modes.join()
        await store.join()
        self.stack.push_async_callback(store.close)
        holds = self._holds(store)
        await holds.check_key()
        decider = decision.cached(decider, config, clock, lambda: modes.epoch, borrowed.metrics.cache_asked)
        await self._ready(decider)
        grants = Grants(store, clock)
        recorder = self._recorder(borrowed.log, borrowed.metrics, holds, grants)
        return Rooms(
            config=config, registry=self.registry, clock=clock, identities=identities, routes=self._routes(), decider=decider, holds=holds,
            grants=grants, modes=modes, sender=self._sender(pool), recorder=recorder, assets=borrowed.locks,
            stops=Stops(modes, holds, borrowed.log, recorder), log=borrowed.log, store=store, spools=self._spools(),
            ledger=Ledger(store, clock), places=borrowed.places,
        )  # fmt: skip

    async def _shared(self, modes: Modes, store: Store) -> Shared | None:
        """The stops of the other replicas, heard before the first question; where that fails, no write goes through until they are."""
        if store.exclusive:
            return None
        shared = Shared(modes, store, self.clock, float(self.config.stops.max_staleness))
        modes.unheard()
        with contextlib.suppress(CannotTell):
            await shared.hear()
        return shared

    async def _judges(self, bundle: Bundle) -> tuple[AgentIdentities, Decider]:
        config, clock, secrets = self.config, self.clock, self.secrets
        identities = AgentIdentities(config.identity.agents, secrets, self.registry, clock, fetch)
        await identities.open()
        decider = await asyncio.to_thread(decision.make, config, secrets, clock, bundle)
        self.stack.push_async_callback(decider.close)
        return identities, decider

    def _holds(self, store: Store) -> Holds:
        config = self.config
        holds = Holds(store, Vault(self.secrets.key(config.holds.key)), self.clock, config.holds, config.limits)
        # In a fleet another replica may be the one that delivers; what nobody fetches is forgotten after some days.
        holds.heard = bool(config.notify) or not store.exclusive
        return holds

    def _spools(self) -> Spools:
        """Each process bounds its own; the reserve they leave alone is looked at on the disk itself."""
        return Spools(spool_path(self.config), self.config.limits.spool, self.config.audit.reserve)

    def _routes(self) -> RouteTable:
        return RouteTable(self.config.upstreams, expand_routes, _is_loopback)

    def _sender(self, pool: Upstreams) -> Sender:
        return Sender(self.config.upstreams, self.secrets, pool)

    def _recorder(self, log: Log, metrics: Metrics, holds: Holds, grants: Grants) -> Recorder:
        return Recorder(log, metrics, holds, grants, Standing.of(self.registry.data, self.config.revision))

    async def _ready(self, decider: Decider) -> None:
        """The registry loaded and the engine self-tested: not ready is not running."""
        # An OPA beside us may start after us; a policy in this process either works now or never will.
        patience = self.clock.monotonic() + (_OPA_PATIENCE if self.config.policy.engine == "opa" else 0.0)
        while True:
            try:
                await decider.load(self.registry.document())
                await decider.self_test()
            except PolicyUnavailable as failure:
                if self.clock.monotonic() >= patience:
                    raise
                structlog.get_logger("stagewarden.start").warning("waiting_for_opa", cause=str(failure))
                await asyncio.sleep(_OPA_RETRY)
            else:
                return


def _is_loopback(url: str) -> bool:
    host = endpoint(url).host
    return host == "localhost" or host.startswith("127.") or host in {"::1", "[::1]"}
