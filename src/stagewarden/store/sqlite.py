"""SQLite alone: file modes, one owner per file, and the settings of every connection.

The only file with SQLite's own words. Never opens a database that is not ours to own alone: what was `sent` when we start
is judged by nobody else being there.
"""

from __future__ import annotations

import fcntl
import os
import stat
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
PRAGMAS = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
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
        """(1) Lock the neighbour file. (2) Create or tighten the database to 0600, before SQLite gives its journals the same mode.

        The lock is on a file of its own: closing any descriptor of the database itself would drop SQLite's locks (SQLite, "How To Corrupt", 2.2).
        """
        lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _make_private(self.path)
        except BlockingIOError as error:
            os.close(lock)
            raise StateUnavailable(f"state database {self.path}: another process is using it") from error
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def release(self) -> None:
        """Let go of the file; the end of the process does the same."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _make_private(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{path} is not a regular file")
        os.fchmod(descriptor, PRIVATE)
    finally:
        os.close(descriptor)
    for journal in (Path(f"{path}-wal"), Path(f"{path}-shm")):  # left by a crash, perhaps under another mode
        if journal.exists():
            journal.chmod(PRIVATE)


def engine(url: str) -> AsyncEngine:
    """An engine whose writers take the write lock at BEGIN, so that no transaction fails half-way for want of it."""
    made = create_async_engine(url, pool_size=4, max_overflow=0, pool_timeout=5, hide_parameters=True)
    event.listen(made.sync_engine, "connect", _set_up)
    event.listen(made.sync_engine, "begin", _begin)
    return made


def _set_up(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITE) else "BEGIN")
