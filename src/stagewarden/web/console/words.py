"""The product's sentences: what would happen, whether it can be undone, what a state means.

Verb first, one word per thing. Facts come from the question the policy was asked and from the stored bytes; an agent's words appear
only as a quoted title.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stagewarden.holds.titles import LONGEST, title
from stagewarden.model import HoldState
from stagewarden.web.console.audience import counted
from stagewarden.web.console.exact import asset as asset_id
from stagewarden.web.console.exact import one_line

if TYPE_CHECKING:
    from stagewarden.model import Document, Hold

REASONS = (
    ("wrong_audience", "Wrong audience"),
    ("unapproved_claim", "Unapproved claim"),
    ("wrong_facts", "Wrong facts"),
    ("off_brand", "Off brand"),
    ("sensitive_data", "Sensitive data shown"),
    ("offer_or_price", "Offer or price wrong"),
    ("timing", "Timing"),
    ("not_needed", "Not needed"),
    ("other", "Other"),
)
QUESTIONS = {
    "factual": "Is it factually correct?",
    "brand": "Does it sound like us?",
    "policy": "Does it follow the policy?",
    "approved_data": "Only approved claims and data?",
}
CHECKS = {
    "source": "Source data is the right one",
    "claims": "Claim wording is approved",
    "segment": "Segment is correct",
    "triggers": "Reasons for holding are understood",
    "legal": "No legal doubt is left",
    "rollback": "A way back exists, or its absence is accepted",
}
_VERBS = frozenset({
    "read", "publish", "send", "delete", "schedule", "unschedule", "change", "create", "draft", "queue", "restore", "upload", "share",
    "archive", "export",
})  # fmt: skip
_PHRASES = {
    "change_live": "Change the live",
    "update": "Change the",
    "edit": "Change the",
    "trash": "Bin the",
    "retract": "Take back the",
    "unpublish": "Take back the",
}
_REVERSIBLE = {
    "none": "Cannot be recalled. After sending, only a correction notice can follow.",
    "compensate": "Can be taken back by a second act; copies outside may stay.",
    "restore": "Can be undone: the earlier version can be put back.",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """`lead` “`title`” `tail`; `title` is the agent's and always stands in quotation marks."""

    lead: str
    title: str | None
    tail: str

    def __str__(self) -> str:
        return self.lead + (f" “{self.title}”" if self.title else "") + self.tail


def effect(hold: Hold, *, payload: bool, called: str | None = None) -> Sentence:
    """What would happen. Without `payload` nothing of the content is told but what it is `called`, where a list may say that."""
    lead = act(hold.kind, hold.stage)
    called = title(hold.request, hold.before, hold.question) if payload else called
    shown = one_line(called) if called else None
    if shown and len(shown) > LONGEST:
        shown = f"{shown[:LONGEST]}… ({f'its {len(shown):,} characters stand below' if payload else 'cut here'})"
    asset = f" {asset_id(hold.asset)}" if hold.asset and not shown else ""
    reached = counted(hold.question) if payload else None
    people = "" if reached is None else f" to {reached:,} {'person' if reached == 1 else 'people'}"
    return Sentence(lead, shown, f"{asset}{people} on {destination(hold)}")


def act(kind: str, stage: str) -> str:
    """`Publish the post`: a kind in words, or its stage and its name."""
    noun, _, verb = kind.rpartition(".")
    phrase = _PHRASES.get(verb) or (f"{verb.capitalize()} the" if verb in _VERBS else None)
    return f"{phrase} {re.sub('[._]', ' ', noun) or 'content'}" if phrase else f"{str(stage).capitalize()} ({kind})"


def reversibility(hold: Hold) -> str:
    """Whether it can be undone, as the route table says."""
    action = _action(hold)
    kind = str(action.get("reversible"))
    said = _REVERSIBLE.get(kind, f"How it can be undone is recorded as “{kind}”.")
    return f"It leaves the company at once. {said}" if action.get("external") is True else said


def recallable(hold: Hold) -> bool:
    """Whether there is a way back at all."""
    return _action(hold).get("reversible") != "none"


