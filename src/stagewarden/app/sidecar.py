"""A running sidecar: rooms behind listeners, what runs beside the requests, reload and the end. Alone, or as the house of workers.

Everything is opened in order and closed in reverse; whatever fails on the way up leaves nothing half-started behind.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from stagewarden import notify
from stagewarden import registry as registries
from stagewarden.app.building import Building, state
from stagewarden.app.doors import cut_off, hosts, open_agents, people_settings, serve
from stagewarden.app.heralds import Heralds
from stagewarden.app.house import House, HouseEnded
from stagewarden.audit import entries
from stagewarden.audit.entries import Standing
from stagewarden.audit.reader import Reader
from stagewarden.clock import SystemClock
from stagewarden.config import Places, Secrets, certificates
from stagewarden.errors import CannotTell, ConfigError, Problem, StagewardenError
from stagewarden.gate import Acts, Judge, RegistryWaits, Releases
from stagewarden.gate.repeats import Repeats
from stagewarden.gate.replicas import Replicas
from stagewarden.gate.revisions import at_start
from stagewarden.gate.watch import Watch
from stagewarden.holds import Vault
from stagewarden.identity.people import People
from stagewarden.web.operations import LoopWatch, Readiness, operations
from stagewarden.web.parser import require_native
from stagewarden.web.people.ports import Condition
from stagewarden.wire.tls import ListenersTls
from stagewarden.wire.upstream import Upstreams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from stagewarden.app.building import Built
    from stagewarden.app.doors import AgentsListener
    from stagewarden.app.house import Workers
    from stagewarden.clock import Clock
    from stagewarden.config import Config
    from stagewarden.gate import Rooms
    from stagewarden.registry import Registry
    from stagewarden.store import Store

_CONFIRMED_EVERY = 1.0  # seconds
_GRACE = 25.0  # seconds for what runs, after SIGTERM (contract section 7)


@dataclass(slots=True)
class Sidecar:
    """A running sidecar. The addresses are (host, port) as bound; None for a listener that is not configured."""

    rooms: Rooms
    judge: Judge
    acts: Acts
    reader: Reader
    releases: Releases
    watch: Watch
    replicas: Replicas
    loop_watch: LoopWatch
    people: People
    readiness: Readiness
    tls: ListenersTls
    heralds: Heralds
    agents_address: tuple[str, int] | None = None
    people_address: tuple[str, int] | None = None
    operations_address: tuple[str, int] | None = None
    background: asyncio.Task[None] | None = None
    grace: float = _GRACE
    listener: AgentsListener | None = None
    house: House | None = None
    _reload: asyncio.Event | None = None

    def condition(self) -> Condition:
        """How we are, for pages."""
        return Condition(self.readiness.known, self.rooms.decider.revision, self.replicas.heard)

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
            _result(self.background)  # the clockwork failed: say so, and do not go on without it

    async def drain(self) -> None:
        """Stop accepting, let what runs finish inside the grace, start no send. Once: the grace does not begin anew."""
        if self.readiness.draining:
            return
        self.readiness.draining = True
        self.releases.drain()
        self.rooms.feed.close()
        if self.listener is not None:
            self.listener.drain()
        workers = self.house.ended(self.grace) if self.house is not None else asyncio.sleep(0)
        if self.house is not None:
            self.house.drain(self.grace)
        await asyncio.gather(self._idle(), workers)

    async def _idle(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.grace):
                await asyncio.gather(self.judge.idle(), self.releases.idle())
                if self.listener is not None:
                    await self.listener.connections.written()

    async def refresh(self) -> None:
        """Before a scrape: the workers' counts, and what is read then."""
        if self.house is not None:
            await self.house.count()
        await self.watch.gauges()

    async def reload(self) -> None:
        """Registry, policy data, keys, certificates and what channels are opened with, all or nothing.

        Raises ConfigError, CannotTell or RegistryWaits: the old ones stay.
        """
        config = self.rooms.config
        contexts = self.tls.read()
        registry = registries.load(config.base / config.registry)
        _refuse(registries.check(config, registry))
        await self.acts.admit(registry)
        # (1) Everything that can fail, here and in every worker; nothing is in force yet.
        adopt = (await self.rooms.identities.prepare(registry), self.people.prepare(registry), self.heralds.prepare())
        prepared = await self.house.prepare(registry) if self.house is not None else {}
        try:
            await self.rooms.decider.load(registry.document())
        except StagewardenError:
            if self.house is not None:
                await self.house.settle(prepared, take=False)
            raise
        # (2) What cannot.
        for each in adopt:
            each()
        self.tls.use(contexts)
        self.rooms.registry = registry
        self.rooms.recorder.standing = Standing.of(registry.data, config.revision)
        if self.house is not None:
            await self.house.settle(prepared, take=True)
        await self.rooms.recorder.note("registry", entries.loaded_entry(registry.revision))
        await self.acts.took(registry)
        self.watch.loaded(registry)
        await self.acts.judge_all_again()


