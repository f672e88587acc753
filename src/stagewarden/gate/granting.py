"""Grants on the agents' plane: which stand, which one a yes leans on, its use reserved with the ruling and sent before the first byte.

What a grant permits is the policy's to say; here its facts are carried, and uses counted. A use nobody can settle stays counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from stagewarden.clock import NANOSECONDS, new_id, rfc3339
from stagewarden.errors import CannotTell, Conflict, NotFound
from stagewarden.gate import council
from stagewarden.gate.question import build
from stagewarden.gate.streams import Stopped
from stagewarden.grants import Grant, GrantState, bounds
from stagewarden.grants.known import ending
from stagewarden.model import Allow, Deny, Question, Tier, Vote

if TYPE_CHECKING:
    from stagewarden.gate.draft import Draft, Sending
    from stagewarden.gate.question import Parts
    from stagewarden.gate.rooms import Rooms
    from stagewarden.grants import Terms, Use
    from stagewarden.holds import NewHold
    from stagewarden.model import JSON, Action, Document, Hold, Principal, Ruling, Verdict

_TRIES = 5  # how often the last use may be lost to somebody else before we say that we cannot tell
_ANY, _NONE = "*", "none"
_REFUSED = 400  # RFC 9110 section 15


def of_another_stage(principal: Principal, action: Action) -> Deny | None:
    """A stage-bound token is good for its stage alone, whatever the agent may do with another one."""
    if principal.credential.stage in {None, action.stage}:
        return None
    return Deny.by_gate(
        "stage_not_granted", "This token is for another stage", {"stage": str(action.stage), "token": str(principal.credential.stage)}
    )


async def decide(rooms: Rooms, draft: Draft, parts: Parts) -> Verdict:
    """Ask the policy with the grants that stand now. A yes that leans on one reserves a use of it; who loses the last use is judged again."""
    action, principal = parts.action, parts.principal
    place = (principal.agent, principal.workflow or "", action.upstream, str(action.stage))
    for _ in range(_TRIES):
        draft.granted = await rooms.grants.standing(place)
        shown: list[JSON] = [_shown(rooms, grant, _outside(grant, parts)) for grant in draft.granted]
        question = draft.question = build(parts, rooms.circumstances(principal.agent, principal.workflow), shown)
        verdict = await rooms.decider.decide(question)
        grant = _leaned_on(verdict, draft.granted)
        if grant is None:
            return verdict
        reserved = await rooms.grants.reserve(grant, draft.head.id, parts.digest, action.fields)
        if reserved is not None:
            draft.use, changed = reserved
            await rooms.recorder.deliver_grant(changed)
            return verdict
    raise CannotTell("no use of the grant could be taken: others took them, or its approval is not in the log yet")


async def settle(rooms: Rooms, draft: Draft, ruling: Ruling) -> None:
    """The ruling is made: a use reserved for what is refused after all is given back."""
    if draft.use is not None and not isinstance(ruling.verdict, Allow):
        await give_back(rooms, draft.use)


async def begin(rooms: Rooms, use: Use) -> None:
    """The next step is the first byte: the use is sent, durably. Raises Stopped where the grant has ended since the yes."""
    changed = await rooms.grants.sent(use.id)
    if changed is None:
        raise Stopped(Deny.by_gate("grant_expired", "The grant ended before the first byte"))
    await rooms.recorder.deliver_grant(changed)


async def give_back(rooms: Rooms, use: Use) -> None:
    """Nothing was sent. Does nothing for a use that was; what cannot be given back now stays counted as used, and is shown so."""
    try:
        if (changed := await rooms.grants.give_back(use.id)) is not None:
            await rooms.recorder.deliver_grant(changed)
    except (CannotTell, Conflict) as failure:
        structlog.get_logger("stagewarden.gate").warning("use_not_returned", grant=use.grant, use=use.id, cause=str(failure))


async def settled(rooms: Rooms, sending: Sending, ruling: Ruling) -> None:
    """A send is over, or was none: what was not sent is given back; where the upstream did it, grants that end with such an act are done."""
    if sending.relay is None:
        if sending.use is not None:
            await give_back(rooms, sending.use)
        return
    if sending.relay.answer.status >= _REFUSED:
        return
    principal, action = ruling.principal, ruling.action
    if principal is not None and action is not None and rooms.grants.known.completes(principal.agent, principal.workflow or "", action.kind):
        await rooms.recorder.complete_grants(principal.agent, principal.workflow or "", action.kind)


async def open_hold(rooms: Rooms, draft: Draft, new: NewHold) -> Hold:
    """The hold of this request: already approved where a template's bounds hold it and its votes fill today's seats, else as usual."""
    found = await _template(rooms, draft, new)
    if found is None:
        return await rooms.recorder.deliver(await rooms.holds.open(new))
    grant, votes = found
    reserved = await rooms.grants.reserve(grant, new.ruling, new.digest, _fields(new))
    if reserved is None:
        return await rooms.recorder.deliver(await rooms.holds.open(new))
    use, changed = reserved
    await rooms.recorder.deliver_grant(changed)
    try:
        moved = await rooms.holds.open_approved(new, grant.id, votes, ending(grant))
    except BaseException:
        await give_back(rooms, use)
        raise
    if not moved.entries:  # the same request waits already
        await give_back(rooms, use)
    return await rooms.recorder.deliver(moved)


async def of_hold(rooms: Rooms, hold: Hold) -> list[JSON]:
    """For the release question: the template this hold was approved by, as it stands now. Its own use is reserved, and so one more is left."""
    if hold.grant is None:
        return []
    try:
        grant = await rooms.grants.get(hold.grant)
    except NotFound:
        return []
    request = hold.question.get("request")
    body = request.get("body") if isinstance(request, dict) else None
    query = request.get("query") if isinstance(request, dict) else None
    names = [name for name, _ in hold.request.headers]
    outside = bounds.outside(grant.terms, body, names, query if isinstance(query, dict) else {})
    return [_shown(rooms, replace(grant, used=max(0, grant.used - 1)), outside)]


async def _template(rooms: Rooms, draft: Draft, new: NewHold) -> tuple[Grant, tuple[Vote, ...]] | None:
    """The first template under which the policy, asked with its votes, says yes to exactly this."""
    assert draft.question is not None
    shown = draft.question.document["grants"]
    inside = {str(one["id"]) for one in shown if isinstance(one, dict) and not one["outside"]} if isinstance(shown, list) else set()
    for grant in draft.granted:
        if not grant.terms.template or not grant.uses_left or grant.id not in inside or rooms.grants.over(grant):
            continue
        votes = council.standing(grant, rooms.registry)
        approval = _approval(grant, new, votes, rooms.clock.now_ns() + int(rooms.config.holds.use_within * NANOSECONDS))
        if isinstance(await rooms.decider.decide(Question({**draft.question.document, "approval": approval})), Allow):
            at = rooms.clock.now_ns()
            return grant, tuple(replace(vote, id=new_id("v", at), digest=new.digest, view_digest="") for vote in votes)
    return None


def _approval(grant: Grant, new: NewHold, votes: tuple[Vote, ...], until: int) -> Document:
    """The template's votes, as an approval of these bytes."""
    cast: list[JSON] = [
        {"person": vote.person, "function": vote.function, "at": rfc3339(vote.at_ns), "view_digest": vote.view_digest} for vote in votes
    ]
    return {
        "hold": grant.id, "state": "granted", "grant": grant.id, "digest": new.digest, "votes": cast, "approved_at_ns": grant.approved_at_ns,
        "expires_ns": min(ending(grant), until),
    }  # fmt: skip


