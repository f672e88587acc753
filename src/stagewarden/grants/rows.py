"""Row ↔ value, and what the log is told. Terms are in clear: people wrote them; nothing an agent wrote is stored here but digests and names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stagewarden.grants.grant import Grant, GrantState, Terms, Use
from stagewarden.model import Seat, Tier, Vote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import RowMapping

    from stagewarden.grants.lifecycle import Event
    from stagewarden.model import Document

_PLAIN = (
    "id", "digest", "requested_by", "asked_at_ns", "decide_by_ns", "approved_at_ns", "expires_at_ns", "review_by_ns", "ended_at_ns", "ended_by",
    "ended_why", "used",
)  # fmt: skip


def stored(grant: Grant) -> dict[str, Any]:
    """A fresh grant as a row."""
    terms = grant.terms
    return {
        **{name: getattr(grant, name) for name in _PLAIN},
        **{name: str(getattr(terms, name)) for name in ("agent", "workflow", "upstream", "stage")},
        "state": str(grant.state), "tier": str(grant.tier), "terms": terms.document(), "completes_on": terms.completes_on, "uses": terms.uses,
        "seats": [{"functions": list(seat.functions), "count": seat.count} for seat in grant.seats],
    }  # fmt: skip


def restored(row: RowMapping, votes: Iterable[RowMapping]) -> Grant:
    """A row with its votes as a Grant."""
    return Grant(
        **{name: row[name] for name in _PLAIN},
        state=GrantState(row["state"]),
        terms=Terms.of(row["terms"]),
        tier=Tier(row["tier"]),
        seats=tuple(Seat(tuple(item["functions"]), item["count"]) for item in row["seats"]),
        votes=tuple(_vote(vote) for vote in votes),
    )


def vote_row(vote: Vote, grant: str) -> dict[str, Any]:
    """A vote as a row."""
    return {
        "id": vote.id, "grant": grant, "person": vote.person, "function": vote.function, "decision": vote.decision, "reason": vote.reason,
        "digest": vote.digest, "at_ns": vote.at_ns,
    }  # fmt: skip


def _vote(row: RowMapping) -> Vote:
    """What was shown is the terms, and their digest says all of it."""
    return Vote(row["id"], row["person"], row["function"], row["decision"], row["reason"], None, row["digest"], row["digest"], row["at_ns"])


def use(row: RowMapping) -> Use:
    """A row as a Use."""
    return Use(
        id=row["id"], grant=row["grant"], ruling=row["ruling"], state=row["state"], digest=row["digest"], fields=tuple(row["fields"]),
        at_ns=row["at_ns"], settled_at_ns=row["settled_at_ns"],
    )  # fmt: skip


def body(grant: Grant, was: GrantState | None, event: Event | str, by: str | None, why: str | None) -> Document:
    """A `grant` entry: from where to where, by which event and whom, and what it permits; terms whole when it is asked for and approved."""
    terms = grant.terms
    told: Document = {
        "grant": grant.id, "event": str(event), "from": None if was is None else str(was), "state": str(grant.state), "agent": terms.agent,
        "workflow": terms.workflow, "upstream": terms.upstream, "stage": str(terms.stage), "action": terms.kind, "asset": terms.asset,
        "digest": grant.digest, "by": by, "reason": why, "used": grant.used, "uses": terms.uses,
    }  # fmt: skip
    if was is None or was is not grant.state:
        told["expires_at_ns"] = grant.expires_at_ns
        told["approved_by"] = [{"person": vote.person, "function": vote.function} for vote in grant.votes if vote.decision == "approve"]
    return {**told, "terms": terms.document()} if was is None or (grant.state is GrantState.ACTIVE and was is not grant.state) else told


def vote_body(grant: Grant, vote: Vote) -> Document:
    """A `vote` entry."""
    return {
        "grant": grant.id, "vote": vote.id, "agent": grant.terms.agent, "person": vote.person, "function": vote.function,
        "decision": vote.decision, "reason": vote.reason, "digest": vote.digest,
    }  # fmt: skip


def use_body(grant: Grant, event: str, spent: Use) -> Document:
    """A `grant` entry about one use: which ruling reserved it or gave it back."""
    return {
        "grant": grant.id, "event": event, "from": str(grant.state), "state": str(grant.state), "agent": grant.terms.agent,
        "workflow": grant.terms.workflow, "use": spent.id, "ruling": spent.ruling, "request": spent.digest,
        "used": grant.used, "uses": grant.terms.uses,
    }  # fmt: skip
