"""Which holds somebody asks for, as the query of an API call says it: the inbox's filters by the inbox's names. Never widens what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.errors import Invalid
from stagewarden.gate.inbox import FILTERS, Selection
from stagewarden.model import Tier

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR = "hour"
NAMES = ("state", "mine", "asked", *FILTERS, "due", "q")
TIERS = tuple(map(str, Tier))


def selection(query: Mapping[str, str], place: str | None, limit: int) -> Selection:
    """Raises Invalid naming the filter: an empty one leaves it open whether none was meant, or nothing of that name."""
    for name in NAMES:
        if name in query and not query[name].strip():
            raise Invalid(f"{name}: empty; leave it out, or say which")
    tier, workflow, channel, why = (query.get(name) for name in FILTERS)
    if tier is not None and tier not in TIERS:
        raise Invalid(f"tier: one of {', '.join(TIERS)}")
    if query.get("due", HOUR) != HOUR:
        raise Invalid(f"due: {HOUR}")
    text = " ".join(query.get("q", "").split())
    return Selection("all", tier, workflow, channel, why, soon="due" in query, text=text, place=place, limit=limit)
