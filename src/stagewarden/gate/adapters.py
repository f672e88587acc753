"""A vote through another queue: cast by the person's own token, once, on what was shown, up to tier medium, in one seat of a hold.

Everything else is refused and recorded. The queue itself has no right here, and no function, and nothing of it is believed but the bytes of
the token: the vote is then judged like one in the console.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stagewarden.audit.line import text
from stagewarden.errors import CannotTell, Conflict, Invalid, NotAllowed, NotFound, StagewardenError
from stagewarden.model import Tier
from stagewarden.store import Callbacks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stagewarden.gate.rooms import Rooms
    from stagewarden.identity.people import Caller
    from stagewarden.model import Hold
    from stagewarden.store import Callback

UP_TO = frozenset({Tier.LOW, Tier.MEDIUM})
_HOLD = re.compile(r"h_[0-9A-Z]{26}")
_ID = re.compile(r"[!-~]{1,128}")


async def through(rooms: Rooms, caller: Caller, callback: Callback, hold_id: str, cast: Callable[[], Awaitable[Hold]]) -> Hold:
    """(1) Id and token are used up, whatever follows. (2) The hold is one that may be decided so. (3) One seat. (4) The vote, as any other."""
    if caller.person is None or caller.via != "adapter":
        raise NotAllowed("a vote through an adapter takes the person's own token")
    callbacks, known, begun = Callbacks(rooms.store), _HOLD.fullmatch(hold_id) is not None, False
    try:
        if not _ID.fullmatch(callback.id):
            raise Invalid("id: 1 to 128 visible characters, another one for each vote")
        place = await callbacks.begin(callback, hold_id if known else "", caller.person, rooms.clock.now_ns())
        begun = place == "begun"
        if place == "used":
            raise Conflict("this id, or this token, was used before: it is good for one vote")
        if not known:
            raise NotFound("no such hold")
        if (await rooms.holds.without_payload(hold_id)).tier not in UP_TO:
            raise NotAllowed("a hold of tier high is decided in the console")
        if place == "second":
            raise Conflict("one seat of this hold was filled through an adapter already; the others vote in the console")
        await _note(rooms, callback, caller.person, hold_id, "begun")
        voted = await cast()
    except StagewardenError as failure:
        await _note(rooms, callback, caller.person, hold_id, "refused", failure)
        if begun and not isinstance(failure, CannotTell):  # else it may stand: its place stays taken, and no second seat is filled so
            await callbacks.settle(callback, cast=False)
        raise
    await callbacks.settle(callback, cast=True)
    return voted


async def _note(rooms: Rooms, callback: Callback, person: str, hold_id: str, result: str, failure: StagewardenError | None = None) -> None:
    about = {"adapter": callback.adapter, "id": text(callback.id, 128), "hold": text(hold_id, 64), "person": person, "result": result}
    why = {} if failure is None else {"code": failure.code, "why": text(str(failure))}
    await rooms.recorder.note("adapter", {**about, **why})
