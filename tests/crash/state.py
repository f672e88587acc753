"""What the state database says after a run, read past the product: holds, votes that count, and what is still owed to the log."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tests.databases import SQLITE, cluster, prepared

if TYPE_CHECKING:
    from collections.abc import Iterator
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

    url = SQLITE

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.db"

    async def read(self) -> Stored:
        """As it lies there."""
        with closing(sqlite3.connect(self._path)) as state:
            holds = dict(state.execute(HOLDS).fetchall())
            return Stored(holds, [person for (person,) in state.execute(VOTERS)], state.execute(OUTBOX).fetchone()[0])


class Postgresql:
    """A database of the cluster."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._name = url.rpartition("/")[2]

    async def read(self) -> Stored:
        """As it is committed."""
        ask = cluster().run
        holds = {row[0]: row[1] for row in await asyncio.to_thread(ask, self._name, HOLDS)}
        voters = [row[0] for row in await asyncio.to_thread(ask, self._name, VOTERS)]
        return Stored(holds, voters, (await asyncio.to_thread(ask, self._name, OUTBOX))[0][0])


@contextmanager
def opened(database: str, folder: Path) -> Iterator[State]:
    """A fresh one of this kind, in a folder of the run's own."""
    folder.mkdir()
    with prepared(database, folder) as url:
        yield Sqlite(folder) if url == SQLITE else Postgresql(url)
