"""One request as its Ruling, and what then came of it as its Outcome. Pure: made from what the judge knows, and nothing decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.errors import AnswerWithheld, ClientGone, Severed, UpstreamUnavailable
from stagewarden.gate.sending import result_of
from stagewarden.gate.streams import Stopped
from stagewarden.model import Outcome, Ruling

if TYPE_CHECKING:
    from stagewarden.gate.draft import Draft, Sending
    from stagewarden.gate.rooms import Rooms
    from stagewarden.model import Result, Verdict


def ruling_of(draft: Draft, verdict: Verdict, rooms: Rooms) -> Ruling:
    """The record of what was decided."""
    return Ruling(
        id=draft.head.id, at_ns=rooms.clock.now_ns(), head=draft.head, verdict=verdict, principal=draft.principal, action=draft.action,
        request=draft.request, question=draft.question, hold=draft.hold, digest=draft.digest, phases=draft.phases,
        policy=rooms.decider.revision, registry=rooms.registry.revision, body_read=draft.body_read,
    )  # fmt: skip


def outcome_of(ruling: Ruling, sending: Sending, seconds: float) -> Outcome:
    """What came of a direct send: an answer below 400 is done, 4xx failed, 5xx or none unknown; not sent where no byte left."""
    relay = sending.relay
    failure = sending.failure or (relay.failure if relay else None)
    code = failure.code if failure else None
    if relay is None:
        result: Result = "not_sent" if isinstance(failure, UpstreamUnavailable | Stopped) else "unknown"
        return Outcome(ruling.id, result, 0, None if result == "not_sent" else ruling.digest, None, 0, seconds, code)
    # The agent that left half-way, was stopped, or may not see the answer, missed it; the upstream gave it all the same.
    result = "unknown" if failure and not isinstance(failure, ClientGone | Severed | AnswerWithheld) else result_of(relay.answer.status)
    sent = None if relay.answer.early else ruling.digest
    return Outcome(ruling.id, result, relay.answer.status, sent, relay.digest, relay.size, seconds, code or relay.remark, given=relay.given_as)
