"""Registries that wait for people."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from stagewarden.web.people.answers.shape import Cursor, Digest, Moment, Shape


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
