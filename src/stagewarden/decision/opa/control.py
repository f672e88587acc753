"""Control of an OPA server: health, the registry pushed as data, its revision read back. Through opa-python-client.

Never on the way of a request: questions go over connection.py. Retries nothing; whoever calls decides when to try again.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import aiohttp
from opa_client.errors import ConnectionsError, PolicyNotFoundError, RegoParseError
from opa_client.opa_async import AsyncOpaClient

from stagewarden.errors import PolicyUnavailable

if TYPE_CHECKING:
    from stagewarden.decision.opa.connection import Address
    from stagewarden.model import Document

DEADLINE = 10.0  # seconds for one act of control; a large registry takes a moment
_FAILURES = (aiohttp.ClientError, ConnectionsError, PolicyNotFoundError, RegoParseError, TimeoutError, OSError, ValueError)


class _Client(AsyncOpaClient):  # type: ignore[misc]  # opa-python-client has no types
    """The client over our own connector: a unix socket where OPA has one, no proxies, no retries."""

    def __init__(self, address: Address, token: str | None) -> None:
        super().__init__(host=address.host, port=address.port or 80, ssl=address.tls, token=token, retries=0, timeout=DEADLINE)
        self._address = address

    async def _init_session(self) -> None:
        address = self._address
        context = ssl.create_default_context() if address.tls else False
        connector = aiohttp.UnixConnector(address.socket) if address.socket is not None else aiohttp.TCPConnector(ssl=context)
        self._session = aiohttp.ClientSession(
            headers=self.headers, connector=connector, timeout=aiohttp.ClientTimeout(total=DEADLINE), trust_env=False, auto_decompress=False
        )


class Overtaken(PolicyUnavailable):
    """Somebody else pushed at the same moment: a worker that found OPA behind what the worker itself knows, say."""


class Control:
    """One OPA server's control plane."""

    def __init__(self, address: Address, token: str | None) -> None:
        self._address = address
        self._token = token
        self._one = asyncio.Lock()  # pushes never overtake each other

    async def healthy(self) -> bool:
        """Whether OPA says so itself."""
        async with _Client(self._address, self._token) as client:
            answer: bool = await client.check_health()
        return answer

    async def push(self, registry: Document) -> None:
        """Make this `data.registry`, and see that it is; raises PolicyUnavailable."""
        try:
            async with self._one, _Client(self._address, self._token) as client:
                await client.update_or_create_data(registry, "registry")
                held = await client.get_data("registry/revision")
        except _FAILURES as error:
            raise PolicyUnavailable(f"OPA does not take the registry: {type(error).__name__}: {error}") from None
        if held.get("result") != registry.get("revision"):
            raise Overtaken("OPA holds another registry than the one it was given")
