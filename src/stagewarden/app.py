"""The only wiring: Config → rooms → listeners, and their lifetimes. Nobody else builds anybody.

Everything is opened in order and closed in reverse; whatever fails on the way up leaves nothing half-started behind.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from stagewarden import __version__, decision
from stagewarden import registry as registries
from stagewarden.audit import entries
from stagewarden.audit.entries import Standing
from stagewarden.audit.log import AuditLog
from stagewarden.audit.reader import Reader
from stagewarden.classify import RouteTable
from stagewarden.clock import SystemClock
from stagewarden.config import Places, Secrets, certificates, expand_routes, spool_path, stops_path
from stagewarden.errors import CannotTell, ConfigError, PolicyUnavailable, StagewardenError
from stagewarden.gate import Acts, Judge, Recorder, Releases, Rooms, Sender
from stagewarden.gate.locks import KeyedLocks
from stagewarden.gate.stops import Stops
from stagewarden.gate.watch import Watch
from stagewarden.holds import Holds, Vault
from stagewarden.identity.agents import AgentIdentities
from stagewarden.identity.fetch import fetch
from stagewarden.identity.people import People
from stagewarden.metrics import Metrics
from stagewarden.modes import Modes
from stagewarden.store import Store, locate
from stagewarden.web.agents import AgentsDoor
from stagewarden.web.operations import LoopWatch, Readiness, operations
from stagewarden.web.parser import require_native
from stagewarden.web.people.listener import listener as people_listener
from stagewarden.web.people.ports import Settings
from stagewarden.wire import listener
from stagewarden.wire.spool import Spools
from stagewarden.wire.tls import ListenersTls
from stagewarden.wire.upstream import Upstreams, endpoint

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

    from stagewarden.clock import Clock
    from stagewarden.config import Bind, Config, Listener
    from stagewarden.decision import Decider
    from stagewarden.registry import Registry

_GRACE = 25.0  # seconds for what runs, after SIGTERM (contract section 7)
_BACKLOG = 4096
_OPA_PATIENCE, _OPA_RETRY = 30.0, 0.5  # seconds at start


@dataclass(slots=True)
class Sidecar:
    """A running sidecar. The addresses are (host, port) as bound; None for a listener that is not configured."""

    rooms: Rooms
    judge: Judge
    acts: Acts
    releases: Releases
    watch: Watch
    people: People
    readiness: Readiness
    tls: ListenersTls
    agents_address: tuple[str, int] | None = None
    people_address: tuple[str, int] | None = None
    operations_address: tuple[str, int] | None = None
    background: asyncio.Task[None] | None = None
    grace: float = _GRACE
    _door: AgentsDoor | None = None
    _connections: listener.Server | None = None
    _server: asyncio.Server | None = None
    _reload: asyncio.Event | None = None

    def request_reload(self) -> None:
        """SIGHUP: reload registry, policy data and keys soon; broken input keeps the last good one."""
        if self._reload is not None:
            self._reload.set()

    async def until(self, stop: asyncio.Event) -> None:
        """Run until told to stop, then finish what runs: no new request, no new send."""
        assert self.background is not None
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((stopped, self.background), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        await self.drain()
        if self.background.done():
            self.background.result()  # the clockwork failed: say so, and do not go on without it

    async def drain(self) -> None:
        """Stop accepting, let what runs finish inside the grace, start no send. Once: the grace does not begin anew."""
        if self.readiness.draining:
            return
        self.readiness.draining = True
        self.releases.drain()
        if self._door is not None:
            self._door.drain()
        if self._connections is not None:
            self._connections.drain()
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.grace):
                await asyncio.gather(self.judge.idle(), self.releases.idle())

    async def reload(self) -> None:
        """Registry, policy data, keys and certificates, all or nothing. Raises ConfigError or CannotTell with the old ones still in force."""
        config, before = self.rooms.config, self.rooms.registry
        contexts = self.tls.read()
        registry = registries.load(config.base / config.registry)
        _refuse(registries.check(config, registry))
        try:
            await self.rooms.identities.reload(registry)
            self.people.reload(registry)
            await self.rooms.decider.load(registry.document())
        except StagewardenError:
            # All or nothing: what was exchanged already goes back to the registry in force.
            await self.rooms.identities.reload(before)
            self.people.reload(before)
            raise
        self.tls.use(contexts)
        self.rooms.registry = registry
        self.rooms.recorder.standing = Standing.of(registry.data, config.revision)
        await self.rooms.recorder.note("registry", entries.loaded_entry(registry.revision))
        self.watch.loaded(registry)
        await self.acts.judge_all_again()


@asynccontextmanager
async def running(config: Config, *, clock: Clock | None = None, environ: Mapping[str, str] | None = None) -> AsyncIterator[Sidecar]:
    """A sidecar that answers, until the block is left."""
    require_native()
    clock = clock or SystemClock()
    secrets = Secrets(config.base, environ)
    registry = registries.load(config.base / config.registry)
    _refuse((*registries.check(config, registry, environ=environ), *certificates.of_upstreams(config, secrets, clock.now_ns())))
    tls = ListenersTls(config, secrets, clock)
    async with AsyncExitStack() as stack:
        pool = Upstreams(clock)
        stack.push_async_callback(pool.close)
        sandbox = config.environment == "sandbox"
        people = People(config.identity.people, secrets, registry, clock, config.people.session, sandbox=sandbox)
        rooms = await _Building(config, clock, secrets, Places.of(environ), registry, stack).rooms(pool)
        reader = Reader(config.base / config.audit.directory)
        watch = Watch(rooms)
        watch.loaded(registry)
        loop_watch = LoopWatch(clock, rooms.recorder.metrics.loop_lag)
        readiness = Readiness({**watch.checks(), "loop": loop_watch.trouble, "tls": tls.trouble}, watch.details)
        sidecar = Sidecar(rooms, Judge(rooms), Acts(rooms, reader), Releases(rooms), watch, people, readiness, tls, _reload=asyncio.Event())
        await _recover(rooms)
        stack.push_async_callback(_cut_off, pool, sidecar.judge)
        await _listen(sidecar, clock, stack)
        bound = (sidecar.agents_address, sidecar.people_address, sidecar.operations_address)
        pool.refuse(address for address in bound if address is not None)
        readiness.started = True
        sidecar.background = asyncio.create_task(_clockwork(sidecar, loop_watch))
        try:
            yield sidecar
        finally:
            await sidecar.drain()
            sidecar.background.cancel()
            await asyncio.wait([sidecar.background])
        await rooms.recorder.summarize_refusals()


async def _cut_off(pool: Upstreams, judge: Judge) -> None:
    """What has outlived the grace loses its upstream, also where its client is gone; what came of it is still recorded."""
    await pool.close()
    await judge.idle()


async def _clockwork(sidecar: Sidecar, loop_watch: LoopWatch) -> None:
    """Everything that runs beside the requests. One that fails ends them all, and with them the process."""
    async with asyncio.TaskGroup() as group:
        for work in (sidecar.releases.run(), sidecar.watch.run(), loop_watch.watch(), _reloads(sidecar)):
            group.create_task(work)


@dataclass(frozen=True, slots=True)
class _Building:
    """What rooms are built from; whatever is opened closes behind itself on the stack."""

    config: Config
    clock: Clock
    secrets: Secrets
    places: Places
    registry: Registry
    stack: AsyncExitStack

    async def rooms(self, pool: Upstreams) -> Rooms:
        """Identities and policy, which may be refused for what they say; then stops, state and log, which write."""
        config, clock, secrets = self.config, self.clock, self.secrets
        identities = AgentIdentities(config.identity.agents, secrets, self.registry, clock, fetch)
        await identities.open()
        decider = await asyncio.to_thread(decision.make, config, secrets, clock, self.places)
        self.stack.push_async_callback(decider.close)
        metrics = Metrics(__version__)
        modes = Modes(stops_path(config), clock)
        modes.open()
        decider = decision.cached(decider, config, clock, lambda: modes.epoch, metrics.cache_asked)
        store = Store(locate(config.state, config.base))
        await store.open()
        self.stack.push_async_callback(store.close)
        holds = Holds(store, Vault(secrets.key(config.holds.key)), clock, config.holds, config.limits)
        await self._ready(decider)
        metrics.policy_loaded(decider.revision, config.policy.engine, clock.now_ns())
        log = AuditLog(config.audit, clock, base=config.base, observe=metrics.flushed)
        revisions = {"policy": decider.revision, "registry": self.registry.revision, "configuration": config.revision}
        await log.open(entries.start_entry(__version__, config.name, config.environment, revisions))
        self.stack.push_async_callback(log.close)
        routes = RouteTable(config.upstreams, expand_routes, _is_loopback)
        recorder = Recorder(log, metrics, holds, Standing.of(self.registry.data, config.revision))
        return Rooms(
            config=config, registry=self.registry, clock=clock, identities=identities, routes=routes,
            decider=decider, holds=holds, modes=modes, sender=Sender(config.upstreams, secrets, pool), recorder=recorder, assets=KeyedLocks(),
            stops=Stops(modes, holds, log, recorder, clock), log=log, store=store,
            spools=Spools(spool_path(config), config.limits.spool, config.audit.reserve),
        )  # fmt: skip

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


async def _recover(rooms: Rooms) -> None:
    """What a crash left: the log first, then claims and sends nobody holds any more."""
    await rooms.recorder.recover()
    for moved in await rooms.holds.recover():
        await rooms.recorder.deliver(moved)
    await rooms.stops.settle()


async def _listen(sidecar: Sidecar, clock: Clock, stack: AsyncExitStack) -> None:
    config = sidecar.rooms.config
    if config.listen.operations is not None:
        application = operations(sidecar.readiness, sidecar.rooms.recorder.metrics, sidecar.watch.gauges, _hosts(config.listen.operations))
        sidecar.operations_address = await _serve(application, config.listen.operations.bind, sidecar.tls.context("operations"), stack)
    if config.listen.people is not None:
        application = people_listener(sidecar.acts, sidecar.people, _settings(config, config.listen.people), clock)
        sidecar.people_address = await _serve(application, config.listen.people.bind, sidecar.tls.context("people"), stack)
    if config.listen.agents is not None:
        door = AgentsDoor(config, sidecar.judge, clock, _hosts(config.listen.agents) | sidecar.rooms.routes.hosts)
        bind, limits = config.listen.agents.bind, config.limits
        timeouts = listener.Timeouts(head=float(limits.header_deadline), body=float(limits.body_deadline), write=float(limits.body_deadline))
        protocols = listener.Server(door.handle, door.refuse, limits, timeouts)
        tls = sidecar.tls.context("agents")
        handshake = None if tls is None else timeouts.head
        server = await asyncio.get_running_loop().create_server(
            protocols, bind.host, bind.port, backlog=_BACKLOG, ssl=tls, ssl_handshake_timeout=handshake
        )
        stack.push_async_callback(protocols.close, 1.0)
        stack.callback(server.close)
        sidecar.agents_address = server.sockets[0].getsockname()[:2]
        sidecar._door, sidecar._connections, sidecar._server = door, protocols, server  # noqa: SLF001 - the wiring


async def _serve(application: web.Application, bind: Bind, tls: ssl.SSLContext | None, stack: AsyncExitStack) -> tuple[str, int]:
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=2.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, bind.host, bind.port, backlog=_BACKLOG, ssl_context=tls).start()
    host, port = runner.addresses[0][:2]
    return host, port


async def _reloads(sidecar: Sidecar) -> None:
    """SIGHUP after SIGHUP; a broken reload keeps the last good one and says so."""
    logger = structlog.get_logger("stagewarden.reload")
    assert sidecar._reload is not None  # noqa: SLF001 - the wiring
    while True:
        await sidecar._reload.wait()  # noqa: SLF001 - the wiring
        sidecar._reload.clear()  # noqa: SLF001 - the wiring
        try:
            await sidecar.reload()
            sidecar.watch.reload_trouble = None
            logger.info("reloaded", registry=sidecar.rooms.registry.revision)
        except (ConfigError, CannotTell) as failure:
            sidecar.watch.reload_trouble = str(failure)
            sidecar.rooms.recorder.metrics.reload_failed("registry")
            kept = sidecar.rooms.registry.revision
            await sidecar.rooms.recorder.note("registry", entries.loaded_entry("refused", kept=kept, why=str(failure)))
            logger.error("reload_failed", cause=str(failure))  # noqa: TRY400 - a known state


def _settings(config: Config, listener: Listener) -> Settings:
    session = config.people.session
    upstreams = tuple(sorted(config.upstreams))
    limits = float(session.idle), float(session.absolute)
    return Settings(config.name, config.environment, config.people.url, _hosts(listener), upstreams, *limits)


def _hosts(listener: Listener) -> frozenset[str]:
    """Host values a listener answers: those configured, else its bind address and `localhost`."""
    return frozenset(host.lower() for host in listener.hosts) or frozenset({listener.bind.host.lower(), "localhost"})


def _is_loopback(url: str) -> bool:
    host = endpoint(url).host
    return host == "localhost" or host.startswith("127.") or host in {"::1", "[::1]"}


def _refuse(problems: tuple[object, ...]) -> None:
    errors = tuple(problem for problem in problems if getattr(problem, "severity", "error") == "error")
    if errors:
        raise ConfigError(errors)  # type: ignore[arg-type]
