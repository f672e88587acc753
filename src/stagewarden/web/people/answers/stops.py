"""Agents, modes and stops."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from stagewarden.model import Stage  # noqa: TC001 - read when the schema is made
from stagewarden.web.people.answers.shape import Cursor, Moment, Shape


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