@asynccontextmanager
async def running(
    config: Config, *, clock: Clock | None = None, environ: Mapping[str, str] | None = None, workers: Workers | None = None
) -> AsyncIterator[Sidecar]:  # fmt: skip
    """A sidecar that answers, until the block is left: this process alone, or the house of so many workers."""
    if workers is not None and config.listen.agents is None:
        problem = Problem(config.source.file, 0, "listen.agents", "is missing, and workers serve agents", "add it, or leave --workers out")
        raise ConfigError((problem,))
    require_native()
    clock = clock or SystemClock()
    secrets = Secrets(config.base, environ)
    registry = registries.load(config.base / config.registry)
    channels = notify.problems(config, secrets)
    _refuse((*registries.check(config, registry, environ=environ), *certificates.of_upstreams(config, secrets, clock.now_ns()), *channels))
    tls = ListenersTls(config, secrets, clock)
    async with AsyncExitStack() as stack:
        store = state(config, secrets)
        offered, registry = registry, await _in_force(config, store, registry, stack)
        pool = Upstreams(clock)
        stack.push_async_callback(pool.close)
        people = People(config.identity.people, secrets, registry, clock, config.people, sandbox=config.environment == "sandbox")
        built = await Building(config, clock, secrets, registry, stack, store).whole(pool, Places.of(environ))
        sidecar = _assembled(built, people, tls, Heralds(built.rooms, secrets), None if workers is None else House(workers, built, _GRACE))
        await _recover(sidecar.rooms)
        await _settled(sidecar, offered)
        stack.push_async_callback(cut_off, pool, sidecar.judge)
        await _listen(sidecar, clock, Vault(secrets.key(config.holds.key)), stack)
        bound = (sidecar.agents_address, sidecar.people_address, sidecar.operations_address)
        own = [address for address in bound if address is not None]
        pool.refuse(own)
        sidecar.background = asyncio.create_task(_clockwork(sidecar, own))
        try:
            if sidecar.house is not None:
                await _filled(sidecar.house, sidecar.background)
            sidecar.readiness.started = True
            yield sidecar
        finally:
            await sidecar.drain()
            sidecar.background.cancel()
            await asyncio.wait([sidecar.background])
        await sidecar.rooms.recorder.summarize_refusals()
        with contextlib.suppress(CannotTell):
            await people.uses.keep(sidecar.rooms.store)


async def _in_force(config: Config, store: Store, offered: Registry, stack: AsyncExitStack) -> Registry:
    """The registry to start with: in production the one in force, where the file's would widen rights and nobody has confirmed that."""
    if config.environment != "production" or not store.begun:
        return offered
    await store.open()
    stack.push_async_callback(store.close)
    chosen = await at_start(store, offered)
    if chosen is not offered:
        _refuse(registries.check(config, chosen))
    return chosen


async def _settled(sidecar: Sidecar, offered: Registry) -> None:
    """What was started with is in force; what was offered instead waits."""
    await sidecar.acts.took(sidecar.rooms.registry)
    try:
        await sidecar.acts.admit(offered)
    except RegistryWaits as waits:
        sidecar.watch.registry_waits = str(waits)
        structlog.get_logger("stagewarden.reload").warning("registry_waits", cause=str(waits))


async def _confirmations(sidecar: Sidecar) -> None:
    """A registry that was confirmed, here or by way of another replica, is read again within a second."""
    while True:
        await asyncio.sleep(_CONFIRMED_EVERY)
        with contextlib.suppress(CannotTell):  # told by readiness, and asked again
            if sidecar.watch.registry_waits is not None and await sidecar.acts.due(sidecar.rooms.registry):
                sidecar.request_reload()


def _assembled(built: Built, people: People, tls: ListenersTls, heralds: Heralds, house: House | None) -> Sidecar:
    """Who uses the rooms, and what must work before we are ready."""
    rooms = built.rooms
    reader = Reader(rooms.config.base / rooms.config.audit.directory)
    watch = Watch(rooms)
    watch.loaded(rooms.registry)
    loop_watch = LoopWatch(rooms.clock, rooms.recorder.metrics.loop_lag)
    replicas = Replicas(rooms)
    workers = {} if house is None else {"workers": house.trouble}
    return Sidecar(
        rooms=rooms,
        judge=Judge(rooms),
        acts=Acts(rooms, reader),
        reader=reader,
        releases=Releases(rooms),
        watch=watch,
        replicas=replicas,
        loop_watch=loop_watch,
        people=people,
        readiness=Readiness(
            {**watch.checks(), "loop": loop_watch.trouble, "tls": tls.trouble, "replicas": replicas.trouble, **workers},
            lambda: {**watch.details(), **replicas.details()},
        ),
        tls=tls,
        heralds=heralds,
        house=house,
        _reload=asyncio.Event(),
    )


