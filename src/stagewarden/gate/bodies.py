"""Bodies that may be too large for memory: taken onto disk, described to the policy, and brought back for a release.

The bytes that are judged are the bytes that are sent: nothing here changes one.
"""

from __future__ import annotations

from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from stagewarden.classify import action as classing
from stagewarden.errors import CannotTell, Refused
from stagewarden.wire.spool import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from stagewarden.classify import Match
    from stagewarden.gate.rooms import Rooms
    from stagewarden.model import JSON, Body, Head, Hold

SPOOLED = frozenset({"opaque", "multipart"})  # kinds of body that are read in pieces


async def take(rooms: Rooms, head: Head, match: Match, arriving: AsyncGenerator[bytes, None]) -> Body:
    """The whole body once its type is one the route takes; a Spool is the caller's to close. Raises Refused, or CannotTell where the disk fails."""
    classing.check_type(match, head.named.get("content-type"))
    return await rooms.spools.take(arriving)


async def describe(rooms: Rooms, head: Head, match: Match, body: Body) -> JSON:
    """What the policy sees of it: the parts of a multipart body, nothing of an opaque one. Raises Refused."""
    if match.route.settings.body == "opaque":
        return None
    read = partial(classing.parse_parts, match, head.named.get("content-type"), text=rooms.config.limits.body)
    return read([body]) if isinstance(body, bytes) else await in_thread(read, body.blocks())


@asynccontextmanager
async def whole(rooms: Rooms, hold: Hold) -> AsyncIterator[Hold]:
    """The hold with all its bytes at hand, checked against what was asked. Raises CannotTell where they are not."""
    if isinstance(hold.request.body, bytes):
        yield hold
        return
    with ExitStack() as closing:
        try:
            found = await rooms.holds.with_body(hold, closing.enter_context(rooms.spools.open()))
        except Refused as full:
            raise CannotTell(full.detail) from full
        yield found
