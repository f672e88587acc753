"""What people and programs may send, as strict JSON with no unknown member; each becomes a frozen value or Invalid naming the member."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from stagewarden.errors import Invalid, Refused
from stagewarden.holds.ballot import DECISIONS
from stagewarden.wire import strict_json

if TYPE_CHECKING:
    from aiohttp import web

    from stagewarden.holds.ballot import Decision
    from stagewarden.web.people.ports import Settings


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every body."""


class SignIn(Body, frozen=True, kw_only=True):
    """`POST sessions`."""

    person: str
    password: str


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

    decision: str
    function: str = ""
    digest: str
    view_digest: str
    reason: str | None = None
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


class TakeUpBody(Body, frozen=True, kw_only=True):
    """`POST holds/{id}/take-up`: nothing to say."""


class GrantVoteBody(Body, frozen=True, kw_only=True):
    """`POST grants/{id}/votes`."""

    decision: Literal["approve", "reject"]
    function: str
    digest: str
    reason: str | None = None


class EndBody(Body, frozen=True, kw_only=True):
    """`DELETE grants/{id}`, `POST grants/{id}/complete`; ending never waits for a reason."""

    reason: str = ""


class StopBody(Body, frozen=True, kw_only=True):
    """`POST holds/{id}/stop`; stopping never waits for a reason."""

    reason: str = ""


class ResolveBody(Body, frozen=True, kw_only=True):
    """`POST holds/{id}/resolve`."""

    result: str
    evidence: str


class RollbackBody(Body, frozen=True, kw_only=True):
    """`POST holds/{id}/rollback`."""

    reason: str


class ModeBody(Body, frozen=True, kw_only=True):
    """`PUT agents/{id}/mode`."""

    mode: str
    reason: str = ""


class ConfirmBody(Body, frozen=True, kw_only=True):
    """`POST registry/revisions/{id}/confirm`: what was looked at."""

    digest: str


class KillBody(Body, frozen=True, kw_only=True):
    """`PUT kill`."""

    scope: str
    reason: str = ""


class UnkillBody(Body, frozen=True, kw_only=True):
    """`DELETE kill`."""

    id: str
    reason: str


B = TypeVar("B", bound=msgspec.Struct)


async def read(request: web.Request, shape: type[B], settings: Settings) -> B:
    """The body as `shape`; no body at all reads as `{}`."""
    data = await request.read()
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
