"""A worker: serves agents for its house, judges and sends by itself, and has log, locks and people there.

Gets everything it judges by from the house, in force as it is; reads only secrets and keys. When the house is gone it ends at once:
nothing can be recorded any more, so nothing may be sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import orjson
import structlog

from stagewarden import __version__, config
from stagewarden.app import collector, ports
from stagewarden.app.building import Borrowed, Building, state
from stagewarden.app.channel import Channel
from stagewarden.app.doors import cut_off, open_agents
from stagewarden.app.messages import Count, Counted, Drain, Failed, Hello, InForce, Moved, Obey, Prepare, Prepared, Ready, Settle, Settled, ToWorker
from stagewarden.audit.entries import Standing
from stagewarden.audit.remote import Acknowledged, RemoteLog
from stagewarden.clock import SystemClock
from stagewarden.config import Secrets
from stagewarden.config.yaml_source import Source
from stagewarden.errors import CannotTell, StagewardenError
from stagewarden.gate import Judge
from stagewarden.gate.inflight import SharedPlaces, Table
from stagewarden.gate.remote_locks import Granted, RemoteLocks
from stagewarden.gate.watch import Watch
from stagewarden.metrics import Metrics
from stagewarden.registry import Registry
from stagewarden.web.operations import LoopWatch
from stagewarden.wire.tls import ListenersTls
from stagewarden.wire.upstream import Upstreams

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.gate import Rooms
    from stagewarden.modes import Change

_EVERY = 1.0  # seconds between two accounts of what was counted
_LAST_WORDS = 1.0  # seconds they may take to leave
_HOUSE_GONE = 70  # exit code
_PR_SET_PDEATHSIG = 1
_DECODER: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)


class HouseGone(StagewardenError):
    """Nobody is there to work for."""

    code = "house_gone"


async def work(conversation: int, table: int) -> None:
    """Serve until the house says so, over these inherited descriptors. Never returns when the house is gone: the process ends there."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # sent to the whole group they reach the house too, and it tells us
    _end_with_the_house()
    worker = Worker()
    await worker.open(socket.socket(fileno=conversation))
    hello = await worker.hello
    try:
        async with AsyncExitStack() as stack:
            await worker.serve(hello, Table(table, hello.workers), stack)
        await worker.leave()
    except (StagewardenError, OSError) as failure:
        worker.send(Failed(str(failure)))
        await worker.close()
        raise