async def _clockwork(sidecar: Sidecar, own: list[tuple[str, int]]) -> None:
    """Everything that runs beside the requests. One that fails ends them all, and with them the process."""
    async with asyncio.TaskGroup() as group:
        beside = (
            sidecar.watch.run(),
            sidecar.watch.follow(),
            sidecar.watch.signals(),
            sidecar.watch.lapse(),
            sidecar.replicas.run(),
            sidecar.replicas.tend(),
            sidecar.loop_watch.watch(),
        )
        for work in (sidecar.releases.run(), *beside, _reloads(sidecar), _confirmations(sidecar), sidecar.heralds.run()):
            group.create_task(work)
        if sidecar.rooms.config.listen.people is not None:
            group.create_task(sidecar.readiness.keep())
            group.create_task(sidecar.people.uses.run(sidecar.rooms.store))
            group.create_task(sidecar.rooms.feed.run(sidecar.rooms.holds, sidecar.rooms.modes, sidecar.reader))
        if sidecar.house is not None:
            group.create_task(sidecar.house.run(own))
        if sidecar.rooms.shared is not None:
            group.create_task(sidecar.rooms.shared.run())


async def _filled(house: House, background: asyncio.Task[None]) -> None:
    """Until every worker serves; raises what ended the clockwork first."""
    full = asyncio.create_task(house.full())
    await asyncio.wait((full, background), return_when=asyncio.FIRST_COMPLETED)
    full.cancel()
    if background.done():
        _result(background)


def _result(background: asyncio.Task[None]) -> None:
    """Raise what ended the clockwork: workers that do not stay alive by themselves, anything else as it came."""
    try:
        background.result()
    except* HouseEnded as ended:
        first: BaseException = ended
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


async def _recover(rooms: Rooms) -> None:
    """What a crash left: the log first, then claims and sends nobody holds any more."""
    await rooms.recorder.recover()
    for moved in await rooms.holds.recover():
        await rooms.recorder.deliver(moved)
    await rooms.stops.settle()


async def _listen(sidecar: Sidecar, clock: Clock, vault: Vault, stack: AsyncExitStack) -> None:
    config = sidecar.rooms.config
    if config.listen.operations is not None:
        application = operations(sidecar.readiness, sidecar.rooms.recorder.metrics, sidecar.refresh, hosts(config.listen.operations))
        sidecar.operations_address = await serve(application, config.listen.operations.bind, sidecar.tls.context("operations"), stack)
    if config.listen.people is not None:
        # A sidecar without people does without their pages and what draws them.
        from stagewarden.web.plane import listener as people_listener  # noqa: PLC0415

        settings = replace(people_settings(config, config.listen.people, vault.derived("cursors/1")), condition=sidecar.condition)
        repeats = Repeats(sidecar.rooms.store, vault, clock)
        application = people_listener(sidecar.acts, sidecar.people, settings, clock, repeats)
        sidecar.people_address = await serve(application, config.listen.people.bind, sidecar.tls.context("people"), stack)
    if config.listen.agents is None:
        return
    if sidecar.house is not None:
        sidecar.agents_address = sidecar.house.open(stack)
    else:
        sidecar.listener = await open_agents(sidecar.rooms, sidecar.judge, sidecar.tls.context("agents"), stack)
        sidecar.agents_address = sidecar.listener.address


async def _reloads(sidecar: Sidecar) -> None:
    """SIGHUP after SIGHUP; a broken reload keeps the last good one and says so."""
    logger = structlog.get_logger("stagewarden.reload")
    assert sidecar._reload is not None  # noqa: SLF001 - the wiring
    while True:
        await sidecar._reload.wait()  # noqa: SLF001 - the wiring
        sidecar._reload.clear()  # noqa: SLF001 - the wiring
        try:
            await sidecar.reload()
            sidecar.watch.reload_trouble = sidecar.watch.registry_waits = None
            logger.info("reloaded", registry=sidecar.rooms.registry.revision)
        except RegistryWaits as waits:
            sidecar.watch.reload_trouble, sidecar.watch.registry_waits = None, str(waits)
            logger.warning("registry_waits", cause=str(waits))
        except (ConfigError, CannotTell) as failure:
            sidecar.watch.reload_trouble = str(failure)
            sidecar.rooms.recorder.metrics.reload_failed("registry")
            kept = sidecar.rooms.registry.revision
            await sidecar.rooms.recorder.note("registry", entries.loaded_entry("refused", kept=kept, why=str(failure)))
            logger.error("reload_failed", cause=str(failure))  # noqa: TRY400 - a known state


def _refuse(problems: tuple[object, ...]) -> None:
    errors = tuple(problem for problem in problems if getattr(problem, "severity", "error") == "error")
    if errors:
        raise ConfigError(errors)  # type: ignore[arg-type]
