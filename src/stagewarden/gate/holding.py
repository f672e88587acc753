"""A request that waits: where it stands already, or a new hold. Never a second hold, and never a send, while one stands for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.gate import granting
from stagewarden.gate.authors import authors
from stagewarden.gate.proposals import proposed
from stagewarden.holds import NewHold
from stagewarden.holds.eligibility import candidates
from stagewarden.holds.seats import fillable
from stagewarden.model import Ask, Deny, Stage
from stagewarden.wire.spool import in_thread

if TYPE_CHECKING:
    from stagewarden.gate.draft import Draft
    from stagewarden.gate.rooms import Rooms
    from stagewarden.model import Hold, Verdict

_READS = frozenset({"GET", "HEAD"})


async def wait(rooms: Rooms, draft: Draft, verdict: Ask) -> Verdict:
    """Where the request already waits, or a new hold; nobody is asked for seats that nobody can fill."""
    principal, action, request, question, looked = draft.principal, draft.action, draft.request, draft.question, draft.looked
    assert principal is not None
    assert action is not None
    assert request is not None
    assert question is not None
    repeat, known = await _stands(rooms, draft)
    if known is not None:
        draft.hold = known
        return verdict
    new = NewHold(
        ruling=draft.head.id, digest=draft.digest or "", repeat_digest=repeat, agent=principal.agent, workflow=principal.workflow or "",
        initiator=principal.initiator or "", upstream=action.upstream, stage=action.stage, kind=action.kind,
        asset=action.asset.id if action.asset else None, lookup_digest=looked.digest if looked else None, verdict=verdict, request=request,
        question=question.document, before=looked.body if looked else None, authors=await authors(rooms, action, looked),
        asked=not proposed(question, verdict),
    )  # fmt: skip
    if missing := fillable(verdict.seats, candidates(new, rooms.registry)):
        return Deny.by_gate("seats_unfillable", "Nobody who may vote can fill these seats", {"functions": [*missing]})
    # A proposal waits for people whatever was granted in advance.
    draft.hold = await granting.open_hold(rooms, draft, new) if new.asked else await rooms.recorder.deliver(await rooms.holds.open(new))
    return verdict


async def overtaken(rooms: Rooms, draft: Draft) -> Ask | None:
    """The hold that stands for what would be let through now: whatever lets it through, the agent's own repeat never sends what was held.

    Reads are none of this. A draft is asked about only where somebody gave its agent a mode: it goes on while the state cannot be asked
    (hardening.md), and costs no question to it. Raises CannotTell.
    """
    principal, action, request = draft.principal, draft.action, draft.request
    assert principal is not None
    assert action is not None
    assert request is not None
    if request.method in _READS or (action.stage is Stage.GENERATE and rooms.modes.stored(principal.agent) is None):
        return None
    _, known = await _stands(rooms, draft)
    if known is None:
        return None
    draft.hold = known
    return Ask(known.tier, known.reasons, known.seats)


async def _stands(rooms: Rooms, draft: Draft) -> tuple[str, Hold | None]:
    """The digest by which a repeat is found, and the hold it finds."""
    principal, action, request, looked = draft.principal, draft.action, draft.request, draft.looked
    assert principal is not None
    assert action is not None
    assert request is not None
    ignores = frozenset(name.lower() for name in rooms.config.upstreams[action.upstream].repeat_ignores)
    small = isinstance(request.body, bytes)
    repeat = request.repeat_digest(principal.agent, ignores) if small else await in_thread(request.repeat_digest, principal.agent, ignores)
    lookup_digest = looked.digest if looked else None
    return repeat, await rooms.holds.find_repeat(principal.agent, principal.workflow or "", principal.initiator or "", repeat, lookup_digest)