def _leaned_on(verdict: Verdict, granted: tuple[Grant, ...]) -> Grant | None:
    """The grant a yes names; CannotTell where it names one we did not show."""
    named = [reason for reason in verdict.reasons if reason.code == "grant_covers"] if isinstance(verdict, Allow) else []
    if not named:
        return None
    wanted = (named[0].detail or {}).get("grant")
    for grant in granted:
        if grant.id == wanted:
            return grant
    raise CannotTell("the policy leans on a grant that was not shown to it")


def _outside(grant: Grant, parts: Parts) -> tuple[str, ...]:
    return bounds.outside(grant.terms, parts.body, (name for name, _ in parts.request.headers), dict(parts.target.query))


def _shown(rooms: Rooms, grant: Grant, outside: tuple[str, ...]) -> Document:
    """A grant as the policy sees it; one whose time is over on either clock is expired, whatever its row still says."""
    state = "expired" if grant.state is GrantState.ACTIVE and rooms.grants.over(grant) else str(grant.state)
    return _document(grant, state, outside)


def sample(terms: Terms, now_ns: int) -> Document:
    """The grant that is asked for, as if it stood."""
    grant = Grant(
        id="g_asked", state=GrantState.ACTIVE, terms=terms, digest="", tier=Tier.LOW, seats=(), requested_by="", asked_at_ns=now_ns,
        decide_by_ns=now_ns, expires_at_ns=now_ns + terms.ttl * NANOSECONDS,
    )  # fmt: skip
    return _document(grant, str(grant.state), ())


def _document(grant: Grant, state: str, outside: tuple[str, ...]) -> Document:
    terms = grant.terms
    fields: list[JSON] = [*terms.fields]
    classes: list[JSON] = [*terms.classes]
    places: list[JSON] = [*outside]
    return {
        "id": grant.id, "state": state, "agent": terms.agent, "workflow": terms.workflow, "upstream": terms.upstream, "stage": str(terms.stage),
        "kind": terms.kind, "destination": terms.destination, "asset": terms.asset or _ANY, "fields": fields, "classes": classes,
        "purpose": terms.purpose, "digest": terms.digest or _ANY, "content": terms.content or _NONE,
        "template": terms.template, "outside": places, "uses": terms.uses,
        "uses_left": grant.uses_left, "expires_ns": ending(grant),
    }  # fmt: skip


def _fields(new: NewHold) -> tuple[str, ...]:
    action = new.question.get("action")
    fields = action.get("fields") if isinstance(action, dict) else None
    return tuple(map(str, fields)) if isinstance(fields, list) else ()
