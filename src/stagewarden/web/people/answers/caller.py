"""Who calls, and what signing in gives."""

from __future__ import annotations

from typing import Literal

from stagewarden.web.people.answers.shape import Cursor, Moment, Shape


class Nothing(Shape, frozen=True, kw_only=True):
    """It is done, and there is nothing to tell."""


class Session(Shape, frozen=True, kw_only=True):
    """A bearer token for one person, shown once."""

    token: str
    expires_at: Moment


class TerminalSession(Session, frozen=True, kw_only=True):
    """A bearer token for a terminal, shown once, and whose it is."""

    person: str


class SignedIn(Shape, frozen=True, kw_only=True):
    """One place where the caller is signed in. `here`: the one that asks; `label`: what a terminal calls itself, unverified."""

    id: str
    place: Literal["browser", "bearer", "terminal"]
    label: str
    opened_at: Moment
    used_at: Moment
    ends_at: Moment
    here: bool


class Sessions(Shape, frozen=True, kw_only=True):
    """The caller's own."""

    items: list[SignedIn]
    next: Cursor


class Token(Shape, frozen=True, kw_only=True):
    """A program's token, without the token. `id`: how its SHA-256 in the tokens file begins; `creator`: it may never more than they may."""

    id: str
    program: str
    scopes: list[str]
    creator: str | None
    expires_at: Moment
    used_at: Moment | None
    state: Literal["good", "expired", "creator_left"]


class Tokens(Shape, frozen=True, kw_only=True):
    """What the caller created; to security and technical, all."""

    items: list[Token]
    next: Cursor


class Me(Shape, frozen=True, kw_only=True):
    """Who calls: a person with functions, or a program with scopes."""

    person: str | None
    program: str | None
    functions: list[str]
    scopes: list[str]
    via: Literal["password", "token", "session", "terminal"]
