"""Which holds a list shows, and the places in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Text, cast, false, func, or_

from stagewarden.store.places import Places
from stagewarden.store.tables import holds

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from stagewarden.model import HoldState

PLACES = Places(holds, "h")
BY_DUE = Places(holds, "h", "expires_at_ns", newest=False)
DUE_LAST = Places(holds, "h", "expires_at_ns")  # the same from its end: what comes after a place here comes before it there
BY_END = Places(holds, "h", "ended_at_ns")


def named(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Equality with what a caller wrote. Nothing has a name with a NUL in it: PostgreSQL's text cannot hold one (its manual, section 8.3)."""
    return false() if "\0" in text else column == text


def contains(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Whether it holds what a caller wrote, whatever the case of its letters."""
    return false() if "\0" in text else func.lower(column).contains(text.lower(), autoescape=True)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What a list leaves out. `channel`: the destination by its registered name, else the upstream; `code`: of a reason for holding.

    `due_by_ns`: waits, and is to be decided by then; `text`: in an id, asset, agent or workflow.
    """

    tier: str | None = None
    workflow: str | None = None
    channel: str | None = None
    code: str | None = None
    text: str = ""
    due_by_ns: int | None = None

    def where(self) -> tuple[ColumnElement[bool], ...]:
        """As conditions."""
        channel = func.coalesce(holds.c.destination, holds.c.upstream)
        exactly = ((holds.c.tier, self.tier), (holds.c.workflow, self.workflow), (channel, self.channel))
        conditions = [named(column, value) for column, value in exactly if value is not None]
        if self.code is not None:
            conditions.append(false() if "\0" in self.code else cast(holds.c.reasons, Text).contains(f'"code": "{self.code}"', autoescape=True))
        if self.text:
            conditions.append(or_(*(contains(holds.c[name], self.text) for name in ("id", "agent", "workflow", "asset"))))
        if self.due_by_ns is not None:
            conditions += [holds.c.state == "pending", holds.c.expires_at_ns <= self.due_by_ns]
        return tuple(conditions)


EVERYTHING = Narrowed()


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
    narrowed: Narrowed = EVERYTHING

    def where(self) -> tuple[ColumnElement[bool], ...]:
        """As conditions."""
        conditions: list[ColumnElement[bool]] = []
        if self.states:
            conditions.append(holds.c.state.in_(sorted(map(str, self.states))))
        exactly = {"agent": self.agent, "workflow": self.workflow, "kind": self.kind, "upstream": self.upstream, "id": self.id}
        conditions.extend(named(holds.c[name], wanted) for name, wanted in exactly.items() if wanted is not None)
        if self.asked is not None:
            conditions.append(holds.c.asked.is_(self.asked))
        return (*conditions, *self.narrowed.where())
