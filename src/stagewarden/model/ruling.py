"""The record of what was decided, and of what then happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.model.asked import Action, Principal, Question
    from stagewarden.model.hold import Hold
    from stagewarden.model.request import Head, Request
    from stagewarden.model.verdict import Verdict


class Ruling(msgspec.Struct, frozen=True):
    """The one record of what was decided about one request. The answer, the audit line, the samples and the row are views of it."""

    id: str
    at_ns: int
    head: Head
    verdict: Verdict
    principal: Principal | None = None
    action: Action | None = None
    request: Request | None = None
    question: Question | None = None
    hold: Hold | None = None
    digest: str | None = None
    phases: Mapping[str, float] = msgspec.field(default_factory=dict)  # seconds by phase
    policy: str = ""
    registry: str = ""
    body_read: bool = False


Result: TypeAlias = Literal["done", "failed", "unknown", "not_sent"]
Given: TypeAlias = Literal["whole", "filtered", "withheld"]


class Outcome(msgspec.Struct, frozen=True):
    """What then happened; `status` is the upstream's, 0 without an answer. `given`: what the agent may see of that answer."""

    ruling: str
    result: Result
    status: int
    sent_digest: str | None
    answer_digest: str | None
    answer_bytes: int
    upstream_seconds: float
    code: str | None = None
    hold: str | None = None
    given: Given = "whole"
