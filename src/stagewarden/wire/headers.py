"""Reads header fields strictly, once, and says which of them go on. Must never repair, merge or guess a field.

Names and values here are text of printable ASCII (values also tab): whatever else arrives is refused, so that nothing later
can split a line or be read in two encodings.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from stagewarden.errors import Ambiguous, Refused
from stagewarden.wire import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.config import Limits
    from stagewarden.model import Document, Headers

_PART = "headers"
# An RFC 9110 token without `_`, which CGI and WSGI read as `-` (CVE-2025-64484); no obs-text (CVE-2026-73552), no control in a value.
_NAME = re.compile(rb"[!#$%&'*+\-.^`|~0-9A-Za-z]+")
_LINE = re.compile(_NAME.pattern + rb":[\t\x20-\x7e]*")
_BLOCK = re.compile(rb"(?:%b\r\n)*" % _LINE.pattern)
_FIELD = re.compile(r"([^:]+):[ \t]*([^\r]*)\r\n")  # in a block that matched: name, and value as far as the end of its line
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TAB_IN_FRAMING = re.compile(rb"(?:^|\n)(?:content-length|transfer-encoding):[^\r]*\t", re.IGNORECASE)
_LENGTH = re.compile(r"0|[1-9][0-9]{0,17}")

# Fields of which a second one would be read by somebody else than the first.
_SINGLETONS = frozenset(
    {
        "authorization", "content-encoding", "content-length", "content-location", "content-range", "content-type", "expect", "host",
        "idempotency-key", "if-match", "if-none-match", "if-unmodified-since", "proxy-authorization", "range", "stagewarden-asserts",
        "transfer-encoding", "user-agent",
    }
)  # fmt: skip
_REFUSED = frozenset({"upgrade", "http2-settings", "trailer"})
# The request line would not be the request any more (section 1b of the bypasses, rows 24 and 35).
_OVERRIDE = re.compile(r"\n((?:x-http-method|x-method-override|x-original-|x-rewrite-).*)")

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


class Preference(msgspec.Struct, frozen=True):
    """What `Prefer` asks of us (RFC 7240): seconds to wait, and whether 202 is welcome."""

    wait: float | None = None
    respond_async: bool = False


class Fields(msgspec.Struct, frozen=True):
    """Header fields in their order and case; `named` has the first value of each by lower-case name."""

    headers: Headers
    named: Mapping[str, str]


def read(block: bytes, limits: Limits, *, http10: bool = False) -> Fields:
    """The fields of a block of lines, each ended by CRLF. Raises Refused("headers_too_large", …) or Ambiguous, in numbered steps."""
    # (1) Not too many, not too large.
    if len(block) > limits.header_bytes or block.count(b"\r\n") > limits.headers:
        raise Refused("headers_too_large", f"more than {limits.headers} header fields or {limits.header_bytes} bytes")
    # (2) Every line is `name: value`, every byte one that all parsers read alike.
    if not _BLOCK.fullmatch(block):
        raise Ambiguous(_PART, _bad_line(block))
    # White space around a value is no part of it (RFC 9110 section 5.5): what is judged is what any upstream reads (GHSA-qc2q-p7wx-3px3).
    headers: Headers = tuple(_FIELD.findall(block.decode("ascii")))
    if b" \r" in block or b"\t\r" in block:
        headers = tuple([(name, value.rstrip(" \t")) for name, value in headers])
    if b"\t" in block and _TAB_IN_FRAMING.search(block):
        raise Ambiguous("framing", "a tab beside the length or the coding; parsers disagree on it")
    named = {name.lower(): value for name, value in reversed(headers)}
    # (3) Nothing twice of which only one can be meant.
    if len(named) != len(headers):
        _check_singletons(headers)
    # (4) Nothing that makes another request of this one.
    if not _REFUSED.isdisjoint(named):
        raise Ambiguous(_PART, f"{min(_REFUSED & named.keys())} is not accepted")
    if override := _OVERRIDE.search("\n" + "\n".join(named)):
        raise Ambiguous(_PART, f"{override[1]} would change the request judged")
    # (5) One length.
    _check_framing(named, http10=http10)
    # (6) `Connection` takes away nothing that matters.
    for name in _connection_names(headers) if "connection" in named else ():
        if name in _PROTECTED or name.startswith(_PROTECTED_PREFIXES):
            raise Ambiguous(_PART, f"Connection names {name}")
    return Fields(headers, named)


def _check_singletons(headers: Headers) -> None:
    keys = [name.lower() for name, _ in headers]
    if twice := [key for key in _SINGLETONS.intersection(keys) if keys.count(key) > 1]:
        raise Ambiguous(_PART, f"{min(twice)} stands twice")


def _check_framing(named: Mapping[str, str], *, http10: bool) -> None:
    if "transfer-encoding" in named:
        if "content-length" in named:
            raise Ambiguous("framing", "Content-Length and Transfer-Encoding")
        if http10 or named["transfer-encoding"] != "chunked":
            raise Ambiguous("framing", "Transfer-Encoding other than chunked")
    elif "content-length" in named and not _LENGTH.fullmatch(named["content-length"]):
        raise Ambiguous("framing", "Content-Length is not a decimal number")
    if "expect" in named and named["expect"].lower() != "100-continue":
        raise Ambiguous(_PART, "Expect other than 100-continue")


@lru_cache(maxsize=256)
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


def end_to_end(headers: Headers, credential_header: str, ours: frozenset[str] = frozenset()) -> Headers:
    """What goes on to the upstream (contract section 3, "Forwarded"), in order and as it came; `ours`: lower-case names that we set ourselves."""
    keys = [name.lower() for name, _ in headers]
    dropped = {credential_header.lower(), *ours}
    if "connection" in keys:
        dropped |= _connection_names(headers)
    return tuple([field for field, key in zip(headers, keys, strict=True) if key not in dropped and not withheld(key)])


@lru_cache(maxsize=512)
def withheld(key: str) -> bool:
    """Whether a field of this lower-case name never goes on; remembered, because clients send the same few names."""
    return key in _WITHHELD or key.startswith(_WITHHELD_PREFIXES)


def response(headers: Headers) -> Headers:
    """What of an upstream's answer goes on to the agent: all but hop-by-hop fields and those that only we may set.

    Total: the upstream has done its work, and what it says of its own connection is no reason to keep that from the agent.
    """
    kept = [field for field in headers if not _ends_here(field[0].lower())]
    if len(kept) == len(headers):
        return headers
    listed = ",".join([value for name, value in headers if name.lower() == "connection"]).lower()
    dropped = {name.strip(" \t") for name in listed.split(",")}
    return tuple([field for field in kept if field[0].lower() not in dropped])


@lru_cache(maxsize=512)
def _ends_here(key: str) -> bool:
    """Whether a field of an answer with this lower-case name is the hop's, or would speak in our name."""
    return key in _HOP_BY_HOP or key.startswith("stagewarden-")


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


