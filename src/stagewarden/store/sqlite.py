"""SQLite alone: file modes, one owner per file, and the settings of every connection.

The only file with SQLite's own words. Never opens a database that is not ours to own alone, or our house's: what was `sent` when we
start is judged by nobody else being there.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from stagewarden.errors import StateUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

WRITE = "stagewarden_write"  # execution option: this transaction will write
PRIVATE = 0o600
WAL = "PRAGMA journal_mode = WAL"  # changes the file: only once we know that it is ours
PRAGMAS = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA synchronous = FULL",  # NORMAL may lose the last commits at power loss, and with them a `sent`
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # a deleted payload leaves no bytes in free pages
    "PRAGMA trusted_schema = OFF",
)


class OwnedFile:
    """The database file, private to its owner and locked against a second sidecar for as long as we live."""

    def __init__(self, url: str) -> None:
        self.path = Path(make_url(url).database or "")
        self._lock: int | None = None

    def take(self) -> None:
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

    def tighten(self) -> None:
        """The database, known to be ours, and its journals for their owner alone, whatever mode they were left in."""
        for path in (self.path, Path(f"{self.path}-wal"), Path(f"{self.path}-shm")):
            if path.exists():
                path.chmod(PRIVATE)

    def release(self) -> None:
        """Let go of the file; the end of the process does the same."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def engine(url: str, *, ours: bool) -> AsyncEngine:
    """An engine whose writers take the write lock at BEGIN, so that no transaction fails half-way for want of it.

    Until a database is known to be ours, nothing about its file is changed.
    """
    pragmas = (*PRAGMAS, WAL) if ours else PRAGMAS
    made = create_async_engine(url, pool_size=4, max_overflow=0, pool_timeout=5, hide_parameters=True)
    event.listen(made.sync_engine, "connect", lambda connection, _record: _set_up(connection, pragmas))
    event.listen(made.sync_engine, "begin", _begin)
    return made


def _set_up(connection: Any, pragmas: tuple[str, ...]) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITE) else "BEGIN")
