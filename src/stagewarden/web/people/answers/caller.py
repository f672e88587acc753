"""Who calls, and what signing in gives."""

from __future__ import annotations

from typing import Literal

from stagewarden.web.people.answers.shape import Moment, Shape


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
