"""What people and programs may send, as strict JSON with no unknown member; each becomes a frozen value or Invalid naming the member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from stagewarden.errors import Invalid, Refused
from stagewarden.wire import strict_json

if TYPE_CHECKING:
    from aiohttp import web

    from stagewarden.web.people.ports import Settings


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every body."""


class SignIn(Body, frozen=True, kw_only=True):
    """`POST sessions`."""

    person: str
    password: str


class VoteBody(Body, frozen=True, kw_only=True):
    """`POST holds/{id}/votes`."""

    decision: str
    function: str = ""
    digest: str
    view_digest: str
    reason: str | None = None
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


class ModeBody(Body, frozen=True, kw_only=True):
    """`PUT agents/{id}/mode`."""

    mode: str
    reason: str = ""


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
