"""What a held request would change: its fields against the asset as it stood when asked (C2.3).

Changed fields come first, unchanged ones fold with their names. Everything is computed from the stored bytes, never from what
the agent says about them; a body that is not understood is shown as text, whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import orjson
from msgspec.structs import replace

from stagewarden.web.console import found, lines
from stagewarden.web.console.exact import Run, reveal, size

if TYPE_CHECKING:
    from stagewarden.model import JSON, Document, Request

_LONG = 160  # characters from which a text is compared line by line
FIELDS = 300  # fields in the table; the rest is said to stand in the exact request


@dataclass(frozen=True, slots=True)
class Field:
    """One field before and after; `before` None: it was not there, or nothing before is known."""

    name: tuple[Run, ...]
    before: tuple[Run, ...] | None
    after: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A long text of one field."""

    name: tuple[Run, ...]
    lines: lines.Comparison
    found: found.Found


@dataclass(frozen=True, slots=True)
class Changes:
    """All of it. `known`: an earlier version is known; `asset`: what stands at the upstream and the request does not name.

    Where the request carries no content (publish by id), `asset` is the content it is about.
    """

    known: bool
    changed: tuple[Field, ...]
    same: tuple[Field, ...]
    asset: tuple[Text, ...]
    texts: tuple[Text, ...]
    more: int
    found: found.Found

    @property
    def empty(self) -> bool:
        """The request itself carries no field and no text."""
        return not (self.changed or self.same or self.texts)


def described(question: Document) -> JSON:
    """The body as it was described to the policy: all that is known of a body too large for memory, or of one in parts."""
    request = question.get("request")
    return request.get("body") if isinstance(request, dict) else None


def title(request: Request, before: bytes | None = None, said: JSON = None) -> str | None:
    """What the thing is called: the first of the usual names that holds a text, in the request, else in the asset."""
    asset = _object(before) if before is not None else None
    return _called(_fields(request, said)) or (None if asset is None else _called(_leaves(asset)))


def _called(fields: dict[str, str]) -> str | None:
    names = ("title", "subject", "headline", "name", "title.raw", "title.rendered", "subject_line", "settings.subject_line", "message", "text")
    return next((value for name in names if (value := fields.get(name, "").strip())), None)


def changes(request: Request, before: bytes | None, said: JSON = None, *, body_only: bool = False) -> Changes:
    """Compare the request's fields with what was before: the asset, or with `body_only` another body; `said`: as described to the policy."""
    asset = _object(before) if before is not None else None
    old = {} if asset is None else _leaves(asset)
    changed: list[Field] = []
    same: list[Field] = []
    texts: list[Text] = []
    fields = _fields(replace(request, target="") if body_only else request, said)
    for name, after in fields.items():
        earlier = _earlier(old, name)
        if earlier == after:
            same.append(Field(reveal(name), reveal(earlier), reveal(after)))
        elif len(after) > _LONG or len(earlier or "") > _LONG or "\n" in after:
            texts.append(Text(reveal(name), lines.compare(earlier, after), found.look([after])))
        else:
            changed.append(_field(name, earlier, after))
    sent = {name.partition(".")[0] for name in fields}
    rest = {name: value for name, value in old.items() if name.partition(".")[0] not in sent}
    standing = tuple(Text(reveal(name), lines.compare(None, value), found.look([value])) for name, value in list(rest.items())[:FIELDS])
    more = sum(max(0, len(each) - FIELDS) for each in (changed, same, rest))
    return Changes(asset is not None, tuple(changed[:FIELDS]), tuple(same[:FIELDS]), standing, tuple(texts), more, found.look(fields.values()))


def _field(name: str, before: str | None, after: str) -> Field:
    if before is None:
        return Field(reveal(name), None, reveal(after))
    left, right = lines.words(before, after)
    return Field(reveal(name), left, right)


def _earlier(old: dict[str, str], name: str) -> str | None:
    """The asset's value; a field that answers as {raw, rendered} is compared with what was written, then with what is shown."""
    return next((old[key] for key in (name, f"{name}.raw", f"{name}.rendered") if key in old), None)


def _fields(request: Request, said: JSON) -> dict[str, str]:
    """Query and body as names and texts, in the order they are sent."""
    query = request.target.partition("?")[2]
    fields = {f"?{name}": value for name, value in parse_qsl(query, keep_blank_values=True)}
    kind = next((value for name, value in request.headers if name.lower() == "content-type"), "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data" and isinstance(said, dict):
        return fields | _parts(said)
    if not isinstance(request.body, bytes):
        return fields | {"body": f"{kind}, {size(request.body.size)}, {request.body.digest}"}
    body = _form(request.body) if kind == "application/x-www-form-urlencoded" else _object(request.body)
    if body is not None:
        return fields | _leaves(body)
    text = _text(request.body)
    return fields | {"body": text} if text else fields


def _parts(said: Document) -> dict[str, str]:
    """Fields as they are, files by name, type, size and digest; `wire.multipart` has counted and hashed them."""
    texts, parts = said.get("fields"), said.get("parts")
    fields = {name: str(value) for name, value in texts.items()} if isinstance(texts, dict) else {}
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and part.get("filename") is not None:
            shown = f"{part['filename']}, {part['type']}, {size(int(str(part['size'])))}, {part['digest']}"
            name = str(part["name"])
            fields[name] = f"{fields[name]}\n{shown}" if name in fields else shown
    return fields


def _form(body: bytes) -> dict[str, JSON] | None:
    text = _text(body)
    return None if text is None else dict(parse_qsl(text, keep_blank_values=True))


def _object(body: bytes) -> dict[str, JSON] | None:
    """The JSON object, or None. Read for display only; what is judged and sent are the bytes."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _leaves(document: dict[str, JSON], prefix: str = "") -> dict[str, str]:
    """Dotted names to texts; a list is one field, as JSON."""
    leaves: dict[str, str] = {}
    for name, value in document.items():
        if isinstance(value, dict) and value:
            leaves |= _leaves(value, f"{prefix}{name}.")
        elif isinstance(value, str):
            leaves[f"{prefix}{name}"] = value
        else:
            leaves[f"{prefix}{name}"] = json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, list) and len(value) > 3 else None)  # noqa: PLR2004  # a short list reads better on one line
    return leaves
