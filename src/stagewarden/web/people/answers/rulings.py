"""Rulings."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from stagewarden.web.people.answers.holds import Reason  # noqa: TC001 - read when the schema is made
from stagewarden.web.people.answers.shape import Cursor, Moment, Shape


class Ruling(Shape, frozen=True, kw_only=True):
    """One decision as it stands in the audit log, with what came of it. The members named here are always there; an entry has more."""

    v: int
    seq: int
    time: Moment
    boot: str
    prev: str
    kind: Literal["ruling"]
    ruling: Annotated[str, Meta(pattern="^r_")]
    effect: Literal["allow", "hold", "deny"]
    tier: str | None
    reasons: list[Reason]
    seats: list[dict[str, object]]
    review: str
    response_fields: list[str] | str
    principal: dict[str, object] | str
    workflow: str
    scope: dict[str, object] | str
    request: dict[str, object]
    revisions: dict[str, str]
    hold: str
    proposed: dict[str, object] | str
    human: dict[str, object] | str
    final: dict[str, object] | str
    outcome: dict[str, object] | None


class Rulings(Shape, frozen=True, kw_only=True):
    """Rulings, newest first."""

    items: list[Ruling]
    next: Cursor
