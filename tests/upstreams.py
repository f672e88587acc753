"""Upstreams for tests, on raw sockets, so that every byte that arrives is seen: one that plays a script, one that answers 200.

Must never be lenient: what is received is kept as it came, and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.connections import Connections

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from pathlib import Path

_LINGER_RESET = struct.pack("ii", 1, 0)
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole HTTP/1.1 answer with a Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    raw: bytes

    @property
    def head(self) -> bytes:
        """Up to and with the empty line."""
        return self.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    @property
    def body(self) -> bytes:
        """What followed."""
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def method(self) -> str:
        """Of the request line."""
        return self.raw.split(b" ", 2)[0].decode()

    @property
    def target(self) -> str:
        """Of the request line."""
        return self.raw.split(b" ", 2)[1].decode()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """In order, names as sent."""
        lines = self.head.decode("latin-1").split("\r\n")[1:-2]
        return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]

    def header(self, name: str) -> str | None:
        """The first of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Peer:
    """One connection as a script sees it."""

    def __init__(self, upstream: ScriptedUpstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._upstream = upstream
        self._writer = writer

    async def request(self) -> Received:
        """The next request, counted by the upstream; asyncio.IncompleteReadError at the end of the connection."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = _CONTENT_LENGTH.search(head)
        received = Received(head + (await self.reader.readexactly(int(length[1])) if length else b""))
        self._upstream.requests.append(received)
        return received

    async def send(self, data: bytes) -> None:
        """Write and drain."""
        self._writer.write(data)
        await self._writer.drain()

    async def end(self) -> None:
        """Close in an orderly way."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def drop(self) -> None:
        """Cut the line."""
        self._writer.transport.abort()

    def reset(self) -> None:
        """Cut the line with RST instead of FIN (SO_LINGER with no time); what was sent and not yet read is lost with it."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        self._writer.transport.abort()

    def half_close(self) -> None:
        """Send no more, and go on reading."""
        self._writer.write_eof()


class ScriptedUpstream:
    """Plays `script` on every connection; bytes are a script that answers each request with them.

    `requests` and `connections` count what arrived; a failure inside the script is raised when the upstream is left.
    """

    def __init__(
        self,
        script: bytes | Callable[[Peer], Awaitable[None]],
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        path: Path | None = None,
    ) -> None:
        """On a port of `host` that the system chooses, or on a unix socket at `path`."""
        self.requests: list[Received] = []
        self.connections = 0
        self._script = _repeating(script) if isinstance(script, bytes) else script
        self._tls = tls
        self._host = host
        self._path = path
        self._port = 0
        self._server: asyncio.Server | None = None
        self._accepted = Connections(self._serve)
        self._failures: list[BaseException] = []

    @property
    def port(self) -> int:
        """Chosen by the system at the first start, and kept."""
        return self._port

    @property
    def url(self) -> str:
        """As it would stand in a configuration."""
        if self._path is not None:
            return f"unix:{self._path}"
        return f"{'https' if self._tls else 'http'}://{'localhost' if self._tls else self._host}:{self.port}"

    @property
    def serving(self) -> int:
        """Connections that are served just now."""
        return len(self._accepted)

    async def __aenter__(self) -> Self:
        await self.come_back()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()
        if self._failures:
            raise self._failures[0]

    async def come_back(self) -> None:
        """Listen, where it listened before."""
        self._accepted = Connections(self._serve)
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._accepted, self._path)
        else:
            self._server = await asyncio.start_server(self._accepted, self._host, self._port, ssl=self._tls)
            self._port = int(self._server.sockets[0].getsockname()[1])

    def stop_listening(self) -> None:
        """Take no new connection; those there are go on."""
        assert self._server is not None
        self._server.close()

    async def leave(self) -> None:
        """Listen no more, and cut every connection."""
        if self._server is None:
            return
        server, self._server = self._server, None
        await self._accepted.end(server)
        await server.wait_closed()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._script(Peer(self, reader, writer))
        except (asyncio.IncompleteReadError, OSError):
            pass  # the other side went away
        except Exception as failure:  # noqa: BLE001 - shown when the test leaves the upstream
            self._failures.append(failure)
        finally:
            writer.transport.abort()


class RecordingUpstream(ScriptedUpstream):
    """Answers every request with 200 and a JSON body."""

    def __init__(self, body: bytes = b'{"ok":true}', tls: ssl.SSLContext | None = None) -> None:
        super().__init__(answer(body, "200 OK", "Content-Type: application/json"), tls)


def _repeating(data: bytes) -> Callable[[Peer], Awaitable[None]]:
    async def play(peer: Peer) -> None:
        while True:
            received = await peer.request()
            await peer.send(data if received.method != "HEAD" else data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")

    return play