def question(identifier: str) -> str:
    """The question behind an id."""
    return QUESTIONS.get(identifier) or CHECKS.get(identifier) or identifier.replace("_", " ").capitalize()


def code(name: str) -> str:
    """A code as words: `legal_or_price` is “legal or price”."""
    return name.replace("_", " ")


def reason(code: str | None) -> str:
    """The words of a reason's code."""
    return dict(REASONS).get(code or "", code or "")


def asserted(hold: Hold) -> Document:
    """What the agent said about its own output."""
    said = hold.question.get("asserted")
    return said if isinstance(said, dict) else {}


def _action(hold: Hold) -> Document:
    action = hold.question.get("action")
    return action if isinstance(action, dict) else {}


def recipients(hold: Hold) -> int | None:
    """How many people it would reach, as the policy was told; None: nobody is counted."""
    return counted(hold.question) or None


def asset_state(hold: Hold) -> str:
    """The asset's state when it was asked: a registry state, or `untracked`."""
    asset = _action(hold).get("asset")
    return str(asset.get("state")) if isinstance(asset, dict) else "untracked"


def destination(hold: Hold) -> str:
    """Where it would come out, by its registered name."""
    return str(_action(hold).get("destination") or hold.upstream)


@dataclass(frozen=True, slots=True)
class Standing:
    """A state in words: a short label, what it means and what comes next; `tone` green, amber, red or ink."""

    label: str
    text: str
    tone: str


_STAYED = " Nothing was sent."
_LEAVING = Standing("Approved by all seats", "Being sent. The policy is asked once more, then exactly these bytes leave, once.", "amber")
_LOOK = "Sent once; what happened there is not known. It is not tried again. Somebody technical or security must look."
STANDINGS = {
    HoldState.PENDING: Standing("Waiting", "Waiting for votes.", "ink"),
    HoldState.SETTLING: Standing("Approved", "It leaves when its time to settle is over.", "green"),
    HoldState.APPROVED: _LEAVING,
    HoldState.CLAIMED: _LEAVING,
    HoldState.SENT: Standing("Sent", "It has left. The upstream has not answered yet.", "amber"),
    HoldState.DONE: Standing("Done", "Sent once; the upstream took it.", "green"),
    HoldState.FAILED: Standing("Failed", "Sent once; the upstream refused it. It is not tried again.", "red"),
    HoldState.UNKNOWN: Standing("Unknown", _LOOK, "amber"),
    HoldState.REJECTED: Standing("Rejected", "Nothing was sent.", "red"),
    HoldState.SENT_BACK: Standing("Sent back", "The agent was told why. Nothing was sent.", "amber"),
    HoldState.EXPIRED: Standing("Expired, a no", "Nobody decided in time. Nothing was sent.", "ink"),
    HoldState.WITHDRAWN: Standing("Withdrawn", "The agent took it back. Nothing was sent.", "ink"),
    HoldState.STOPPED: Standing("Stopped", "A person stopped it. Nothing was sent.", "red"),
    HoldState.SUPERSEDED: Standing("Superseded", "What it was about changed, so its votes no longer count. Nothing was sent.", "ink"),
    HoldState.ROLLED_BACK: Standing("Rolled back", "It was sent, and what it did was taken back.", "ink"),
}
SENT = frozenset({HoldState.SENT, HoldState.DONE, HoldState.FAILED, HoldState.UNKNOWN, HoldState.ROLLED_BACK})


def standing(hold: Hold) -> Standing:
    """Where it stands; what may have been sent is not said to have stayed."""
    found = STANDINGS[hold.state]
    return replace(found, text=found.text.removesuffix(_STAYED)) if doubtful(hold) else found


def doubtful(hold: Hold) -> bool:
    """Whether it was begun to be sent before, no answer came, and its state does not say so."""
    return hold.sends > 0 and hold.state not in SENT


UNDER_WAY = frozenset({HoldState.SETTLING, HoldState.APPROVED, HoldState.CLAIMED, HoldState.SENT})
STOPPABLE = frozenset({HoldState.PENDING, HoldState.SETTLING, HoldState.APPROVED, HoldState.CLAIMED})
