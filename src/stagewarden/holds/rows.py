"""Row ↔ Hold: what is stored in clear, what is sealed, and how both become a frozen value again.

Ids, digests and codes are in clear; everything an agent or upstream wrote is sealed. Never stores a credential.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from msgspec.structs import replace

from stagewarden.errors import StateUnavailable
from stagewarden.holds.bodies import Kept
from stagewarden.model import Answer, Hold, HoldState, Reason, Request, Seat, Stage, Tier, Vote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import RowMapping

    from stagewarden.holds.crypto import Payload, Vault
    from stagewarden.model import Ask, Document

SEALED = ("request", "question", "before", "original", "response", "evidence")
CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie"})  # RFC 9110 section 11, RFC 6265


class NewHold(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a hold is opened with. `request.headers` are without any credential; `evidence` is what the verdict cites."""

    ruling: str
    digest: str
    repeat_digest: str
    agent: str
    workflow: str
    initiator: str  # the proven human, or ""
    upstream: str
    stage: Stage
    kind: str
    asset: str | None
    lookup_digest: str | None
    verdict: Ask
    request: Request
    question: Document
    before: bytes | None = None
    evidence: tuple[Document, ...] = ()
    authors: tuple[str, ...] = ()  # who else wrote what lies at the upstream, as far as it is known
    asked: bool = True  # False: a proposal
    predecessor: str | None = None  # the hold it takes the place of
    editor: str | None = None  # who changed the predecessor's body, `original`, into this one
    original: bytes | None = None

    @property
    def seats(self) -> tuple[Seat, ...]:
        """The seats asked for."""
        return self.verdict.seats


def stored(hold: Hold, vault: Vault) -> dict[str, Any]:
    """A fresh hold as a row."""
    carried = CREDENTIALS & {name.lower() for name, _ in hold.request.headers}
    if carried:
        raise ValueError(f"a hold must not store a credential: {', '.join(sorted(carried))}")
    wrapped, payload = vault.mint(hold.id)
    sealed = {"request": _request_bytes(hold.request), "question": orjson.dumps(hold.question), "before": hold.before, "original": hold.original}
    return {
        **{name: getattr(hold, name) for name in CLEAR},
        **{name: str(getattr(hold, name)) for name in ("state", "stage", "tier")},
        "reasons": [reason.document() for reason in hold.reasons],
        "seats": [{"functions": list(seat.functions), "count": seat.count} for seat in hold.seats],
        "questions": list(hold.questions),
        "authors": list(hold.authors),
        "principal": hold.question.get("principal", {}),
        "destination": destination(hold.question),
        "method": hold.request.method,
        "path": hold.request.target.partition("?")[0],
        "data_key": wrapped,
        **{name: None if plain is None else payload.seal(name, plain) for name, plain in sealed.items()},
    }


CLEAR = (
    "id", "ruling", "digest", "view_digest", "repeat_digest", "agent", "workflow", "initiator", "upstream", "kind", "asset", "lookup_digest",
    "after_digest", "asked_at_ns", "expires_at_ns", "approved_at_ns", "use_by_ns", "ended_at_ns", "attempt", "successor", "ended_by",
    "asked", "settles_at_ns", "escalated_at_ns", "reminded_at_ns", "predecessor", "editor", "grant", "sends",
    "resend", "settle_ns",
)  # fmt: skip


def destination(question: Document) -> str | None:
    """Where it would come out, by its registered name."""
    action = question.get("action")
    named = action.get("destination") if isinstance(action, dict) else None
    return named if isinstance(named, str) else None


def restored(row: RowMapping, votes: Iterable[RowMapping], payload: Payload | None) -> Hold:
    """A row as a Hold; without `payload` its bytes are left unread: method, path, chain and destination are all that is known of them."""
    hold = Hold(
        **{name: row[name] for name in CLEAR},
        state=HoldState(row["state"]),
        stage=Stage(row["stage"]),
        tier=Tier(row["tier"]),
        reasons=tuple(Reason(item["code"], item["rule"], item["text"], item.get("detail")) for item in row["reasons"]),
        seats=tuple(Seat(tuple(item["functions"]), item["count"]) for item in row["seats"]),
        questions=tuple(row["questions"]),
        authors=tuple(row["authors"]),
        votes=tuple(_vote(vote, payload) for vote in votes),
        request=Request(row["upstream"], row["method"], "", "", row["path"], (), b""),
        question={"principal": row["principal"], **({} if row["destination"] is None else {"action": {"destination": row["destination"]}})},
        payload=False,
    )
    return hold if payload is None else _with_payload(hold, row, payload)


def _with_payload(hold: Hold, row: RowMapping, payload: Payload) -> Hold:
    opened = {name: None if row[name] is None else payload.open(name, row[name]) for name in SEALED}
    if opened["request"] is None or opened["question"] is None:
        raise StateUnavailable(f"hold {hold.id}: its stored request is missing")
    return replace(
        hold,
        request=_request(hold.upstream, opened["request"]),
        question=orjson.loads(opened["question"]),
        before=opened["before"],
        original=opened["original"],
        response=None if opened["response"] is None else _answer(opened["response"]),
        evidence=None if opened["evidence"] is None else opened["evidence"].decode(),
        payload=True,
    )


def answer_bytes(answer: Answer) -> bytes:
    """An upstream's answer, ready for sealing."""
    head: dict[str, object] = {"status": answer.status, "headers": answer.headers}
    if answer.withheld:
        head["withheld"] = True
    return orjson.dumps(head) + b"\n" + answer.body


def _answer(plain: bytes) -> Answer:
    head, _, body = plain.partition(b"\n")
    read = orjson.loads(head)
    return Answer(read["status"], _pairs(read["headers"]), body, read.get("withheld", False))


def _request_bytes(request: Request) -> bytes:
    """One JSON line without line breaks, then the body as it is; a large one lies beside its hold, and its size and digest stand in the line."""
    head = {"method": request.method, "scheme": request.scheme, "authority": request.authority, "target": request.target, "headers": request.headers}
    if isinstance(request.body, bytes):
        return orjson.dumps(head) + b"\n" + request.body
    return orjson.dumps({**head, "large": {"size": request.body.size, "digest": request.body.digest}}) + b"\n"


def _request(upstream: str, plain: bytes) -> Request:
    head, _, small = plain.partition(b"\n")
    read = orjson.loads(head)
    large = read.get("large")
    body = small if large is None else Kept(large["size"], large["digest"])
    return Request(upstream, read["method"], read["scheme"], read["authority"], read["target"], _pairs(read["headers"]), body)


def _pairs(raw: Iterable[Iterable[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in raw)


def vote_row(vote: Vote, hold: str, payload: Payload) -> dict[str, Any]:
    """A vote as a row; its note is sealed with the hold's payload."""
    return {
        "id": vote.id, "hold": hold, "person": vote.person, "function": vote.function, "decision": vote.decision, "reason": vote.reason,
        "note": None if vote.note is None else payload.seal(f"note/{vote.id}", vote.note.encode()), "digest": vote.digest,
        "view_digest": vote.view_digest, "answers": dict(vote.answers), "at_ns": vote.at_ns,
    }  # fmt: skip


def _vote(row: RowMapping, payload: Payload | None) -> Vote:
    sealed = row["note"]
    note = None if sealed is None or payload is None else payload.open(f"note/{row['id']}", sealed).decode()
    answers: Mapping[str, bool] = row["answers"]
    return Vote(
        row["id"], row["person"], row["function"], row["decision"], row["reason"], note, row["digest"], row["view_digest"], row["at_ns"],
        tuple(sorted(answers.items())),
    )  # fmt: skip
