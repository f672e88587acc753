"""Which rulings somebody asks for, as the query of an address says it: the API's list and the console's read it alike. Never widens what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.audit.reader import Wanted
from stagewarden.errors import Invalid
from stagewarden.model import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("agent", "effect", "workflow", "stage", "code", "upstream", "since", "until")
EFFECTS = ("allow", "hold", "deny")
STAGES = tuple(map(str, Stage))


def wanted(query: Mapping[str, str], after: int | None = None) -> Wanted:
    """Raises Invalid."""
    agent, effect, workflow, stage, code, upstream, since, until = (query.get(name) for name in NAMES)
    if stage is not None and stage not in STAGES:
        raise Invalid(f"stage: expected one of {', '.join(STAGES)}")
    if effect is not None and effect not in EFFECTS:
        raise Invalid("effect: expected allow, hold or deny")
    return Wanted(
        agent=agent, effect=effect, workflow=workflow, stage=stage, code=code, upstream=upstream, since=since, until=until, after=after
    )  # fmt: skip
