"""A grant as its page shows it: what it permits in one sentence, its seats and votes, its bounds, used against granted. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from msgspec import UNSET

from stagewarden.clock import NANOSECONDS
from stagewarden.grants import GrantState
from stagewarden.grants.lifecycle import ENDED
from stagewarden.web.console import when, words
from stagewarden.web.console.exact import digest_parts

if TYPE_CHECKING:
    from stagewarden.gate.grant_acts import GrantView
    from stagewarden.grants import Bound, Grant, Terms
    from stagewarden.identity.people import Caller

_STATES = {
    GrantState.REQUESTED: ("Asked", "It permits nothing before its last seat is filled.", "ink"),
    GrantState.ACTIVE: ("Active", "The next request inside it is let pass without asking people again.", "green"),
    GrantState.REJECTED: ("Rejected", "It never permitted anything.", "red"),
    GrantState.SPENT: ("Spent", "Every use is sent; nothing more passes under it.", "ink"),
    GrantState.COMPLETED: ("Completed", "Its task is done; nothing more passes under it.", "ink"),
    GrantState.EXPIRED: ("Expired", "Its time is over; nothing more passes under it.", "ink"),
    GrantState.REVOKED: ("Revoked", "A person ended it; nothing more passes under it.", "red"),
    GrantState.LAPSED: ("Lapsed", "Nobody reviewed it in time; nothing more passes under it.", "amber"),
}
_WIDER = {"fields": "fields nobody wrote", "uses": "more uses than were made", "period": "more than half of its time after the last use"}
_WAYS_OUT = {"decide_by": "nobody decided in time", "ttl": "its time was over", "review_window": "its review was not made in time"}


def sentence(terms: Terms) -> str:
    """What it permits, verb first."""
    what = f"{terms.stage} ({terms.kind})"
    which = f" asset {terms.asset}" if terms.asset else ""
    often = "once" if terms.uses == 1 else f"{terms.uses:,} times"
    return f"Let {terms.agent} {what}{which} at {terms.upstream}, {often}, for {when.span(terms.ttl * NANOSECONDS)}"


def line(view: GrantView, now_ns: int) -> dict[str, str]:
    """One row beside an agent."""
    return {"id": view.grant.id, "what": sentence(view.grant.terms), "standing": _standing(view.grant, now_ns)}


def row(view: GrantView, caller: Caller, now_ns: int) -> dict[str, object]:
    """One row of the list."""
    grant = view.grant
    label, _, tone = _STATES[grant.state]
    return {
        "id": grant.id, "what": sentence(grant.terms), "workflow": grant.terms.workflow, "tier": str(grant.tier), "by": grant.requested_by,
        "label": label, "tone": tone, "standing": _standing(grant, now_ns), "seats": _seats(view, caller), "yours": waits_for(view, caller),
        "wider": [_WIDER[name] for name in view.report.wider],
    }  # fmt: skip


def waits_for(view: GrantView, caller: Caller) -> bool:
    """Whether this person could fill one of its seats, and has not voted."""
    voted = any(vote.person == caller.person for vote in view.grant.votes)
    return view.grant.state is GrantState.REQUESTED and view.why_not is None and bool(view.functions) and not voted


def page(view: GrantView, caller: Caller, now_ns: int) -> dict[str, object]:
    """Everything of one grant."""
    grant, terms = view.grant, view.grant.terms
    label, text, tone = _STATES[grant.state]
    requested = grant.state is GrantState.REQUESTED
    return {
        "id": grant.id, "what": sentence(terms), "label": label, "text": text, "tone": tone, "tier": str(grant.tier), "by": grant.requested_by,
        "asked": when.moment(grant.asked_at_ns, now_ns), "digest": grant.digest, "digest_parts": digest_parts(grant.digest),
        "due": when.due(grant.asked_at_ns, grant.decide_by_ns, now_ns) if requested else None, "facts": _facts(grant, now_ns),
        "bounds": [_bound(one) for one in terms.bounds], "seats": _seats(view, caller),
        "filled": sum(seat.filled for seat in view.seats), "needed": sum(seat.needed for seat in view.seats),
        "why_not": view.why_not, "functions": view.functions, "voted": any(vote.person == caller.person for vote in grant.votes),
        "votable": requested, "endable": requested or grant.state is GrantState.ACTIVE, "completable": grant.state is GrantState.ACTIVE,
        "reasons": words.REASONS, "used": _used(view, now_ns), "ended": _ended(grant, now_ns),
    }  # fmt: skip


def _standing(grant: Grant, now_ns: int) -> str:
    if grant.state is GrantState.REQUESTED:
        return f"asked, no answer within {when.span(grant.decide_by_ns - now_ns)} is a no"
    if grant.state is GrantState.ACTIVE:
        return f"{grant.uses_left:,} of {grant.terms.uses:,} uses left, ends in {when.span(grant.expires_at_ns - now_ns)}"
    return (
        f"{_STATES[grant.state][0].lower()} {when.moment(grant.ended_at_ns, now_ns).clock}" if grant.ended_at_ns else _STATES[grant.state][0].lower()
    )


def _facts(grant: Grant, now_ns: int) -> list[tuple[str, str]]:
    terms = grant.terms
    template = "each variant inside the bounds opens its own hold, already approved" if terms.template else ""
    facts = (
        ("Agent", terms.agent), ("Workflow", terms.workflow), ("Kind", terms.kind), ("Stage", str(terms.stage)),
        ("Where", f"{terms.upstream}, comes out at {terms.destination}"), ("Asset", terms.asset or "any"),
        ("Fields", ", ".join(terms.fields) or "none"), ("Data classes", ", ".join(terms.classes) or "none"), ("Purpose", terms.purpose),
        ("Exactly", terms.digest or ""), ("Content", terms.content or ""), ("Template", template),
        ("Lasts", f"{when.span(terms.ttl * NANOSECONDS)} from the last vote"), ("Uses", f"{terms.uses:,}"),
        ("Review", f"within {when.span(terms.review_within * NANOSECONDS)}, else it lapses" if terms.review_within else ""),
        ("Done with", f"the first success of {terms.completes_on}" if terms.completes_on else ""),
        ("Evidence", terms.evidence),
        ("In force", when.moment(grant.approved_at_ns, now_ns).clock if grant.approved_at_ns else ""),
        ("Ends", when.moment(grant.expires_at_ns, now_ns).clock if grant.expires_at_ns else ""),
        ("Review by", when.moment(grant.review_by_ns, now_ns).clock if grant.review_by_ns else ""),
    )  # fmt: skip
    return [(label, value) for label, value in facts if value]


def _bound(bound: Bound) -> tuple[str, list[str]]:
    """One place of the body, and what it may hold, in words."""
    ranges = [("at least", bound.minimum), ("at most", bound.maximum), ("at most so many characters:", bound.max_length)]
    told = [] if bound.const is UNSET else [f"exactly {_json(bound.const)}"]
    told += [f"one of {', '.join(_json(value) for value in bound.enum)}"] if bound.enum is not None else []
    told += [f"{word} {value:,}" for word, value in ranges if value is not None]
    told += [f"the whole matches {bound.pattern}"] if bound.pattern is not None else []
    return bound.pointer or "the whole body", [*told, *(["may be absent"] if bound.optional else [])]


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _seats(view: GrantView, caller: Caller) -> list[dict[str, object]]:
    """Each place in order, with the name of a vote that fits; then the no, if there is one."""
    grant = view.grant
    cast = [vote for vote in grant.votes if vote.decision == "approve"]
    open_to_me = waits_for(view, caller)
    shown: list[dict[str, object]] = []
    for seat in view.seats:
        name = " or ".join(seat.functions)
        for place in range(seat.needed):
            vote = next((one for one in cast if one.function in seat.functions), None) if place < seat.filled else None
            if vote is not None:
                cast.remove(vote)
            filled = place < seat.filled
            yours = not filled and open_to_me and bool({*seat.functions} & {*view.functions})
            state = "filled" if filled else "waiting" if grant.state is GrantState.REQUESTED else "asked"
            told = (f"{vote.person}{', you' if vote.person == caller.person else ''}" if vote else "filled") if filled else "waiting"
            told = "not filled" if state == "asked" else "you can fill this seat" if yours else told
            shown.append({"name": name, "state": state, "words": told, "yours": yours})
    for vote in grant.votes:
        if vote.decision != "approve":
            told = f"{vote.person}: {words.reason(vote.reason)}"
            shown.append({"name": f"{vote.function}, rejected", "state": "rejected", "words": told, "yours": False})
    return shown


def _used(view: GrantView, now_ns: int) -> dict[str, object]:
    report, terms = view.report, view.grant.terms
    return {
        "rows": [
            ("Uses", f"{terms.uses:,}", f"{report.sent + report.reserved:,}"),
            ("Fields", ", ".join(terms.fields) or "none", ", ".join(report.fields) or "none"),
            ("Time", when.span(terms.ttl * NANOSECONDS), _period(view, now_ns)),
        ],
        "reserved": report.reserved, "returned": report.returned, "wider": [_WIDER[name] for name in report.wider],
        "over": view.grant.state in ENDED,
        "uses": [
            {"ruling": use.ruling, "state": use.state, "fields": ", ".join(use.fields), "at": when.moment(use.at_ns, now_ns)} for use in view.uses
        ],
    }  # fmt: skip


def _period(view: GrantView, now_ns: int) -> str:
    first, last = view.report.first_at_ns, view.report.last_at_ns
    return f"first {when.moment(first, now_ns).clock}, last {when.moment(last, now_ns).clock}" if first else "not used"


def _ended(grant: Grant, now_ns: int) -> dict[str, object] | None:
    if not grant.ended_at_ns:
        return None
    why = _WAYS_OUT.get(grant.ended_why or "", words.reason(grant.ended_why) if grant.state is GrantState.REJECTED else grant.ended_why or "")
    return {"by": grant.ended_by, "why": why, "at": when.moment(grant.ended_at_ns, now_ns)}
