"""What stands in the content that a reader should not have to hunt for: links, scripts, frames, forms, pictures, styles, handlers.

A help for the eye, never a judgement: nothing here makes content acceptable. One pass per pattern, linear in the text.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TAG = re.compile(r"<([a-zA-Z][a-zA-Z0-9-]{0,30})")
_HOST = re.compile(r"(?:\b[a-zA-Z][a-zA-Z0-9+.-]{0,15}:)?//([^\s/\"'<>?#\\()\[\]]{1,255})")
_ACTIVE = re.compile(r"\b(?:javascript|vbscript|data)\s{0,4}:", re.IGNORECASE)
_HANDLER = re.compile(r"\bon[a-z]{3,20}\s{0,4}=", re.IGNORECASE)
_HOSTS = 20  # named; the rest counted
_KINDS = (
    ("scripts", frozenset({"script"})),
    ("frames", frozenset({"iframe", "frame", "object", "embed", "portal"})),
    ("forms", frozenset({"form", "input", "button", "textarea", "select"})),
    ("pictures", frozenset({"img", "image", "picture", "video", "audio", "svg"})),
    ("styles", frozenset({"style", "link"})),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Hosts that links and sources name, with how often, and how many more there are; then counts by kind, zero included."""

    hosts: tuple[tuple[str, int], ...]
    kinds: tuple[tuple[str, int], ...]
    more: int = 0

    @property
    def markup(self) -> bool:
        """Whether anything beyond plain links was found."""
        return any(number for _, number in self.kinds)


def renders(text: str) -> bool:
    """Whether a browser would draw it otherwise than as text."""
    return _TAG.search(text) is not None


def look(texts: Iterable[str]) -> Found:
    """Look through every text."""
    hosts: Counter[str] = Counter()
    tags: Counter[str] = Counter()
    active = handlers = 0
    for text in texts:
        hosts.update(found.group(1).rpartition("@")[2].lower() for found in _HOST.finditer(text))
        tags.update(found.group(1).lower() for found in _TAG.finditer(text))
        active += sum(1 for _ in _ACTIVE.finditer(text))
        handlers += sum(1 for _ in _HANDLER.finditer(text)) if "<" in text else 0
    kinds = [(kind, sum(tags[tag] for tag in names)) for kind, names in _KINDS]
    named = sorted(hosts.items())
    return Found(tuple(named[:_HOSTS]), (*kinds, ("handlers", handlers), ("script links", active)), max(0, len(named) - _HOSTS))
