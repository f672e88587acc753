"""What a database must give the store: the one interface behind which SQLite's and PostgreSQL's own words stand, each in its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from stagewarden.clock import Clock
    from stagewarden.store.news import Ear

WRITE = "stagewarden_write"  # execution option: this transaction will write
PATIENCE = 5.0  # seconds a transaction waits for its turn, a lock or a connection


def writes(connection: AsyncConnection) -> bool:
    """Whether this connection is in a transaction that will write."""
    begun = connection.sync_connection
    return begun is not None and bool(begun.get_execution_options().get(WRITE))


class Backend(Protocol):
    """One database. Every method may raise StateUnavailable or what the driver raises; `told` turns the latter into words."""

    name: str  # for messages: never a password
    exclusive: bool  # nobody else can be using it: what is half-done at start belongs to nobody living

    async def take(self) -> None:
        """Begin to use it; raises StateUnavailable where somebody does who must not at the same time."""

    async def join(self) -> None:
        """Begin to share it with the process of ours that has taken it."""

    async def release(self) -> None:
        """Let go; the end of the process does the same. Safe to call twice."""

    async def keep(self) -> None:
        """Have what `take` took, also after the database was gone; raises StateUnavailable where somebody else has it meanwhile."""

    async def lock(self, key: str) -> None:
        """A lock that outlives transactions, until `unlock` or the end of this process; raises StateUnavailable where it does not come in time."""

    async def unlock(self, key: str) -> None:
        """Give it back."""

    def engine(self, *, ours: bool) -> AsyncEngine:
        """Connections to it. Until it is known to be ours, nothing of it is changed."""

    def settled(self) -> bool:
        """It is known to be ours, and its tables are there; whether connections must be made anew for it."""

    def turn(self, *, write: bool) -> AbstractAsyncContextManager[None]:
        """Around each transaction: wait for one's turn where there is one, and bound the whole."""

    def options(self, *, write: bool) -> dict[str, object]:
        """Execution options of a transaction."""

    async def alone(self, connection: AsyncConnection, key: str) -> None:
        """Until this transaction ends, nobody else passes here with the same key."""

    async def settling(self, connection: AsyncConnection) -> None:
        """Until this transaction ends, nobody else settles the schema."""

    async def probe(self, connection: AsyncConnection) -> None:
        """Raise StateUnavailable unless this transaction could write."""

    async def remarks(self, connection: AsyncConnection) -> tuple[str, ...]:
        """What its administrator should change, for `check`."""

    async def now_ns(self, connection: AsyncConnection, ours: int) -> int:
        """The clock all its users share; `ours` where there is nobody else."""

    async def notify(self, connection: AsyncConnection, channel: str, payload: str) -> None:
        """Tell whoever listens, once this transaction is committed."""

    def ear(self, channels: Iterable[str], clock: Clock) -> Ear:
        """What others tell."""

    def told(self, error: BaseException) -> str:
        """A driver's error in words that hold no parameter of a statement and no secret."""
