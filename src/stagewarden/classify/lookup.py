"""Reading a look-up's answer: the asset's state in our words and the digest of its content. Never fetches; the gate does."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING

import msgspec
import orjson

from stagewarden.classify.pointers import Pointer
from stagewarden.wire import strict_json

if TYPE_CHECKING:
    from stagewarden import config
    from stagewarden.model import JSON


class Looked(msgspec.Struct, frozen=True):
    """The asset as it stood at the upstream. `document` is what `lookup:` conditions read; `body` is kept for "what changes"."""

    document: JSON
    body: bytes
    state: str
    digest: str | None
    authors: tuple[str, ...] = ()  # who wrote it, as the upstream names them


def read_lookup(lookup: config.Lookup, asset: str | None, body: bytes, depth: int) -> Looked | str:
    """The looked-up asset, or why it cannot be used (a no). Raises Ambiguous for what is not strict JSON."""
    document = strict_json.loads(body, depth)
    if lookup.id is not None and (named := Pointer.parse(lookup.id).first(document)) != asset and str(named) != asset:
        return f"the upstream calls the asset {str(named)[:64]!r}, the request another name"
    state = "untracked"
    if lookup.state is not None:
        word = Pointer.parse(lookup.state).first(document)
        if not isinstance(word, str) or word not in lookup.states:
            return f"the state at {lookup.state} is not one the route maps"
        state = lookup.states[word]
    authors = tuple(sorted({str(name) for pointer in lookup.authors for name in Pointer.parse(pointer).find(document) if _names(name)}))
    return Looked(document, body, state, _content_digest(document, lookup.ignore) if lookup.digest else None, authors)


def _names(value: JSON) -> bool:
    """Whether this can name somebody: a text, or a number as content systems give to their users."""
    return (isinstance(value, str) and value != "") or (isinstance(value, int) and not isinstance(value, bool))


def _content_digest(document: JSON, ignore: tuple[str, ...]) -> str:
    """SHA-256 of the document's canonical JSON without the members the route ignores."""
    if ignore:
        document = copy.deepcopy(document)
        for pointer in ignore:
            *parents, last = Pointer.parse(pointer).tokens
            for parent in Pointer(tuple(parents)).find(document):
                if isinstance(parent, dict):
                    parent.pop(last, None)
    return "sha256:" + hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()
