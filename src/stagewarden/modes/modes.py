"""Stopping: kills, and the modes of agents, in one durable local file that works with policy, state and network down.

The file is replaced whole and synced with its directory before an act is answered, and then the tick is moved: every question reads that, so that
a stop engaged by another process is felt by the next one. What is done to the file by hand is seen a few milliseconds later. A file that
is gone or does not read means "stopped": nothing here ever answers "go on" because it could not find out. Who may stop or lift is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from stagewarden.clock import new_id
from stagewarden.errors import CannotTell, Conflict, Invalid, NotFound
from stagewarden.model import Deny, Stage
from stagewarden.modes.tick import Tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stagewarden.clock import Clock

MODES = ("active", "recommend_only", "paused", "revoked")  # in rising strictness
_GOES_ON = frozenset({"active", "recommend_only"})  # what the second one asks to write is stored as a proposal: the policy's to say
_RANK = {mode: rank for rank, mode in enumerate(MODES)}
_SCOPE = re.compile(r"all|(?:agent|workflow|upstream):[A-Za-z0-9][A-Za-z0-9._~@:+/-]{0,199}|stage:[a-z]{1,20}")
_REASON, _WHO = 500, 200
_CHANGES_KEPT = 200
LOOK_AGAIN = 0.005  # seconds


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """One stop; it stands until it is lifted by its id (`k_…`)."""

    id: str
    scope: str
    by: str
    at_ns: int
    reason: str


class StoredMode(msgspec.Struct, frozen=True, kw_only=True):
    """A mode given to an agent by a person."""

    mode: Literal["active", "recommend_only", "paused", "revoked"]
    by: str
    at_ns: int
    reason: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One act, for the audit log: `id` is the entry's, so that whoever sees it first can record it, once."""

    id: str
    epoch: int
    act: Literal["kill", "unkill", "mode"]
    subject: str  # the kill's id, or the agent's
    scope: str  # a kill's; `agent:ID` of a mode
    mode: str  # of a mode; else empty
    by: str
    at_ns: int
    reason: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every member has to be there: half a file must not read as "nothing is stopped"."""

    version: Literal[1]
    epoch: int
    kills: tuple[Kill, ...]
    modes: dict[str, StoredMode]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """The file as last read, what `stat` said of it then, and where the tick stood before."""

    signature: tuple[int, int, int]
    tick: bytes
    file: _File
    by_scope: dict[str, Kill]
    calm: bool  # nobody and nothing is stopped by this file


class Modes:
    """The kills and modes in force. `open` before use; any number of processes may share the file."""

    def __init__(self, path: Path, clock: Clock, *, look_again: float = LOOK_AGAIN) -> None:
        """`look_again`: seconds after which the file itself is looked at, whatever the tick says."""
        self._path = path
        self._name = str(path)
        self._clock = clock
        self._look_again = look_again
        self._look_at = float("-inf")
        self._tick = Tick(path.with_name(path.name + ".tick"))
        self._seen: _Seen | None = None

    def join(self) -> None:
        """Follow a file that another process has begun; where it is missing, every question raises CannotTell."""
        try:
            self._tick.open(self._give_to_owner)
        except OSError as failure:
            raise CannotTell(f"the stop file's tick cannot be opened: {failure.strerror}") from failure

    def open(self) -> None:
        """Read the file, or begin it when there has never been one; raises CannotTell when it does not read."""
        with self._locked():
            self.join()
            if not self._path.exists():
                self._replace(_File(version=1, epoch=0, kills=(), modes={}, changes=()), after=0)
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
        if seen is None or not seen.tick or seen.tick != self._tick.now[:] or self._clock.monotonic() >= self._look_at:
            seen = self._now()
        if seen.calm and registry_mode in _GOES_ON:
            return None
        if seen.by_scope and (kill := _engaged(seen.by_scope, agent, workflow, upstream, stage)) is not None:
            return Deny.by_gate("killed", f"Stopped by {kill.id}", {"kill": kill.id, "scope": kill.scope})
        mode = registry_mode if agent is None else _stricter(registry_mode, seen.file.modes.get(agent))
        if mode not in _GOES_ON:
            return Deny.by_gate("revoked" if mode == "revoked" else "paused", f"This agent is {mode}")
        return None

    def mode_of(self, agent: str, registry_mode: str) -> str:
        """The stricter of the registry's and the stored mode; a word we do not know counts as the strictest."""
        return _stricter(registry_mode, self._now().file.modes.get(agent))

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

    # -- acting --------------------------------------------------------------------------------------------------------

    async def kill(self, scope: str, by: str, reason: str) -> Kill:
        """Engage a stop; durable on return. Raises Invalid, CannotTell."""
        checked = parse_scope(scope)
        kill = Kill(id=new_id("k", self._clock.now_ns()), scope=checked, by=by[:_WHO], at_ns=self._clock.now_ns(), reason=reason[:_REASON])

        def engage(file: _File) -> _File:
            return self._changed(file, "kill", kill, kills=(*file.kills, kill))

        await asyncio.to_thread(self._act, engage)
        return kill

    async def unkill(self, kill_id: str, by: str, reason: str) -> Kill:
        """Lift the stop of this id; the kill that was lifted. Raises NotFound, CannotTell."""

        def lift(file: _File) -> _File:
            found = next((kill for kill in file.kills if kill.id == kill_id), None)
            if found is None:
                raise NotFound(f"no kill {kill_id[:40]!r} is engaged")
            act = Kill(id=found.id, scope=found.scope, by=by[:_WHO], at_ns=self._clock.now_ns(), reason=reason[:_REASON])
            return self._changed(file, "unkill", act, kills=tuple(kill for kill in file.kills if kill.id != kill_id))

        before = await asyncio.to_thread(self._act, lift)
        return next(kill for kill in before.kills if kill.id == kill_id)

    async def set_mode(self, agent: str, mode: str, by: str, reason: str) -> StoredMode:
        """Give an agent a mode; `revoked` is final. Raises Invalid, Conflict, CannotTell."""
        parse_scope(f"agent:{agent}")
        if mode not in MODES:
            raise Invalid(f"mode: expected one of {', '.join(MODES)}")
        stored = msgspec.convert({"mode": mode, "by": by[:_WHO], "at_ns": self._clock.now_ns(), "reason": reason[:_REASON]}, StoredMode)

        def give(file: _File) -> _File:
            current = file.modes.get(agent)
            if current is not None and current.mode == "revoked" and mode != "revoked":
                raise Conflict(f"{agent} was revoked; that is final for this identity")
            act = Kill(id=agent, scope=f"agent:{agent}", by=stored.by, at_ns=stored.at_ns, reason=stored.reason)
            return self._changed(file, "mode", act, modes={**file.modes, agent: stored}, mode=mode)

        await asyncio.to_thread(self._act, give)
        return stored

    # -- the file ------------------------------------------------------------------------------------------------------

    def _now(self) -> _Seen:
        """What is in force at this moment: the tick, now and then a `stat`, and a reading only when the file was replaced."""
        tick, seen, now = self._tick.now[:], self._seen, self._clock.monotonic()
        if seen is not None and tick and tick == seen.tick and now < self._look_at:
            return seen
        try:
            stat = os.stat(self._name, follow_symlinks=False)  # noqa: PTH116 - asked at each request; Path.stat costs twice as much
        except OSError as failure:
            self._look_at = now
            raise CannotTell(f"the stop file cannot be read: {failure.strerror}") from failure
        if seen is None or tick != seen.tick or seen.signature != (stat.st_ino, stat.st_mtime_ns, stat.st_size):
            self._seen = seen = self._read(tick)
        self._look_at = now + self._look_again
        return seen

    def _read(self, tick: bytes = b"") -> _Seen:
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            with os.fdopen(handle, "rb") as opened:
                stat = os.fstat(opened.fileno())
                file = msgspec.json.decode(opened.read(), type=_File)
        except OSError as failure:
            raise CannotTell(f"the stop file cannot be read: {failure.strerror}") from failure
        except msgspec.DecodeError as failure:
            raise CannotTell(f"the stop file is not understood: {failure}") from failure
        if any(_SCOPE.fullmatch(kill.scope) is None for kill in file.kills):
            raise CannotTell("the stop file is not understood: a scope")
        by_scope = {kill.scope: kill for kill in reversed(file.kills)}
        return _Seen((stat.st_ino, stat.st_mtime_ns, stat.st_size), tick, file, by_scope, calm=not by_scope and not file.modes)

    def _act(self, change: Callable[[_File], _File]) -> _File:
        """Read, change and replace under the lock; the file as it was before. A refusal leaves it untouched."""
        with self._locked():
            before = self._read()
            self._replace(change(before.file), after=before.signature[1])
        return before.file

    def _changed(
        self, file: _File, act: Literal["kill", "unkill", "mode"], what: Kill, *, kills: tuple[Kill, ...] | None = None,
        modes: dict[str, StoredMode] | None = None, mode: str = "",
    ) -> _File:  # fmt: skip
        change = Change(
            id=new_id("e", self._clock.now_ns()), epoch=file.epoch + 1, act=act, subject=what.id, scope=what.scope, mode=mode, by=what.by,
            at_ns=what.at_ns, reason=what.reason,
        )  # fmt: skip
        return _File(
            version=1,
            epoch=file.epoch + 1,
            kills=file.kills if kills is None else kills,
            modes=file.modes if modes is None else modes,
            changes=(*file.changes, change)[-_CHANGES_KEPT:],
        )

    def _replace(self, file: _File, after: int) -> None:
        """Write beside, sync, rename, sync the directory: a reader sees the old file or the new one, and a crash leaves one of them.

        The new file's time is later than the old one's by our own setting: the kernel's steps are too coarse to tell two acts apart.
        """
        beside = self._path.with_name(self._path.name + ".new")
        try:
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as opened:
                self._give_to_owner(handle)
                opened.write(msgspec.json.format(msgspec.json.encode(file)) + b"\n")
                opened.flush()
                moment = max(self._clock.now_ns(), after + 1)
                os.utime(opened.fileno(), ns=(moment, moment))
                os.fsync(opened.fileno())
            beside.replace(self._path)
            directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
            self._tick.move()
        except OSError as failure:
            raise CannotTell(f"the stop file cannot be written: {failure.strerror}") from failure

    def _give_to_owner(self, handle: int) -> None:
        """What root writes (`sudo stagewarden kill`) belongs to whoever owns the folder: a sidecar that cannot read it stays stopped for ever."""
        if os.geteuid() == 0:
            folder = self._path.parent.stat()
            os.fchown(handle, folder.st_uid, folder.st_gid)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, over processes and threads. Readers need no lock."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._path.with_name(self._path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self._give_to_owner(handle)
        except OSError as failure:
            raise CannotTell(f"the stop file cannot be locked: {failure.strerror}") from failure
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def parse_scope(scope: str) -> str:
    """`all`, `agent:ID`, `workflow:ID`, `upstream:ID` or `stage:NAME`; raises Invalid."""
    kind, _, name = scope.partition(":")
    if _SCOPE.fullmatch(scope) is None or (kind == "stage" and name not in {stage.value for stage in Stage}):
        raise Invalid("scope: expected all, agent:ID, workflow:ID, upstream:ID or stage:NAME")
    return scope


def _engaged(kills: dict[str, Kill], agent: str | None, workflow: str | None, upstream: str | None, stage: Stage | None) -> Kill | None:
    asked = (("agent", agent), ("workflow", workflow), ("upstream", upstream), ("stage", stage))
    return kills.get("all") or next((kills[scope] for kind, name in asked if name is not None and (scope := f"{kind}:{name}") in kills), None)


def _stricter(registry_mode: str, stored: StoredMode | None) -> str:
    known = _RANK.get(registry_mode)
    if known is None:
        return "revoked"
    return registry_mode if stored is None or _RANK[stored.mode] <= known else stored.mode
