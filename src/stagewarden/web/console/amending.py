"""The body of a held request as fields that a person can change, and the bytes that come of it: only what was changed is written anew.

Everything else stays byte for byte, so that what the next people see differs where the editor changed it and nowhere else. Never repairs a body:
one that is not plainly fields is edited as text, and one that is not text is not edited here. What comes out is judged by the gate.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote_plus, unquote_plus

from stagewarden.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stagewarden.model import Request

LONGEST = 64 << 10  # bytes of a body that is edited on a page: what people send is bounded, and a form's encoding triples it
MOST = 200  # fields
_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder()
Kind = Literal["text", "json", "form"]


@dataclass(frozen=True, slots=True)
class Blank:
    """One field: what it says, and where its value stands in the text. `kind` json: a value that is not a text, as JSON."""

    id: str
    name: str
    value: str
    kind: Kind
    start: int
    end: int

    @property
    def long(self) -> bool:
        """Whether it takes more than a line."""
        return len(self.value) > 80 or "\n" in self.value or "\r" in self.value  # noqa: PLR2004  # a line of a page


def unshowable(body: object) -> str | None:
    """Why this body is not edited on a page; None: it is."""
    if not isinstance(body, bytes):
        return "its body is a file"
    if len(body) > LONGEST:
        return f"its body has {len(body):,} bytes; a page takes up to {LONGEST:,}"
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "its body is not text"
    # HTML's parser puts another character in the place of U+0000 (HTML, "null character"), so a field would not hand back what it was given.
    return "its body holds characters that no form hands back" if "\0" in text else None


def blanks(request: Request) -> tuple[Blank, ...]:
    """The fields of a JSON object or of a form, in their order; of anything else, the whole as one text."""
    assert isinstance(request.body, bytes)
    text = request.body.decode()
    kind = next((value for name, value in request.headers if name.lower() == "content-type"), "").partition(";")[0].strip().lower()
    found: tuple[Blank, ...] = ()
    if kind == "application/x-www-form-urlencoded":
        found = tuple(_form(text))
    elif kind == "application/json" or kind.endswith("+json"):
        try:
            found = tuple(_members(text))
        except (ValueError, IndexError, RecursionError):
            found = ()
    if not found or len(found) > MOST or not all(_comes_back(one.value) for one in found):
        return (Blank("whole", "body", text, "text", 0, len(text)),)
    return found


def amended(request: Request, given: Mapping[str, str]) -> bytes:
    """The body with what was given put in its place. Raises Invalid naming a field that is not JSON."""
    assert isinstance(request.body, bytes)
    whole = request.body.decode()
    parts: list[str] = []
    end = 0
    for one in blanks(request):
        said = given.get(one.id)
        if said is None or _lines(said) == _lines(one.value):
            continue
        parts += [whole[end : one.start], _written(one, _ends(said, one.value), whole)]
        end = one.end
    return "".join([*parts, whole[end:]]).encode()


def _written(one: Blank, said: str, whole: str) -> str:
    if one.kind == "form":
        return quote_plus(said)
    if one.kind == "text":
        return said if one.id == "whole" else json.dumps(said, ensure_ascii=whole.isascii())
    try:
        json.loads(said)
    except ValueError:
        raise Invalid(f"{one.name}: is not JSON; a text stands in quotation marks") from None
    return said.strip()


def _comes_back(value: str) -> bool:
    """Whether a form hands back what it was given: no U+0000 written as an escape, and no half of a surrogate pair."""
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _lines(text: str) -> str:
    """As a browser sends a text area: it writes every line end as CR LF (HTML, "newline normalization")."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _ends(said: str, before: str) -> str:
    """With the line ends the value had."""
    plain = _lines(said)
    return plain.replace("\n", "\r\n") if "\r\n" in before and before.count("\n") == before.count("\r\n") else plain


def _form(text: str) -> Iterator[Blank]:
    at = 0
    for number, part in enumerate(text.split("&")):
        name, equals, value = part.partition("=")
        start = at + len(name) + 1
        at += len(part) + 1
        if equals:
            yield Blank(f"f{number}", unquote_plus(name), unquote_plus(value), "form", start, start + len(value))


def _members(text: str) -> list[Blank]:
    """Every leaf below the object that `text` is, lists as one value. Raises ValueError where it is not one object."""
    found: list[Blank] = []
    end = _object(text, _skip(text, 0), "", found)
    if _skip(text, end) != len(text):
        raise ValueError("more than one value")
    return found


def _object(text: str, at: int, prefix: str, found: list[Blank]) -> int:
    """Read the object at `at`; the place after it."""
    at = _expect(text, at, "{")
    if text[_skip(text, at)] == "}":
        return _skip(text, at) + 1
    while True:
        name, at = _DECODER.raw_decode(text, _skip(text, at))
        if not isinstance(name, str):
            raise ValueError("expected a name")  # noqa: TRY004  # what json raises for everything that is not JSON
        at = _skip(text, _expect(text, _skip(text, at), ":"))
        if text[at] == "{" and text[_skip(text, at + 1)] != "}":
            at = _object(text, at, f"{prefix}{name}.", found)
        else:
            value, end = _DECODER.raw_decode(text, at)
            kind: Kind = "text" if isinstance(value, str) else "json"
            found.append(Blank(f"f{len(found)}", prefix + name, value if isinstance(value, str) else text[at:end], kind, at, end))
            at = end
        at = _skip(text, at)
        if text[at] == "}":
            return at + 1
        at = _expect(text, at, ",")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _expect(text: str, at: int, sign: str) -> int:
    if text[at] != sign:
        raise ValueError(f"expected {sign}")
    return at + 1
