"""Edit and approve: a person changes the body of a held request, and the result is judged from the start (lifecycles.md).

What is refused leaves the hold as it was. The editor joins the chain and fills no seat; nothing is sent from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.classify import action as classing
from stagewarden.classify import classify
from stagewarden.errors import Conflict, Invalid, NotAllowed, Refused
from stagewarden.gate import question as asking
from stagewarden.gate.authors import authors
from stagewarden.gate.callers import Callers
from stagewarden.gate.lookup import alone, look_up, stored_match
from stagewarden.gate.people import ballot_of
from stagewarden.gate.streams import Stopped
from stagewarden.holds import NewHold
from stagewarden.holds.ballot import check_edit
from stagewarden.holds.eligibility import candidates
from stagewarden.holds.resending import doubtful
from stagewarden.holds.seats import fillable
from stagewarden.model import Allow, Ask, Deny

if TYPE_CHECKING:
    from stagewarden.classify import Looked, Match
    from stagewarden.gate.people import VoteIntent
    from stagewarden.gate.question import Edited
    from stagewarden.gate.rooms import Rooms
    from stagewarden.identity.people import Caller
    from stagewarden.model import JSON, Document, Hold, Request, Verdict

# What an agent said of its body in a header would be a lie about an edited one (RFC 9530, RFC 9421, RFC 1864, AWS SigV4, webhook signatures).
_SPEAKS_OF_THE_BODY = frozenset({
    "content-digest", "content-md5", "content-range", "digest", "etag", "repr-digest", "signature", "signature-input", "x-amz-content-sha256",
    "x-content-sha256", "x-hub-signature", "x-hub-signature-256", "x-signature",
})  # fmt: skip


class Editing(Callers):
    """The act of a person on a hold's body."""

    async def edit(self, caller: Caller, hold_id: str, intent: VoteIntent) -> Hold:
        """The hold of the edited bytes. Order: hold and digests (Conflict), person (NotAllowed), body (Invalid); refused, nothing changed."""
        rooms = self._rooms
        hold = await rooms.holds.get(hold_id)
        if caller.person is None:
            raise NotAllowed("a program's credential never votes")
        # (1) The hold takes votes, these are its digests, and this person could approve it.
        ballot = ballot_of(caller.person, self._confirmed(caller, intent, hold))
        check_edit(ballot, hold, rooms.registry)
        if stop := rooms.stopped(hold.agent, hold.workflow, hold.upstream, hold.stage):
            raise Conflict(f"stopped meanwhile: {stop.reasons[0].text}")
        # (2) Only the body changes, and what is sent stays true of it.
        if (why := unfit(hold)) is not None:
            raise Invalid(f"edit: {why}")
        request = _with_body(hold, intent.edit or b"", int(rooms.config.limits.body))
        # (3) The route as it is today; the asset is ours while it is judged.
        match = stored_match(rooms, hold)
        if isinstance(match, Deny):
            raise Invalid(f"edit: {match.reasons[0].text}")
        async with alone(rooms, match):
            looked = await self._looked(hold, match)
            # (4) Judged from the start: classified, then the policy.
            edited = self._classified(hold, request, match, looked, caller.person)
            question = asking.edited(hold.question, edited, rooms.circumstances(hold.agent, hold.workflow))
            verdict = _asking(hold, await rooms.decider.decide(question))
            # (5) Every seat is asked again, by people who are left.
            fresh = await self._fresh(hold, edited, verdict, question.document, looked)
            if missing := fillable(fresh.seats, candidates(fresh, rooms.registry)):
                raise NotAllowed(f"edit: with you as its editor nobody is left for {', '.join(missing)}")
            # (6) One transaction: the old one ends, the new one stands.
            return await rooms.recorder.deliver(await rooms.holds.edit(hold_id, ballot, fresh, rooms.registry))

    def why_not_edit(self, caller: Caller, hold: Hold) -> str | None:
        """Why editing is not offered to this caller; None: it is. The verdict on what they would write is not known before they do."""
        if caller.person is None:
            return "a program's credential never votes"
        if not hold.asked:
            return "the hold is a proposal: take it up first"
        if (why := unfit(hold)) is not None:
            return why
        registry, person = self._rooms.registry, caller.person
        left = {one: functions for one, functions in candidates(hold, registry).items() if not registry.same_human(one, person)}
        missing = fillable(hold.seats, left)
        return f"with you as its editor nobody is left for {', '.join(missing)}" if missing else None

    async def _looked(self, hold: Hold, match: Match) -> Looked | None:
        if match.route.settings.lookup is None:
            return None
        try:
            answer = await look_up(self._rooms, hold.agent, hold.workflow, match)
        except Stopped as stopped:
            raise Conflict(f"stopped meanwhile: {stopped}") from stopped
        if isinstance(answer, str):
            raise Conflict(f"edit: the asset could not be looked up: {answer}")
        if answer.digest != hold.lookup_digest:
            raise Conflict("edit: the asset changed after people looked at it")
        return answer

    def _classified(self, hold: Hold, request: Request, match: Match, looked: Looked | None, editor: str) -> Edited:
        """What the edited request is. Invalid where it is another thing than what was held."""
        rooms = self._rooms
        try:
            document = _described(rooms, match, request)
        except Refused as refused:
            raise Invalid(f"edit: {refused.detail}") from refused
        action = classify(match, document, looked, external=rooms.is_external(match.upstream.settings.destination))
        if (action.stage, action.kind) != (hold.stage, hold.kind):
            raise Invalid(f"edit: would make {action.kind} ({action.stage}) of {hold.kind} ({hold.stage}); an edit changes neither")
        digest = request.digest(hold.agent, action.stage)
        return asking.Edited(request, digest, document, action, classing.facts(match, action, document, looked), editor)

    async def _fresh(self, hold: Hold, edited: Edited, verdict: Ask, question: Document, looked: Looked | None) -> NewHold:
        rooms = self._rooms
        ignores = frozenset(name.lower() for name in rooms.config.upstreams[hold.upstream].repeat_ignores)
        assert isinstance(hold.request.body, bytes)
        return NewHold(
            ruling=hold.ruling, digest=edited.digest, repeat_digest=edited.request.repeat_digest(hold.agent, ignores), agent=hold.agent,
            workflow=hold.workflow, initiator=hold.initiator, upstream=hold.upstream, stage=hold.stage, kind=hold.kind, asset=hold.asset,
            lookup_digest=looked.digest if looked else None, verdict=verdict, request=edited.request, question=question,
            before=looked.body if looked else None, authors=tuple(sorted({*hold.authors, *await authors(rooms, edited.action, looked)})),
            predecessor=hold.id, editor=edited.editor, original=hold.request.body,
        )  # fmt: skip


