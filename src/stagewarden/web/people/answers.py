"""What the people's API answers, as shapes: the OpenAPI document is made of them, and a test holds every answer to them.

Documentation only: `views.py` makes the answers. A member that may be left out is `UNSET` here; one that is always there and may be
empty is `None`. Newer releases may add members, so clients are told of no closed object.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stagewarden.grants import GrantState, Terms  # noqa: TC001 - read when the schema is made
from stagewarden.model import HoldState, Stage, Tier  # noqa: TC001 - read when the schema is made

Moment: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="RFC 3339, UTC")]
Digest: TypeAlias = Annotated[str, Meta(pattern="^sha256:")]
Cursor: TypeAlias = Annotated[str | None, Meta(description="Give it as `cursor` for the next page; null at the end.")]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every answer."""


class Problem(Shape, frozen=True, kw_only=True):
    """RFC 9457. `type` is `urn:stagewarden:problem:CODE`; the codes of each status stand with it."""

    type: Annotated[str, Meta(pattern="^urn:stagewarden:problem:[a-z_]+$")]
    title: str
    status: int
    detail: str | UnsetType = UNSET


class Nothing(Shape, frozen=True, kw_only=True):
    """It is done, and there is nothing to tell."""


class Session(Shape, frozen=True, kw_only=True):
    """A bearer token for one person, shown once."""

    token: str
    expires_at: Moment


class Me(Shape, frozen=True, kw_only=True):
    """Who calls: a person with functions, or a program with scopes."""

    person: str | None
    program: str | None
    functions: list[str]
    scopes: list[str]
    via: Literal["password", "token", "session"]


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


class Widening(Shape, frozen=True, kw_only=True):
    """One place of a registry where more would be possible; `gains`: people this concerns, who cannot confirm it."""

    place: str
    change: str
    gains: list[str]


class Confirmation(Shape, frozen=True, kw_only=True):
    """One person's word for a registry."""

    person: str
    at: Moment


class Confirmer(Shape, frozen=True, kw_only=True):
    """Where the caller stands to a registry: why a confirmation would be refused (null: it would not be)."""

    why_not: str | None


class Revision(Shape, frozen=True, kw_only=True):
    """A registry that widens rights and waits for people. `base`: digest of the one in force that it was compared with."""

    id: Annotated[str, Meta(pattern="^c_")]
    digest: Annotated[Digest, Meta(description="What a confirmation names.")]
    base: Digest
    state: Literal["waiting", "in_force", "replaced"]
    proposed_at: Moment
    widens: list[Widening]
    confirmations: list[Confirmation]
    needed: int
    you: Confirmer


class Revisions(Shape, frozen=True, kw_only=True):
    """Registries that wait, oldest first."""

    items: list[Revision]
    next: Cursor


class ModeInForce(Shape, frozen=True, kw_only=True):
    """The stricter of the registry's mode and the one a person gave. `security`: for a security cause; `observed_until`: after loosening."""

    mode: str
    by: str | None
    reason: str | None
    at: Moment | None
    security: bool
    observed_until: Moment | None


class Owners(Shape, frozen=True, kw_only=True):
    """People of the registry."""

    human: str
    business: str | None
    technical: str | None


class Agent(Shape, frozen=True, kw_only=True):
    """A registered agent."""

    id: str
    mode: ModeInForce
    owners: Owners
    stages: list[Stage]
    workflows: list[str]
    connectors: list[str]


class AgentModed(Agent, frozen=True, kw_only=True):
    """An agent after its mode was set. `owed`: what could not be done yet."""

    owed: list[str]


class Agents(Shape, frozen=True, kw_only=True):
    """Agents by id."""

    items: list[Agent]
    next: Cursor


class Kill(Shape, frozen=True, kw_only=True):
    """A stop that stands until it is lifted by its id."""

    id: Annotated[str, Meta(pattern="^k_")]
    scope: Annotated[str, Meta(description="all, agent:ID, workflow:ID, upstream:ID or stage:NAME")]
    by: str
    at: Moment
    reason: str
    security: bool


class KillEngaged(Kill, frozen=True, kw_only=True):
    """A stop just engaged. `owed`: what could not be done yet."""

    owed: list[str]


class Kills(Shape, frozen=True, kw_only=True):
    """The stops engaged, oldest first."""

    items: list[Kill]
    next: Cursor


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


class Description(Shape, frozen=True, kw_only=True):
    """This document."""

    openapi: str
    jsonSchemaDialect: str  # noqa: N815 - OpenAPI's name
    info: dict[str, object]
    servers: list[dict[str, object]]
    security: list[dict[str, object]]
    paths: dict[str, object]
    components: dict[str, object]


class Event(Shape, frozen=True, kw_only=True):
    """The data of one server-sent event: ids and states alone. Which members there are depends on the event's name.

    `hold`: hold, state. `mode`: agent, mode. `kill`, `unkill`: id, scope. `ready` and `reset`: none; after `reset` something may have
    been missed, so read the lists again.
    """

    hold: str | UnsetType = UNSET
    state: HoldState | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    mode: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
