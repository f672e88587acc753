"""Stopping: kills, and the modes of agents, in one durable local file that works with policy, state and network down.

The file is on the disk before an act is answered, and then the tick is moved: every question reads that, so that a stop engaged by another
process is felt by the next one. What is done to the file by hand is seen a few milliseconds later. A file that is gone or does not read
means "stopped": nothing here ever answers "go on" because it could not find out. Who may stop or lift is decided elsewhere.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.clock import NANOSECONDS, new_id
from stagewarden.errors import CannotTell, Conflict, Invalid, NotFound
from stagewarden.model import Deny, Stage
from stagewarden.modes import folding
from stagewarden.modes.disk import StopFile
from stagewarden.modes.orders import (
    LONGEST_NAME,
    LONGEST_REASON,
    MODES,
    PLAIN,
    RANK,
    STOPPING,
    Change,
    Kill,
    NotDurable,
    StoredMode,
    Terms,
    parse_scope,
    scopes,
    stricter,
)
from stagewarden.modes.tick import AT, Tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from stagewarden.clock import Clock
    from stagewarden.modes.disk import Signature
    from stagewarden.modes.folding import InForce
    from stagewarden.modes.orders import Act

LOOK_AGAIN = 0.005  # seconds


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is in force as last read, what `stat` said of the file then, and where the tick stood before."""

    signature: Signature
    tick: bytes
    file: InForce
    by_scope: dict[str, Kill]
    stale: bool  # the shared state has not been heard for too long
    calm: bool  # nobody and nothing is stopped by any of this


