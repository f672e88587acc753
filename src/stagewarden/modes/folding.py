"""What is in force, as one value, and how each order changes it. Pure: reads no file, asks no clock.

The same orders in the same sequence make the same value in every replica. An order that does not loosen never does: applied to something
stricter it leaves it as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from stagewarden.modes.orders import RANK, Change, Kill, StoredMode

if TYPE_CHECKING:
    from collections.abc import Iterable

CHANGES_KEPT = 200


class InForce(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The stop file. Every member has to be there: half a file must not read as "nothing is stopped".

    `heard`, `heard_id`: the last order of the shared state that is in here; `pending`: orders the shared state has not been told.
    """

    version: Literal[2]
    epoch: int
    kills: tuple[Kill, ...]
    modes: dict[str, StoredMode]
    changes: tuple[Change, ...]
    heard: int
    heard_id: str
    pending: tuple[Change, ...]


class Former(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file as the release before wrote it."""

    version: Literal[1]
    epoch: int
    kills: tuple[Kill, ...]
    modes: dict[str, StoredMode]
    changes: tuple[Change, ...]

    def today(self) -> InForce:
        """The same, as it is written now."""
        return InForce(
            version=2, epoch=self.epoch, kills=self.kills, modes=self.modes, changes=self.changes, heard=0, heard_id="", pending=()
        )  # fmt: skip


NOTHING = InForce(version=2, epoch=0, kills=(), modes={}, changes=(), heard=0, heard_id="", pending=())


def ordered(now: InForce, change: Change, *, tell: bool) -> InForce:
    """With an order given here; `tell`: the shared state has yet to be told of it."""
    after = _seen(now, change)
    return replace(after, pending=(*after.pending, change)) if tell else after


def learned(now: InForce, news: Iterable[Change]) -> InForce:
    """With the next orders of the shared state, in their sequence; what it has not been told yet stays on top where it is stricter."""
    after = now
    for change in news:
        if change.number != after.heard + 1:
            continue  # another process that shares this file was faster
        pending = tuple(each for each in after.pending if each.id != change.id)
        after = replace(_seen(after, change), heard=change.number, heard_id=change.id, pending=pending)
    for own in after.pending:
        after = _applied(after, own)
    return after


def overlaid(now: InForce, unwritten: Iterable[Change]) -> InForce:
    """With orders that could not be written."""
    for change in unwritten:
        now = _seen(now, change)
    return now


def restated(now: InForce) -> InForce:
    """For a shared state that is not the one heard so far: read from its beginning, and told again all that stands here."""
    known = {change.subject for change in now.pending}
    kills = [
        _order(kill.id, "kill", kill.id, kill.scope, kill, security=kill.security) for kill in now.kills if kill.id not in known
    ]  # fmt: skip
    modes = [
        replace(_order(f"{agent}@{stored.at_ns}", "mode", agent, f"agent:{agent}", stored, security=stored.security), mode=stored.mode)
        for agent, stored in now.modes.items()
        if agent not in known and stored.mode != "active"
    ]
    return replace(now, heard=0, heard_id="", pending=(*kills, *modes, *now.pending))


def _order(name: str, act: Literal["kill", "mode"], subject: str, scope: str, given: Kill | StoredMode, *, security: bool) -> Change:
    """An order given long ago, under an id that every telling of it shares."""
    return Change(
        id=f"e_restated_{name}", epoch=0, act=act, subject=subject, scope=scope, mode="", by=given.by, at_ns=given.at_ns, reason=given.reason,
        security=security,
    )  # fmt: skip


def _seen(now: InForce, change: Change) -> InForce:
    """Applied, and among the acts to be recorded, once. A kill met again is not engaged again: it may have been lifted since."""
    known = any(each.id == change.id for each in now.changes)
    if known and change.act == "kill":
        return now
    after = _applied(now, change)
    if known:
        return after
    entry = replace(change, epoch=after.epoch + 1)
    return replace(after, epoch=entry.epoch, changes=(*after.changes, entry)[-CHANGES_KEPT:])


def _applied(now: InForce, change: Change) -> InForce:
    if change.act == "kill":
        if any(kill.id == change.subject for kill in now.kills):
            return now
        kill = Kill(
            id=change.subject, scope=change.scope, by=change.by, at_ns=change.at_ns, reason=change.reason, security=change.security
        )  # fmt: skip
        return replace(now, kills=(*now.kills, kill))
    if change.act == "unkill":
        return replace(now, kills=tuple(kill for kill in now.kills if kill.id != change.subject))
    return replace(now, modes={**now.modes, change.subject: _moded(now.modes.get(change.subject), change)})


def _moded(current: StoredMode | None, change: Change) -> StoredMode:
    """Revoked stays; an order that does not loosen is taken where it is not the looser one."""
    if current is not None and (current.mode == "revoked" or (not change.loosens and RANK[change.mode] < RANK[current.mode])):
        return replace(current, security=current.security or change.security)
    given = {
        "mode": change.mode, "by": change.by, "at_ns": change.at_ns, "reason": change.reason, "security": change.security,
        "observed_until_ns": change.observed_until_ns,
    }  # fmt: skip
    return msgspec.convert(given, StoredMode)
