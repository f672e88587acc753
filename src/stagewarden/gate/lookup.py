"""The look-up: a GET by the gate that changes nothing, before judging and again before a release. A failed one is a no."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stagewarden.classify import read_lookup
from stagewarden.errors import Ambiguous, CannotTell, UpstreamFailed
from stagewarden.gate.streams import Stopped
from stagewarden.model import Request, Stage

if TYPE_CHECKING:
    from stagewarden.classify import Looked, Match
    from stagewarden.gate.rooms import Rooms
    from stagewarden.model import Deny

_SIZE_FACTOR = 4  # a looked-up asset carries more than the change made to it
_NOT_USABLE = 300


def lookup_key(match: Match) -> tuple[str, str] | None:
    """(upstream, looked-up target): whoever holds it is alone with the asset. None for a route without look-up."""
    lookup = match.route.settings.lookup
    if lookup is None:
        return None
    return match.upstream.name, re.sub(r"\{(\w+)(?:\.\.\.)?\}", lambda found: match.raw_parameters[found[1]], lookup.get)


async def look_up(rooms: Rooms, agent: str, workflow: str | None, match: Match) -> Looked | str:
    """The asset as it stands, or why it cannot be used. Raises CannotTell when the upstream does not answer, Stopped where a stop came first."""
    key, lookup = lookup_key(match), match.route.settings.lookup
    assert key is not None
    assert lookup is not None
    address = rooms.sender.address(key[0])
    request = Request(key[0], "GET", address.scheme, address.authority, key[1], (("Accept", "application/json"),), b"")
    stage = Stage(lookup.as_)
    try:
        async with rooms.sender.connected(agent, request, stage) as connection:
            _go_on(rooms.stopped(agent, workflow, key[0], stage))
            answer = await rooms.sender.exchange(connection, request, rooms.sender.head(request, stage, ()))
            body = await answer.read(_SIZE_FACTOR * rooms.config.limits.body)
    except Stopped:
        raise
    except UpstreamFailed as failure:
        raise CannotTell(f"the look-up at {key[0]} got no answer: {failure}") from failure
    if answer.status >= _NOT_USABLE:
        return f"the upstream answered {answer.status}"
    try:
        return read_lookup(lookup, match.asset_id, body, rooms.config.limits.json_depth)
    except Ambiguous as refused:
        return f"the answer is not strict JSON: {refused.detail}"


def _go_on(stop: Deny | None) -> None:
    if stop is not None:
        raise Stopped(stop)
