"""What the state database says after a run, read past the product: holds, votes that count, and what is still owed to the log."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOLDS = "SELECT id, state FROM holds"
VOTERS = "SELECT person FROM votes WHERE void_at_ns = 0"
OUTBOX = "SELECT count(*) FROM outbox"


@dataclass(frozen=True)
class Stored:
    """All there is of it in one run."""

    holds: dict[str, str]
    voters: list[str]
    outbox: int


class State(Protocol):
    """A database of one run's own."""

    url: str

    async def read(self) -> Stored:
        """What it says now."""


class Sqlite:
    """The file in the run's folder."""

    url = "sqlite:state.db"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.db"

    async def read(self) -> Stored:
        """As it lies there."""
        with closing(sqlite3.connect(self._path)) as state:
            holds = dict(state.execute(HOLDS).fetchall())
            return Stored(holds, [person for (person,) in state.execute(VOTERS)], state.execute(OUTBOX).fetchone()[0])


@asynccontextmanager
async def opened(database: str, folder: Path) -> AsyncIterator[State]:
    """A fresh one of this kind, for one run."""
    assert database == "sqlite"
    yield Sqlite(folder)
