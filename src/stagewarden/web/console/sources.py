"""Prompt and sources, as the agent names them, redacted by the reader's role.

Whoever holds security, privacy or technical reads them whole. Others read them without what points at a person or carries a
secret: addresses, and of a URL the credentials, query and fragment. Each part left out stands as such, and is counted.
Nothing of the bytes to be sent is ever redacted for somebody who may see them: this is about what the agent says beside them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.web.console.exact import Run, count, reveal

if TYPE_CHECKING:
    from stagewarden.model import JSON, Document

NAMES = ("model", "prompt_digest", "prompt", "sources", "process_ref")
WHOLE = frozenset({"security", "privacy", "technical"})
_MOST = 100  # sources listed
# Each run is bounded or ends at a space, so that the search stays linear.
_PARTS = (
    (re.compile(r"(://)[^\s/?#@]{1,256}@"), r"\1[redacted]@"),  # a URL's credentials
    (re.compile(r"(://[^\s?#]{1,2048}[?#])\S+"), r"\1[redacted]"),  # its query and fragment
    (re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"), "[redacted]"),  # an address
)


@dataclass(frozen=True, slots=True)
class Named:
    """One thing the agent names; `values` in its order, `more` beyond those listed."""

    name: str
    values: tuple[tuple[Run, ...], ...]
    more: int


@dataclass(frozen=True, slots=True)
class Sources:
    """All of it; `redacted` parts are left out for this reader, `hidden` characters are marked in place."""

    named: tuple[Named, ...]
    redacted: int
    hidden: int


def sources(asserted: Document, held: frozenset[str]) -> Sources | None:
    """None where the agent names nothing of the kind."""
    whole = not held.isdisjoint(WHOLE)
    named: list[Named] = []
    redacted = hidden = 0
    for name in NAMES:
        if asserted.get(name) is None:
            continue
        texts = _texts(asserted[name])
        shown = texts[:_MOST]
        if not whole:
            pairs = [_redacted(text) for text in shown]
            shown, redacted = [text for text, _ in pairs], redacted + sum(number for _, number in pairs)
        hidden += sum(count(text) for text in shown)
        named.append(Named(name.replace("_", " "), tuple(reveal(text) for text in shown), len(texts) - len(shown)))
    return Sources(tuple(named), redacted, hidden) if named else None


def _redacted(text: str) -> tuple[str, int]:
    parts = 0
    for pattern, instead in _PARTS:
        text, number = pattern.subn(instead, text)
        parts += number
    return text, parts


def _texts(value: JSON) -> list[str]:
    return [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in (value if isinstance(value, list) else [value])]
