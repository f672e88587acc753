"""A hold as JSON (contract section 3), for the agent that asked and for people; shared by every door.

The agent never sees votes, names, questions or `view_digest`; people without the right to payloads see digests, no bytes.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from stagewarden.clock import rfc3339
from stagewarden.holds.difference import difference
from stagewarden.holds.seats import fill
from stagewarden.model import HoldState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stagewarden.holds.seats import SeatView
    from stagewarden.model import JSON, Answer, Body, Document, Headers, Hold, Vote

_TEXT_CONTROLS = frozenset("\t\n\r")
_ANSWERED = frozenset({HoldState.SENT, HoldState.DONE, HoldState.FAILED, HoldState.UNKNOWN})


def agent_view(hold: Hold, seats: Sequence[SeatView] | None = None) -> Document:
    """What the agent is told of its own hold, its own bytes and the stored answer included; of one sent back, why."""
    told: Document = {"reason": hold.ended_by} if hold.state is HoldState.SENT_BACK else {}
    return {**_facts(hold, seats), **told, **_exact(hold)}


def person_view(hold: Hold, seats: Sequence[SeatView] | None = None, *, payload: bool) -> Document:
    """What a person is shown; with `payload` the exact request, the state before and the answer (which the caller records as read)."""
    shown: Document = {
        **_facts(hold, seats),
        "view_digest": hold.view_digest,
        "questions": list(hold.questions),
        "votes": [_vote(vote, payload=payload) for vote in hold.votes],
        "ruling": hold.ruling,
        "initiator": hold.initiator or None,
        "asset": hold.asset,
        "ended_by": hold.ended_by,
        "predecessor": hold.predecessor,
        "editor": hold.editor,
        "escalated_at": _moment(hold.escalated_at_ns),
        "sends": hold.sends,
        "grant": hold.grant,
    }
    if payload:
        before: Document = {} if hold.before is None else {"before": _content(hold.before)}
        evidence: Document = {} if hold.evidence is None else {"evidence": hold.evidence}
        return {**shown, **_exact(hold), **before, **evidence, **_edited(hold)}
    return {**shown, "request": {"method": hold.request.method, "target": hold.request.target.partition("?")[0]}}


def seat_documents(seats: Sequence[SeatView]) -> list[JSON]:
    """Seats as they stand."""
    return [{"functions": list(seat.functions), "needed": seat.needed, "filled": seat.filled} for seat in seats]


def _facts(hold: Hold, seats: Sequence[SeatView] | None) -> Document:
    """What both see. Without `seats` (which need the registry) the votes are counted as they were cast."""
    standing = seats if seats is not None else fill(hold.seats, hold.votes)
    return {
        "id": hold.id, "state": str(hold.state), "digest": hold.digest, "agent": hold.agent, "workflow": hold.workflow, "upstream": hold.upstream,
        "stage": str(hold.stage), "kind": hold.kind, "tier": str(hold.tier), "reasons": [reason.document() for reason in hold.reasons],
        "asked": hold.asked, "seats": seat_documents(standing), "asked_at": rfc3339(hold.asked_at_ns), "expires_at": rfc3339(hold.expires_at_ns),
        "settles_at": _moment(hold.settles_at_ns),
        "use_by": _moment(hold.use_by_ns), "ended_at": _moment(hold.ended_at_ns), "successor": hold.successor,
    }  # fmt: skip


def _exact(hold: Hold) -> Document:
    """The request as it will be sent, and the answer once there is one; after their deletion, what is left."""
    request: Document = {"method": hold.request.method, "target": hold.request.target}
    if hold.payload:
        request = {**request, "headers": _headers(hold.request.headers), **_body(hold.request.body)}
    if hold.response is None or hold.state not in _ANSWERED:
        return {"request": request}
    return {"request": request, "response": _answer(hold.response)}


def _edited(hold: Hold) -> Document:
    """The body as it was before somebody edited it, and where the two differ."""
    if hold.original is None or not isinstance(hold.request.body, bytes):
        return {}
    changes = difference(hold.original, hold.request.body)
    return {"edited": {"from": _content(hold.original), "changes": changes}}


def _answer(answer: Answer) -> Document:
    shown: Document = {"status": answer.status, "headers": _headers(answer.headers), **_content(answer.body)}
    return {**shown, "withheld": True} if answer.withheld else shown


def _headers(headers: Headers) -> list[JSON]:
    """Pairs in order: a name may come twice, and order is part of the bytes."""
    return [[name, value] for name, value in headers]


def _body(body: Body) -> Document:
    """A large one by its size and the SHA-256 of its bytes alone."""
    return _content(body) if isinstance(body, bytes) else {"body_file": {"size": body.size, "digest": body.digest}}


def _content(body: bytes) -> Document:
    """`body` where the bytes are UTF-8 text, else `body_base64`."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if any(ord(char) < 0x20 and char not in _TEXT_CONTROLS for char in text):  # noqa: PLR2004  # C0 controls are not text
        return {"body_base64": base64.b64encode(body).decode()}
    return {"body": text}


def _vote(vote: Vote, *, payload: bool) -> Document:
    """A vote as people see it; its note may quote the payload and is shown with it alone."""
    answers: dict[str, JSON] = dict(vote.answers)
    return {
        "id": vote.id, "person": vote.person, "function": vote.function, "decision": vote.decision, "reason": vote.reason,
        "note": vote.note if payload else None, "answers": answers, "at": rfc3339(vote.at_ns), "digest": vote.digest, "view_digest": vote.view_digest,
    }  # fmt: skip


def _moment(ns: int) -> str | None:
    return rfc3339(ns) if ns else None
