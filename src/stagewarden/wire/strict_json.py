"""Reads JSON so that no two parsers can read it differently: what is ambiguous is refused, never repaired.

Must never hand out a value of which another reader of the same bytes could see another one: a name twice, a number some
readers round, a string some readers mend. The bytes themselves are what is sent; nothing is ever re-serialized.

Two readings. The quick one is orjson, whose grammar is RFC 8259 without extensions (no BOM, NaN, lone surrogate, bad UTF-8),
and three facts in C: the colons of the bytes against the colons of what was understood (a dropped duplicate takes its colon
along), the 53-bit check of the writer, and the digit runs. Whatever they cannot settle is read again slowly by the standard
library with hooks that see every pair and every number. Microseconds for a 0.9 KB post (`python -m tests.bench.wire_json`
repeats it): orjson alone 2.2, this module 7.7 and 12.8 where it looks twice, the standard library with one hook 11.3, orjson
and a walk that counts members 11.5.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import orjson

from stagewarden.errors import Ambiguous

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stagewarden.model import JSON, Document

SAFE_INTEGER = 2**53 - 1  # RFC 7493 section 2.2: beyond it, readers that use doubles see another number
LARGEST = 1e308
_CONTAINERS = (dict, list)
_DIGITS = bytes.maketrans(b"0123456789Ee+-", b"0000000000ee++")
_LONG = b"0" * 17  # more digits than 2^53 has


def loads(data: bytes, depth: int) -> JSON:
    """One JSON document. Raises Ambiguous("body", …) naming what and, where the reader knows it, at which byte.

    `depth` bounds how many arrays and objects may stand inside each other; a scalar has none.
    """
    try:
        value: JSON = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Ambiguous("body", f"not strict JSON: {error}") from None
    # Every level costs a bracket, so few brackets need no walk.
    if data.count(b"[") + data.count(b"{") > depth and _deeper(value, depth):
        raise Ambiguous("body", f"more than {depth} arrays and objects inside each other")
    return value if _plain(data, value) else _slowly(data)


@dataclass(frozen=True, slots=True)
class Listed:
    """Member names that somebody will look at, and each as the most lenient reader compares it."""

    names: frozenset[str]
    folded: Mapping[str, str]

    @classmethod
    def of(cls, names: Iterable[str]) -> Listed:
        """These names."""
        kept = frozenset(names)
        return cls(kept, {fold(name): name for name in kept})


def refuse_case_variants(document: JSON, listed: Listed) -> None:
    """Refuse a member anywhere in the document whose name is not listed but which a lenient reader would take for one that is.

    Lenient: other case (Go's encoding/json), compatibility forms, invisible characters (GHSA-4gph-2hhr-5mwg and its kin), an end at NUL.
    """
    names, folded = listed.names, listed.folded
    if not names:
        return
    level = [document] if isinstance(document, _CONTAINERS) else []
    while level:
        children: list[Document | list[JSON]] = []
        for node in level:
            if isinstance(node, dict):
                for key in node:
                    if key not in names and (meant := folded.get(fold(key))) is not None:
                        raise Ambiguous("body", f"the member {key!a} could be read as {meant!a}")
            children += [child for child in (node.values() if isinstance(node, dict) else node) if isinstance(child, _CONTAINERS)]
        level = children


def fold(name: str) -> str:
    """The name as the most lenient reader would compare it; one that keeps names as C strings ends them at NUL."""
    name = name.partition("\0")[0]
    if name.isascii():
        return name.lower()
    kept = "".join([char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) != "Cf"])
    return unicodedata.normalize("NFKC", kept.casefold())


def _deeper(value: JSON, depth: int) -> bool:
    level = [value] if isinstance(value, list | dict) else []
    for _ in range(depth):
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node) if isinstance(child, list | dict)]
        if not level:
            return False
    return bool(level)


def _plain(data: bytes, value: JSON) -> bool:
    r"""Whether the quick reading alone proves that no name stands twice and every number is exact; False: look closer.

    (1) Without `\u003a` each colon in the bytes is punctuation or stands in a string as itself, and writing the value again
        yields the same ones, less those of members a later duplicate replaced. Nothing can add one.
    (2) The writer's strict integers are RFC 7493's.
    (3) No run of 17 digits and no exponent of three: below 1e17 * 1e99, and no integer that was turned into a float.
    """
    if b"\\u003" in data:
        return False
    try:
        written = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except TypeError:
        return False
    if written.count(b":") != data.count(b":"):
        return False
    shape = data.translate(_DIGITS)
    # A run of 17 digits, or an exponent of three: below 1e17 * 1e99 nothing overflows, and 17 digits hold 2^53.
    return _LONG not in shape and b"0e000" not in shape and b"0e+000" not in shape


def _slowly(data: bytes) -> JSON:
    """The same document with every pair and number looked at. Only for what the quick reading accepted."""
    try:
        value: JSON = _READER.decode(data.decode())
    except RecursionError:  # a depth allowed beyond what this reader can do
        raise Ambiguous("body", "too many arrays and objects inside each other") from None
    return value


def _object(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add returns None: remembers, and goes on
        raise Ambiguous("body", f"the member {twice!a} stands twice in one object")
    return found


def _integer(text: str) -> int:
    # Compared by length first: Python refuses to convert thousands of digits, and other readers take long over them.
    if len(text) > len("-9007199254740991") or abs(int(text)) > SAFE_INTEGER:
        raise Ambiguous("body", f"the number {text[:20]} is beyond 2^53")
    return int(text)


def _real(text: str) -> float:
    number = float(text)
    if abs(number) > LARGEST:
        raise Ambiguous("body", f"the number {text[:20]} is beyond 1e308")
    if number == 0 and any(digit in "123456789" for digit in text.lower().partition("e")[0]):
        raise Ambiguous("body", f"the number {text[:20]} would be read as zero")
    return number


def _constant(text: str) -> NoReturn:
    raise Ambiguous("body", f"{text} is not JSON")


_READER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant)
