"""Values of the gate as JSON of the people's API. Adds what concerns the caller; leaves out what the caller may not see yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.clock import rfc3339
from stagewarden.holds.view import person_view
from stagewarden.model import HoldState, Tier

if TYPE_CHECKING:
    from stagewarden.gate.people import AgentView, Engaged, HoldView
    from stagewarden.identity.people import Caller
    from stagewarden.model import JSON, Document, Hold
    from stagewarden.modes import Kill


def hold(view: HoldView, caller: Caller, *, payload: bool) -> Document:
    """The hold, and where this caller stands to it."""
    functions: list[JSON] = [*view.functions]
    shown = blinded(view.hold) if votes_hidden(view.hold, caller) else view.hold
    return {**person_view(shown, view.seats, payload=payload), "you": {"functions": functions, "why_not": view.why_not}}


def summary(changed: Hold) -> Document:
    """The hold after an act on it, without its bytes."""
    return person_view(changed, payload=False)


def votes_hidden(shown: Hold, caller: Caller) -> bool:
    """Whether the others' reasons wait for the caller's own vote: on high tier, while it is open (C2.7)."""
    return shown.tier is Tier.HIGH and shown.state is HoldState.PENDING and not any(vote.person == caller.person for vote in shown.votes)


def blinded(shown: Hold) -> Hold:
    """The hold without why the others voted as they did."""
    return replace(shown, votes=tuple(replace(vote, reason=None, note=None, answers=()) for vote in shown.votes))


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


def moded(view: AgentView) -> Document:
    """An agent after its mode was set, and what could not be done yet."""
    return {**agent(view), "owed": [*view.owed]}


def engaged(made: Engaged) -> Document:
    """A kill just engaged, and what could not be done yet."""
    return {**kill(made.kill), "owed": [*made.owed]}


def kill(stop: Kill) -> Document:
    """A kill in force."""
    return {"id": stop.id, "scope": stop.scope, "by": stop.by, "at": rfc3339(stop.at_ns), "reason": stop.reason, "security": stop.security}
