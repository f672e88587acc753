"""What the policy answers: allow, ask people, or deny, with reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from stagewarden.model.request import Tier

if TYPE_CHECKING:
    from stagewarden.model.request import Document


class Reason(msgspec.Struct, frozen=True):
    """Why: a stable code, the Rego package (or `gate`), the rule's own text, optional machine-readable detail."""

    code: str
    rule: str
    text: str
    detail: Document | None = None

    def document(self) -> Document:
        """As JSON."""
        base: Document = {"code": self.code, "rule": self.rule, "text": self.text}
        return base if self.detail is None else {**base, "detail": self.detail}


class Seat(msgspec.Struct, frozen=True):
    """`count` different people, each holding one of `functions` (sorted)."""

    functions: tuple[str, ...]
    count: int


class Obligations(msgspec.Struct, frozen=True):
    """What an allow or hold obliges us to do. Only what we can honour is understood."""

    review: Literal["auto", "human", "sampled"] = "auto"
    response_fields: tuple[str, ...] | None = None  # names or JSON pointers of all that the agent may see of the answer; None: as it came
    settle: float = 0.0  # seconds between the last vote and the sending, in which anybody listed can still stop it


class Allow(msgspec.Struct, frozen=True):
    """Yes: send it."""

    tier: Tier
    reasons: tuple[Reason, ...]
    obligations: Obligations = Obligations()
    cacheable: bool = False
    effect: Literal["allow"] = "allow"


class Ask(msgspec.Struct, frozen=True):
    """People decide: hold it."""

    tier: Tier
    reasons: tuple[Reason, ...]
    seats: tuple[Seat, ...]
    obligations: Obligations = Obligations()
    effect: Literal["hold"] = "hold"


class Deny(msgspec.Struct, frozen=True):
    """No. The first reason's code decides the HTTP status; there is always one."""

    reasons: tuple[Reason, ...]
    tier: Tier = Tier.LOW
    effect: Literal["deny"] = "deny"

    @classmethod
    def by_gate(cls, code: str, text: str, detail: Document | None = None) -> Deny:
        """A no of the gate itself, before or instead of any policy."""
        return cls((Reason(code, "gate", text, detail),))


Verdict: TypeAlias = Allow | Ask | Deny
