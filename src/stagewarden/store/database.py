"""Store: open, check, read and write transactions.

A transaction is all or nothing, and every fault of the database is `StateUnavailable`: the gate answers no.
Never retries, never repairs, never creates tables in a database that is not ours.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import insert, inspect, select, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from stagewarden.errors import StateUnavailable
from stagewarden.store import sqlite
from stagewarden.store.tables import APPLICATION, SCHEMA, meta, metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


PATIENCE = 5.0  # seconds a writer waits for its turn


class Clash(StateUnavailable):
    """A uniqueness rule refused the write: somebody else was first."""


class Store:
    """The state database behind one URL (`locate` makes it)."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._file = sqlite.OwnedFile(url)
        self._engine: AsyncEngine | None = None
        # SQLite has one writer: waiting here costs nothing, waiting inside it is a sleeping thread per waiter.
        self._turn = asyncio.Lock()

    @property
    def exclusive(self) -> bool:
        """Whether nobody else can be using this database: then whatever is half-done at start belongs to nobody living."""
        return True

    @property
    def begun(self) -> bool:
        """Whether there is a database already: one that was never begun knows nothing."""
        return self._file.path.exists()

    @property
    def is_open(self) -> bool:
        """Whether it can be asked."""
        return self._engine is not None

    async def open(self) -> None:
        """(1) Own the file. (2) Refuse a foreign or newer database, untouched. (3) Create what is missing. All or nothing."""
        with _faults(str(self._file.path)):
            self._file.take()
        try:
            self._engine = sqlite.engine(self._url, ours=False)
            async with self.writing() as connection:
                await connection.run_sync(self._settle_schema)
            await self._engine.dispose()
            with _faults(str(self._file.path)):
                self._file.tighten()
            self._engine = sqlite.engine(self._url, ours=True)
            await self.ping()
        except BaseException:
            await self.close()
            raise

    async def join(self) -> None:
        """Share the database of a process that has opened it and stays: no lock of our own, nothing created. A foreign one is refused."""
        if not self._file.path.exists():  # SQLite would begin an empty one
            raise StateUnavailable(f"state database {self._file.path}: is gone")
        try:
            self._engine = sqlite.engine(self._url, ours=True)
            async with self.reading() as connection:
                await connection.run_sync(self._check_ours)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish with the database; safe to call twice."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()
        self._file.release()

    async def ping(self) -> None:
        """Raise StateUnavailable unless the database can be read and written (the write lock is taken and given back)."""
        async with self.writing() as connection:
            await connection.execute(text("SELECT 1"))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view of the database."""
        with _faults(self._file.path.name):
            async with self._live().connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed when the block ends, undone when it raises. Raises Clash where a uniqueness rule refuses."""
        async with self._in_turn():
            with _faults(self._file.path.name):
                async with self._live().connect() as connection:
                    await connection.execution_options(**{sqlite.WRITE: True})
                    async with connection.begin():
                        yield connection

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._turn.acquire()
        except TimeoutError as error:
            raise StateUnavailable(f"state database {self._file.path.name}: others have been writing for {PATIENCE} s") from error
        try:
            yield
        finally:
            self._turn.release()

    def _live(self) -> AsyncEngine:
        if self._engine is None:
            raise StateUnavailable("the state database is not open")
        return self._engine

    def _settle_schema(self, connection: Connection) -> None:
        present = set(inspect(connection).get_table_names())
        if not present:
            metadata.create_all(connection)
            connection.execute(insert(meta), [{"name": "application", "value": APPLICATION}, {"name": "schema", "value": str(SCHEMA)}])
            return
        self._check_ours(connection)

    def _check_ours(self, connection: Connection) -> None:
        present = set(inspect(connection).get_table_names())
        known: dict[str, str] = {}
        if meta.name in present and {"name", "value"} <= {column["name"] for column in inspect(connection).get_columns(meta.name)}:
            known = {row.name: row.value for row in connection.execute(select(meta.c.name, meta.c.value))}
        if known.get("application") != APPLICATION:
            raise StateUnavailable(f"state database {self._file.path}: not a Stagewarden state database; name another file")
        if known.get("schema") != str(SCHEMA):
            raise StateUnavailable(
                f"state database {self._file.path}: schema {known.get('schema')} is not schema {SCHEMA}; run the release that wrote it"
            )


@contextmanager
def _faults(name: str) -> Iterator[None]:
    """Turn what the database layer raises into our errors; parameters of statements never stand in them."""
    try:
        yield
    except IntegrityError as error:
        raise Clash(f"state database {name}: {error.orig}") from error
    except SQLAlchemyError as error:
        raise StateUnavailable(f"state database {name}: {getattr(error, 'orig', None) or type(error).__name__}") from error
    except (OSError, sqlite3.Error) as error:
        raise StateUnavailable(f"state database {name}: {error}") from error
