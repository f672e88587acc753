"""One hold as the request page shows it: computed from the stored bytes and the question, never from what the agent says of them."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.gate.resolving import LOOKS_UP
from stagewarden.model import HoldState
from stagewarden.web.console import exact, rail, seats, sources, when, words
from stagewarden.web.console.changes import Changes, changes, described
from stagewarden.web.console.weighing import Weighed, weighed
from stagewarden.web.people.views import blinded, votes_hidden

if TYPE_CHECKING:
    from stagewarden.gate.people import Around, HoldView
    from stagewarden.identity.people import Caller
    from stagewarden.model import Headers, Hold, Reason
    from stagewarden.web.console.exact import Bytes, Run

_EXACT = 256 << 10  # bytes of markup for the exact request, and for the answer

Pair = tuple[tuple["Run", ...], tuple["Run", ...]]


@dataclass(frozen=True, slots=True)
class Answered:
    """The upstream's answer."""

    status: int
    headers: tuple[Pair, ...]
    body: Bytes


@dataclass(frozen=True, slots=True)
class Content:
    """What only those with a right to payloads see."""

    changes: Changes
    headers: tuple[Pair, ...]
    body: Bytes
    authority: str
    says: tuple[Pair, ...]
    says_hidden: int
    answer: Answered | None


@dataclass(frozen=True, slots=True)
class Page:
    """Everything on the page but the reader's own unfinished vote."""

    id: str
    short_id: str
    ruling: str
    digest: str
    digest_parts: tuple[str, str]
    view_digest: str
    key: str
    effect: words.Sentence
    reversible: str
    recallable: bool
    tier: str
    due: when.Due
    asked: when.Moment
    workflow: str
    agent: str
    upstream: str
    asset: str | None
    method: str
    target: tuple[Run, ...]
    reasons: tuple[Reason, ...]
    rail: tuple[rail.Node, ...]
    seats: tuple[seats.Place, ...]
    filled: int
    needed: int
    notes_hidden: bool
    standing: words.Standing | None
    under_way: bool
    stoppable: bool
    ended: when.Moment | None
    settles: when.Moment | None
    escalated: when.Moment | None
    doubtful: bool
    resolvable: bool
    evidence: tuple[Run, ...] | None
    ended_by: str | None
    successor: str | None
    content: Content | None
    weighed: Weighed
    gone: bool
    voting: bool
    voted: bool
    pinned: bool
    why_not: str | None
    functions: tuple[str, ...]
    questions: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    approving: str
    asks: int
    reject_reasons: tuple[tuple[str, str], ...] = words.REASONS


def page(view: HoldView, around: Around, caller: Caller, now_ns: int, held: frozenset[str] = frozenset()) -> Page:
    """The page for one reader, who holds these functions."""
    hidden = votes_hidden(view.hold, caller)
    hold = blinded(view.hold) if hidden else view.hold
    shows = view.payload and hold.payload
    pending = hold.state is HoldState.PENDING
    voted = any(vote.person == caller.person for vote in hold.votes)
    missing = sum(seat.needed - seat.filled for seat in view.seats)
    return Page(
        id=hold.id, short_id=exact.short_id(hold.id), ruling=hold.ruling, digest=hold.digest, digest_parts=exact.digest_parts(hold.digest),
        view_digest=hold.view_digest, key=secrets.token_urlsafe(16),
        effect=words.effect(hold, payload=shows), reversible=words.reversibility(hold), recallable=words.recallable(hold),
        tier=str(hold.tier), due=when.due(hold.asked_at_ns, hold.expires_at_ns, now_ns), asked=when.moment(hold.asked_at_ns, now_ns),
        workflow=hold.workflow, agent=hold.agent, upstream=hold.upstream, asset=hold.asset, method=hold.request.method,
        target=exact.reveal(hold.request.target if shows else hold.request.target.partition("?")[0]),
        reasons=hold.reasons, rail=rail.rail(hold, view.seats, now_ns), seats=seats.places(_with(view, hold), caller.person, now_ns),
        filled=sum(seat.filled for seat in view.seats), needed=sum(seat.needed for seat in view.seats),
        notes_hidden=hidden and bool(hold.votes), standing=None if pending else words.STANDINGS[hold.state],
        under_way=hold.state in words.UNDER_WAY, stoppable=hold.state in words.STOPPABLE,
        ended=_moment(hold.ended_at_ns, now_ns), settles=_moment(hold.settles_at_ns if hold.state is HoldState.SETTLING else 0, now_ns),
        escalated=_moment(hold.escalated_at_ns, now_ns), doubtful=words.doubtful(hold),
        resolvable=hold.state is HoldState.UNKNOWN and not held.isdisjoint(LOOKS_UP),
        evidence=exact.reveal(hold.evidence) if shows and hold.evidence else None, ended_by=_ended_by(hold), successor=hold.successor,
        content=_content(hold) if shows else None, weighed=weighed(hold, around, now_ns, held, payload=shows), gone=view.payload and not hold.payload,
        voting=pending and bool(view.functions) and not voted and caller.person is not None,
        voted=voted, pinned=hold.lookup_digest is not None, why_not=view.why_not, functions=view.functions, questions=_questions(hold),
        approving=_approving(missing),
        asks=len(hold.questions),
    )  # fmt: skip


def _moment(ns: int, now_ns: int) -> when.Moment | None:
    return when.moment(ns, now_ns) if ns else None


def _with(view: HoldView, hold: Hold) -> HoldView:
    return type(view)(hold, view.seats, view.payload, view.why_not, view.functions)


def _content(hold: Hold) -> Content:
    request, response = hold.request, hold.response
    asserted = {name: value for name, value in words.asserted(hold).items() if name not in sources.NAMES}
    said = {name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for name, value in asserted.items()}
    return Content(
        changes=changes(request, hold.before, described(hold.question)),
        headers=_pairs(request.headers),
        body=exact.body(request.body, exact.Room(_EXACT)),
        authority=f"{hold.upstream}, {request.scheme}://{request.authority}",
        says=tuple((exact.reveal(name), exact.reveal(value)) for name, value in said.items()),
        says_hidden=sum(exact.count(name) + exact.count(value) for name, value in said.items()),
        answer=None if response is None else Answered(response.status, _pairs(response.headers), exact.content(response.body, exact.Room(_EXACT))),
    )


def _pairs(headers: Headers) -> tuple[Pair, ...]:
    return tuple((exact.reveal(name), exact.reveal(value)) for name, value in headers)


def _ended_by(hold: Hold) -> str | None:
    """The code it ended with, where the state and the answer do not say it already."""
    return None if hold.ended_by == hold.state or hold.response is not None else hold.ended_by


def _approving(missing: int) -> str:
    if missing == 1:
        return "The last seat: it is sent once any time to settle is over and the policy has been asked again"
    return f"{missing} seats are open; it waits for the others"


def _questions(hold: Hold) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """The checks of high tier, then the ordinary questions."""
    checks = tuple((name, words.question(name)) for name in hold.questions if name in words.CHECKS)
    others = tuple((name, words.question(name)) for name in hold.questions if name not in words.CHECKS)
    heading = "Four questions" if len(others) == len(words.QUESTIONS) else "Questions"
    return tuple((name, items) for name, items in (("Checks", checks), (heading, others)) if items)
