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
BY_DUE = Places(holds, "h", "expires_at_ns", newest=False)
DUE_LAST = Places(holds, "h", "expires_at_ns")  # the same from its end: what comes after a place here comes before it there
BY_END = Places(holds, "h", "ended_at_ns")


@dataclass(frozen=True, slots=True)
class Filter:
    """Holds in one of `states` (none named: in any), of one agent or workflow, or of all; of one kind and upstream; asked about or not."""

    states: frozenset[HoldState] = frozenset()
    agent: str | None = None
    workflow: str | None = None
    asked: bool | None = None  # False: proposals nobody has taken up; None: whichever
    kind: str | None = None
    upstream: str | None = None
    id: str | None = None  # this one alone

    def where(self) -> tuple[ColumnElement[bool], ...]:
        """As conditions."""
        conditions: list[ColumnElement[bool]] = []
        if self.states:
            conditions.append(holds.c.state.in_(sorted(map(str, self.states))))
        exactly = {"agent": self.agent, "workflow": self.workflow, "kind": self.kind, "upstream": self.upstream, "id": self.id}
        conditions.extend(holds.c[name] == wanted for name, wanted in exactly.items() if wanted is not None)
        if self.asked is not None:
            conditions.append(holds.c.asked.is_(self.asked))
        return tuple(conditions)