class Worker:
    """What hears the house, and what it speaks of."""

    def __init__(self) -> None:
        self.hello: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()
        self._clock = SystemClock()
        self._metrics = Metrics(__version__)
        self._log = RemoteLog(self.send, self._clock, self._metrics.flushed)
        self._locks = RemoteLocks(self.send)
        self._channel: Channel[ToWorker] | None = None
        self._drain: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._prepared: tuple[int, Callable[[], None]] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._closing = False
        self._closed = asyncio.Event()
        self._rooms: Rooms | None = None
        self._unwritten: tuple[Change, ...] = ()
        self._tls: ListenersTls | None = None
        self._places: SharedPlaces | None = None

    async def open(self, connected: socket.socket) -> None:
        """Begin the conversation."""
        connected.settimeout(0)
        self._channel = await Channel.over(connected, _DECODER, self._heard, self._gone)

    def send(self, message: object) -> None:
        """Say something to the house."""
        if self._channel is not None:
            self._channel.send(message)

    async def close(self) -> None:
        """Say nothing more, once everything said has left."""
        self._closing = True
        if self._channel is not None:
            self._channel.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    await self._closed.wait()

    async def serve(self, hello: Hello, table: Table, stack: AsyncExitStack) -> None:
        """Build, listen, say so; then until told to end, and the grace after it."""
        if hello.version != __version__:
            raise HouseGone(f"the house is release {hello.version}, this is {__version__}")
        configuration = config.of(Source(hello.file, orjson.loads(hello.configuration), {}), Path(hello.base))
        registry = Registry.of(hello.in_force.registry)
        places = self._places = SharedPlaces(table, hello.worker, configuration.limits.inflight_per_agent)
        places.know(hello.in_force.columns)
        pool = Upstreams(self._clock, hello.own)
        stack.push_async_callback(pool.close)
        secrets = Secrets(configuration.base)
        tls = self._tls = ListenersTls(configuration, secrets, self._clock)
        building = Building(configuration, self._clock, secrets, registry, stack, state(configuration, secrets))
        rooms = self._rooms = await building.shared(pool, Borrowed(hello.bundle, self._metrics, self._log, self._locks, places))
        rooms.modes.overlay(self._unwritten)
        self._loaded(registry)
        judge = Judge(rooms)
        stack.push_async_callback(cut_off, pool, judge)
        listener = await open_agents(rooms, judge, tls.context("agents"), stack, [ports.share(host, port) for host, port in hello.addresses])
        collector.settle()
        self.send(Ready(registry.revision))
        async with asyncio.TaskGroup() as group:
            works = (self._account(), LoopWatch(self._clock, self._metrics.loop_lag).watch(), Watch(rooms).follow(), Watch(rooms).signals())
            beside = [group.create_task(each) for each in works]
            grace = await self._drain
            listener.drain()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await judge.idle()
                    await listener.connections.written()
            for task in beside:
                task.cancel()

    async def leave(self) -> None:
        """The last entries and counts reach the house; then the conversation ends."""
        await self._log.flush()
        self._say_counts(0)
        await self.close()

    # -- what the house says -------------------------------------------------------------------------------------------

    def _heard(self, message: ToWorker) -> None:
        match message:
            case Acknowledged() | Granted():
                self._came(message)
            case Moved(holds):
                self._moved(holds)
            case Count(number):
                self._say_counts(number)
            case Prepare(number, in_force):
                self._preparing = asyncio.create_task(self._prepare(number, in_force), name="prepare")
            case Settle(number, prepared, take):
                self._settle(prepared, take=take)
                self.send(Settled(number))
            case Obey(number, unwritten):
                self._obey(unwritten)
                self.send(Settled(number))
            case Drain(grace):
                if not self._drain.done():
                    self._drain.set_result(grace)
            case Hello():
                self._unwritten = tuple(message.unwritten)
                self.hello.set_result(message)

    def _came(self, message: Acknowledged | Granted) -> None:
        if isinstance(message, Acknowledged):
            self._log.acknowledged(message)
        else:
            self._locks.granted(message)

    def _obey(self, unwritten: list[Change]) -> None:
        """Answered between two steps of this loop: whoever looked before it has written, whoever looks after it sees the stop."""
        self._unwritten = tuple(unwritten)
        if self._rooms is not None:
            self._rooms.modes.overlay(self._unwritten)
            self._rooms.stops.moved.set()

    def _moved(self, holds: list[str]) -> None:
        if self._rooms is not None:
            self._rooms.holds.leave(holds)
            self._rooms.holds.changed.wake(holds)
            self._rooms.grants.known.forget()

    async def _prepare(self, number: int, in_force: InForce) -> None:
        """(1) Everything that can fail. (2) Say so. Nothing is in force before the house says it is."""
        rooms, tls = self._rooms, self._tls
        assert rooms is not None
        assert tls is not None
        self._prepared = None
        try:
            contexts = tls.read()
            registry = Registry.of(in_force.registry)
            identities = await rooms.identities.prepare(registry)
            decider = await rooms.decider.prepare(registry.document())
        except (StagewardenError, OSError) as failure:
            self.send(Prepared(number, str(failure)))
            return

        def commit() -> None:
            tls.use(contexts)
            decider()
            identities()
            rooms.registry = registry
            rooms.recorder.standing = Standing.of(registry.data, rooms.config.revision)
            if self._places is not None:
                self._places.know(in_force.columns)
            self._loaded(registry)

        self._prepared = (number, commit)
        self.send(Prepared(number, None))

    def _settle(self, prepared: int, *, take: bool) -> None:
        """Raises ValueError where something else was prepared than the house means."""
        known, self._prepared = self._prepared, None
        if not take:
            return
        if known is None or known[0] != prepared:
            raise ValueError("nothing of that number is prepared")
        known[1]()

    def _loaded(self, registry: Registry) -> None:
        rooms = self._rooms
        assert rooms is not None
        rooms.holds.changed.tell = lambda holds: self.send(Moved([*holds]))
        self._metrics.registry_loaded(registry.revision, registry.data.workflows, registry.data.agents, rooms.config.upstreams)

    # -- what the house is told ----------------------------------------------------------------------------------------

    async def _account(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            self._say_counts(0)
            if self._rooms is not None:
                with contextlib.suppress(CannotTell):  # told to whoever asks, and tried again
                    await self._rooms.recorder.make_good()

    def _say_counts(self, number: int) -> None:
        refusals = self._rooms.recorder.take_refusals() if self._rooms is not None else []
        self.send(Counted(number, self._metrics.rows(), refusals))

    def _gone(self, why: str) -> None:
        """The end of the conversation. Not by our wish: the end of this process, before it does anything else."""
        self._closed.set()
        if self._closing:
            return
        self._log.gone(why)
        self._locks.gone()
        structlog.get_logger("stagewarden.worker").error("house_gone", cause=why)
        os._exit(_HOUSE_GONE)


def _end_with_the_house() -> None:
    """A worker that hangs hears no end of file: the kernel ends it with the house (Linux: prctl(2), PR_SET_PDEATHSIG), and the port is free."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
