"""JSON pointers (RFC 6901) with `*` for any element of a list, and the conditions of `when`. Never evaluates anything else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.model import JSON

_ANY = "*"
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")  # RFC 6901 section 4: no leading zeros


@dataclass(frozen=True, slots=True)
class Pointer:
    """A parsed pointer; the empty one is the whole document."""

    tokens: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pointer:
        """RFC 6901 section 3 and 4: `~1` is `/`, `~0` is `~`."""
        if text and not text.startswith("/"):
            raise ValueError(f"a JSON pointer starts with `/`: {text!r}")
        return cls(tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]))

    def find(self, document: JSON) -> Iterator[JSON]:
        """Every value the pointer names; nothing where it leads nowhere."""
        return _find(document, self.tokens)

    def first(self, document: JSON) -> JSON:
        """The first value named, or None."""
        return next(self.find(document), None)


def _find(value: JSON, tokens: tuple[str, ...]) -> Iterator[JSON]:
    if not tokens:
        yield value
        return
    name, rest = tokens[0], tokens[1:]
    if isinstance(value, dict):
        if name in value:
            yield from _find(value[name], rest)
    elif isinstance(value, list):
        if name == _ANY:
            for element in value:
                yield from _find(element, rest)
        elif _INDEX.fullmatch(name) and int(name) < len(value):
            yield from _find(value[int(name)], rest)


def _lacks(value: JSON, tokens: tuple[str, ...]) -> bool:
    """Whether an object that could have the member has it not. Of a list or a literal in an object's place nobody knows how it is read."""
    if value is None:
        return True
    if not tokens:
        return False
    name, rest = tokens[0], tokens[1:]
    if isinstance(value, dict):
        return name not in value or _lacks(value[name], rest)
    if isinstance(value, list) and name == _ANY:
        return all(_lacks(element, rest) for element in value)
    if isinstance(value, list) and _INDEX.fullmatch(name):
        return int(name) >= len(value) or _lacks(value[int(name)], rest)
    return False


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of `when`: `literals` are type-exact, None standing for absent or null; `exists`/`absent` ask for presence only.

    Absent is a member that its object lacks. A list of objects in the place of one (a batch, to some systems) lacks nothing.
    """

    pointer: Pointer
    literals: tuple[JSON, ...] = ()
    exists: bool = False
    absent: bool = False

    @classmethod
    def parse(cls, pointer: Pointer, value: object) -> Condition:
        """From configuration; raises ValueError for what is neither literal, list of literals, `{exists: true}` nor `{absent: true}`."""
        if value == {"exists": True}:
            return cls(pointer, exists=True)
        if value == {"absent": True}:
            return cls(pointer, absent=True)
        values = value if isinstance(value, (list, tuple)) else [value]
        literals = tuple(each for each in values if each is None or isinstance(each, (bool, int, float, str)))
        if not literals or len(literals) != len(values):
            raise ValueError("expected a literal, a list of literals, {exists: true} or {absent: true}")
        return cls(pointer, literals=literals)

    def holds(self, document: JSON) -> bool:
        """Whether any value named by the pointer meets the condition."""
        found = list(self.pointer.find(document))
        if self.exists:
            return bool(found)
        if self.absent or not found:
            return not found and (self.absent or None in self.literals) and _lacks(document, self.pointer.tokens)
        return any(_same(value, literal) for value in found for literal in self.literals)


def _same(value: JSON, literal: JSON) -> bool:
    """Type-exact equality: in Python True == 1 == 1.0, here they are three things."""
    return type(value) is type(literal) and value == literal
