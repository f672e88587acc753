"""A real OPA server for a test, on a unix socket or on loopback TCP, with a bundle; it can be stopped and started again."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.needs import needs
from tests.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

READY = 30.0  # seconds OPA may take to listen on a loaded machine
_AUTHORIZATION = """package system.authz

default allow := false

allow if input.identity == "{token}"

allow if input.path == ["health"]
"""


@dataclass
class OpaServer:
    """`url` as in `policy.opa.url`. A token makes OPA refuse whoever does not show it."""

    folder: Path
    bundle: Path | None
    tcp: bool = False
    token: str | None = None
    _port: int = 0
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}" if self.tcp else f"unix:{self.folder / 'opa.sock'}"

    async def start(self) -> None:
        """Start, and wait until it is healthy."""
        if self.tcp and not self._port:
            (self._port,) = free_ports(1)
        address = f"127.0.0.1:{self._port}" if self.tcp else f"unix://{self.folder / 'opa.sock'}"
        arguments = ["run", "--server", "--addr", address, "--log-level", "error", "--skip-version-check"]
        if self.token is not None:
            rules = self.folder / "authz.rego"
            rules.write_text(_AUTHORIZATION.format(token=self.token))
            arguments += ["--authentication", "token", "--authorization", "basic", str(rules)]
        if self.bundle is not None and self.tcp:  # as a deployment does: a file beside it may hold the server's own authorization
            arguments += ["--set", f"bundles.stagewarden.resource=file://{self.bundle}"]
        elif self.bundle is not None:
            arguments += ["--bundle", str(self.bundle)]
        self._process = await asyncio.create_subprocess_exec(needs("opa"), *arguments, stdin=asyncio.subprocess.DEVNULL)
        async with asyncio.timeout(READY):
            while not await self._listens():
                assert self._process.returncode is None, "OPA ended at start"
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Kill it: nothing is answered any more."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        (self.folder / "opa.sock").unlink(missing_ok=True)

    async def _listens(self) -> bool:
        """Whether it is healthy, its bundle loaded."""
        try:
            if self.tcp:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            else:
                reader, writer = await asyncio.open_unix_connection(self.folder / "opa.sock")
        except OSError:
            return False
        answered = b""
        with contextlib.suppress(OSError):
            try:
                writer.write(b"GET /health?bundles HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answered = await reader.readline()
            finally:
                writer.close()
                await writer.wait_closed()
        return b" 200 " in answered


@contextlib.asynccontextmanager
async def opa_server(folder: Path, bundle: Path | None, *, tcp: bool = False, token: str | None = None) -> AsyncIterator[OpaServer]:
    """A running server; killed at the end."""
    server = OpaServer(folder, bundle, tcp, token)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
