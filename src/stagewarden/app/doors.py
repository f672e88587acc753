"""Which door stands on which listener. The agents' one is opened by whoever serves agents: the only process there is, or each worker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.web import spoken
from stagewarden.web.agents import AgentsDoor
from stagewarden.web.people.ports import Settings
from stagewarden.wire import listener as wire

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterable
    from contextlib import AsyncExitStack

    from stagewarden.config import Bind, Config, Listener
    from stagewarden.gate import Judge, Rooms
    from stagewarden.wire.upstream import Upstreams

BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class AgentsListener:
    """The agents' door, standing open."""

    door: AgentsDoor
    connections: wire.Server
    servers: tuple[asyncio.Server, ...]

    @property
    def address(self) -> tuple[str, int]:
        """As bound, of several the first."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return host, port

    def drain(self) -> None:
        """Accept no more, and tell whoever is connected."""
        self.door.drain()
        self.connections.drain()
        for server in self.servers:
            server.close()


async def open_agents(
    rooms: Rooms, judge: Judge, tls: ssl.SSLContext | None, stack: AsyncExitStack, sockets: Iterable[socket.socket] | None = None
) -> AgentsListener:  # fmt: skip
    """On the configured address, or on sockets that are bound already."""
    config, listener = rooms.config, rooms.config.listen.agents
    assert listener is not None
    door = AgentsDoor(config, judge, rooms.clock, hosts(listener) | rooms.routes.hosts)
    limits = config.limits
    timeouts = wire.Timeouts(head=float(limits.header_deadline), body=float(limits.body_deadline), write=float(limits.body_deadline))
    connections = wire.Server(door, limits, timeouts, tls)
    loop = asyncio.get_running_loop()
    places: list[dict[str, object]] = (
        [{"host": listener.bind.host, "port": listener.bind.port}] if sockets is None else [{"sock": one} for one in sockets]
    )
    servers = [
        await loop.create_server(connections, **place, backlog=BACKLOG)  # type: ignore[call-overload]  # either of its forms
        for place in places
    ]
    stack.push_async_callback(connections.close, 1.0)
    for server in servers:
        stack.callback(server.close)
    return AgentsListener(door, connections, tuple(servers))


async def cut_off(pool: Upstreams, judge: Judge) -> None:
    """What has outlived the grace loses its upstream, also where its client is gone; what came of it is still recorded."""
    await pool.close()
    await judge.idle()


async def serve(application: web.Application, bind: Bind, tls: ssl.SSLContext | None, stack: AsyncExitStack) -> tuple[str, int]:
    """An aiohttp application on its address; where it stands."""
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=2.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    server = await spoken.serve(runner, bind.host, bind.port, tls)
    stack.callback(server.close)
    host, port = server.sockets[0].getsockname()[:2]
    return host, port


def people_settings(config: Config, listener: Listener, cursor_key: bytes) -> Settings:
    """What the people's listener needs to know of the configuration."""
    session = config.people.session
    upstreams = tuple(sorted(config.upstreams))
    limits = float(session.idle), float(session.absolute), float(session.terminal)
    return Settings(config.name, config.environment, config.people.url, hosts(listener), upstreams, *limits, cursor_key=cursor_key)


def hosts(listener: Listener) -> frozenset[str]:
    """Host values a listener answers: those configured, else its bind address and `localhost`."""
    return frozenset(host.lower() for host in listener.hosts) or frozenset({listener.bind.host.lower(), "localhost"})
