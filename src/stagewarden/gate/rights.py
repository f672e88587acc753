"""Who a caller is to the people's plane: the functions they hold now, and what reading and stopping take (lifecycles.md, "Who may do what")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.errors import Invalid, NotAllowed

if TYPE_CHECKING:
    from stagewarden.gate.rooms import Rooms
    from stagewarden.identity.people import Caller

_LONGEST_REASON = 500


class Rights:
    """What every act asks before it does anything."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def functions(self, caller: Caller) -> frozenset[str]:
        """The functions a person holds, read from the registry each time; a program holds none."""
        person = self._rooms.registry.data.people.get(caller.person or "")
        return frozenset(person.functions) if person is not None and person.active else frozenset()

    def _reads(self, caller: Caller) -> None:
        if caller.person is None and "read" not in caller.scopes:
            raise NotAllowed("this token's scopes do not include `read`")

    def _stops(self, caller: Caller) -> None:
        if caller.person is None and "stop" not in caller.scopes:
            raise NotAllowed("this token's scopes do not include `stop`")


def name_of(caller: Caller) -> str:
    """How an act is signed."""
    return caller.person or f"program:{caller.program}"


def bounded(reason: str) -> str:
    """Raises Invalid for a reason longer than anybody reads."""
    if len(reason) > _LONGEST_REASON:
        raise Invalid(f"reason: longer than {_LONGEST_REASON} characters")
    return reason
