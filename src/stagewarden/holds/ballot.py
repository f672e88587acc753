"""A ballot: what a person hands in, and the checks in the order of lifecycles.md: hold and digests, person, body.

Only a person of the registry votes; a program's credential never reaches this file with a name.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import msgspec

from stagewarden.errors import Conflict, Invalid, NotAllowed
from stagewarden.holds.eligibility import eligible, functions_held
from stagewarden.model import HoldState, Tier, Vote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.holds.eligibility import Directory
    from stagewarden.model import Hold

Decision: TypeAlias = Literal["approve", "reject", "send_back"]
DECISIONS: Final[tuple[Decision, ...]] = get_args(Decision)
REASONS: Final = (
    "wrong_audience", "unapproved_claim", "wrong_facts", "off_brand", "sensitive_data", "offer_or_price", "timing", "not_needed", "other",
)  # fmt: skip
_ORDINARY: Final = ("factual", "brand", "policy", "approved_data")
_HIGH: Final = (*_ORDINARY, "source", "claims", "segment", "triggers", "legal", "rollback")
NOTE_LIMIT: Final = 2000  # characters


class Ballot(msgspec.Struct, frozen=True):
    """One person's answer, as handed in; `reason` is ignored on approve, `answers` on everything else."""

    person: str
    function: str
    decision: Decision
    digest: str
    view_digest: str
    reason: str | None = None
    note: str | None = None
    answers: Mapping[str, bool] = msgspec.field(default_factory=dict)
    unread: frozenset[str] | None = None  # parts of the page that were not marked as read; None: there were no marks


def questions(tier: Tier) -> tuple[str, ...]:
    """What an approval must answer with yes."""
    return _HIGH if tier is Tier.HIGH else _ORDINARY


def as_vote(ballot: Ballot, vote_id: str, now_ns: int) -> Vote:
    """The ballot as it is kept: no reason on an approval, answers on nothing else."""
    approve = ballot.decision == "approve"
    return Vote(
        id=vote_id, person=ballot.person, function=ballot.function, decision=ballot.decision,
        reason=None if approve else ballot.reason, note=ballot.note, digest=ballot.digest, view_digest=ballot.view_digest, at_ns=now_ns,
        answers=tuple(sorted(ballot.answers.items())) if approve else (),
    )  # fmt: skip


def repeated(ballot: Ballot, vote: Vote) -> bool:
    """Whether the ballot says again what the vote already says: handing it in twice is not voting twice."""
    return as_vote(ballot, vote.id, vote.at_ns) == vote


def check(ballot: Ballot, hold: Hold, registry: Directory) -> None:
    """Refuse what must not be counted: Conflict, then NotAllowed, then Invalid."""
    _check_hold(ballot, hold, registry)
    _check_person(ballot, hold, registry)
    _check_body(ballot, hold)


def check_edit(ballot: Ballot, hold: Hold, registry: Directory) -> None:
    """The same order for an edit: it takes an approver, and answers are the next people's."""
    _check_hold(ballot, hold, registry)
    _check_person(ballot, hold, registry)
    if ballot.note is not None:
        raise Invalid("note: an edit keeps none; the change itself is what the next people see")


def _check_hold(ballot: Ballot, hold: Hold, registry: Directory) -> None:
    if hold.state is not HoldState.PENDING:
        raise Conflict(f"the hold is {hold.state}; it takes no votes")
    if ballot.decision == "approve" and not hold.asked:
        raise Conflict("the hold is a proposal: take it up before anybody approves it")
    if ballot.digest != hold.digest:
        raise Conflict("digest: the vote is about other bytes than the hold's")
    if ballot.view_digest != hold.view_digest:
        raise Conflict("view_digest: what was shown is not what stands now; read the hold again")
    if any(registry.same_human(ballot.person, vote.person) for vote in hold.votes):
        raise Conflict("this person has already voted on this hold")


def _check_person(ballot: Ballot, hold: Hold, registry: Directory) -> None:
    held = functions_held(ballot.person, hold, registry)
    if ballot.decision == "approve" or not held:  # a no is open to the conflicted, and to seats already filled
        why = eligible(ballot.person, hold, registry)
        if why is not None:
            raise NotAllowed(f"{ballot.person} may not vote on this hold: {why}")
    if ballot.function not in held:
        raise NotAllowed(f"function: {ballot.person} does not hold {ballot.function!r}, or no seat of this hold asks for it")


def _check_body(ballot: Ballot, hold: Hold) -> None:
    if ballot.note is not None and len(ballot.note) > NOTE_LIMIT:
        raise Invalid(f"note: at most {NOTE_LIMIT} characters")
    if ballot.decision not in DECISIONS:
        raise Invalid(f"decision: one of {', '.join(DECISIONS)}")
    if ballot.decision != "approve":
        if ballot.reason not in REASONS:
            raise Invalid(f"reason: one of {', '.join(REASONS)}")
        return
    answers = dict(ballot.answers)
    if missing := [name for name in hold.questions if name not in answers]:
        raise Invalid(f"answers: missing {', '.join(missing)}")
    if unknown := sorted(answers.keys() - set(hold.questions)):
        raise Invalid(f"answers: not asked: {', '.join(unknown)}")
    if noes := [name for name in hold.questions if answers[name] is not True]:
        raise Invalid(f"answers: an approval with a no ({', '.join(noes)}); reject instead")


def note_digest(vote: Vote) -> str | None:
    """What the log keeps of a note: a digest salted by the vote's id (80 random bits)."""
    return None if vote.note is None else "sha256:" + hashlib.sha256(f"{vote.id}\0{vote.note}".encode()).hexdigest()
