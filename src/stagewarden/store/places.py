"""A place in a list of rows, newest first by (asked at, id): where a page ends, and what comes after it.

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
    """Those of one table; `letter`: what its ids begin with."""

    table: Table
    letter: str

    def order(self) -> tuple[ColumnElement[object], ColumnElement[object]]:
        """Newest first."""
        return self.table.c.asked_at_ns.desc(), self.table.c.id.desc()

    def at(self, asked_at_ns: int, identifier: str) -> str:
        """The place of this row."""
        return f"{asked_at_ns}:{identifier}"

    def after(self, place: str) -> ColumnElement[bool]:
        """The condition a place stands for: what comes behind it. Invalid when it is none of this table."""
        found = _PLACE.fullmatch(place)
        if found is None or not found[2].startswith(f"{self.letter}_") or int(found[1]) > _LATEST:
            raise Invalid("cursor: not a cursor of this list")
        asked, last = int(found[1]), found[2]
        rows = self.table.c
        return or_(rows.asked_at_ns < asked, and_(rows.asked_at_ns == asked, rows.id < last))
