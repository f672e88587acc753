"""Holds, and what people see of them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stagewarden.model import HoldState, Stage, Tier  # noqa: TC001 - read when the schema is made
from stagewarden.web.people.answers.shape import Cursor, Digest, Moment, Shape


class Reason(Shape, frozen=True, kw_only=True):
    """Why: a stable code, the rule that says so, its text."""

    code: str
    rule: str
    text: str
    detail: dict[str, object] | UnsetType = UNSET


class Seat(Shape, frozen=True, kw_only=True):
    """So many different people, each holding one of the functions."""

    functions: list[str]
    needed: int
    filled: int


class Vote(Shape, frozen=True, kw_only=True):
    """One person's answer. `note` is shown with the payload only; on high tier the others' reasons wait for your own vote."""

    id: str
    person: str
    function: str
    decision: str
    reason: str | None
    note: str | None
    answers: dict[str, bool]
    at: Moment
    digest: Digest
    view_digest: Digest


class BodyFile(Shape, frozen=True, kw_only=True):
    """A body too large to show here: its size in bytes and its digest."""

    size: int
    digest: Digest


class HeldRequest(Shape, frozen=True, kw_only=True):
    """The request that waits, as it will be sent: text in `body`, else `body_base64` or `body_file`; without a right to it, method and path alone."""

    method: str
    target: str
    headers: list[tuple[str, str]] | UnsetType = UNSET
    body: str | UnsetType = UNSET
    body_base64: str | UnsetType = UNSET
    body_file: BodyFile | UnsetType = UNSET


class UpstreamAnswer(Shape, frozen=True, kw_only=True):
    """What the upstream answered; `withheld`: the agent did not see it."""

    status: int
    headers: list[tuple[str, str]]
    body: str | UnsetType = UNSET
    body_base64: str | UnsetType = UNSET
    withheld: bool | UnsetType = UNSET


class Content(Shape, frozen=True, kw_only=True):
    """Bytes: text in `body`, else `body_base64`."""

    body: str | UnsetType = UNSET
    body_base64: str | UnsetType = UNSET


class Edited(Shape, frozen=True, kw_only=True):
    """What somebody edited: the body as it was, and each place that differs as `{pointer, from?, to?}` (null: not JSON)."""

    from_: Content = msgspec.field(name="from")
    changes: list[dict[str, object]] | None


class You(Shape, frozen=True, kw_only=True):
    """Where the caller stands: functions to vote in, why an approval would be refused, and an edit (null: it would not be)."""

    functions: list[str]
    why_not: str | None
    why_not_edit: str | UnsetType | None = UNSET


class HoldChanged(Shape, frozen=True, kw_only=True):
    """A hold after an act on it."""

    id: Annotated[str, Meta(pattern="^h_")]
    state: HoldState
    digest: Digest
    view_digest: Digest
    agent: str
    workflow: str
    upstream: str
    stage: Stage
    kind: str
    tier: Tier
    reasons: list[Reason]
    asked: Annotated[bool, Meta(description="Whether people are asked; false: a proposal somebody may take up.")]
    questions: list[str]
    seats: list[Seat]
    votes: list[Vote]
    asked_at: Moment
    expires_at: Moment
    escalated_at: Moment | None
    settles_at: Annotated[Moment | None, Meta(description="All seats are filled; until then a vote can still end it.")]
    use_by: Moment | None
    ended_at: Moment | None
    ended_by: str | None
    predecessor: Annotated[str | None, Meta(description="The hold whose place this one took.")]
    grant: Annotated[str | None, Meta(description="The template that approved it in advance.")]
    successor: Annotated[str | None, Meta(description="The hold that took its place.")]
    editor: str | None
    ruling: str
    initiator: str | None
    asset: str | None
    sends: Annotated[int, Meta(description="How often it was sent; again only where the upstream did nothing.")]
    request: HeldRequest


class Hold(HoldChanged, frozen=True, kw_only=True):
    """A request that waits for people, or waited."""

    you: You
    response: UpstreamAnswer | UnsetType = UNSET
    before: Annotated[Content | UnsetType, Meta(description="What stood at the upstream when the agent asked.")] = UNSET
    evidence: Annotated[str | UnsetType, Meta(description="Where a person looked whether it was done, and what stood there.")] = UNSET
    edited: Edited | UnsetType = UNSET


class Holds(Shape, frozen=True, kw_only=True):
    """Holds, newest first. With `mine` a page may be short, or empty, and have a next one."""

    items: list[Hold]
    next: Cursor
