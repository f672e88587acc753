"""What a browser's form brings, read strictly; and what is kept of an unfinished vote so that nothing typed is lost."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stagewarden.errors import Invalid, Refused
from stagewarden.gate.people import VoteIntent
from stagewarden.holds.ballot import DECISIONS
from stagewarden.web.people import bodies
from stagewarden.wire import form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

_FORM = "application/x-www-form-urlencoded"
_ANSWER = "answer-"
_READ = "read-"  # and a section's name; `sections` names all that can be marked
_HOLD = re.compile(r"h_[0-9A-Z]{26}")


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing to mend, and the id of the control that mends it."""

    text: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A vote that was not cast: what was filled in, and why it was not."""

    decision: str = ""
    function: str = ""
    reason: str = ""
    note: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[Missing, ...] = ()
    conflict: str | None = None
    refused: str | None = None
    again: bool = False  # what was refused takes a fresh sign-in
    unsure: bool = False  # log or state did not answer: nobody knows yet whether the vote counts
    undone: str | None = None  # an act beside the vote that was not done, and why
    read: frozenset[str] = frozenset()  # sections of content marked as read
    typed: str = ""
    saw: str = ""  # what the reader saw, as their form says it


async def read(request: web.Request) -> dict[str, str]:
    """The fields, each once."""
    if request.content_type != _FORM:
        raise Refused("unsupported_body", "this takes a form")
    return form.loads(await bodies.whole(request))


def hold_id(text: str | None) -> str | None:
    """A hold's id, or None: nothing else is ever followed or repeated."""
    return text if text and _HOLD.fullmatch(text) else None


def kept(fields: Mapping[str, str]) -> Kept:
    """What the form held."""
    answers = {name.removeprefix(_ANSWER): value for name, value in fields.items() if name.startswith(_ANSWER)}
    read = frozenset(name.removeprefix(_READ) for name, value in fields.items() if name.startswith(_READ) and value == "yes")
    return Kept(
        fields.get("decision", ""), fields.get("function", ""), fields.get("reason", ""), fields.get("note", ""), answers,
        read=read, typed=fields.get("typed", ""), saw=fields.get("saw", ""),
    )  # fmt: skip


def unread(fields: Mapping[str, str]) -> frozenset[str] | None:
    """Sections of the page that its reader has not marked as read; None: the page had no marks."""
    return frozenset(name for name in fields["sections"].split() if fields.get(_READ + name) != "yes") if "sections" in fields else None


def intent(given: Kept, fields: Mapping[str, str]) -> VoteIntent:
    """The vote meant. Answers belong to an approval, the reason to a no."""
    if given.decision == "approve":
        answers = {name: value == "yes" for name, value in given.answers.items()}
        return VoteIntent(
            "approve", given.function, None, given.note.strip() or None, fields.get("digest", ""), fields.get("view_digest", ""), answers,
            unread=unread(fields),
        )  # fmt: skip
    decision = next((decision for decision in DECISIONS if decision == given.decision), None)
    if decision is None:
        raise Invalid(f"decision: one of {', '.join(DECISIONS)}")
    return VoteIntent(decision, given.function, given.reason, given.note.strip() or None, fields.get("digest", ""), fields.get("view_digest", ""), {})
