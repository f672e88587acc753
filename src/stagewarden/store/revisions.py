"""Rows of the registries a production house was given: which is in force, which wait, and who confirmed them. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import insert, select, update

from stagewarden.errors import Conflict, NotFound, StateUnavailable
from stagewarden.registry import Registry, RegistryData
from stagewarden.store.database import Clash
from stagewarden.store.tables import confirmations, revisions

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden.store.database import Store


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One person's word for one revision."""

    person: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Revision:
    """A registry as it was stored; `base`: digest of the one it was compared with."""

    id: str
    state: str
    base: str
    digest: str
    registry: Registry
    since_ns: int
    confirmations: tuple[Confirmation, ...]


class Revisions:
    """Over one state database, shared by all replicas."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def in_force(self) -> Revision | None:
        """The registry every replica goes by, once there was one."""
        return next(iter(await self._read(revisions.c.state == "in_force")), None)

    async def waiting(self) -> tuple[Revision, ...]:
        """Those that wait for people, oldest first."""
        return await self._read(revisions.c.state == "waiting")

    async def get(self, revision_id: str) -> Revision:
        """One; NotFound."""
        found = await self._read(revisions.c.id == revision_id)
        if not found:
            raise NotFound("no such revision")
        return found[0]

    async def propose(self, revision_id: str, base: str, registry: Registry, now_ns: int) -> Revision:
        """It waits; the one that waits already for the same step from the same base."""
        async with self._store.writing() as connection:
            await self._store.alone(connection, "registry")
            same = (revisions.c.state == "waiting", revisions.c.base == base, revisions.c.digest == registry.digest())
            known = await connection.scalar(select(revisions.c.id).where(*same))
            if known is None:
                await self._insert(connection, revision_id, "waiting", base, registry, now_ns)
        return await self.get(known or revision_id)

    async def take(self, revision_id: str, base: str, registry: Registry, now_ns: int) -> None:
        """In force from now on; what waited was compared with another one, and waits no more. Conflict where the base is not in force."""
        try:
            async with self._store.writing() as connection:
                await self._store.alone(connection, "registry")
                current = await connection.scalar(select(revisions.c.digest).where(revisions.c.state == "in_force"))
                if (current or "") != base:
                    raise Conflict("another registry came into force meanwhile")
                confirmed = (revisions.c.state == "waiting", revisions.c.base == base, revisions.c.digest == registry.digest())
                known = await connection.scalar(select(revisions.c.id).where(*confirmed))
                ended = revisions.c.state.in_(("in_force", "waiting"))
                await connection.execute(update(revisions).where(ended).values(state="replaced"))
                if known is None:
                    await self._insert(connection, revision_id, "in_force", base, registry, now_ns)
                else:
                    await connection.execute(update(revisions).where(revisions.c.id == known).values(state="in_force", since_ns=now_ns))
        except Clash as error:
            raise Conflict("another registry came into force meanwhile") from error

    async def confirm(self, revision_id: str, person: str, now_ns: int) -> Revision:
        """Add one person's word; Conflict where it waits no more, or theirs is there already."""
        try:
            async with self._store.writing() as connection:
                await self._store.alone(connection, "registry")
                state = await connection.scalar(select(revisions.c.state).where(revisions.c.id == revision_id))
                if state != "waiting":
                    raise Conflict("the revision does not wait any more")
                await connection.execute(insert(confirmations).values(revision=revision_id, person=person, at_ns=now_ns))
        except Clash as error:
            raise Conflict("this person has already confirmed it") from error
        return await self.get(revision_id)

    async def _insert(self, connection: AsyncConnection, revision_id: str, state: str, base: str, registry: Registry, now_ns: int) -> None:
        row = {"id": revision_id, "state": state, "base": base, "digest": registry.digest(), "since_ns": now_ns}
        await connection.execute(insert(revisions).values(**row, document=msgspec.json.encode(registry.data).decode()))

    async def _read(self, *where: ColumnElement[bool]) -> tuple[Revision, ...]:
        async with self._store.reading() as connection:
            found = (await connection.execute(select(revisions).where(*where).order_by(revisions.c.number))).mappings().all()
            ids = [row["id"] for row in found]
            said = (
                await connection.execute(select(confirmations).where(confirmations.c.revision.in_(ids)).order_by(confirmations.c.at_ns))
            ).mappings()
            by_id: dict[str, list[Confirmation]] = {each: [] for each in ids}
            for row in said:
                by_id[row["revision"]].append(Confirmation(row["person"], row["at_ns"]))
        return tuple(_restored(row, tuple(by_id[row["id"]])) for row in found)


def _restored(row: Any, said: tuple[Confirmation, ...]) -> Revision:
    try:
        registry = Registry.of(msgspec.json.decode(row["document"], type=RegistryData))
    except msgspec.DecodeError as error:
        raise StateUnavailable(f"the stored registry {row['id']} is not understood by this release: {error}") from error
    return Revision(row["id"], row["state"], row["base"], row["digest"], registry, row["since_ns"], said)
