"""Fetches an issuer's key set: one bounded GET. Not for agents' requests, which go through wire/ alone.

Follows no redirect, reads no proxy variable, keeps no cookie, and speaks http to loopback only.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import aiohttp

from stagewarden.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Fetch: TypeAlias = "Callable[[str], Awaitable[bytes]]"

MAX_REPLY = 256 << 10
_SECONDS = 5.0
_OK = 200


def url_problem(url: str) -> str | None:
    """Why this URL must not be fetched; None where it may."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if not host or parts.username is not None or parts.fragment:
        return "is not a plain URL with a host"
    if parts.scheme == "https" or (parts.scheme == "http" and _loopback(host)):
        return None
    return "is neither https nor http on loopback"


async def fetch(url: str) -> bytes:
    """The body of a 200 reply of at most 256 KiB; CannotTell for anything else."""
    problem = url_problem(url)
    if problem is not None:
        raise CannotTell(f"the address of the keys {problem}")
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session,
            session.get(url, allow_redirects=False, headers={"Accept": "application/json", "Accept-Encoding": "identity"}) as reply,
        ):
            if reply.status != _OK:
                raise CannotTell(f"the keys' address answered {reply.status}")
            body = bytearray()
            async for chunk in reply.content.iter_any():
                body += chunk
                if len(body) > MAX_REPLY:
                    raise CannotTell("the keys' address sent too much")
            return bytes(body)
    except (aiohttp.ClientError, OSError, TimeoutError):
        raise CannotTell("the keys' address did not answer") from None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
