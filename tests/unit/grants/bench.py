"""What the tests of grants share: terms, a council that everybody sits on, and the real room over a real store."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace
from sqlalchemy import delete

from stagewarden.errors import Conflict
from stagewarden.grants import Ballot, Grants, Terms
from stagewarden.model import Seat, Stage, Tier
from stagewarden.store import Store, locate
from stagewarden.store.tables import outbox
from tests.databases import state_in
from tests.unit.holds.bench import HandClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stagewarden.grants import Changed, Grant

SEATS = (Seat(("business",), 1), Seat(("security",), 1))
PLACE = ("enricher", "enrichment", "crm", "edit")
DIGEST = "sha256:" + "1" * 64
TERMS = Terms(
    agent="enricher", workflow="enrichment", stage=Stage.EDIT, kind="record.fill", upstream="crm", destination="crm", fields=("title",),
    classes=("contact",), purpose="sales records", evidence="CRM-1204", ttl=3600, uses=2,
)  # fmt: skip


class Everybody:
    """A council without rules but one vote a person: who may vote is tested where it is decided."""

    def check(self, ballot: Ballot, grant: Grant) -> None:
        """Once each."""
        if any(vote.person == ballot.person for vote in grant.votes):
            raise Conflict("this person has already voted on this grant")

    def filled(self, grant: Grant) -> bool:
        """Two approvals, in both functions."""
        return {vote.function for vote in grant.votes if vote.decision == "approve"} == {"business", "security"}


COUNCIL = Everybody()


class Bench:
    """The room, and shortcuts to its states."""

    def __init__(self, store: Store, clock: HandClock) -> None:
        self.store = store
        self.clock = clock
        self.grants = Grants(store, clock)

    async def requested(self, **changes: object) -> Grant:
        """Asked for."""
        return (await self.grants.request(replace(TERMS, **changes), "tomas", SEATS, Tier.MEDIUM, 600)).grant

    async def voted(self, grant: Grant, person: str, function: str, decision: str = "approve") -> Changed:
        """One vote on the terms."""
        reason = None if decision == "approve" else "timing"
        return await self.grants.vote(grant.id, Ballot(person, function, decision, grant.digest, reason), COUNCIL)

    async def active(self, **changes: object) -> Grant:
        """With both votes."""
        grant = await self.requested(**changes)
        await self.voted(grant, "bruno", "business")
        active = (await self.voted(grant, "lena", "security")).grant
        await self.logged()
        return active

    async def logged(self) -> None:
        """As if everything owed had been brought into the log."""
        async with self.store.writing() as connection:
            await connection.execute(delete(outbox))

    async def used(self, grant: Grant, ruling: str = "r_1") -> str:
        """A use reserved; its id."""
        reserved = await self.grants.reserve(grant, ruling, DIGEST, ("title",))
        assert reserved is not None
        return reserved[0].id


@asynccontextmanager
async def open_bench(folder: Path, clock: HandClock | None = None) -> AsyncIterator[Bench]:
    """Over the database of a folder."""
    store = Store(locate(state_in(folder), folder))
    await store.open()
    try:
        yield Bench(store, clock or HandClock())
    finally:
        await store.close()
