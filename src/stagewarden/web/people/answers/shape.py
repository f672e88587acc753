"""What every answer is made of, and the problem that each route may answer."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

Moment: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="RFC 3339, UTC")]
Digest: TypeAlias = Annotated[str, Meta(pattern="^sha256:")]
Cursor: TypeAlias = Annotated[str | None, Meta(description="Give it as `cursor` for the next page; null at the end.")]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every answer."""


class Problem(Shape, frozen=True, kw_only=True):
    """RFC 9457. `type` is `urn:stagewarden:problem:CODE`; the codes of each status stand with it."""

    type: Annotated[str, Meta(pattern="^urn:stagewarden:problem:[a-z_]+$")]
    title: str
    status: int
    detail: str | UnsetType = UNSET
