"""SQLite alone: file modes, one owner per file, and the settings of every connection.

The only file with SQLite's own words. Never opens a database that is not ours to own alone, or our house's: what was `sent` when we
start is judged by nobody else being there.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import create_async_engine

from stagewarden.errors import StateUnavailable
from stagewarden.store.backend import PATIENCE, WRITE
from stagewarden.store.news import Silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from sqlalchemy import URL, Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from stagewarden.clock import Clock
    from stagewarden.store.news import Ear

PRIVATE = 0o600
# Only once we know that the file is ours: WAL changes it, and a table that a migration makes anew is for a moment referred to by nobody.
OURS = ("PRAGMA journal_mode = WAL", "PRAGMA foreign_keys = ON")
PRAGMAS = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA synchronous = FULL",  # NORMAL may lose the last commits at power loss, and with them a `sent`
    "PRAGMA secure_delete = ON",  # a deleted payload leaves no bytes in free pages
    "PRAGMA trusted_schema = OFF",
)


class Sqlite:
    """The database file, private to its owner and locked against a second sidecar for as long as we live. One writer at a time."""

    exclusive = True

    def __init__(self, url: URL) -> None:
        self._url = url
        self.path = Path(url.database or "")
        self.name = str(self.path)
        self._lock: int | None = None
        # SQLite has one writer: waiting here costs nothing, waiting inside it is a sleeping thread per waiter.
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Lock the neighbour file, and create the database 0600 where there is none; SQLite gives its journals the same mode.

        The lock is on a file of its own: closing any descriptor of the database itself would drop SQLite's locks (SQLite, "How To Corrupt", 2.2).
        """
        lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self.path.exists():
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
        except BlockingIOError as error:
            os.close(lock)
            raise StateUnavailable(f"state database {self.path}: another process is using it") from error
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    async def join(self) -> None:
        """The file must be there: SQLite would begin an empty one."""
        if not self.path.exists():
            raise StateUnavailable(f"state database {self.path}: is gone")

    async def release(self) -> None:
        """Let go of the file; the end of the process does the same."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def keep(self) -> None:
        """The file's lock is not lost."""

    async def lock(self, key: str) -> None:
        """There is nobody else."""

    async def unlock(self, key: str) -> None:
        """There is nobody else."""

    def engine(self, *, ours: bool) -> AsyncEngine:
        """Writers take the write lock at BEGIN, so that no transaction fails half-way for want of it."""
        pragmas = (*PRAGMAS, *OURS) if ours else PRAGMAS
        made = create_async_engine(self._url, pool_size=4, max_overflow=0, pool_timeout=PATIENCE, hide_parameters=True)
        event.listen(made.sync_engine, "connect", lambda connection, _record: _set_up(connection, pragmas))
        event.listen(made.sync_engine, "begin", _begin)
        return made

    def settled(self) -> bool:
        """The database, known to be ours, and its journals for their owner alone, whatever mode they were left in."""
        for path in (self.path, Path(f"{self.path}-wal"), Path(f"{self.path}-shm")):
            if path.exists():
                path.chmod(PRIVATE)
        return True

    @asynccontextmanager
    async def turn(self, *, write: bool) -> AsyncIterator[None]:
        """Readers wait for nobody."""
        if not write:
            yield
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._turn.acquire()
        except TimeoutError as error:
            raise StateUnavailable(f"state database {self.path.name}: others have been writing for {PATIENCE} s") from error
        try:
            yield
        finally:
            self._turn.release()

    def options(self, *, write: bool) -> dict[str, object]:
        """Whether `BEGIN` takes the write lock."""
        return {WRITE: write}

    async def alone(self, connection: AsyncConnection, key: str) -> None:
        """A writer is alone."""

    async def settling(self, connection: AsyncConnection) -> None:
        """A writer is alone."""

    async def probe(self, connection: AsyncConnection) -> None:
        """It has the write lock."""
        await connection.execute(text("SELECT 1"))

    async def remarks(self, connection: AsyncConnection) -> tuple[str, ...]:  # noqa: ARG002 - as the interface has it
        """Every setting is ours."""
        return ()

    async def now_ns(self, connection: AsyncConnection, ours: int) -> int:  # noqa: ARG002 - as the interface has it
        """There is no other clock."""
        return ours

    async def notify(self, connection: AsyncConnection, channel: str, payload: str) -> None:
        """Nobody listens: workers of a house hear from it."""

    def ear(self, channels: Iterable[str], clock: Clock) -> Ear:  # noqa: ARG002 - as the interface has it
        """Nothing, ever."""
        return Silence()

    def told(self, error: BaseException) -> str:
        """SQLite names tables and columns, never a value."""
        return str(error) if isinstance(error, sqlite3.Error | OSError) else type(error).__name__


def _set_up(connection: Any, pragmas: tuple[str, ...]) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITE) else "BEGIN")
