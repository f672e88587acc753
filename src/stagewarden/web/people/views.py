"""Values of the gate as JSON of the people's API. Adds what concerns the caller; leaves out what the caller may not see yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.clock import rfc3339
from stagewarden.gate.revisions import NEEDED
from stagewarden.holds.view import person_view, seat_documents
from stagewarden.model import HoldState, Tier

if TYPE_CHECKING:
    from stagewarden.gate.grant_acts import GrantView
    from stagewarden.gate.people import AgentView, Engaged, HoldView, OwnReviews, WorkflowReviews
    from stagewarden.gate.revisions import RevisionView
    from stagewarden.holds.signals import Measures
    from stagewarden.identity.people import Caller, ProgramToken
    from stagewarden.identity.sessions import Seen
    from stagewarden.model import JSON, Document, Hold
    from stagewarden.modes import Kill


def hold(view: HoldView, caller: Caller, *, payload: bool) -> Document:
    """The hold, and where this caller stands to it."""
    functions: list[JSON] = [*view.functions]
    you: Document = {"functions": functions, "why_not": view.why_not}
    if payload:
        you["why_not_edit"] = view.why_not_edit
    shown = blinded(view.hold) if votes_hidden(view.hold, caller) else view.hold
    return {**person_view(shown, view.seats, payload=payload), "you": you}


def summary(changed: Hold) -> Document:
    """The hold after an act on it, without its bytes."""
    return person_view(changed, payload=False)


def votes_hidden(shown: Hold, caller: Caller) -> bool:
    """Whether the others' reasons wait for the caller's own vote: on high tier, while it is open (C2.7)."""
    return shown.tier is Tier.HIGH and shown.state is HoldState.PENDING and not any(vote.person == caller.person for vote in shown.votes)


def blinded(shown: Hold) -> Hold:
    """The hold without why the others voted as they did."""
    return replace(shown, votes=tuple(replace(vote, reason=None, note=None, answers=()) for vote in shown.votes))


def grant(view: GrantView) -> Document:
    """A grant: its terms, who said yes, on what evidence, for how long, what ends it, and what was used of it."""
    given, terms, said = view.grant, view.grant.terms.document(), view.report
    unused: list[JSON] = [*said.unused_fields]
    used: list[JSON] = [*said.fields]
    wider: list[JSON] = [*said.wider]
    functions: list[JSON] = [*view.functions]
    uses: list[JSON] = [
        {"id": use.id, "state": use.state, "ruling": use.ruling, "digest": use.digest, "fields": [*use.fields], "at": rfc3339(use.at_ns)}
        for use in view.uses
    ]
    votes: list[JSON] = [
        {"id": vote.id, "person": vote.person, "function": vote.function, "decision": vote.decision, "reason": vote.reason, "at": rfc3339(vote.at_ns)}
        for vote in given.votes
    ]
    return {
        "id": given.id, "state": str(given.state), "digest": given.digest, "terms": terms, "tier": str(given.tier),
        "seats": seat_documents(view.seats), "votes": votes, "requested_by": given.requested_by, "asked_at": rfc3339(given.asked_at_ns),
        "decide_by": rfc3339(given.decide_by_ns), "approved_at": _moment(given.approved_at_ns), "expires_at": _moment(given.expires_at_ns),
        "review_by": _moment(given.review_by_ns), "ended_at": _moment(given.ended_at_ns), "ended_by": given.ended_by, "ended_why": given.ended_why,
        "used": {
            "sent": said.sent, "reserved": said.reserved, "returned": said.returned, "left": given.uses_left, "fields": used,
            "unused_fields": unused, "first_at": _moment(said.first_at_ns), "last_at": _moment(said.last_at_ns), "wider": wider,
        },
        "uses": uses, "you": {"functions": functions, "why_not": view.why_not},
    }  # fmt: skip


def _moment(ns: int) -> str | None:
    return rfc3339(ns) if ns else None


def agent(view: AgentView) -> Document:
    """An agent and its mode in force."""
    entry = view.agent
    return {
        "id": view.id,
        "mode": {
            "mode": view.mode,
            "by": view.mode_by,
            "reason": view.mode_reason,
            "at": rfc3339(view.mode_at_ns) if view.mode_at_ns else None,
            "security": view.mode_security,
            "observed_until": rfc3339(view.observed_until_ns) if view.observed_until_ns else None,
        },
        "owners": {"human": entry.owners.human, "business": entry.owners.business, "technical": entry.owners.technical},
        "stages": [*entry.stages],
        "workflows": [*entry.workflows],
        "connectors": [*entry.connectors],
    }


def revision(view: RevisionView) -> Document:
    """A registry that waits: what it widens, who has confirmed it, and where this caller stands to it."""
    stored = view.revision
    return {
        "id": stored.id,
        "digest": stored.digest,
        "base": stored.base,
        "state": stored.state,
        "proposed_at": rfc3339(stored.since_ns),
        "widens": [{"place": one.place, "change": one.text, "gains": [*one.gains]} for one in view.widens],
        "confirmations": [{"person": one.person, "at": rfc3339(one.at_ns)} for one in stored.confirmations],
        "needed": NEEDED,
        "you": {"why_not": view.why_not},
    }


def moded(view: AgentView) -> Document:
    """An agent after its mode was set, and what could not be done yet."""
    return {**agent(view), "owed": [*view.owed]}


def engaged(made: Engaged) -> Document:
    """A kill just engaged, and what could not be done yet."""
    return {**kill(made.kill), "owed": [*made.owed]}


def kill(stop: Kill) -> Document:
    """A kill in force."""
    return {"id": stop.id, "scope": stop.scope, "by": stop.by, "at": rfc3339(stop.at_ns), "reason": stop.reason, "security": stop.security}


def token(one: ProgramToken) -> Document:
    """A program's token, without the token."""
    return {
        "id": one.id, "program": one.program, "scopes": [*one.scopes], "creator": one.creator, "expires_at": rfc3339(one.expires_ns),
        "used_at": rfc3339(one.used_ns) if one.used_ns else None, "state": one.state,
    }  # fmt: skip


def session(seen: Seen) -> Document:
    """One place where the caller is signed in."""
    return {
        "id": seen.id, "place": seen.place, "label": seen.label, "opened_at": rfc3339(seen.opened_at_ns), "used_at": rfc3339(seen.seen_at_ns),
        "ends_at": rfc3339(seen.ends_at_ns), "here": seen.here,
    }  # fmt: skip


def own_reviews(own: OwnReviews) -> Document:
    """The caller's own reviews."""
    return {"measures": _measures(own.measures), "signals": [*own.signals]}


def workflow_reviews(view: WorkflowReviews) -> Document:
    """A workflow's, as far as there are enough to say anything."""
    measures = None if view.measures is None else _measures(view.measures)
    return {"workflow": view.workflow, "measures": measures, "signals": [*view.signals], "second_person": [*view.second_person]}


def _measures(measures: Measures) -> Document:
    return {
        "count": measures.count, "approved": measures.approved, "seconds": measures.seconds, "words_per_minute": measures.words_per_minute,
        "unread": measures.unread, "run": measures.run, "burst": measures.burst,
    }  # fmt: skip
