"""A grant as a frozen value: what it permits, who asked for it, who voted, where it stands (lifecycles.md, "A grant").

Terms never change: who wants other terms asks for another grant. Times are nanoseconds since the epoch, 0 = not set.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import orjson

from stagewarden.model import DataClass, Stage  # noqa: TC001 - read by msgspec

if TYPE_CHECKING:
    from stagewarden.model import Document, Seat, Tier, Vote
    from stagewarden.store.outbox import OutboxEntry


class GrantState(StrEnum):
    """The states of lifecycles.md, "A grant"."""

    REQUESTED = "requested"
    ACTIVE = "active"
    REJECTED = "rejected"
    SPENT = "spent"  # every use is sent
    COMPLETED = "completed"  # a person, or its completion condition
    EXPIRED = "expired"  # its time, on either clock
    REVOKED = "revoked"  # a person
    LAPSED = "lapsed"  # its review window


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one place of the body may hold. `pointer` is RFC 6901, without wildcards; all that is said must hold.

    `const` and `enum` are type-exact: 1, 1.0 and true are three things. `pattern` is anchored at both ends (pattern.py).
    """

    pointer: str
    const: bool | int | float | str | msgspec.UnsetType | None = msgspec.UNSET
    enum: tuple[bool | int | float | str | None, ...] | None = None
    max_length: int | None = None  # characters of a string
    pattern: str | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    optional: bool = False  # may be absent


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is permitted, to whom, until when, how often."""

    agent: str
    workflow: str
    stage: Stage
    kind: str
    upstream: str
    destination: str
    fields: tuple[str, ...]  # top-level members of a body
    classes: tuple[DataClass, ...]
    purpose: str
    evidence: str
    ttl: int  # seconds from the last vote
    uses: int
    asset: str | None = None  # None: any
    digest: str | None = None  # None: any request inside the scope
    content: str | None = None  # the look-up's digest, where what leaves lies at the upstream
    template: bool = False
    bounds: tuple[Bound, ...] = ()
    review_within: int | None = None  # seconds from the last vote until it lapses
    completes_on: str | None = None  # the first success of this kind, by this agent in this workflow, ends it

    def document(self) -> Document:
        """As JSON; what `of` reads."""
        return msgspec.json.decode(msgspec.json.encode(self), type=dict[str, Any])

    def fingerprint(self) -> str:
        """What a vote names: SHA-256 of the canonical JSON."""
        return "sha256:" + hashlib.sha256(orjson.dumps(self.document(), option=orjson.OPT_SORT_KEYS)).hexdigest()

    @classmethod
    def of(cls, document: object) -> Terms:
        """From JSON; raises msgspec.ValidationError."""
        return msgspec.convert(document, cls, strict=True)


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Terms, and where they stand."""

    id: str
    state: GrantState
    terms: Terms
    digest: str  # of the terms
    tier: Tier
    seats: tuple[Seat, ...]
    requested_by: str
    asked_at_ns: int
    decide_by_ns: int
    votes: tuple[Vote, ...] = ()
    approved_at_ns: int = 0
    expires_at_ns: int = 0
    review_by_ns: int = 0
    ended_at_ns: int = 0
    ended_by: str | None = None
    ended_why: str | None = None
    used: int = 0

    @property
    def uses_left(self) -> int:
        """Neither sent nor reserved."""
        return max(0, self.terms.uses - self.used)


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One use: `reserved` with the ruling, `sent` before the first byte, or `returned` because nothing was sent."""

    id: str
    grant: str
    ruling: str
    state: Literal["reserved", "sent", "returned"]
    digest: str
    fields: tuple[str, ...]
    at_ns: int
    settled_at_ns: int = 0


class Changed(msgspec.Struct, frozen=True):
    """A grant after an act, and the entries that must be in the log before anybody is told; none: nothing changed."""

    grant: Grant
    entries: tuple[OutboxEntry, ...] = ()
