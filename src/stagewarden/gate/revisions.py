"""Registries that widen rights: in production they wait until two people who gain nothing by it confirm (governance section 1).

(1) A registry is compared with the one in force, which the state database knows. (2) Where nothing widens, or it is the first, it is taken.
(3) Else it waits under an id and a digest, and the one in force stays so, over restarts too. (4) Two different people of the registry in
force, neither of whom gains, confirm that digest. (5) It is read again, and taken if the file still says it. Everything is recorded first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.audit import entries
from stagewarden.clock import new_id
from stagewarden.errors import CannotTell, Conflict, Invalid, NotAllowed, StagewardenError
from stagewarden.gate.callers import Callers
from stagewarden.registry import widenings
from stagewarden.store import Revisions

if TYPE_CHECKING:
    from stagewarden.identity.people import Caller
    from stagewarden.registry import Registry, Widening
    from stagewarden.store import Revision, Store

NEEDED = 2
_NAMED = 5  # places in a line for operators; the API lists all


class RegistryWaits(StagewardenError):
    """A registry was not taken: people have to confirm it first."""

    code = "registry_waits"


@dataclass(frozen=True, slots=True)
class RevisionView:
    """A revision that waits, as one caller sees it. `why_not`: why this caller cannot confirm it (None: they can)."""

    revision: Revision
    widens: tuple[Widening, ...]
    why_not: str | None


async def at_start(store: Store, offered: Registry) -> Registry:
    """The registry a production house starts with: the one offered, or the one in force where that one still has to be confirmed."""
    known = await Revisions(store).in_force()
    if known is None or not widenings(known.registry.data, offered.data):
        return offered
    return offered if await _confirmed(Revisions(store), known, offered) else known.registry


class Confirming(Callers):
    """Registries on their way into force, and the acts of people on them."""

    async def admit(self, offered: Registry) -> None:
        """Nothing, where it may be taken; else it waits from now on, and RegistryWaits says under which id."""
        known = await self._in_force()
        if known is None or not (found := widenings(known.registry.data, offered.data)):
            return
        stored = self._stored()
        if await _confirmed(stored, known, offered):
            return
        rooms, now = self._rooms, self._rooms.clock.now_ns()
        already = next((one for one in await stored.waiting() if (one.base, one.digest) == (known.digest, offered.digest())), None)
        if already is None:
            fresh = new_id("c", now)
            await rooms.recorder.note("registry", entries.revision_entry(fresh, offered.digest(), "waits", None, [one.place for one in found]))
            already = await stored.propose(fresh, known.digest, offered, now)
        widens = f"{', '.join(one.place for one in found[:_NAMED])}{f' and {len(found) - _NAMED} more' if len(found) > _NAMED else ''}"
        raise RegistryWaits(f"{already.id} ({already.digest}) waits for {NEEDED} people who gain nothing by it; it widens {widens}")

    async def took(self, registry: Registry) -> None:
        """It is in force here: so it is for every replica, and the next is compared with it."""
        if not self._counts:
            return
        known = await self._in_force()
        if known is None or known.registry.digest() != registry.digest():
            now = self._rooms.clock.now_ns()
            try:
                await self._stored().take(new_id("c", now), "" if known is None else known.digest, registry, now)
            except Conflict as other:
                # Several replicas that start at once take the same one: whoever is first took it for all.
                meanwhile = await self._in_force()
                if meanwhile is None or meanwhile.registry.digest() != registry.digest():
                    raise CannotTell(f"the registry: {other}") from other

    async def due(self, in_force: Registry) -> bool:
        """Whether a registry was confirmed, or came into force elsewhere, since this one did: then it is time to read it again."""
        if not self._counts:
            return False
        known = await self._in_force()
        if known is not None and known.registry.digest() != in_force.digest():
            return True
        return known is not None and any(_heads(known, one) >= NEEDED for one in await self._stored().waiting())

    async def waiting_revisions(self, caller: Caller) -> list[RevisionView]:
        """What waits, oldest first, with what each widens."""
        self._reads(caller)
        known = await self._in_force()
        return [] if known is None else [self._seen(caller, known, one) for one in await self._stored().waiting()]

    async def confirm_revision(self, caller: Caller, revision_id: str, digest: str) -> RevisionView:
        """One person's word for exactly this digest. Order: revision and digest (Conflict), person (NotAllowed)."""
        stored, known = self._stored(), await self._in_force()
        found = await stored.get(revision_id)
        if known is None or found.state != "waiting" or found.base != known.digest:
            raise Conflict("the revision does not wait any more")
        if not digest:
            raise Invalid("digest: missing; name what you looked at")
        if digest != found.digest:
            raise Conflict("digest: what was looked at is not what waits under this id")
        view = self._seen(caller, known, found)
        if view.why_not is not None:
            raise NotAllowed(view.why_not)
        assert caller.person is not None
        places = [one.place for one in view.widens]
        await self._rooms.recorder.note("registry", entries.revision_entry(found.id, found.digest, "confirmed", caller.person, places))
        return self._seen(caller, known, await stored.confirm(found.id, caller.person, self._rooms.clock.now_ns()))

    @property
    def _counts(self) -> bool:
        return self._rooms.config.environment == "production"

    async def _in_force(self) -> Revision | None:
        return await self._stored().in_force() if self._counts else None

    def _stored(self) -> Revisions:
        return Revisions(self._rooms.store)

    def _seen(self, caller: Caller, known: Revision, found: Revision) -> RevisionView:
        widens = widenings(known.registry.data, found.registry.data)
        return RevisionView(found, widens, why_not(caller, known.registry, found, widens))


def why_not(caller: Caller, in_force: Registry, found: Revision, widens: tuple[Widening, ...]) -> str | None:
    """Why this caller cannot confirm it.

    None: a person of the registry in force, who gains nothing, and whose word is not there yet: under any id that either registry knows.
    """
    person = caller.person
    if person is None:
        return "a program's credential confirms nothing"
    entry = in_force.data.people.get(person)
    if entry is None or not entry.active:
        return "not an active person of the registry in force"

    gained = next((one.place for one in widens if any(_same(in_force, found, person, each) for each in one.gains)), None)
    if gained is not None:
        return f"who gains by a change does not confirm it: {gained}"
    if any(_same(in_force, found, person, said.person) for said in found.confirmations):
        return "this person has already confirmed it"
    return None


def _same(in_force: Registry, found: Revision, one: str, other: str) -> bool:
    """Whether two ids are one human being by either registry."""
    return in_force.same_human(one, other) or found.registry.same_human(one, other)


def _heads(known: Revision, found: Revision) -> int:
    """How many human beings confirmed it: of words given at the same moment under two ids neither saw the other."""
    heads: list[str] = []
    for said in found.confirmations:
        if not any(_same(known.registry, found, said.person, other) for other in heads):
            heads.append(said.person)
    return len(heads)


async def _confirmed(stored: Revisions, known: Revision, offered: Registry) -> bool:
    """Whether people have confirmed exactly this step."""
    same = (known.digest, offered.digest())
    return any((one.base, one.digest) == same and _heads(known, one) >= NEEDED for one in await stored.waiting())
