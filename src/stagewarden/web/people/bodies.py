"""What people and programs may send, as strict JSON with no unknown member; each becomes a frozen value or Invalid naming the member."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from stagewarden.errors import Invalid, Refused
from stagewarden.holds.ballot import DECISIONS, REASONS
from stagewarden.wire import strict_json

if TYPE_CHECKING:
    from aiohttp import web

    from stagewarden.holds.ballot import Decision
    from stagewarden.web.people.ports import Settings


DEADLINE = 30.0  # seconds for a body to arrive


def _told(**schema: Any) -> Meta:
    """What the OpenAPI document says of a member, beside its type. The gate checks it, and says what it expected."""
    return Meta(extra_json_schema=schema)


Choice: TypeAlias = Annotated[str, _told(enum=[*DECISIONS])]
Result: TypeAlias = Annotated[str, _told(enum=["done", "failed"], description="What became of it at the upstream.")]
Cause: TypeAlias = Annotated[str, _told(enum=[*REASONS])]
Digest: TypeAlias = Annotated[str, _told(pattern="^sha256:[0-9a-f]{64}$", description="As it was shown: what you vote on, and what you saw of it.")]
Mode: TypeAlias = Annotated[str, _told(enum=["active", "recommend_only", "paused", "revoked"])]
Scope: TypeAlias = Annotated[str, _told(pattern="^(all|(agent|workflow|upstream|stage):[!-~]+)$")]
Why: TypeAlias = Annotated[str, _told(maxLength=500)]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every body."""


class SignIn(Body, frozen=True, kw_only=True):
    """`POST sessions`."""

    person: str
    password: str


class TerminalBody(Body, frozen=True, kw_only=True):
    """`POST terminals`: the code a person lent, and what only the terminal that asked for it knows (RFC 7636)."""

    code: str
    verifier: str


class EditBody(Body, frozen=True, kw_only=True):
    """The body to be sent instead, as text or as base64: one of the two."""

    body: str | None = None
    body_base64: str | None = None

    def content(self) -> bytes:
        """Its bytes. Raises Invalid."""
        if (self.body is None) is (self.body_base64 is None):
            raise Invalid("edit: one of body and body_base64; nothing else of a request can be edited")
        if self.body is not None:
            return self.body.encode()
        try:
            return base64.b64decode(self.body_base64 or "", validate=True)
        except binascii.Error:
            raise Invalid("edit.body_base64: not base64") from None


class VoteBody(Body, frozen=True, kw_only=True):
    """`POST holds/{id}/votes`."""

    decision: Choice
    function: str = ""
    digest: Digest
    view_digest: Digest
    reason: Cause | None = None
    note: str | None = None
    answers: dict[str, bool] = {}
    edit: EditBody | None = None

    def decided(self) -> Decision:
        """The decision, where this release knows it."""
        if self.edit is not None and self.decision != "approve":
            raise Invalid("edit: comes with the decision approve alone")
        found = next((decision for decision in DECISIONS if decision == self.decision), None)
        if found is None:
            raise Invalid(f"decision: one of {', '.join(DECISIONS)}")
        return found


class AdapterVoteBody(VoteBody, frozen=True, kw_only=True):
    """`POST adapters/{id}/votes`: a vote, on which hold, under an id that is good once."""

    id: Annotated[str, _told(pattern="^[!-~]{1,128}$", description="Another one for each vote: it is good once.")]
    hold: Annotated[str, _told(pattern="^h_[0-9A-Z]{26}$")]

    def decided(self) -> Decision:
        """The decision; nothing is edited through an adapter."""
        if self.edit is not None:
            raise Invalid("edit: only in the console, where it is seen what is changed")
        return super().decided()


class ResendBody(Body, frozen=True, kw_only=True):
    """`POST deliveries/{id}/resend`: nothing to say."""


class TakeUpBody(Body, frozen=True, kw_only=True):
    """`POST holds/{id}/take-up`: nothing to say."""


class GrantVoteBody(Body, frozen=True, kw_only=True):
    """`POST grants/{id}/votes`."""

    decision: Literal["approve", "reject"]
    function: str
    digest: Digest
    reason: Cause | None = None


class EndBody(Body, frozen=True, kw_only=True):
    """`DELETE grants/{id}`, `POST grants/{id}/complete`; ending never waits for a reason."""

    reason: Why = ""


class StopBody(Body, frozen=True, kw_only=True):
    """`POST holds/{id}/stop`; stopping never waits for a reason."""

    reason: Why = ""


class ResolveBody(Body, frozen=True, kw_only=True):
    """`POST holds/{id}/resolve`."""

    result: Result
    evidence: str


class RollbackBody(Body, frozen=True, kw_only=True):
    """`POST holds/{id}/rollback`."""

    reason: Why


class ModeBody(Body, frozen=True, kw_only=True):
    """`PUT agents/{id}/mode`."""

    mode: Mode
    reason: Why = ""


class ConfirmBody(Body, frozen=True, kw_only=True):
    """`POST registry/revisions/{id}/confirm`: what was looked at."""

    digest: Digest


class KillBody(Body, frozen=True, kw_only=True):
    """`PUT kill`."""

    scope: Scope
    reason: Why = ""


class UnkillBody(Body, frozen=True, kw_only=True):
    """`DELETE kill`."""

    id: str
    reason: Why


B = TypeVar("B", bound=msgspec.Struct)


async def whole(request: web.Request) -> bytes:
    """The bytes of a body that ends in time: one that does not would hold its handler for ever."""
    try:
        async with asyncio.timeout(DEADLINE):
            return await request.read()
    except TimeoutError:
        raise Refused("ambiguous_request", f"body: did not end within {DEADLINE:.0f} s") from None


async def read(request: web.Request, shape: type[B], settings: Settings) -> B:
    """The body as `shape`; no body at all reads as `{}`."""
    data = await whole(request)
    if data and request.content_type != "application/json":
        raise Refused("unsupported_body", "this takes application/json")
    document = strict_json.loads(data, settings.json_depth) if data else {}
    try:
        return msgspec.convert(document, shape, strict=True)
    except msgspec.ValidationError as error:
        raise Invalid(str(error).replace("`", "")) from None


def plain(body: msgspec.Struct) -> object:
    """The body as builtin values."""
    return msgspec.to_builtins(body)
