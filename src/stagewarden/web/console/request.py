"""One hold as the request page shows it: computed from the stored bytes and the question, never from what the agent says of them."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.holds.titles import described
from stagewarden.model import HoldState
from stagewarden.web.console import exact, rail, seats, seen, sources, when, words
from stagewarden.web.console.approving import Part, Section, Typed, sections, typed
from stagewarden.web.console.changes import Changes, changes
from stagewarden.web.console.weighing import Weighed, weighed
from stagewarden.web.people.views import blinded, votes_hidden

if TYPE_CHECKING:
    from stagewarden.gate.people import Around, HoldView, Offer
    from stagewarden.identity.people import Caller
    from stagewarden.model import Headers, Hold, Reason
    from stagewarden.web.console.exact import Bytes, Run

_EXACT = 256 << 10  # bytes of markup for the exact request, and for the answer
_MILLISECOND = 1_000_000  # ns
_UNASKED = "nobody is asked yet; it is taken up first"
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
    sections: tuple[Section, ...]
    typed: Typed | None
    saw: str
    state: str
    why_not_edit: str | None
    prove: str | None
    offers: frozenset[Offer]
    asked_of_people: bool
    left_ms: int
    settled: float
    bytes: int | None
    reject_reasons: tuple[tuple[str, str], ...] = words.REASONS


@dataclass(frozen=True, slots=True)
class Following:
    """The next hold that waits for the reader."""

    id: str
    effect: words.Sentence
    tier: str
    due: when.Due


def following(hold: Hold, now_ns: int) -> Following:
    """As a list knows it: nothing of its content."""
    return Following(hold.id, words.effect(hold, payload=False), str(hold.tier), when.due(hold.asked_at_ns, hold.expires_at_ns, now_ns))


def page(view: HoldView, around: Around, caller: Caller, now_ns: int, held: frozenset[str] = frozenset()) -> Page:
    """The page for one reader, who holds these functions."""
    hidden = votes_hidden(view.hold, caller)
    hold = blinded(view.hold) if hidden else view.hold
    shows = view.payload and hold.payload
    pending = hold.state is HoldState.PENDING
    voted = any(vote.person == caller.person for vote in hold.votes)
    missing = sum(seat.needed - seat.filled for seat in view.seats)
    content = _content(hold) if shows else None
    looked = weighed(hold, around, now_ns, held, payload=shows)
    return Page(
        id=hold.id, short_id=exact.short_id(hold.id), ruling=hold.ruling, digest=hold.digest, digest_parts=exact.digest_parts(hold.digest),
        view_digest=hold.view_digest, key=secrets.token_urlsafe(16),
        effect=words.effect(hold, payload=shows), reversible=words.reversibility(hold), recallable=words.recallable(hold),
        tier=str(hold.tier), due=when.due(hold.asked_at_ns, hold.expires_at_ns, now_ns), asked=when.moment(hold.asked_at_ns, now_ns),
        workflow=hold.workflow, agent=hold.agent, upstream=hold.upstream, asset=exact.asset(hold.asset) if hold.asset else None,
        method=hold.request.method,
        target=exact.reveal(hold.request.target if shows else hold.request.target.partition("?")[0]),
        reasons=hold.reasons, rail=rail.rail(hold, view.seats, now_ns), seats=seats.places(_with(view, hold), caller.person, now_ns),
        filled=sum(seat.filled for seat in view.seats), needed=sum(seat.needed for seat in view.seats),
        notes_hidden=hidden and bool(hold.votes), standing=None if pending else words.standing(hold),
        under_way=hold.state in words.UNDER_WAY, stoppable=hold.state in words.STOPPABLE,
        ended=_moment(hold.ended_at_ns, now_ns), settles=when.second(hold.settles_at_ns, now_ns) if hold.state is HoldState.SETTLING else None,
        escalated=_moment(hold.escalated_at_ns, now_ns), doubtful=words.doubtful(hold),
        evidence=exact.reveal(hold.evidence) if shows and hold.evidence else None, ended_by=_ended_by(hold), successor=hold.successor,
        content=content, weighed=looked, gone=view.payload and not hold.payload,
        voting=pending and bool(view.functions) and not voted and caller.person is not None,
        voted=voted, pinned=hold.lookup_digest is not None, why_not=view.why_not if hold.asked else _UNASKED,
        functions=_functions(view), questions=_questions(hold),
        approving=_approving(missing),
        sections=sections(parts(content, looked), hold.tier), typed=typed(hold), saw=seen.seen(hold), state=str(hold.state),
        why_not_edit=view.why_not_edit, prove=view.prove, offers=view.offers, asked_of_people=hold.asked,
        left_ms=max(0, hold.settles_at_ns - now_ns) // _MILLISECOND,
        settled=_share(hold.approved_at_ns, hold.settles_at_ns, now_ns), bytes=content.body.size if content else None,
    )  # fmt: skip


def parts(content: Content | None, looked: Weighed) -> tuple[Part, ...]:
    """The sections with a Read box, in the order of the page; whoever adds one to the page names it here."""
    found = [Part("descent", "What it takes the place of", change=True)] if looked.descent else []
    if content is not None:
        shown = content.changes
        found.append(Part("changes", "What changes", change=True))
        if shown.asset and shown.empty:
            found.append(Part("about", "What it is about", change=True))
        for number, text in enumerate(shown.texts, 1):
            found.append(Part(f"text{number}", f"“{exact.one_line(''.join(run.text for run in text.name))}”, line by line", change=True))
        if looked.media:
            found.append(Part("media", "Files", change=True))
        if looked.audience or looked.unknown_audience:
            found.append(Part("audience", "Who would get it"))
    return (*found, Part("evidence", "Evidence"))


def _functions(view: HoldView) -> tuple[str, ...]:
    """The seats to choose from: those of this person's functions that are still open, else all of them."""
    wanted = {function for seat in view.seats if seat.filled < seat.needed for function in seat.functions}
    return tuple(function for function in view.functions if function in wanted) or view.functions


def _moment(ns: int, now_ns: int) -> when.Moment | None:
    return when.moment(ns, now_ns) if ns else None


def _share(begun_ns: int, over_ns: int, now_ns: int) -> float:
    """How much of its time to settle has passed, 0 to 1."""
    return min(1.0, max(0.0, (now_ns - begun_ns) / max(1, over_ns - begun_ns)))


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