def asserts(value: str | None, depth: int) -> Document:
    """What the agent says about its own output: a strict JSON object in `Stagewarden-Asserts`, empty without the field."""
    if value is None:
        return {}
    try:
        document = strict_json.loads(value.encode("ascii"), depth)
    except Ambiguous as refused:
        raise Ambiguous("Stagewarden-Asserts", refused.detail.removeprefix("body: ")) from None
    if not isinstance(document, dict):
        raise Ambiguous("Stagewarden-Asserts", "not a JSON object")
    return document


def _connection_names(headers: Headers) -> set[str]:
    """The names in `Connection`, lower case. Raises Ambiguous for what is not a list of tokens."""
    names: set[str] = set()
    for name, value in headers:
        if name.lower() == "connection":
            for item in value.split(","):
                option = item.strip(" \t")
                if not _TOKEN.fullmatch(option):
                    raise Ambiguous(_PART, "Connection is not a list of names")
                names.add(option.lower())
    return names - {"close", "keep-alive"}


def _bad_line(block: bytes) -> str:
    """Which line it is that is no field, and why; values are not repeated."""
    bad = next((line for line in block.split(b"\r\n")[:-1] if not _LINE.fullmatch(line)), b"")
    name, colon, _ = bad.partition(b":")
    if not colon:
        return "a line without a colon"
    if not _NAME.fullmatch(name):
        return f"{name[:40]!r} is not a header name{' (an underscore can pass for a hyphen)' if b'_' in name else ''}"
    return f"the value of {name[:40].decode('ascii')} has a control or non-ASCII byte"
