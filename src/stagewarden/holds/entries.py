"""What the log is told about holds, and the digest of what a person was shown.

Entries are written to the outbox by the transaction that moves the hold. They hold ids, digests and codes: never a body, a
header, a note or a credential.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.errors import CannotTell
from stagewarden.holds.ballot import note_digest
from stagewarden.wire.canonical import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stagewarden.holds.lifecycle import Event
    from stagewarden.holds.signals import Review
    from stagewarden.model import JSON, Ask, Document, Hold, HoldState, Vote
    from stagewarden.store.outbox import OutboxEntry


@dataclass(frozen=True, slots=True)
class Moved:
    """A hold after a move, and the entries that must be in the log before anybody is told; none: nothing changed."""

    hold: Hold
    entries: tuple[OutboxEntry, ...]
    review: Review | None = None  # how the vote that moved it came about; no part of the log


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a hold moves: who did it (a person, an agent, or None for the sidecar itself), and a code or short text."""

    by: str | None = None
    reason: str | None = None
    evidence: str | None = None  # salted digest of what a person found out


def hold_body(hold: Hold, was: HoldState | None, event: Event | str, cause: Cause) -> Document:
    """A `hold` entry: from where to where, by which event, and what the hold is about."""
    found: Document = {} if cause.evidence is None else {"evidence": cause.evidence}
    return {
        "hold": hold.id, "event": str(event), "from": None if was is None else str(was), "state": str(hold.state),
        "ruling": hold.ruling, "agent": hold.agent, "workflow": hold.workflow, "upstream": hold.upstream, "stage": str(hold.stage),
        "action": hold.kind, "asset": hold.asset, "tier": str(hold.tier), "digest": hold.digest, "view_digest": hold.view_digest,
        "by": cause.by, "reason": cause.reason, "attempt": hold.attempt, "successor": hold.successor, **found,
    }  # fmt: skip


def people_hear(body: Document) -> str | None:
    """What of an entry people are to be told outside the console (contract section 2, `notify`), as an event's name; None: nothing."""
    event, was, state = body.get("event"), body.get("from"), body.get("state")
    if event in _HEARD:
        return _HEARD[str(event)]
    if was == state:
        return None
    if state in {"rejected", "sent_back"} or (state in {"approved", "settling"} and was == "pending"):
        return "decided"
    return {"expired": "expired", "unknown": "unknown", "stopped": "stop"}.get(str(state))


# Seats that votes lapsed from are open again.
_HEARD: Mapping[str, str] = {"opened": "opened", "taken_up": "opened", "votes_lapsed": "opened", "escalated": "escalated", "reminded": "reminder"}


def vote_body(hold: Hold, vote: Vote) -> Document:
    """A `vote` entry: who decided what, in which function, about which bytes."""
    answers: dict[str, JSON] = dict(vote.answers)
    return {
        "hold": hold.id, "vote": vote.id, "ruling": hold.ruling, "agent": hold.agent, "person": vote.person, "function": vote.function,
        "decision": vote.decision, "reason": vote.reason, "note": note_digest(vote), "answers": answers,
        "digest": vote.digest, "view_digest": vote.view_digest,
    }  # fmt: skip


def verdict_document(verdict: Ask) -> Document:
    """The verdict as JSON, as far as a person is shown it."""
    return {
        "effect": verdict.effect,
        "tier": str(verdict.tier),
        "reasons": [reason.document() for reason in verdict.reasons],
        "seats": [{"functions": list(seat.functions), "count": seat.count} for seat in verdict.seats],
        "obligations": {"review": verdict.obligations.review, "settle": verdict.obligations.settle},
    }


def view_digest(digest: str, verdict: Ask, lookup_digest: str | None, evidence: Sequence[Document] = ()) -> str:
    """SHA-256 of the canonical JSON (RFC 8785) of what a vote is about (lifecycles.md, "Votes"); no ages, votes or clocks.

    Raises CannotTell where a reason carries what has no canonical form.
    """
    shown: Document = {"digest": digest, "verdict": verdict_document(verdict), "lookup": lookup_digest, "evidence": list(evidence)}
    try:
        return "sha256:" + hashlib.sha256(canonical(shown)).hexdigest()
    except ValueError as error:
        raise CannotTell(f"the verdict cannot be shown to people: {error}") from error
