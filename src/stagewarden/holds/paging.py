"""Which holds a list shows, and its cursor: opaque to clients, a place in the order (asked at, id) inside.

The order is of the rows themselves, so that a page is stable while holds come and go.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_

from stagewarden.errors import Invalid
from stagewarden.store.tables import holds

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from stagewarden.model import Hold, HoldState

_PLACE = re.compile(r"(\d{1,19}):(h_[0-9A-Z]{26})")


@dataclass(frozen=True, slots=True)
class Filter:
    """Holds in one of `states` (none named: in any), of one agent, or of all; asked about or not."""

    states: frozenset[HoldState] = frozenset()
    agent: str | None = None
    asked: bool | None = None  # False: proposals nobody has taken up; None: whichever

    def where(self) -> tuple[ColumnElement[bool], ...]:
        """As conditions."""
        conditions: list[ColumnElement[bool]] = []
        if self.states:
            conditions.append(holds.c.state.in_(sorted(map(str, self.states))))
        if self.agent is not None:
            conditions.append(holds.c.agent == self.agent)
        if self.asked is not None:
            conditions.append(holds.c.asked.is_(self.asked))
        return tuple(conditions)


def cursor_of(last: Hold) -> str:
    """The cursor of the page after the one that ends with this hold."""
    return base64.urlsafe_b64encode(f"{last.asked_at_ns}:{last.id}".encode()).decode().rstrip("=")


def after(cursor: str) -> ColumnElement[bool]:
    """The condition a cursor stands for; Invalid when it is none of ours."""
    try:
        place = _PLACE.fullmatch(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii"))
    except (ValueError, binascii.Error):
        place = None
    if place is None:
        raise Invalid("cursor: not a cursor of this list")
    asked, last = int(place[1]), place[2]
    return or_(holds.c.asked_at_ns < asked, and_(holds.c.asked_at_ns == asked, holds.c.id < last))
