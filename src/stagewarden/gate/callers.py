"""Who may do what on the people's plane (lifecycles.md), as far as it depends on the caller alone. Decides nothing about holds.

Step-up is not asked for: no way to sign in of this release can give it (password sessions and tokens have none).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.errors import Invalid, NotAllowed

if TYPE_CHECKING:
    from stagewarden.gate.rooms import Rooms
    from stagewarden.identity.people import Caller

_LOOSENS = frozenset({"security", "technical"})
_LONGEST_REASON = 500


class Callers:
    """Base of the acts."""

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

    def _loosens(self, caller: Caller, reason: str) -> None:
        if caller.person is None:
            raise NotAllowed("a program's credential never loosens or lifts")
        if self.functions(caller).isdisjoint(_LOOSENS):
            raise NotAllowed("loosening takes the function security or technical")
        if not reason.strip():
            raise Invalid("reason: loosening needs one")


def name_of(caller: Caller) -> str:
    """The person, or the program."""
    return caller.person or f"program:{caller.program}"


def bounded(reason: str) -> str:
    """A reason that is not too long; raises Invalid."""
    if len(reason) > _LONGEST_REASON:
        raise Invalid(f"reason: longer than {_LONGEST_REASON} characters")
    return reason
