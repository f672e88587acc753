"""Who may do what on the people's plane (lifecycles.md), as far as it depends on the caller alone. Decides nothing about holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import Invalid, NotAllowed, StepUp
from stagewarden.model import Tier

if TYPE_CHECKING:
    from stagewarden.gate.people import VoteIntent
    from stagewarden.gate.rooms import Rooms
    from stagewarden.identity.people import Caller, People, ProgramToken
    from stagewarden.model import Hold

LOOSENS = frozenset({"security", "technical"})
_LONGEST_REASON = 500


class Callers:
    """Base of the acts."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def functions(self, caller: Caller) -> frozenset[str]:
        """The functions a person holds, read from the registry each time, and confirmed by the directory where a group is named."""
        person = self._rooms.registry.data.people.get(caller.person or "")
        if person is None or not person.active:
            return frozenset()
        confirmed = caller.proven is None or person.group is None or person.group in caller.proven.groups
        return frozenset(person.functions) if confirmed else frozenset()

    def may_lend(self, caller: Caller) -> None:
        """Raise NotAllowed unless this person may lend a terminal their sign-in: one just proven, so that a stolen cookie gives no longer life."""
        if caller.person is None or caller.via != "session":
            raise NotAllowed("a terminal is lent a sign-in by a person who is signed in to the console")
        self._prove_anew(caller)

    async def program_tokens(self, caller: Caller, people: People) -> list[ProgramToken]:
        """Programs' tokens: whoever created one sees it, security and technical see all."""
        if caller.person is None:
            raise NotAllowed("a program is shown no tokens")
        everything = not self.functions(caller).isdisjoint(LOOSENS)
        return [one for one in await people.programs(self._rooms.store) if everything or one.creator == caller.person]

    def _reads(self, caller: Caller) -> None:
        if caller.person is None and "read" not in caller.scopes:
            raise NotAllowed("this token's scopes do not include `read`")

    def _stops(self, caller: Caller) -> None:
        if caller.person is None and "stop" not in caller.scopes:
            raise NotAllowed("this token's scopes do not include `stop`")

    def _loosens(self, caller: Caller, reason: str) -> None:
        if caller.person is None:
            raise NotAllowed("a program's credential never loosens or lifts")
        if self.functions(caller).isdisjoint(LOOSENS):
            raise NotAllowed("loosening takes the function security or technical")
        if not reason.strip():
            raise Invalid("reason: loosening needs one")
        self._prove_anew(caller)

    def _confirmed(self, caller: Caller, intent: VoteIntent, hold: Hold) -> VoteIntent:
        """The vote with a function that the directory confirms, or with none."""
        self._prove_vote(caller, intent.decision, hold.tier)
        return intent if intent.function in self.functions(caller) else replace(intent, function="")

    def _prove_vote(self, caller: Caller, decision: str, tier: Tier) -> None:
        """An approval of high tier, of a request or in advance, is by somebody who has just signed in."""
        if decision == "approve" and tier is Tier.HIGH:
            self._prove_anew(caller)

    def _prove_anew(self, caller: Caller) -> None:
        """For what is grave a person proves again who they are (`people.step_up`); a sandbox has nobody to prove it to."""
        if (owed := self.owed_proof(caller)) is not None:
            raise StepUp(f"this takes {owed}")

    def owed_proof(self, caller: Caller) -> str | None:
        """The sign-in that what is grave still takes of this caller, or None."""
        settings = self._rooms.config
        if settings.environment == "sandbox":
            return None
        wanted, proven = settings.people.step_up, caller.proven
        if caller.via == "terminal":  # contract section 2: whoever holds that token is not whoever has just signed in
            return "a sign-in in the console; what `stagewarden login` gave a terminal never meets it"
        seconds = self._rooms.clock.now_ns() / NANOSECONDS
        if proven is None or seconds - proven.auth_time > float(wanted.max_age) or (wanted.acr is not None and proven.acr != wanted.acr):
            return f"a sign-in not older than {float(wanted.max_age):g} s" + (f" by {wanted.acr}" if wanted.acr else "")
        return None


def name_of(caller: Caller) -> str:
    """The person, or the program."""
    return caller.person or f"program:{caller.program}"


def bounded(reason: str) -> str:
    """A reason that is not too long; raises Invalid."""
    if len(reason) > _LONGEST_REASON:
        raise Invalid(f"reason: longer than {_LONGEST_REASON} characters")
    return reason