class Modes:
    """The kills and modes in force. `open` before use; any number of processes may share the file."""

    def __init__(self, path: Path, clock: Clock, *, look_again: float = LOOK_AGAIN, shared: bool = False) -> None:
        """`look_again`: seconds after which the file itself is looked at, whatever the tick says. `shared`: other replicas order too."""
        self.shared = shared
        self._file = StopFile(path)
        self._clock = clock
        self._look_again = look_again
        self._look_at = float("-inf")
        self._tick = Tick(path.with_name(path.name + ".tick"))
        self._seen: _Seen | None = None
        self._unwritten: tuple[Change, ...] = ()

    def join(self) -> None:
        """Follow a file that another process has begun; where it is missing, every question raises CannotTell."""
        try:
            self._tick.open(self._file.give_to_owner)
        except OSError as failure:
            raise CannotTell(f"the stop file's tick cannot be opened: {failure.strerror}") from failure

    def open(self) -> None:
        """Read the file, or begin it when there has never been one; raises CannotTell when it does not read."""
        with self._file.locked():
            self.join()
            if not self._file.exists():
                self._replace(folding.NOTHING, after=0)
        self._now()

    # -- asking --------------------------------------------------------------------------------------------------------

    def stop(
        self,
        *,
        agent: str | None = None,
        workflow: str | None = None,
        upstream: str | None = None,
        stage: Stage | None = None,
        registry_mode: str = "active",
    ) -> Deny | None:
        """The no that stands against any of these, or None. `all` is asked every time; raises CannotTell."""
        seen = self._seen
        if seen is None or not seen.tick or seen.tick != self._tick.now[:AT] or self._clock.monotonic() >= self._look_at:
            seen = self._now()
        if seen.calm and registry_mode == "active":
            return None
        if seen.by_scope:
            for scope in scopes(agent, workflow, upstream, stage):
                if (kill := seen.by_scope.get(scope)) is not None:
                    return Deny.by_gate("killed", f"Stopped by {kill.id}", {"kill": kill.id, "scope": kill.scope})
        mode = stricter(registry_mode, None if agent is None else seen.file.modes.get(agent))
        if mode in STOPPING:
            return Deny.by_gate(mode, f"This agent is {mode}")
        if seen.stale and stage not in {None, Stage.GENERATE}:
            raise CannotTell("the shared state of the stops has not been heard for too long")
        return None

    def mode_of(self, agent: str, registry_mode: str) -> str:
        """The stricter of the registry's and the stored mode; a word we do not know counts as the strictest."""
        return stricter(registry_mode, self._now().file.modes.get(agent))

    def stopped_since(self, moment_ns: int, covering: Iterable[str]) -> Change | None:
        """The last stop of any of these scopes (`scopes`) since then, lifted or not: what was approved before it does not go out any more."""
        changes = self._now().file.changes
        return next((each for each in reversed(changes) if each.stops and each.at_ns >= moment_ns and each.scope in covering), None)

    def stored(self, agent: str) -> StoredMode | None:
        """What a person set, if anybody did."""
        return self._now().file.modes.get(agent)

    def kills(self) -> tuple[Kill, ...]:
        """The kills engaged, oldest first."""
        return self._now().file.kills

    @property
    def epoch(self) -> int:
        """Grows with every act; a cached yes of an older epoch is void."""
        return self._now().file.epoch

    def changes(self, after: int) -> tuple[Change, ...]:
        """The acts since that epoch, oldest first, whoever did them (the last 200 are kept)."""
        return tuple(change for change in self._now().file.changes if change.epoch > after)

    @property
    def stale(self) -> bool:
        """Whether the shared state has not been heard for too long."""
        return self._now().stale

    @property
    def unwritten(self) -> tuple[Change, ...]:
        """Orders that hold in memory only."""
        return self._unwritten

    # -- acting --------------------------------------------------------------------------------------------------------

    async def kill(self, scope: str, by: str, reason: str, terms: Terms = PLAIN) -> Kill:
        """Engage a stop; durable on return. Raises Invalid, NotDurable (it is engaged, but not on the disk)."""
        checked, now = parse_scope(scope), self._clock.now_ns()
        change = self._order("kill", new_id("k", now), checked, by, reason)

        def engage(file: InForce) -> Change:
            relapse = (watched := file.modes.get(checked.removeprefix("agent:"))) is not None and watched.observed_until_ns > now
            relapse = relapse and checked.startswith("agent:")
            return replace(change, relapse=relapse, security=terms.security or relapse)

        done = await self._give(engage, stops=change)
        return Kill(id=done.subject, scope=done.scope, by=done.by, at_ns=done.at_ns, reason=done.reason, security=done.security)

    async def unkill(self, kill_id: str, by: str, reason: str, terms: Terms = PLAIN) -> Kill:
        """Lift the stop of this id; the kill that was lifted. Raises NotFound, CannotTell, and what `terms.permit` raises."""
        found: list[Kill] = []

        def lift(file: InForce) -> Change:
            found[:] = [_named(file, kill_id)]
            return self.lifting(kill_id, by, reason, terms)(file)

        await self._give(lift)
        return found[0]

    async def set_mode(self, agent: str, mode: str, by: str, reason: str, terms: Terms = PLAIN) -> StoredMode:
        """Give an agent a mode; `revoked` is final. Raises Invalid, Conflict, CannotTell, NotDurable, and what `terms.permit` raises."""
        change = self._moding(agent, mode, by, reason)

        def give(file: InForce) -> Change:
            given = self.giving(change, terms)(file)
            if given.loosens and self.shared:
                raise Conflict(f"{agent} was given a stricter mode meanwhile")  # loosening is ordered by the shared state
            return given

        before = self.stored(agent)
        await self._give(give, stops=change if before is None or RANK[mode] >= RANK[before.mode] else None)
        stored = self.stored(agent)
        assert stored is not None
        return stored

    # -- orders for the shared state -----------------------------------------------------------------------------------

    def lifting(self, kill_id: str, by: str, reason: str, terms: Terms = PLAIN) -> Callable[[InForce], Change]:
        """The order that lifts a kill, made of what stands when it is given."""

        def lift(file: InForce) -> Change:
            kill = _named(file, kill_id)
            if terms.permit is not None:
                terms.permit(kill)
            return replace(self._order("unkill", kill.id, kill.scope, by, reason), loosens=True)

        return lift

    def loosening(self, agent: str, mode: str, by: str, reason: str, terms: Terms) -> Callable[[InForce], Change]:
        """The order that gives an agent a looser mode, made of what stands when it is given."""
        return self.giving(self._moding(agent, mode, by, reason), terms)

    def giving(self, change: Change, terms: Terms) -> Callable[[InForce], Change]:
        """The order as it is by what stands: whether it loosens, keeps a security cause, begins a window or falls into one."""

        def give(file: InForce) -> Change:
            current = file.modes.get(change.subject)
            if current is not None and current.mode == "revoked" != change.mode:
                raise Conflict(f"{change.subject} was revoked; that is final for this identity")
            loosens = terms.loosens or (current is not None and RANK[change.mode] < RANK[current.mode])
            standing = current is not None and current.security
            if loosens:
                if current is not None and terms.permit is not None:
                    terms.permit(current)
                window = change.at_ns + terms.observe_ns if terms.observe_ns else 0
                return replace(change, loosens=True, security=standing and change.mode != "active", observed_until_ns=window)
            relapse = terms.security and current is not None and current.observed_until_ns > change.at_ns and RANK[change.mode] > RANK[current.mode]
            return replace(change, relapse=relapse, security=terms.security or standing)

        return give

    async def take(self, news: Iterable[Change], *, anew: bool = False) -> None:
        """Orders of the shared state, in their sequence; what cannot be written holds in memory. `anew`: it is not the one heard so far."""
        arrived = tuple(news)

        def write() -> None:
            with self._file.locked():
                signature, file = self._file.read()
                after = folding.learned(folding.restated(file) if anew else file, arrived)
                if after != file:
                    self._replace(after, after=signature[1])

        try:
            await asyncio.to_thread(write)
        except CannotTell:
            known = {change.id for change in self._now().file.changes}
            self.overlay((*self._unwritten, *(each for each in arrived if not each.loosens and each.id not in known)))
            raise
        if self._unwritten:
            written = {change.id for change in arrived}
            self.overlay(each for each in self._unwritten if each.id not in written)

    def overlay(self, changes: Iterable[Change]) -> None:
        """These orders hold in memory, beside what is in the file, and no others do."""
        self._unwritten = tuple(changes)
        self._seen = None

    async def write_again(self) -> bool:
        """Bring to the disk what holds in memory only; whether something was."""
        if not self._unwritten:
            return False
        for change in self._unwritten:
            await asyncio.to_thread(self._write, _as_it_is(change))
            self.overlay(each for each in self._unwritten if each.id != change.id)
        return True

    def standing(self) -> InForce:
        """All that is in force."""
        return self._now().file

    def heard(self, seconds: float) -> None:
        """The shared state counts as heard for so long; for every process that follows this file."""
        self._tick.heard(int((self._clock.monotonic() + seconds) * NANOSECONDS))
        if self._now().stale and seconds > 0:
            self._seen = None

    def unheard(self) -> None:
        """What an earlier run, or a clock before the last boot, left says nothing: nothing counts as heard."""
        self._tick.heard(0)

    # -- the file ------------------------------------------------------------------------------------------------------

    def _now(self) -> _Seen:
        """What is in force at this moment: the tick, now and then a `stat`, and a reading only when the file was replaced."""
        tick, seen, now = self._tick.now[:AT], self._seen, self._clock.monotonic()
        if seen is not None and tick and tick == seen.tick and now < self._look_at:
            return seen
        self._look_at = now
        signature = self._file.signature()
        stale = self.shared and now * NANOSECONDS >= self._tick.heard_until_ns
        if seen is None or tick != seen.tick or seen.signature != signature or stale != seen.stale:
            self._seen = seen = self._read(tick, stale=stale)
        self._look_at = now + self._look_again
        return seen

    def _read(self, tick: bytes, *, stale: bool) -> _Seen:
        signature, file = self._file.read()
        file = folding.overlaid(file, self._unwritten)
        by_scope = {kill.scope: kill for kill in reversed(file.kills)}
        calm = not by_scope and not stale and all(stored.mode == "active" for stored in file.modes.values())
        return _Seen(signature, tick, file, by_scope, stale, calm)

    async def _give(self, order: Callable[[InForce], Change], stops: Change | None = None) -> Change:
        """Write an order of ours. One that tightens (`stops`) holds in memory where it cannot be written, and NotDurable says so."""
        try:
            return await asyncio.to_thread(self._write, order)
        except CannotTell as failure:
            if stops is None:
                raise
            self.overlay((*self._unwritten, stops))
            raise NotDurable(str(failure), stops) from failure

    def _write(self, order: Callable[[InForce], Change]) -> Change:
        """Read, change and replace under the lock. A refusal leaves it untouched."""
        with self._file.locked():
            signature, file = self._file.read()
            change = order(file)
            self._replace(folding.ordered(file, change, tell=self.shared and not change.number), after=signature[1])
        return change

    def _replace(self, file: InForce, after: int) -> None:
        """`after`: the time of the file so far, in nanoseconds; the new one's is later."""
        self._file.replace(file, max(self._clock.now_ns(), after + 1))
        self._tick.move()

    def _moding(self, agent: str, mode: str, by: str, reason: str) -> Change:
        scope = parse_scope(f"agent:{agent}")
        if mode not in MODES:
            raise Invalid(f"mode: expected one of {', '.join(MODES)}")
        return replace(self._order("mode", agent, scope, by, reason), mode=mode)

    def _order(self, act: Act, subject: str, scope: str, by: str, reason: str) -> Change:
        now = self._clock.now_ns()
        return Change(
            id=new_id("e", now), epoch=0, act=act, subject=subject, scope=scope, mode="", by=by[:LONGEST_NAME], at_ns=now,
            reason=reason[:LONGEST_REASON],
        )  # fmt: skip


def _as_it_is(change: Change) -> Callable[[InForce], Change]:
    return lambda _: change


def _named(file: InForce, kill_id: str) -> Kill:
    found = next((kill for kill in file.kills if kill.id == kill_id), None)
    if found is None:
        raise NotFound(f"no kill {kill_id[:40]!r} is engaged")
    return found
