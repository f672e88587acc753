"""Reads a request target once, strictly. Must never normalize: what is not already unambiguous is refused.

The raw bytes are what is judged, shown, logged and sent (design rule 1). A target is origin-form (RFC 9112 section 3.2.1)
and nothing else. One trailing slash is fine and means itself: `/posts/` has the segments `posts` and an empty one, so the
template `/posts` does not match it. Every other empty segment is refused.
"""

from __future__ import annotations

import re

from stagewarden.errors import Ambiguous, Refused
from stagewarden.model import Target
from stagewarden.wire.percent import decode, decode_component

_PART = "target"
_ILLEGAL = re.compile(rb"[^\x21-\x7e]")
# RFC 3986 pchar and `/`; a browser's `|`, `"`, `<`, `>`, `^`, `{`, `}` and backquote are not in it and every parser mends them its own way.
_NOT_PATH = re.compile(rb"[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]")
_NOT_QUERY = re.compile(rb"[^A-Za-z0-9\-._~!$&'()*+,=:@/%?|\[\]]")
# Octets that must not be smuggled past the split into segments: / \ NUL ;
_SMUGGLED = re.compile(rb"%(?:2f|5c|00|3b)", re.IGNORECASE)
# In what was decoded once: something a second decoding would change, however the first one was written (%252f, %25%32%66).
_ENCODED_AGAIN = re.compile(r"%(?:[0-9a-f]{2}|u[0-9a-f]{4})", re.IGNORECASE)


# Segments that begin with a letter or digit and hold nothing that anybody decodes, cuts or mends: the long way would refuse nothing in it.
_PLAIN = re.compile(rb"(?:/[A-Za-z0-9][A-Za-z0-9._~-]*)+/?")


def parse_target(raw: bytes, limit: int) -> Target:
    """The target. Raises Refused("target_too_long", …) or Ambiguous("target" | "query", why)."""
    if len(raw) > limit:
        raise Refused("target_too_long", f"the target is over {limit} bytes")
    if _PLAIN.fullmatch(raw):
        text = raw.decode("ascii")
        return Target(text, text, tuple(text[1:].split("/")), ())
    return _read(raw)


def _read(raw: bytes) -> Target:
    # (1) Bytes no target may have, wherever they stand.
    if _ILLEGAL.search(raw):
        raise Ambiguous(_PART, "a space, control or non-ASCII byte")
    if b"#" in raw:
        raise Ambiguous(_PART, "a fragment never reaches a server")  # CVE-2021-32779
    if b"\\" in raw:
        raise Ambiguous(_PART, "a backslash; some servers read it as /")  # CVE-2021-29492
    # (2) Origin-form: `http://…`, `host:port` and `*` begin otherwise.
    if not raw.startswith(b"/"):
        raise Ambiguous(_PART, "a target begins with /")
    # (3) Path and query are apart for good: nothing in the query can match a path rule (CVE-2025-54576).
    path, mark, query = raw.partition(b"?")
    segments = _segments(path)
    return Target(raw.decode("ascii"), path.decode("ascii"), segments, _query(query) if mark else ())


def _segments(path: bytes) -> tuple[str, ...]:
    if bad := _NOT_PATH.search(path):
        raise Ambiguous(_PART, f"{bad[0].decode('ascii')!a} has to be percent-encoded in a path")
    if b"//" in path:
        raise Ambiguous(_PART, "an empty segment")  # CVE-2026-26205: never an authority
    if b";" in path:
        raise Ambiguous(_PART, "; in a segment; some servers cut there")  # CVE-2026-73553
    if smuggled := _SMUGGLED.search(path):
        raise Ambiguous(_PART, f"{smuggled[0].decode('ascii')} in a path; an encoded separator")
    segments = tuple([decode(segment, _PART) for segment in path[1:].split(b"/")])
    if b"%25" in path and any(_ENCODED_AGAIN.search(segment) for segment in segments):
        raise Ambiguous(_PART, "a second encoding in a path")  # CVE-2025-66490 and kin: one decoder more, another path
    if "." in segments or ".." in segments:
        raise Ambiguous(_PART, "a dot segment")  # CVE-2026-33494, also written %2e
    return segments


def _query(query: bytes) -> tuple[tuple[str, str], ...]:
    """Decoded pairs in order. `?` without anything after it has none; a name without `=` has the empty value."""
    if bad := _NOT_QUERY.search(query):
        raise Ambiguous("query", f"{bad[0].decode('ascii')!a} has to be percent-encoded in a query")
    if not query:
        return ()
    pairs: dict[str, str] = {}
    for part in query.split(b"&"):
        raw_name, _, raw_value = part.partition(b"=")
        name = decode_component(raw_name, "query")
        if not name:
            raise Ambiguous("query", "a parameter without a name")
        if name in pairs:
            raise Ambiguous("query", f"the parameter {name!a} stands twice")
        pairs[name] = decode_component(raw_value, "query")
    return tuple(pairs.items())
