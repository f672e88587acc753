"""Reads `multipart/form-data` so that no two parsers can find other parts in it: refused, never repaired.

It is read in pieces and held nowhere: what is kept of a file is its name, type, size and digest. Must never take for content
what somebody else could take for a boundary: the boundary's text stands nowhere but at boundaries.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING

import msgspec

from stagewarden.errors import Ambiguous, Refused
from stagewarden.wire import form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stagewarden.model import Document

MOST_PARTS = 100
MOST_HEAD = 4 << 10  # bytes of one part's header lines
LONGEST_NAME = 255  # characters of a part's or a file's name

# RFC 2046 section 5.1.1, without the space; a quoted string has no escapes here.
_BOUNDARY = re.compile(r"multipart/form-data *; *boundary=(?:\"([0-9A-Za-z'()+_,./:=?-]{1,70})\"|([0-9A-Za-z'+_.-]{1,70}))", re.IGNORECASE)
_DISPOSITION = re.compile(r'form-data; *name="([^"\\]*)"(?:; *filename="([^"\\]*)")?')
_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+)(?: *; *charset=\"?(?:utf-8|us-ascii)\"?)?", re.IGNORECASE)
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")  # `%22`, `%2F`: some readers decode it, others do not
_PLAIN = "text/plain"  # RFC 7578 section 4.4: of a part that says nothing


class Part(msgspec.Struct, frozen=True):
    """One part: a field where `filename` is None, else a file. `digest` is the SHA-256 of its content."""

    name: str
    filename: str | None
    type: str
    size: int
    digest: str


class Form(msgspec.Struct, frozen=True):
    """The parts in order, and the text of every field."""

    parts: tuple[Part, ...]
    fields: dict[str, str]

    def document(self) -> Document:
        """As the policy sees it."""
        listed: list[Document] = [
            {"name": part.name, "filename": part.filename, "type": part.type, "size": part.size, "digest": part.digest} for part in self.parts
        ]
        return {"fields": dict(self.fields), "parts": [*listed]}


class Taken(msgspec.Struct, frozen=True):
    """What a route takes: the media types of files, the names that may come more than once, and the bytes of all fields together."""

    types: frozenset[str]
    several: frozenset[str]
    text: int


def boundary(content_type: str) -> bytes:
    """The one boundary of `multipart/form-data`. Raises Refused for another type, Ambiguous for a boundary read in two ways."""
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise Refused("unsupported_body", "this route takes multipart/form-data")
    found = _BOUNDARY.fullmatch(content_type.strip())
    if found is None:
        raise Ambiguous("Content-Type", "not multipart/form-data with one boundary and nothing else")
    return (found[1] or found[2]).encode("ascii")


def read(blocks: Iterable[bytes], mark: bytes, taken: Taken) -> Form:
    """The form, in numbered steps. Raises Ambiguous, or Refused for what the route does not take."""
    source = _Source(blocks, b"--" + mark)
    parts: list[Part] = []
    fields: dict[str, str] = {}
    text = taken.text
    # (1) It begins with a boundary: what stands before the first is read by nobody, or by somebody.
    source.begin()
    # (2) Each boundary line ends at once, with CRLF before a part, with `--` after the last.
    while not source.ended():
        if len(parts) == MOST_PARTS:
            raise Ambiguous("body", f"more than {MOST_PARTS} parts")
        name, filename, media = _head(source.head())
        # (3) A name once: somebody takes the first of two, somebody the last.
        if any(part.name == name for part in parts) and (filename is None or name in fields or name not in taken.several):
            raise Ambiguous("body", f"the part {name!a} stands twice")
        # (4) A file is of a type the route takes; whatever is no file is text, read whole.
        if filename is not None and media not in taken.types:
            raise Refused("unsupported_body", f"this route takes no file of type {media[:64]}")
        part, value = _content(source.content(), (name, filename, media), text)
        parts.append(part)
        if filename is None:
            fields[name] = _text(value, media)
            text -= part.size
    return Form(tuple(parts), fields)


def _content(pieces: Iterator[bytes], said: tuple[str, str | None, str], room: int) -> tuple[Part, bytes]:
    """The part, and its content where it is a field."""
    name, filename, media = said
    hashed = hashlib.sha256()
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        hashed.update(piece)
        if filename is None:
            if size > room:
                raise Refused("body_too_large", "the fields of the form are over the limit")
            kept.append(piece)
    return Part(name, filename, media, size, f"sha256:{hashed.hexdigest()}"), b"".join(kept)


def _text(value: bytes, media: str) -> str:
    if media != _PLAIN:
        raise Refused("unsupported_body", f"a part of type {media[:64]} without a file name is not read")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise Ambiguous("body", "a field of the form is not UTF-8") from None
    if "\0" in text:
        raise Ambiguous("body", "a field of the form has a NUL")
    return text


def _head(block: bytes) -> tuple[str, str | None, str]:
    """Name, file name and media type of one part."""
    try:
        lines = block.decode().split("\r\n")
    except UnicodeDecodeError:
        raise Ambiguous("body", "a part's header is not UTF-8") from None
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise Ambiguous("body", "a part's header line does not end with CRLF")
    said: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key = name.lower()
        if not colon or key not in {"content-disposition", "content-type"}:
            raise Ambiguous("body", f"a part has the header {name[:40]!a}")
        if key in said:
            raise Ambiguous("body", f"a part's {key} stands twice")
        said[key] = value.strip(" ")
    found = _DISPOSITION.fullmatch(said.get("content-disposition", ""))
    if found is None:
        raise Ambiguous("body", 'a part\'s Content-Disposition is not form-data; name="…", and perhaps one filename="…"')
    return _name(found[1]), None if found[2] is None else _filename(found[2]), _media(said.get("content-type", _PLAIN))


def _name(name: str) -> str:
    form.refuse_nesting(name)
    _refuse_hidden(name)
    return name


def _filename(name: str) -> str:
    if "/" in name or "\\" in name or name in {".", ".."}:
        raise Ambiguous("body", "a file name is a path")
    _refuse_hidden(name)
    return name


def _refuse_hidden(name: str) -> None:
    """Nothing that two readers would see as two names."""
    if not name or len(name) > LONGEST_NAME or name != name.strip():
        raise Ambiguous("body", f"a part's name or file name is empty, padded or longer than {LONGEST_NAME} characters")
    if _ESCAPE.search(name) or any(unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"} for char in name):
        raise Ambiguous("body", "a part's name or file name has a percent escape or a character that cannot be seen")


def _media(value: str) -> str:
    found = _TYPE.fullmatch(value)
    if found is None:
        raise Ambiguous("body", "a part's Content-Type is not a media type, at most with a charset of UTF-8")
    media = found[1].lower()
    if media.startswith(("multipart/", "message/")):
        raise Ambiguous("body", "a part that holds parts of its own")
    return media


class _Source:
    """The bytes, looked through for the boundary; holds a block and a boundary's length of them."""

    def __init__(self, blocks: Iterable[bytes], mark: bytes) -> None:
        self._blocks = iter(blocks)
        self._mark = mark
        self._held = b""

    def _more(self) -> bool:
        block = next(self._blocks, b"")
        self._held += block
        return bool(block)

    def _upto(self, size: int) -> bytes:
        """The next so many bytes without taking them; fewer at the end."""
        while len(self._held) < size and self._more():
            pass
        return self._held[:size]

    def begin(self) -> None:
        """Take the first boundary."""
        if self._upto(len(self._mark)) != self._mark:
            raise Ambiguous("body", "it does not begin with its boundary")
        self._held = self._held[len(self._mark) :]

    def ended(self) -> bool:
        """Take the rest of a boundary line; whether it was the last one, with nothing behind it."""
        line = self._upto(2)
        self._held = self._held[2:]
        if line == b"\r\n":
            return False
        if line != b"--" or self._upto(3) not in {b"", b"\r\n"}:
            raise Ambiguous("body", "a boundary that goes on, or something after the last one")
        return True

    def head(self) -> bytes:
        """Take the header lines of a part, and the empty line."""
        while (end := self._held.find(b"\r\n\r\n")) < 0 and len(self._held) <= MOST_HEAD and self._more():
            pass
        if end < 0 or end > MOST_HEAD:
            raise Ambiguous("body", f"a part's header does not end within {MOST_HEAD} bytes")
        head, self._held = self._held[:end], self._held[end + 4 :]
        return head

    def content(self) -> Iterator[bytes]:
        """Take a part's content and the boundary behind it."""
        keep = len(self._mark) + 1  # what may be the beginning of CRLF and boundary
        while (at := self._held.find(self._mark)) < 0:
            if len(self._held) > keep:
                yield self._held[:-keep]
                self._held = self._held[-keep:]
            if not self._more():
                raise Ambiguous("body", "its last boundary is missing")
        if self._held[max(0, at - 2) : at] != b"\r\n":
            raise Ambiguous("body", "the boundary's text stands where no boundary is")
        content, self._held = self._held[: at - 2], self._held[at + len(self._mark) :]
        yield content
