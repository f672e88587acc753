"""Store: open, check, read and write transactions, and what other replicas say.

A transaction is all or nothing, and every fault of the database is `StateUnavailable`: the gate answers no.
Never retries, never repairs, never creates tables in a database that is not ours. Which database it is stands in sqlite.py and postgresql.py.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import URL, inspect, make_url, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from stagewarden.clock import SystemClock, new_id
from stagewarden.errors import StateUnavailable
from stagewarden.store import migrations
from stagewarden.store.postgresql import Postgresql
from stagewarden.store.sqlite import Sqlite
from stagewarden.store.tables import APPLICATION, SCHEMA, meta

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from stagewarden.clock import Clock
    from stagewarden.store.backend import Backend
    from stagewarden.store.news import Ear

_CLOSING = 5.0  # seconds all connections may take to close


class Clash(StateUnavailable):
    """A uniqueness rule refused the write: somebody else was first."""


class Store:
    """The state database behind one URL (`locate` makes it). `instance` is the name of this replica, alone or with its workers."""

    def __init__(self, url: URL | str, instance: str | None = None) -> None:
        place = make_url(url)
        self._backend: Backend = Sqlite(place) if place.get_backend_name() == "sqlite" else Postgresql(place, instance)
        self._engine: AsyncEngine | None = None
        self.instance = instance or new_id("x", SystemClock.now_ns())

    @property
    def exclusive(self) -> bool:
        """Whether nobody else can be using this database: then whatever is half-done at start belongs to nobody living."""
        return self._backend.exclusive

    async def open(self) -> None:
        """(1) Own the file, or our name. (2) Refuse a foreign or newer database, untouched. (3) Bring it to our schema. All or nothing."""
        try:
            with self._faults():
                await self._backend.take()
                self._engine = self._backend.engine(ours=False)
            async with self.writing() as connection:
                await self._backend.settling(connection)
                await connection.run_sync(self._settle_schema)
            with self._faults():
                anew = self._backend.settled()
            if anew:
                await self._engine.dispose()
                self._engine = self._backend.engine(ours=True)
            await self.ping()
        except BaseException:
            await self.close()
            raise

    async def join(self) -> None:
        """Share the database of a process that has opened it and stays: no lock of our own, nothing created. A foreign one is refused."""
        try:
            with self._faults():
                await self._backend.join()
                self._engine = self._backend.engine(ours=True)
            async with self.reading() as connection:
                await connection.run_sync(self._check_current)
        except BaseException:
            await self.close()
            raise

    async def look(self) -> tuple[str, ...]:
        """For `check`: nothing is taken, created or changed. Raises StateUnavailable where it could not be opened; else what should be better."""
        try:
            with self._faults():
                self._engine = self._backend.engine(ours=False)
            async with self.reading() as connection:
                present = set(await connection.run_sync(lambda each: inspect(each).get_table_names()))
                if present:
                    await connection.run_sync(lambda each: self._ours(each, present))
                return await self._backend.remarks(connection)
        finally:
            await self.close()

    async def close(self) -> None:
        """Finish with the database; safe to call twice."""
        engine, self._engine = self._engine, None
        if engine is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING):
                    await engine.dispose()
        await self._backend.release()

    async def ping(self) -> None:
        """Raise StateUnavailable unless the database can be read and written."""
        async with self.writing() as connection:
            await self._backend.probe(connection)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view of the database."""
        async with self._backend.turn(write=False):
            with self._faults():
                async with self._live().connect() as connection:
                    await connection.execution_options(**self._backend.options(write=False))
                    yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed when the block ends, undone when it raises. Raises Clash where a uniqueness rule refuses.

        Beside other replicas it sees what is committed at each statement. Rows that a move relies on are locked as they are read (`fetch` in
        holds/desk.py); what is counted or looked for before it is added is passed `alone`; every other write says in its own condition what it
        relies on.
        """
        async with self._backend.turn(write=True):
            with self._faults():
                async with self._live().connect() as connection:
                    await connection.execution_options(**self._backend.options(write=True))
                    async with connection.begin():
                        yield connection

    async def keep(self) -> None:
        """Our place among the replicas, also after the database was gone. Raises StateUnavailable where another has it."""
        with self._faults():
            await self._backend.keep()

    async def lock(self, key: str) -> None:
        """Until `unlock` no other replica has this key. Ours take turns before they ask."""
        with self._faults():
            await self._backend.lock(key)

    async def unlock(self, key: str) -> None:
        """Give it back."""
        with self._faults():
            await self._backend.unlock(key)

    async def alone(self, connection: AsyncConnection, key: str) -> None:
        """Until this transaction ends, nobody else of any replica passes here with the same key."""
        await self._backend.alone(connection, key)

    async def now_ns(self, connection: AsyncConnection, ours: int) -> int:
        """The one clock that all users of this database share; `ours` where there is nobody else."""
        return await self._backend.now_ns(connection, ours)

    async def notify(self, connection: AsyncConnection, channel: str, payload: str) -> None:
        """Tell other replicas once this transaction is committed: that there is something to read, not what it means. At most 7999 bytes."""
        await self._backend.notify(connection, channel, payload)

    def listen(self, channels: Iterable[str], clock: Clock) -> Ear:
        """What other replicas tell on these channels, and ourselves."""
        return self._backend.ear(channels, clock)

    def _live(self) -> AsyncEngine:
        if self._engine is None:
            raise StateUnavailable("the state database is not open")
        return self._engine

    def _settle_schema(self, connection: Connection) -> None:
        present = set(inspect(connection).get_table_names())
        if not present:
            migrations.create(connection)
        elif (found := self._ours(connection, present)) != SCHEMA:
            migrations.migrate(connection, found)

    def _check_current(self, connection: Connection) -> None:
        found = self._ours(connection, set(inspect(connection).get_table_names()))
        if found != SCHEMA:
            raise StateUnavailable(f"state database {self._backend.name}: schema {found} is not schema {SCHEMA}")

    def _ours(self, connection: Connection, present: set[str]) -> int:
        """The schema of a database that is ours; raises StateUnavailable for a foreign one, and for one we do not know the way from."""
        known: dict[str, str] = {}
        if meta.name in present and {"name", "value"} <= {column["name"] for column in inspect(connection).get_columns(meta.name)}:
            known = {row.name: row.value for row in connection.execute(select(meta.c.name, meta.c.value))}
        if known.get("application") != APPLICATION:
            raise StateUnavailable(f"state database {self._backend.name}: not a Stagewarden state database; name another one")
        written = known.get("schema")
        if written is None or not (written.isascii() and written.isdigit()) or not migrations.OLDEST <= int(written) <= SCHEMA:
            raise StateUnavailable(f"state database {self._backend.name}: schema {written} is not schema {SCHEMA}; run the release that wrote it")
        return int(written)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn what the database layer raises into our errors; parameters of statements never stand in them."""
        name = self._backend.name
        try:
            yield
        except IntegrityError as error:
            raise Clash(f"state database {name}: {self._backend.told(error.orig or error)}") from error
        except SQLAlchemyError as error:
            raise StateUnavailable(f"state database {name}: {self._backend.told(getattr(error, 'orig', None) or error)}") from error
        except (OSError, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StateUnavailable(f"state database {name}: {self._backend.told(error)}") from error
