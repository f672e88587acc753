"""A request and the asset before it as named texts. Read for display only: what is judged and sent are the bytes.

Must never let one value stand for another: a name that could be read as a path is quoted, names that come twice both stand there,
and what two readers could read differently is no field but text, whole.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import orjson
from msgspec.structs import replace

from stagewarden.errors import Ambiguous
from stagewarden.web.console.exact import size
from stagewarden.wire import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.model import JSON, Document, Request

_DEPTH = 64  # objects inside each other that are read as fields
_LONGEST_NAME = 240  # characters of a path; a longer one ends with its digest, so that no two are the same
_ROW = 3  # a list up to this long reads better on one line

Named = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A field before and after. `place`: where it stands, as the preview's address says it: `f12`, or `a3` for one of the asset."""

    name: str
    before: str | None
    after: str
    place: str

    @property
    def differs(self) -> bool:
        """Whether it is new or another."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Compared:
    """`known`: something before is known; `pairs` in the order they are sent; `rest`: what stands before and the request does not name."""

    known: bool
    pairs: list[Pair]
    rest: list[Pair]


def compared(request: Request, before: bytes | None, said: JSON = None, *, body_only: bool = False) -> Compared:
    """The request beside the asset, or with `body_only` beside another body."""
    asset = document(before) if before is not None else None
    old = [] if asset is None else leaves(asset)
    known = dict(old)
    named = sent(replace(request, target="") if body_only else request, said)
    pairs = [Pair(name, _earlier(known, name), after, f"f{at}") for at, (name, after) in enumerate(named)]
    roots = {_root(name) for name, _ in named}
    rest = [Pair(name, None, value, f"a{at}") for at, (name, value) in enumerate(old) if _root(name) not in roots]
    return Compared(asset is not None, pairs, rest)


def sent(request: Request, said: JSON = None) -> Named:
    """Query and body as names and texts, in the order they are sent."""
    query = request.target.partition("?")[2]
    named = [(f"?{name}", value) for name, value in parse_qsl(query, keep_blank_values=True)]
    kind = next((value for name, value in request.headers if name.lower() == "content-type"), "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data" and isinstance(said, dict):
        return [*named, *_parts(said)]
    if not isinstance(request.body, bytes):
        return [*named, ("body", f"{kind}, {size(request.body.size)}, {request.body.digest}")]
    body = _form(request.body) if kind == "application/x-www-form-urlencoded" else _strict(request.body)
    if body is not None:
        return [*named, *body]
    text = _text(request.body)
    if text is None:
        digest = hashlib.sha256(request.body).hexdigest()
        return [*named, ("body", f"{kind or 'no type'}, {size(len(request.body))} that are not text, sha256:{digest}")]
    return [*named, ("body", text)] if text else named


def document(body: bytes) -> dict[str, JSON] | None:
    """The JSON object an upstream gave, or None."""
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return read if isinstance(read, dict) else None


def leaves(document: dict[str, JSON]) -> Named:
    """Dotted names to texts; a list is one field, as JSON, and so is what lies deeper than it is read."""
    return [*_leaves(document, "", _DEPTH)]


def _leaves(document: dict[str, JSON], prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    for token, value in document.items():
        name = _path(prefix, token)
        if isinstance(value, dict) and value and depth:
            yield from _leaves(value, name, depth - 1)
        elif isinstance(value, str):
            yield name, value
        else:
            yield name, _written(value)


def _path(prefix: str, token: str) -> str:
    """A token that holds a dot, a quotation mark or a question mark is quoted: `"a.b"` is one name, `a.b` a path."""
    plain = token and not {".", '"', "?"} & set(token[:_LONGEST_NAME]) and len(token) <= _LONGEST_NAME
    written = token if plain else json.dumps(token, ensure_ascii=False)
    path = f"{prefix}.{written}" if prefix else written
    if len(path) <= _LONGEST_NAME:
        return path
    return f"{path[: _LONGEST_NAME // 2]}… ({len(path):,} characters, {hashlib.sha256(path.encode(errors='surrogatepass')).hexdigest()[:16]})"


def _root(name: str) -> str:
    """The first token of a path, quoted or not."""
    if not name.startswith('"'):
        return name.partition(".")[0]
    end = name.find('".', 1)
    return name if end < 0 else name[: end + 1]


def _written(value: JSON) -> str:
    """As JSON; what the writer takes for too deep is shown by the exact bytes alone."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, list) and len(value) > _ROW else None)
    except RecursionError:
        return "(too many lists and objects inside each other: see the exact bytes)"


def _earlier(old: dict[str, str], name: str) -> str | None:
    """The asset's value; a field that answers as {raw, rendered} is compared with what was written, then with what is shown."""
    return next((old[key] for key in (name, f"{name}.raw", f"{name}.rendered") if key in old), None)


def _parts(said: Document) -> Named:
    """Fields as they are, files by name, type, size and digest; `wire.multipart` has counted and hashed them."""
    texts, parts = said.get("fields"), said.get("parts")
    named = {name: str(value) for name, value in texts.items()} if isinstance(texts, dict) else {}
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and part.get("filename") is not None:
            shown = f"{part['filename']}, {part['type']}, {size(int(str(part['size'])))}, {part['digest']}"
            name = str(part["name"])
            named[name] = f"{named[name]}\n{shown}" if name in named else shown
    return [*named.items()]


def _form(body: bytes) -> Named | None:
    text = _text(body)
    return None if text is None else parse_qsl(text, keep_blank_values=True)


def _strict(body: bytes) -> Named | None:
    """The members of a JSON object that every reader reads alike; a name twice or a number some readers round makes it text."""
    try:
        read = strict_json.loads(body, _DEPTH)
    except Ambiguous:
        return None
    return leaves(read) if isinstance(read, dict) else None


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
