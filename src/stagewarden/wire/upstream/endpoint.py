"""Where an upstream is, and the request head as it is written there. Must never copy framing from anybody: it is ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec

from stagewarden.errors import Ambiguous, CannotTell
from stagewarden.wire.headers import parse_host

if TYPE_CHECKING:
    from stagewarden.model import Headers

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LENGTH_EXPECTED = frozenset({"POST", "PUT", "PATCH"})  # RFC 9110 section 8.6: sent even for an empty body
_OURS = re.compile(r"\n(connection|content-length|host|transfer-encoding):", re.IGNORECASE)


class Endpoint(msgspec.Struct, frozen=True):
    """An upstream's address as configured. `host` has no brackets; `authority` is the Host field, without a default port.

    `ca` is PEM: the certificates whose word counts for this upstream; None: the system's.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    authority: str
    ca: str | None = None

    def __repr__(self) -> str:
        """Without the authorities: nobody reads pages of PEM."""
        return f"Endpoint({self.scheme}://{self.host}:{self.port})"


def endpoint(url: str, ca: str | None = None) -> Endpoint:
    """Of `http(s)://host[:port]`, an ending `/` allowed, and its authorities. Raises ValueError for anything more: the target is the request's."""
    scheme, mark, rest = url.partition("://")
    authority = rest.removesuffix("/")
    if not mark or scheme not in _DEFAULT_PORTS:
        raise ValueError(f"{url!a} is not an http:// or https:// URL")
    try:
        host = parse_host(authority)
    except Ambiguous as refused:
        raise ValueError(f"{url!a} is not scheme://host[:port] ({refused.detail})") from None
    _, colon, digits = authority.rpartition("]")[2].partition(":")
    port = int(digits) if colon else _DEFAULT_PORTS[scheme]
    if port == 0:
        raise ValueError(f"{url!a} names port 0")
    shown = host if port == _DEFAULT_PORTS[scheme] else f"{host}:{port}"
    return Endpoint("https" if scheme == "https" else "http", host.strip("[]"), port, shown, ca)


def serialize(method: str, target: str, authority: str, headers: Headers, body_length: int) -> bytes:
    """The head of one HTTP/1.1 request, headers in the given order, framed by us. Raises CannotTell for what would break a line."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if ours := _OURS.search("\n" + lines):
        raise CannotTell(f"a header that is ours to set: {ours[1].lower()}")
    length = f"Content-Length: {body_length}\r\n" if body_length or method in _LENGTH_EXPECTED else ""
    text = f"{method} {target} HTTP/1.1\r\nHost: {authority}\r\n{lines}{length}\r\n"
    # A credential is a file's content: what it holds must not become another line (CVE-2023-49081 and kin).
    most = len(headers) + 3 + bool(length)
    if text.count("\n") != most or text.count("\r") != most or "\0" in text or not text.isascii():
        raise CannotTell("a header to be sent has a line break or a byte that is not ASCII")
    return text.encode("ascii")
