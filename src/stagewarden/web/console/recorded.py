"""What was just recorded, told on the page that follows a vote. Says which of our own sentences it is, and never a text from the address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.web.console import forms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.model import Hold

_SENTENCES = {
    "approve": "Your approval is recorded",
    "reject": "Your rejection is recorded; that hold has ended",
    "send_back": "It is sent back with your reason; that hold has ended",
    "edit": "Your edit is recorded; it waits as a new hold, and every seat is asked",
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A sentence, and the hold it is about."""

    text: str
    hold: str


def after_vote(said: str, about: str, following: Hold | None) -> str:
    """Where a vote leads: the next hold that waits for this person, else the inbox; what to say there, and about which hold."""
    place, heading = ("/", "") if following is None else (f"/holds/{following.id}", "#effect")
    return f"{place}?said={said}&of={about}{heading}"


def recorded(query: Mapping[str, str]) -> Recorded | None:
    """What the address names, if it names one of ours."""
    text, hold = _SENTENCES.get(query.get("said", "")), forms.hold_id(query.get("of"))
    return Recorded(text, hold) if text and hold else None
