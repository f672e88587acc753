"""Which holds a list shows, and the places in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.store.places import Places
from stagewarden.store.tables import holds

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from stagewarden.model import HoldState

PLACES = Places(holds, "h")


@dataclass(frozen=True, slots=True)
class Filter:
    """Holds in one of `states` (none named: in any), of one agent or workflow, or of all; asked about or not."""

    states: frozenset[HoldState] = frozenset()
    agent: str | None = None
    workflow: str | None = None
    asked: bool | None = None  # False: proposals nobody has taken up; None: whichever

    def where(self) -> tuple[ColumnElement[bool], ...]:
        """As conditions."""
        conditions: list[ColumnElement[bool]] = []
        if self.states:
            conditions.append(holds.c.state.in_(sorted(map(str, self.states))))
        if self.agent is not None:
            conditions.append(holds.c.agent == self.agent)
        if self.workflow is not None:
            conditions.append(holds.c.workflow == self.workflow)
        if self.asked is not None:
            conditions.append(holds.c.asked.is_(self.asked))
        return tuple(conditions)
