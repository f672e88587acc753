"""Reads header fields strictly, once, and says which of them go on. Must never repair, merge or guess a field.

Names and values here are text of printable ASCII (values also tab): whatever else arrives is refused, so that nothing later
can split a line or be read in two encodings.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.errors import Ambiguous, Refused
from stagewarden.wire import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagewarden.config import Limits
    from stagewarden.model import Document, Headers

_PART = "headers"
_NAMES = re.compile(rb"[!#$%&'*+\-.^`|~0-9A-Za-z\n]*")  # RFC 9110 token without `_`: CGI and WSGI read `_` as `-` (CVE-2025-64484)
_VALUES = re.compile(rb"[\t\n\x20-\x7e]*")  # no obs-text (CVE-2026-73552), no control
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LENGTH = re.compile(r"0|[1-9][0-9]{0,17}")

# Fields of which a second one would be read by somebody else than the first.
_SINGLETONS = frozenset(
    {
        "authorization", "content-encoding", "content-length", "content-location", "content-range", "content-type", "expect", "host", "if-match",
        "if-none-match", "if-unmodified-since", "proxy-authorization", "range", "stagewarden-asserts", "transfer-encoding", "user-agent",
    }
)  # fmt: skip
_REFUSED = frozenset({"upgrade", "http2-settings", "trailer"})
# The request line would not be the request any more (section 1b of the bypasses, rows 24 and 35).
_OVERRIDES = ("x-http-method", "x-method-override", "x-original-", "x-rewrite-")

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
# Never taken from an agent and never passed on: our framing, its credentials, and what the upstream might take for a proxy's word.
_WITHHELD = _HOP_BY_HOP | {
    "authorization", "cf-connecting-ip", "content-length", "cookie", "cookie2", "expect", "fastly-client-ip", "forwarded", "host", "http2-settings",
    "mcp-init-host", "prefer", "true-client-ip", "via", "x-client-ip", "x-cluster-client-ip", "x-host", "x-real-ip",
    "x-skipper-proxy", "x-upstream",
}  # fmt: skip
_WITHHELD_PREFIXES = (
    "client-cert", "proxy-", "remote-", "ssl-client-", "stagewarden-", "x-amzn-mtls-", "x-arr-clientcert", "x-auth-request-", "x-authenticated-",
    "x-client-cert", "x-envoy-", "x-forwarded", "x-middleware-", "x-remote-", "x-ssl-client-",  # client-cert: RFC 9440
)  # fmt: skip
# What `Connection` may not name: dropping it would change what the request means or who asks (CVE-2024-45410, CVE-2026-29054).
_PROTECTED = _WITHHELD - _HOP_BY_HOP | {"accept", "date", "origin", "transfer-encoding", "upgrade", "user-agent"}
_PROTECTED_PREFIXES = (*_WITHHELD_PREFIXES, "content-", "if-")


@dataclass(frozen=True, slots=True)
class Preference:
    """What `Prefer` asks of us (RFC 7240): seconds to wait, and whether 202 is welcome."""

    wait: float | None = None
    respond_async: bool = False


def check(raw: Iterable[tuple[bytes, bytes]], limits: Limits, *, http10: bool = False) -> Headers:
    """The fields in their order and case. Raises Refused("headers_too_large", …) or Ambiguous, in numbered steps."""
    fields = list(raw)
    # (1) Not too many, not too large; (2) every byte is one every parser reads alike.
    names, values = _text(fields, limits)
    keys = names.lower().split("\n") if fields else []
    present = set(keys)
    headers = tuple(zip(names.split("\n"), values.split("\n"), strict=True)) if fields else ()
    # (3) Nothing twice of which only one can be meant.
    if len(present) != len(keys) and (twice := [key for key in _SINGLETONS & present if keys.count(key) > 1]):
        raise Ambiguous(_PART, f"{min(twice)} stands twice")
    # (4) Nothing that makes another request of this one.
    if refused := _REFUSED & present:
        raise Ambiguous(_PART, f"{min(refused)} is not accepted")
    if override := next((key for key in keys if key.startswith(_OVERRIDES)), None):
        raise Ambiguous(_PART, f"{override} would change the request judged")
    # (5) One length.
    _check_framing(headers, present, http10=http10)
    # (6) `Connection` takes away nothing that matters.
    for name in _connection_names(headers) if "connection" in present else ():
        if name in _PROTECTED or name.startswith(_PROTECTED_PREFIXES):
            raise Ambiguous(_PART, f"Connection names {name}")
    return headers


def _text(fields: list[tuple[bytes, bytes]], limits: Limits) -> tuple[str, str]:
    """All names, then all values, as text, joined by a byte that neither may have: each is looked at in one go."""
    names, values = b"\n".join([name for name, _ in fields]), b"\n".join([value for _, value in fields])
    joints = max(len(fields) - 1, 0)
    # As on the wire, with `: ` and CRLF.
    if len(fields) > limits.headers or len(names) + len(values) + 2 * (len(fields) + 1) > limits.header_bytes:
        raise Refused("headers_too_large", f"more than {limits.headers} header fields or {limits.header_bytes} bytes")
    if not _NAMES.fullmatch(names) or names.count(b"\n") != joints or not all(name for name, _ in fields):
        raise Ambiguous(_PART, _bad_name(fields))
    if not _VALUES.fullmatch(values) or values.count(b"\n") != joints:
        raise Ambiguous(_PART, _bad_value(fields))
    return names.decode("ascii"), values.decode("ascii")


def _check_framing(headers: Headers, present: set[str], *, http10: bool) -> None:
    if "transfer-encoding" in present:
        if "content-length" in present:
            raise Ambiguous("framing", "Content-Length and Transfer-Encoding")
        if http10 or _value(headers, "transfer-encoding") != "chunked":
            raise Ambiguous("framing", "Transfer-Encoding other than chunked")
    elif "content-length" in present and not _LENGTH.fullmatch(_value(headers, "content-length")):
        raise Ambiguous("framing", "Content-Length is not a decimal number")
    if "expect" in present and _value(headers, "expect").lower() != "100-continue":
        raise Ambiguous(_PART, "Expect other than 100-continue")


def parse_host(value: str) -> str:
    """Host of `host[:port]`: lower case, without port; an IPv6 address in brackets, shortest form. Raises Ambiguous("host", …).

    A trailing dot is refused: the same machine under a second name is what allow-lists are passed by (CVE-2022-24825).
    """
    if value.startswith("["):
        inner, bracket, rest = value[1:].partition("]")
        try:
            host = f"[{ipaddress.IPv6Address(inner).compressed}]"
        except ValueError:
            raise Ambiguous("host", "no IPv6 address in the brackets") from None
        if not bracket or "%" in inner:
            raise Ambiguous("host", "no IPv6 address in the brackets")
    else:
        name, colon, port = value.partition(":")
        host, rest = name.lower(), colon + port
        if len(host) > _LONGEST_NAME or not _REG_NAME.fullmatch(host):
            raise Ambiguous("host", "not a host name or address")
    if rest and not (_PORT.fullmatch(rest) and int(rest[1:]) <= _LAST_PORT):
        raise Ambiguous("host", "not a port from 0 to 65535")
    return host


_LONGEST_NAME, _LAST_PORT = 253, 65535
# Labels as they are used, `_` for container networks included; percent-encoding and sub-delims of RFC 3986 have no use here.
_REG_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]*)(?:\.[a-z0-9_](?:[a-z0-9_-]*))*")
_PORT = re.compile(r":[0-9]{1,5}")


def end_to_end(headers: Headers, credential_header: str) -> Headers:
    """What goes on to the upstream (contract section 3, "Forwarded"), in order and as it came."""
    dropped = {credential_header.lower(), *_connection_names(headers)}
    return tuple(
        [
            field
            for field in headers
            if (key := field[0].lower()) not in _WITHHELD and key not in dropped and not key.startswith(_WITHHELD_PREFIXES)
        ]
    )  # fmt: skip


def response(headers: Headers) -> Headers:
    """What of an upstream's answer goes on to the agent: all but hop-by-hop fields and those that only we may set."""
    dropped = _connection_names(headers)
    return tuple(
        [field for field in headers if (key := field[0].lower()) not in _HOP_BY_HOP and key not in dropped and not key.startswith("stagewarden-")]
    )


