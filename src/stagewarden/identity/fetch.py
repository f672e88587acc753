"""One bounded request to an issuer: its key set or metadata (GET), a code for tokens (POST). Not for agents' requests, which go through wire/ alone.

Follows no redirect, reads no proxy variable, keeps no cookie, and speaks http to loopback only.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import aiohttp

from stagewarden.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

Fetch: TypeAlias = "Callable[[str], Awaitable[bytes]]"
Post: TypeAlias = "Callable[[str, Mapping[str, str], Mapping[str, str]], Awaitable[tuple[int, bytes]]]"

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
    status, body = await _exchange("GET", url, {}, None)
    if status != _OK:
        raise CannotTell(f"the issuer's address answered {status}")
    return body


async def post(url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, bytes]:
    """A form sent once, never again: status and body, of at most 256 KiB. CannotTell without an answer."""
    return await _exchange("POST", url, headers, fields)


async def _exchange(method: str, url: str, headers: Mapping[str, str], fields: Mapping[str, str] | None) -> tuple[int, bytes]:
    problem = url_problem(url)
    if problem is not None:
        raise CannotTell(f"the issuer's address {problem}")
    sent = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session,
            session.request(method, url, allow_redirects=False, headers=sent, data=fields) as reply,
        ):
            body = bytearray()
            async for chunk in reply.content.iter_any():
                body += chunk
                if len(body) > MAX_REPLY:
                    raise CannotTell("the issuer's address sent too much")
            return reply.status, bytes(body)
    except (aiohttp.ClientError, OSError, TimeoutError):
        raise CannotTell("the issuer's address did not answer") from None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
