"""What is known of one request while it is judged and sent. Lives no longer than its passage; nothing here decides or sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from stagewarden.classify import Looked, Match
    from stagewarden.errors import UpstreamFailed
    from stagewarden.gate.sending import Relay
    from stagewarden.grants import Grant, Use
    from stagewarden.model import Action, Body, Head, Hold, Principal, Question, Request
    from stagewarden.wire.upstream import Lease


class Incoming(Protocol):
    """The rest of the request being judged; read once, and only when its route is known."""

    @property
    def empty(self) -> bool:
        """Whether its head says that it has no body."""

    async def body(self, limit: int) -> bytes:
        """The whole body, at most `limit` bytes; raises Refused over it."""

    def pieces(self, limit: int) -> AsyncGenerator[bytes, None]:
        """The same as it arrives."""


class Draft(msgspec.Struct):
    """What is known so far of one request; becomes the Ruling. Lives only while its request is judged."""

    head: Head
    principal: Principal | None = None
    action: Action | None = None
    request: Request | None = None
    question: Question | None = None
    hold: Hold | None = None
    digest: str | None = None
    body_read: bool = False
    match: Match | None = None
    looked: Looked | None = None
    body: Body = b""  # a large one is ours to close
    phases: dict[str, float] = msgspec.field(default_factory=dict)
    agent: str | None = None  # counted as in flight for this agent
    asset: tuple[str, ...] | None = None  # the look-up's lock we hold
    started: float = 0.0
    upstream_seconds: float = 0.0
    granted: tuple[Grant, ...] = ()  # grants the policy was shown
    use: Use | None = None  # of the one its yes leans on


class Sending(msgspec.Struct):
    """One direct send from its first step to its outcome."""

    started: float
    use: Use | None = None
    lease: Lease | None = None
    relay: Relay | None = None
    failure: UpstreamFailed | None = None
