"""An OPA stand-in on a real unix socket that says what a script tells it, byte for byte and in its own time."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.connections import Connections

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_LINGER_RESET = struct.pack("ii", 1, 0)


@dataclass
class Reply:
    """Bytes, and when they come: `timing` as in tests/conformance/opa-replies (README there)."""

    data: bytes
    timing: dict[str, Any] = field(default_factory=dict)


@dataclass
class Scripted:
    """Plays `replies` in turn, one a request, then the last one for ever; counts what came."""

    replies: list[Reply]
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            return

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        reply = self._turn(len(self.requests))
        if reply.timing.get("when") != "before_request":
            await self._read(reader)
            reply = self._turn(len(self.requests) - 1)  # another connection's may have come first
        await self._write(writer, reply)
        return await self._then(writer, reply.timing)

    def _turn(self, at: int) -> Reply:
        return self.replies[min(at, len(self.replies) - 1)]

    async def _read(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        self.requests.append(head + body)

    async def _write(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        delay = reply.timing.get("delay_ms", 0) / 1000
        parts = [reply.data]
        if "split_at" in reply.timing:
            middle = (reply.data.index(b"\r\n\r\n") + len(reply.data)) // 2
            parts = [reply.data[:middle], reply.data[middle:]]
            writer.write(parts.pop(0))
        await asyncio.sleep(delay)
        writer.write(parts[-1])
        await writer.drain()

    async def _then(self, writer: asyncio.StreamWriter, timing: dict[str, Any]) -> bool:
        match timing.get("then"):
            case "hang":
                await asyncio.sleep(3600)
            case "close":
                return False
            case "reset":
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
                writer.transport.abort()
                return False
            case "repeat":
                while True:
                    writer.write(timing["repeat"])
                    await writer.drain()
        return timing.get("when") != "before_request"


@asynccontextmanager
async def listening(script: Scripted, path: Path | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The stand-in on a unix socket at `path`, or on a loopback port that is given; every connection is over at the end."""
    connections = Connections(script.serve)
    if path is not None:
        server: asyncio.Server = await asyncio.start_unix_server(connections, path, limit=1 << 21)
    else:
        server = await asyncio.start_server(connections, "127.0.0.1", 0, limit=1 << 21, ssl=tls)
    try:
        yield 0 if path is not None else server.sockets[0].getsockname()[1]
    finally:
        await connections.end(server)
