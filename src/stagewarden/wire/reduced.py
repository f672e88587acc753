"""A JSON document reduced to listed fields. Must never keep a member that no listed field names, on any level.

A field is a member's name, or a JSON pointer (RFC 6901) with `*` for every element of a list. What it names is kept whole. A document
that is a list is reduced element by element.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from stagewarden.errors import Ambiguous

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagewarden.model import JSON, Document

MOST_FIELDS = 1000
FIELD = re.compile(r"[^/~*\x00-\x1f]{1,200}|(?:/(?:[^/~\x00-\x1f]|~[01]){1,200}){1,20}")

Tree: TypeAlias = "dict[str, Tree | None]"  # None: everything from here on
_ANY = "*"


def tree(fields: Iterable[str]) -> Tree:
    """The fields, each already a match of FIELD, as what is kept on each level."""
    root: Tree = {}
    for field in fields:
        *parents, last = [token.replace("~1", "/").replace("~0", "~") for token in field.removeprefix("/").split("/")]
        level = root
        for token in parents:
            below = level.setdefault(token, {})
            if below is None:
                break  # it is kept whole already
            level = below
        else:
            level[last] = None
    return root


def reduce(document: JSON, kept: Tree) -> JSON:
    """What is listed of an object, or of each object of a list. Raises Ambiguous for a document that is neither."""
    if isinstance(document, dict):
        return _members(document, kept)
    if isinstance(document, list) and all(isinstance(each, dict) for each in document):
        return _elements(document, kept)
    raise Ambiguous("answer", "neither an object nor a list of objects")


def _members(document: Document, kept: Tree) -> Document:
    found: Document = {}
    for name, value in document.items():
        if name not in kept:
            continue
        below = kept[name]
        if below is None:
            found[name] = value
        elif isinstance(value, dict):
            found[name] = _members(value, below)
        elif isinstance(value, list) and _ANY in below:
            found[name] = _elements(value, below[_ANY])
    return found


def _elements(values: list[JSON], kept: Tree | None) -> list[JSON]:
    if kept is None:
        return values
    found: list[JSON] = []
    for value in values:
        if isinstance(value, dict):
            found.append(_members(value, kept))
        elif isinstance(value, list) and _ANY in kept:
            found.append(_elements(value, kept[_ANY]))
    return found
