"""A request that waits for people, their votes, and the answer that is kept with it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from stagewarden.model.request import Document, Headers, Request, Stage, Tier
    from stagewarden.model.verdict import Reason, Seat


class HoldState(StrEnum):
    """The states of lifecycles.md, "A hold"."""

    PENDING = "pending"
    SETTLING = "settling"
    APPROVED = "approved"
    CLAIMED = "claimed"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    SENT_BACK = "sent_back"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled_back"


class Vote(msgspec.Struct, frozen=True):
    """One authenticated person's answer on one hold, in one seat."""

    id: str
    person: str
    function: str
    decision: Literal["approve", "reject", "send_back"]
    reason: str | None
    note: str | None
    digest: str
    view_digest: str
    at_ns: int
    answers: tuple[tuple[str, bool], ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """An upstream's answer as the agent may see it; kept with a hold. `withheld`: there was a body, and it is not here."""

    status: int
    headers: Headers
    body: bytes
    withheld: bool = False


class Hold(msgspec.Struct, frozen=True):
    """A request waiting for people, with the exact bytes to be sent. Times in nanoseconds since the epoch; 0 = not set."""

    id: str
    state: HoldState
    ruling: str
    digest: str
    view_digest: str
    repeat_digest: str
    agent: str
    workflow: str
    initiator: str
    upstream: str
    stage: Stage
    kind: str
    asset: str | None
    lookup_digest: str | None
    tier: Tier
    reasons: tuple[Reason, ...]
    seats: tuple[Seat, ...]
    questions: tuple[str, ...]
    votes: tuple[Vote, ...]
    asked_at_ns: int
    expires_at_ns: int
    approved_at_ns: int
    use_by_ns: int
    ended_at_ns: int
    attempt: str | None
    successor: str | None
    ended_by: str | None  # reason code, person or event that ended it
    request: Request
    question: Document
    before: bytes | None = None  # the looked-up asset as it stood when asked, for "what changes"
    response: Answer | None = None
    after_digest: str | None = None  # the look-up's digest right after the send; a later difference ends the stored answer
    asked: bool = True  # False: a proposal, stored without asking anybody until somebody eligible takes it up
    settles_at_ns: int = 0  # not released before this moment
    escalated_at_ns: int = 0  # when the other people and delegates of its functions were told
    reminded_at_ns: int = 0  # when whoever could still decide it was reminded
    predecessor: str | None = None  # the hold it took the place of
    editor: str | None = None  # the person who edited the predecessor's body into this one's
    grant: str | None = None  # the bounded template that approved it in advance
    authors: tuple[str, ...] = ()  # who else is known to have written what lies at the upstream; none of them may approve it
    original: bytes | None = None  # the predecessor's body that `editor` changed, for the difference
    sends: int = 0  # how often it was begun to be sent; more than once only where the upstream honours `Idempotency-Key`
    resend: bool = False  # its route said so when it was last begun to be sent
    settle_ns: int = 0  # what the verdict that asked for people obliges us to wait after the last vote
    evidence: str | None = None  # what a person found out about an outcome that was unknown
    payload: bool = True  # False: request, question, before and response were not read for this value, or are deleted
