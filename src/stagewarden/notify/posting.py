"""One bounded POST to a receiver. Follows no redirect, reads no proxy variable, keeps no cookie and no connection, and drops the answer unread.

The name is resolved once and judged by wire's rule; the address judged is the one connected to, so that no name leads to instance metadata.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from stagewarden.errors import UpstreamUnavailable
from stagewarden.wire.upstream.addresses import resolve, why_not

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_HEADER = 16 << 10  # bytes of one line or field of an answer


@dataclass(frozen=True, slots=True)
class Reply:
    """All that is read of an answer."""

    status: int
    retry_after: str | None


class Unreachable(Exception):
    """No answer; `code` says why, in a word."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Poster:
    """Posts to one URL; `context` None: plain http, which the configuration allows to this machine only."""

    def __init__(self, url: str, context: ssl.SSLContext | None, seconds: float) -> None:
        self._url = url
        self._context = context
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._literal = _literal(url)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send it once; Unreachable without an answer in time."""
        if self._literal is not None and why_not(self._literal) is not None:
            raise Unreachable("address_refused")
        connector = aiohttp.TCPConnector(resolver=_Judged(), ssl=self._context or True, force_close=True, use_dns_cache=False)
        plain = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "stagewarden"}
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=self._timeout,
                    trust_env=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                    max_line_size=_HEADER,
                    max_field_size=_HEADER,
                ) as session,
                session.post(self._url, data=body, headers={**plain, **headers}, allow_redirects=False) as reply,
            ):
                told = Reply(reply.status, reply.headers.get("Retry-After"))
                reply.close()  # whatever else it says
                return told
        except UpstreamUnavailable:  # the name does not resolve, or leads where nobody may go: it is judged anew at each attempt
            raise Unreachable("no_address") from None
        except TimeoutError:
            raise Unreachable("timeout") from None
        except (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch):
            raise Unreachable("tls") from None
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError, ConnectionError):
            raise Unreachable("no_connection") from None
        except (aiohttp.ClientError, ValueError, OSError):
            raise Unreachable("no_answer") from None


class _Judged(AbstractResolver):
    """A name's addresses, or none where one of them must not be connected to."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:  # noqa: ARG002
        """Every address; `family` is the library's wish, and ours is both. Raises UpstreamUnavailable."""
        found = await resolve(host, port)
        return [
            ResolveResult(hostname=host, host=str(each.sockaddr[0]), port=port, family=each.family, proto=0, flags=socket.AI_NUMERICHOST)
            for each in found
        ]

    async def close(self) -> None:
        """Nothing to close."""


def _literal(url: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address((urlsplit(url).hostname or "").partition("%")[0])
    except ValueError:
        return None