def unfit(hold: Hold) -> str | None:
    """Why nobody can edit this hold's body; None: somebody could."""
    if not hold.payload:
        return "its bytes are not here any more"
    if not isinstance(hold.request.body, bytes):
        return "its body is too large to be edited"
    if hold.request.body == b"":
        return "it has no body"
    if doubtful(hold):
        return "it was begun to be sent, and may have arrived as it is"
    named = sorted({name.lower() for name, _ in hold.request.headers} & _SPEAKS_OF_THE_BODY)
    return f"the header {named[0]} speaks of the agent's own body, and would be a lie about another" if named else None


def _with_body(hold: Hold, body: bytes, limit: int) -> Request:
    if body == hold.request.body:
        raise Invalid("edit: changes nothing")
    if not body:
        raise Invalid("edit: is empty; reject instead")
    if len(body) > limit:
        raise Invalid(f"edit: more than {limit} bytes")
    return replace(hold.request, body=body)


def _described(rooms: Rooms, match: Match, request: Request) -> JSON:
    """The edited body as the policy sees it, read as strictly as an agent's. Raises Refused."""
    content_type = next((value for name, value in request.headers if name.lower() == "content-type"), None)
    assert isinstance(request.body, bytes)
    if match.route.settings.body == "multipart":
        return classing.parse_parts(match, content_type, [request.body], text=int(rooms.config.limits.body))
    return classing.parse_body(match, content_type, request.body, rooms.config.limits.json_depth)


def _asking(hold: Hold, verdict: Verdict) -> Ask:
    """What people are asked. A deny ends the edit; where the policy would now let it pass, the people already asked for are asked again."""
    match verdict:
        case Deny():
            said = "; ".join(f"{reason.text} ({reason.code})" for reason in verdict.reasons)
            raise Invalid(f"edit: the policy denies the result: {said}")
        case Allow():
            return Ask(hold.tier, hold.reasons, hold.seats)
        case Ask():
            return verdict
