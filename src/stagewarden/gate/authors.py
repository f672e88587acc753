"""Who wrote what would go out, as far as it is known: nobody approves their own words (lifecycles.md, "Who may vote"). Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.holds.eligibility import writers

if TYPE_CHECKING:
    from stagewarden.classify import Looked
    from stagewarden.gate.rooms import Rooms
    from stagewarden.model import Action


async def authors(rooms: Rooms, action: Action, looked: Looked | None) -> tuple[str, ...]:
    """Whom the look-up names, and the people behind the earlier holds of the same asset, sorted."""
    named = frozenset(looked.authors) if looked is not None else frozenset[str]()
    if action.asset is None or action.asset.id is None:
        return tuple(sorted(named))
    earlier = await rooms.holds.written(action.upstream, action.asset.id)
    return tuple(sorted(named.union(*(writers(hold, rooms.registry) for hold in earlier))))
