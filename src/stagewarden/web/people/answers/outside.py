"""What became of notifications."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from stagewarden.web.people.answers.shape import Cursor, Moment, Shape


class Delivery(Shape, frozen=True, kw_only=True):
    """One notification on its way to one receiver. `target`: a person or an address, empty where the channel is the receiver."""

    id: Annotated[str, Meta(pattern="^n_")]
    channel: str
    target: str
    event: Literal["opened", "escalated", "reminder", "decided", "expired", "unknown", "stop"]
    subject: Annotated[str, Meta(description="The hold, the kill or the agent it is about.")]
    state: Literal["waiting", "sending", "delivered", "dead"]
    attempts: int
    code: Annotated[str | None, Meta(description="What the last attempt came to.")]
    at: Moment
    next_at: Moment | None
    ended_at: Moment | None
    resent_by: str | None


class Deliveries(Shape, frozen=True, kw_only=True):
    """Notifications, newest first."""

    items: list[Delivery]
    next: Cursor
