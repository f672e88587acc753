"""When the policy asks for other people than a hold did: the linked hold with the same bytes and no votes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.holds import NewHold
from stagewarden.holds.seats import covered

if TYPE_CHECKING:
    from stagewarden.classify import Looked
    from stagewarden.model import Ask, Hold, Question

_ORDER = ("low", "medium", "high")


def stricter(verdict: Ask, hold: Hold) -> bool:
    """Whether the verdict asks for more than the hold: a higher tier, or people who need not be among those who fill the hold's seats."""
    return not covered(verdict.seats, hold.seats) or _ORDER.index(verdict.tier) > _ORDER.index(hold.tier)


def successor(hold: Hold, verdict: Ask, question: Question, looked: Looked | None) -> NewHold:
    """The hold that takes this one's place; what was looked up anew is what the next people see."""
    fresh = NewHold(
        predecessor=hold.id, asked=hold.asked, authors=hold.authors, editor=hold.editor, original=hold.original,
        ruling=hold.ruling, digest=hold.digest, repeat_digest=hold.repeat_digest, agent=hold.agent, workflow=hold.workflow, initiator=hold.initiator,
        upstream=hold.upstream, stage=hold.stage, kind=hold.kind, asset=hold.asset, lookup_digest=hold.lookup_digest, verdict=verdict,
        request=hold.request, question={**question.document, "approval": None}, before=hold.before,
    )  # fmt: skip
    if looked is None:
        return fresh
    return replace(fresh, lookup_digest=looked.digest, before=looked.body, authors=tuple(sorted({*hold.authors, *looked.authors})))
