"""A place in a list of rows, ordered by a time and their ids: where a page ends, and what comes after it.

The order is of the rows themselves, so that a page is stable while rows come and go. Whoever hands a place to clients seals it first
(web/people/cursors.py). Never trusts a place: one that was made up is Invalid, whatever it says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_

from stagewarden.errors import Invalid

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table

_PLACE = re.compile(r"([0-9]{1,19}):([a-z]_[0-9A-Z]{26})")
_LATEST = (1 << 63) - 1  # what the column holds


@dataclass(frozen=True, slots=True)
class Places:
    """Those of one table; `letter`: what its ids begin with; `time`: the column they are ordered by; `newest`: which end comes first."""

    table: Table
    letter: str
    time: str = "asked_at_ns"
    newest: bool = True

    def order(self) -> tuple[ColumnElement[object], ColumnElement[object]]:
        """First things first."""
        columns = self.table.c[self.time], self.table.c.id
        return (columns[0].desc(), columns[1].desc()) if self.newest else (columns[0].asc(), columns[1].asc())

    def at(self, time_ns: int, identifier: str) -> str:
        """The place of this row."""
        return f"{time_ns}:{identifier}"

    def after(self, place: str) -> ColumnElement[bool]:
        """The condition a place stands for: what comes behind it. Invalid when it is none of this table."""
        found = _PLACE.fullmatch(place)
        if found is None or not found[2].startswith(f"{self.letter}_") or int(found[1]) > _LATEST:
            raise Invalid("cursor: not a cursor of this list")
        moment, last = int(found[1]), found[2]
        time, identifier = self.table.c[self.time], self.table.c.id
        if self.newest:
            return or_(time < moment, and_(time == moment, identifier < last))
        return or_(time > moment, and_(time == moment, identifier > last))
