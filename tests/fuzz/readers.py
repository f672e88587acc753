"""Other readers of the same bytes, as lenient as the field's are. Independent of the product on purpose: nothing here is imported from it."""

from __future__ import annotations

import io
import json
import re
from email.errors import MessageError
from http.client import HTTPMessage, HTTPResponse, parse_headers
from urllib.parse import unquote, unquote_to_bytes

import httptools


def unquoted(text: str) -> str:
    """Decoded again and again, until nothing changes: what a chain of servers that each decode once may come to."""
    while (again := unquote(text)) != text:
        text = again
    return text


def whatwg_path(path: str) -> str:
    r"""The URL standard's path state for a special scheme: `\` is `/`, tab and line ends go, dot segments (also as %2e) are resolved."""
    cleaned = re.sub(r"[\t\r\n]", "", path).replace("\\", "/")
    kept: list[str] = []
    parts = cleaned.split("/")[1:]
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        dots = part.lower().replace("%2e", ".")
        if dots == "..":
            kept = kept[:-1]
            kept += [""] if last else []
        elif dots == ".":
            kept += [""] if last else []
        else:
            kept.append(part)
    return "/" + "/".join(kept)


def all_pairs(data: bytes) -> object:
    """JSON with each object as its list of pairs: nothing is dropped."""
    return json.loads(data, object_pairs_hook=Pairs)


class Pairs(list):
    """The members of one object, in order."""


def pick(pairs: object, *, first: bool) -> object:
    """What a reader makes of `all_pairs` that keeps the first or the last of a name."""
    if isinstance(pairs, Pairs):
        found: dict[str, object] = {}
        for name, value in pairs:
            if not (first and name in found):
                found[name] = pick(value, first=first)
        return found
    if isinstance(pairs, list):
        return [pick(each, first=first) for each in pairs]
    return pairs


def go_like(document: dict[str, object], name: str) -> object:
    """What Go's encoding/json puts into a field called `name`: the last member whose name is equal under Unicode folding."""
    found = None
    for member, value in document.items():
        if member.casefold() == name.casefold():
            found = value
    return found


def c_like(document: dict[str, object], name: str) -> object:
    """The same by a reader that keeps names as C strings: the first whose bytes before NUL are these."""
    return next((value for member, value in document.items() if member.partition("\0")[0] == name), None)


def php_form(data: bytes) -> dict[str, str]:
    """`$_POST` for names without arrays: at most 1000, names cut at NUL, blanks before them cut, the last of a name wins; `a[` and `a.b` renamed."""
    found: dict[str, str] = {}
    for part in data.split(b"&")[:1000]:
        raw_name, _, raw_value = part.partition(b"=")
        name = unquote_to_bytes(raw_name.replace(b"+", b" ")).decode("utf-8", "replace").lstrip(" ").partition("\0")[0]
        if not name or name.startswith("["):
            continue
        name = re.sub(r"[ .\[]", "_", name.partition("[")[0]) if "]" in name.partition("[")[2] else re.sub(r"[ .\[]", "_", name)
        found[name] = unquote_to_bytes(raw_value.replace(b"+", b" ")).decode("utf-8", "replace")
    return found


class Llhttp:
    """What llhttp makes of bytes: head, fields as pairs, body; `whole` when the message has ended."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.whole = False

    def on_url(self, piece: bytes) -> None:
        """A piece of the target."""
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field."""
        if not self.whole:
            self.fields.append((name, value))

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        if not self.whole:
            self.body += piece

    def on_message_complete(self) -> None:
        """Its end."""
        self.whole = True


def llhttp_request(data: bytes) -> Llhttp:
    """As llhttp reads a request; raises httptools.HttpParserError."""
    seen = Llhttp()
    httptools.HttpRequestParser(seen).feed_data(data)
    return seen


def llhttp_response(data: bytes) -> tuple[int, Llhttp]:
    """As llhttp reads a response; raises httptools.HttpParserError. What follows it is not looked at."""
    seen = Llhttp()
    parser = httptools.HttpResponseParser(seen)
    try:
        parser.feed_data(data)
    except httptools.HttpParserError:
        if not seen.whole:
            raise
    return parser.get_status_code(), seen


def email_fields(block: bytes) -> list[tuple[str, str]] | None:
    """As the standard library's mail parser reads a header block; None where it saw a defect."""
    try:
        message: HTTPMessage = parse_headers(io.BytesIO(block + b"\r\n"))
    except (MessageError, ValueError):
        return None
    if message.defects or message.get_payload():
        return None
    return [(name, value.strip(" \t")) for name, value in message.items()]


class _Socket:
    """As much of a socket as http.client reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _: str) -> io.BytesIO:
        """Its bytes."""
        return io.BytesIO(self._data)


def client_response(data: bytes) -> tuple[int, bytes]:
    """As http.client reads a response; raises http.client.HTTPException."""
    response = HTTPResponse(_Socket(data))  # type: ignore[arg-type]
    response.begin()
    return response.status, response.read()
