"""What people and programs may send, as strict JSON with no unknown member; each becomes a frozen value or Invalid naming the member."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from stagewarden.errors import Invalid, Refused
from stagewarden.holds.ballot import REASONS
from stagewarden.wire import strict_json

if TYPE_CHECKING:
    from aiohttp import web

    from stagewarden.web.people.ports import Settings


DEADLINE = 30.0  # seconds for a body to arrive


def _told(**schema: Any) -> Meta:
    """What the OpenAPI document says of a member, beside its type. The gate checks it, and says what it expected."""
    return Meta(extra_json_schema=schema)


Decision: TypeAlias = Annotated[str, _told(enum=["approve", "reject", "send_back"])]
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


class VoteBody(Body, frozen=True, kw_only=True):
    """`POST holds/{id}/votes`."""

    decision: Decision
    function: str = ""
    digest: Digest
    view_digest: Digest
    reason: Cause | None = None
    note: str | None = None
    answers: dict[str, bool] = {}
    edit: object = None

    def decided(self) -> Literal["approve", "reject"]:
        """The decision, where this release knows it."""
        if self.decision in {"send_back", "edit"} or self.edit is not None:
            raise Invalid(f"{'edit' if self.edit is not None else 'decision'}: send_back and edit are not in this release")
        if self.decision not in {"approve", "reject"}:
            raise Invalid("decision: expected approve or reject")
        return "approve" if self.decision == "approve" else "reject"


class StopBody(Body, frozen=True, kw_only=True):
    """`POST holds/{id}/stop`; stopping never waits for a reason."""

    reason: Why = ""


class ModeBody(Body, frozen=True, kw_only=True):
    """`PUT agents/{id}/mode`."""

    mode: Mode
    reason: Why = ""


class KillBody(Body, frozen=True, kw_only=True):
    """`PUT kill`."""

    scope: Scope
    reason: Why = ""


class UnkillBody(Body, frozen=True, kw_only=True):
    """`DELETE kill`."""

    id: str
    reason: Why


B = TypeVar("B", bound=msgspec.Struct)


async def read(request: web.Request, shape: type[B], settings: Settings) -> B:
    """The body as `shape`; no body at all reads as `{}`."""
    try:
        async with asyncio.timeout(DEADLINE):
            data = await request.read()
    except TimeoutError:
        raise Refused("ambiguous_request", f"body: did not end within {DEADLINE:.0f} s") from None
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
