"""The document itself, and the events."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from stagewarden.model import HoldState, Tier  # noqa: TC001 - read when the schema is made
from stagewarden.web.people.answers.shape import Shape


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

    `hold`: hold, state, tier. `ruling`: the newest one, and as `count` how many were recorded since the last such event. `mode`: agent,
    mode. `kill`, `unkill`: id, scope. `ready` and `reset`: none; after `reset` something may have been missed, so read the lists again.
    """

    hold: str | UnsetType = UNSET
    state: HoldState | UnsetType = UNSET
    tier: Tier | UnsetType = UNSET
    ruling: str | UnsetType = UNSET
    count: int | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    mode: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