def preference(headers: Headers) -> Preference:
    """`wait` and `respond-async` of every `Prefer` field; the first of each counts, what is not understood does not (RFC 7240 section 2)."""
    wait: float | None = None
    respond_async = False
    for name, value in headers:
        if name.lower() != "prefer":
            continue
        for item in value.split(","):
            token, _, given = item.partition(";")[0].partition("=")
            match token.strip().lower():
                case "respond-async" if not given.strip():
                    respond_async = True
                case "wait" if wait is None and _SECONDS.fullmatch(number := given.strip().strip('"')):
                    wait = float(number)
                case _:
                    pass
    return Preference(wait, respond_async)


_SECONDS = re.compile(r"[0-9]{1,9}")


def asserts(headers: Headers, depth: int) -> Document:
    """What the agent says about its own output: a strict JSON object in `Stagewarden-Asserts`, empty without the field."""
    value = next((value for name, value in headers if name.lower() == "stagewarden-asserts"), None)
    if value is None:
        return {}
    try:
        document = strict_json.loads(value.encode("ascii"), depth)
    except Ambiguous as refused:
        raise Ambiguous("Stagewarden-Asserts", refused.detail.removeprefix("body: ")) from None
    if not isinstance(document, dict):
        raise Ambiguous("Stagewarden-Asserts", "not a JSON object")
    return document


def _value(headers: Headers, key: str) -> str:
    return next(value for name, value in headers if name.lower() == key)


def _connection_names(headers: Headers) -> set[str]:
    """The names in `Connection`, lower case. Raises Ambiguous for what is not a list of tokens."""
    names: set[str] = set()
    for name, value in headers:
        if len(name) == len("connection") and name.lower() == "connection":
            for item in value.split(","):
                option = item.strip(" \t")
                if not _TOKEN.fullmatch(option):
                    raise Ambiguous(_PART, "Connection is not a list of names")
                names.add(option.lower())
    return names - {"close", "keep-alive"}


def _bad_name(fields: list[tuple[bytes, bytes]]) -> str:
    bad = next(name for name, _ in fields if not name or b"\n" in name or not _NAMES.fullmatch(name))
    return f"{bad[:40]!r} is not a header name{' (an underscore can pass for a hyphen)' if b'_' in bad else ''}"


def _bad_value(fields: list[tuple[bytes, bytes]]) -> str:
    bad = next(name for name, value in fields if b"\n" in value or not _VALUES.fullmatch(value))
    return f"the value of {bad[:40].decode('ascii')} has a control or non-ASCII byte"
