"""Who would get it: the sum from segment to recipients as the request's own facts carry it, checked, and three of them as pseudonyms.

The fact `recipients` is read from the bytes to be sent, so the page says so: nothing here proves that a list elsewhere is as long.
Must never show an address or a name: whoever is sampled is a pseudonym that holds for this hold alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.web.console.exact import Run, reveal, short

if TYPE_CHECKING:
    from stagewarden.model import JSON, Document, Hold

_SAMPLE = 3
_STEPS = 20  # exclusions listed; the rest is one line with its count and sum


@dataclass(frozen=True, slots=True)
class Step:
    """One exclusion, subtracted."""

    name: tuple[Run, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Audience:
    """`total` None: the request carries no count that is a number. `gap`: what the sum differs by; None where there is no sum to check."""

    segment: tuple[Run, ...]
    size: int | None
    steps: tuple[Step, ...]
    more: Step | None
    total: int | None
    gap: int | None
    sample: tuple[str, ...]
    sampled_of: int


def counted(question: Document) -> int | None:
    """How many would get it, where the facts say a number."""
    recipients = _recipients(question)
    return None if recipients is None else _number(recipients.get("count"))


def audience(hold: Hold) -> Audience | None:
    """As the facts of the hold's question have it; None where the route names no recipients."""
    recipients = _recipients(hold.question)
    if recipients is None:
        return None
    steps = _steps(recipients.get("exclusions"))
    size, total = _number(recipients.get("size")), _number(recipients.get("count"))
    gap = None if size is None or total is None else size - sum(step.count for step in steps) - total
    people = recipients.get("sample")
    listed = people if isinstance(people, list) else []
    rest = steps[_STEPS:]
    return Audience(
        segment=reveal(short(_text(recipients.get("segment")))), size=size, steps=tuple(steps[:_STEPS]),
        more=Step(reveal(f"{len(rest):,} more exclusions"), sum(step.count for step in rest)) if rest else None,
        total=total, gap=gap, sample=_pseudonyms(hold, listed), sampled_of=len(listed),
    )  # fmt: skip


def _recipients(question: Document) -> Document | None:
    facts = question.get("facts")
    found = facts.get("recipients") if isinstance(facts, dict) else None
    return found if isinstance(found, dict) else None


def _steps(written: JSON) -> list[Step]:
    """`[{name, count}]` or `{name: count}`; what is no such pair is left to the exact bytes."""
    pairs: list[tuple[JSON, JSON]] = []
    if isinstance(written, dict):
        pairs = [*written.items()]
    elif isinstance(written, list):
        pairs = [(each.get("name"), each.get("count")) for each in written if isinstance(each, dict)]
    return [Step(reveal(short(_text(name))), number) for name, count in pairs if (number := _number(count)) is not None]


def _pseudonyms(hold: Hold, people: list[JSON]) -> tuple[str, ...]:
    """Three, drawn by the hold's id, which the agent cannot know when it writes the list."""
    drawn = sorted(hashlib.sha256(f"{hold.id}\0{person!r}".encode(errors="surrogatepass")).hexdigest() for person in people[:1000])
    return tuple(f"p-{digest[:4]} {digest[4:8]}" for digest in drawn[:_SAMPLE])


def _number(value: JSON) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""
