"""Grants, and what was used of them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from stagewarden.grants import GrantState, Terms  # noqa: TC001 - read when the schema is made
from stagewarden.model import Tier  # noqa: TC001 - read when the schema is made
from stagewarden.web.people.answers.holds import Seat  # noqa: TC001 - read when the schema is made
from stagewarden.web.people.answers.shape import Cursor, Digest, Moment, Shape


class GrantVote(Shape, frozen=True, kw_only=True):
    """One person's answer to a grant that was asked for."""

    id: str
    person: str
    function: str
    decision: Literal["approve", "reject"]
    reason: str | None
    at: Moment


class Used(Shape, frozen=True, kw_only=True):
    """What was used of what was granted. A reserved use counts as used; `wider`: what more a grant that ended allowed than was used."""

    sent: int
    reserved: int
    returned: int
    left: int
    fields: list[str]
    unused_fields: list[str]
    first_at: Moment | None
    last_at: Moment | None
    wider: list[Literal["fields", "uses", "period"]]


class Use(Shape, frozen=True, kw_only=True):
    """One use of a grant."""

    id: str
    state: Literal["reserved", "sent", "returned"]
    ruling: Annotated[str, Meta(pattern="^r_")]
    digest: Digest
    fields: list[str]
    at: Moment


class Standing(Shape, frozen=True, kw_only=True):
    """Where the caller stands to a grant: functions to vote in, and why an approval would be refused (null: it would not be)."""

    functions: list[str]
    why_not: str | None


class Grant(Shape, frozen=True, kw_only=True):
    """A permission in advance: what it permits, who said so, for how long, and what was used of it. `uses` are listed with one grant alone."""

    id: Annotated[str, Meta(pattern="^g_")]
    state: GrantState
    digest: Annotated[Digest, Meta(description="Of the terms: what a vote names.")]
    terms: Terms
    tier: Tier
    seats: list[Seat]
    votes: list[GrantVote]
    requested_by: str
    asked_at: Moment
    decide_by: Moment
    approved_at: Moment | None
    expires_at: Moment | None
    review_by: Moment | None
    ended_at: Moment | None
    ended_by: str | None
    ended_why: str | None
    used: Used
    uses: list[Use]
    you: Standing


class Grants(Shape, frozen=True, kw_only=True):
    """Grants, newest first. With `wider` a page may be short, or empty, and have a next one."""

    items: list[Grant]
    next: Cursor
