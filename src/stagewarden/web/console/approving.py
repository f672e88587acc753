"""What an approval on the page takes beside the gate's own checks: sections read as the tier asks (C2.4), and on high tier a count typed (C2.11).

Depth grows with the tier: low none, medium what changes, high all. How long somebody looks is measured elsewhere and never imposed. The gate
checks hold, person and answers again; nothing here lets a vote pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from stagewarden.holds.ballot import DECISIONS
from stagewarden.model import Tier
from stagewarden.web.console import words
from stagewarden.web.console.forms import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagewarden.model import Hold
    from stagewarden.web.console.forms import Kept

EDIT = "edit"  # the fourth tile: it leads to the edit form and casts nothing
_GROUPING = re.compile("[,.'\u2019\u00a0\u2009\u202f ]")  # what people write between thousands


@dataclass(frozen=True, slots=True)
class Part:
    """A section of content that has a Read box. `change`: it shows what changes."""

    id: str
    words: str
    change: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """The same for one hold: `required`, an approval takes it read."""

    id: str
    words: str
    required: bool


@dataclass(frozen=True, slots=True)
class Typed:
    """What is typed to approve: the label, what it must come to, and a pattern by which a browser can tell."""

    label: str
    expected: str
    pattern: str

    def holds(self, text: str) -> bool:
        """Whether it was typed: figures may be grouped, and the word after a count may stand or not."""
        said, wanted = text.strip().casefold(), self.expected.casefold()
        number = _GROUPING.sub("", re.sub(r"\s+[a-z]+$", "", said))
        return said == wanted or (wanted.isdigit() and number == wanted)


class Asks(Protocol):
    """What a page asks of whoever votes on it (`request.Page` is one)."""

    @property
    def functions(self) -> tuple[str, ...]:
        """Seats to choose from."""

    @property
    def sections(self) -> tuple[Section, ...]:
        """What can be read."""

    @property
    def questions(self) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
        """Heading, then ids with their words."""

    @property
    def typed(self) -> Typed | None:
        """What is typed."""


def sections(parts: Iterable[Part], tier: Tier) -> tuple[Section, ...]:
    """Which of them this tier wants read."""
    return tuple(Section(part.id, part.words, tier is Tier.HIGH or (tier is Tier.MEDIUM and part.change)) for part in parts)


def typed(hold: Hold) -> Typed | None:
    """On high tier: how many people it reaches, as the policy was told; where nobody is counted, the channel."""
    if hold.tier is not Tier.HIGH:
        return None
    count = words.recipients(hold)
    if count:
        grouping = r"[,.'\u2019\u00a0\u2009\u202f ]?".join(f"{count:,}".split(","))
        return Typed("To approve, type the number of recipients", str(count), rf"\s*{grouping}(\s+[A-Za-z]+)?\s*")
    channel = words.destination(hold)
    either = "".join(f"[{char.lower()}{char.upper()}]" if char.isascii() and char.isalpha() else re.escape(char) for char in channel)
    return Typed(f"To approve, type the channel: {channel}", channel, rf"\s*{either}\s*")


def open_points(given: Kept, page: Asks) -> tuple[Missing, ...]:
    """What a vote still lacks, in the order of the page; the gate checks its part again."""
    if given.decision not in {*DECISIONS, EDIT}:
        return (Missing("Choose one of the four.", "decision"),)
    seat = () if given.function in page.functions or len(page.functions) < 2 else (Missing("Choose the seat you vote in.", "function"),)  # noqa: PLR2004  # one is no choice
    if given.decision != "approve":
        known = any(given.reason == code for code, _ in words.REASONS)
        return seat if known or given.decision == EDIT else (*seat, Missing("Choose one reason.", "reason"))
    unread = [
        Missing(f"Not marked as read: {section.words}", f"read-{section.id}")
        for section in page.sections
        if section.required and section.id not in given.read
    ]
    asked = [name for _, items in page.questions for name, _ in items]
    missing = [Missing(f"Answer: {words.question(name)}", f"answer-{name}") for name in asked if given.answers.get(name) not in {"yes", "no"}]
    noes = [
        Missing(f"Answered with no: {words.question(name)} An approval needs yes; otherwise reject.", f"answer-{name}")
        for name in asked
        if given.answers.get(name) == "no"
    ]
    count = [Missing(f"{page.typed.label}.", "typed")] if page.typed is not None and not page.typed.holds(given.typed) else []
    return (*unread, *missing, *noes, *seat, *count)
