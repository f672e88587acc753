"""Seats as people see them: who filled which, who is waited for, which one the reader could fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stagewarden.model import HoldState
from stagewarden.web.console import when, words
from stagewarden.web.console.exact import Run, reveal

if TYPE_CHECKING:
    from stagewarden.gate.people import HoldView
    from stagewarden.model import Vote


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a seat. `state`: filled, waiting, asked (the hold ended before it was filled) or rejected."""

    name: str
    state: Literal["filled", "waiting", "asked", "rejected"]
    words: str
    yours: bool = False
    at: when.Moment | None = None
    waiting: str | None = None
    note: tuple[Run, ...] = ()
    person: str | None = None
    you: bool = False
    vote: str = ""  # the decision, and the reason of a no


def places(view: HoldView, person: str | None, now_ns: int) -> tuple[Place, ...]:
    """Each place of each seat in order, then the no if there is one. `view.hold` is as the reader may see it."""
    hold = view.hold
    approvals = [vote for vote in hold.votes if vote.decision == "approve"]
    pending = hold.state is HoldState.PENDING
    free = pending and view.why_not is None
    shown: list[Place] = []
    for seat in view.seats:
        name = " or ".join(seat.functions)
        yours = free and bool(set(seat.functions) & set(view.functions))
        for place in range(seat.needed):
            if place < seat.filled:
                vote = _take(approvals, seat.functions)
                shown.append(Place(name, "filled", "filled") if vote is None else _filled(vote, name, person, now_ns))
            elif pending:
                told = "you can fill this seat" if yours else "waiting"
                shown.append(Place(name, "waiting", told, yours=yours, waiting=when.span(now_ns - hold.asked_at_ns)))
            else:
                shown.append(Place(name, "asked", "not filled"))
    shown.extend(_refused(vote, person, now_ns) for vote in hold.votes if vote.decision != "approve")
    return tuple(shown)


def _take(votes: list[Vote], functions: tuple[str, ...]) -> Vote | None:
    """The next approval that fits. Counting is the gate's (maximum matching); this only puts names beside it."""
    vote = next((vote for vote in votes if vote.function in functions), None)
    if vote is not None:
        votes.remove(vote)
    return vote


def _filled(vote: Vote, name: str, person: str | None, now_ns: int) -> Place:
    mine = vote.person == person
    told = f"{vote.person}, you" if mine else vote.person
    if vote.function != name:
        told = f"{told}, as {vote.function}"
    return Place(name, "filled", told, at=when.moment(vote.at_ns, now_ns), note=reveal(vote.note or ""), person=vote.person, you=mine, vote="approve")


def _refused(vote: Vote, person: str | None, now_ns: int) -> Place:
    mine, why = vote.person == person, words.reason(vote.reason)
    said, decision = "rejected" if vote.decision == "reject" else "sent back", vote.decision.replace("_", " ")
    return Place(
        f"{vote.function}, {said}", "rejected", f"{vote.person}{', you' if mine else ''}: {why}", at=when.moment(vote.at_ns, now_ns),
        note=reveal(vote.note or ""), person=vote.person, you=mine, vote=f"{decision}: {why}" if why else decision,
    )  # fmt: skip
