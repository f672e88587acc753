from __future__ import annotations

import asyncio
import sqlite3
import stat
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from stagewarden.errors import Conflict, StateUnavailable
from stagewarden.store import Clash, Store, locate
from stagewarden.store.tables import SCHEMA, meta, metadata
from tests.databases import DATABASES, prepared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(params=DATABASES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An open store on each database."""
    with prepared(request.param, tmp_path) as state:
        made = Store(locate(state, tmp_path), "one")
        await made.open()
        yield made
        await made.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Store]:
    """An open store in a file."""
    made = Store(locate("sqlite:state.db", tmp_path))
    await made.open()
    yield made
    await made.close()


async def names(store: Store) -> list[str]:
    """What stands in the meta table."""
    async with store.reading() as connection:
        return list((await connection.execute(select(meta.c.name).order_by(meta.c.name))).scalars())


def modes(folder: Path) -> set[int]:
    """File modes in a folder."""
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_every_file_of_the_database_is_private(sqlite, tmp_path):
    """The database, its journal, its shared memory and the lock file are 0600 whatever the umask."""
    async with sqlite.writing() as connection:
        await connection.execute(insert(meta).values(name="x", value="y"))
    assert {path.name for path in tmp_path.iterdir()} >= {"state.db", "state.db-wal", "state.db-shm", "state.db.lock"}
    assert modes(tmp_path) == {0o600}


async def test_a_database_left_readable_is_tightened(tmp_path):
    """A mode that lets others read is mended at start."""
    path = tmp_path / "state.db"
    first = Store(locate("sqlite:state.db", tmp_path))
    await first.open()
    await first.close()
    path.chmod(0o666)
    second = Store(locate("sqlite:state.db", tmp_path))
    await second.open()
    assert modes(tmp_path) == {0o600}
    await second.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000), ("secure_delete", 1), ("trusted_schema", 0)],
    ids=str,
)
async def test_every_connection_is_set_up(sqlite, pragma, value):
    """WAL with synchronous=FULL: a commit that was acknowledged survives power loss."""
    async with sqlite.reading() as connection:
        assert (await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar_one() == value


async def test_a_second_sidecar_on_the_same_database_does_not_start(sqlite, tmp_path):
    """What was `sent` at start may be judged `unknown` only because nobody else can be sending it."""
    second = Store(locate("sqlite:state.db", tmp_path))
    with pytest.raises(StateUnavailable, match="another process"):
        await second.open()
    await second.close()
    await sqlite.ping()


async def test_a_closed_store_can_be_opened_by_the_next(tmp_path):
    """Closing lets go of the file, twice is once, and what was written stands."""
    first = Store(locate("sqlite:state.db", tmp_path))
    await first.open()
    async with first.writing() as connection:
        await connection.execute(insert(meta).values(name="kept", value="1"))
    await first.close()
    await first.close()
    second = Store(locate("sqlite:state.db", tmp_path))
    await second.open()
    assert await names(second) == ["application", "kept", "schema"]
    await second.close()


def database(path: Path, *statements: str) -> bytes:
    """A database made by somebody else, and its bytes."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path.read_bytes()


META = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)"


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        pytest.param(("CREATE TABLE customers (id INTEGER)",), "not a Stagewarden state database", id="somebody else's"),
        pytest.param(("CREATE TABLE meta (key TEXT)",), "not a Stagewarden state database", id="a meta table of another shape"),
        pytest.param((META, "INSERT INTO meta VALUES ('application', 'other')"), "not a Stagewarden state database", id="another application's"),
        pytest.param(
            (META, "INSERT INTO meta VALUES ('application', 'stagewarden')", f"INSERT INTO meta VALUES ('schema', '{SCHEMA + 1}')"),
            f"schema {SCHEMA + 1} is not schema {SCHEMA}", id="a newer release's",
        ),
        pytest.param((META, "INSERT INTO meta VALUES ('application', 'stagewarden')"), "schema None", id="without a schema number"),
    ],
)  # fmt: skip
async def test_a_database_that_is_not_ours_is_refused_and_untouched(tmp_path, statements, says):
    """A wrong file name must not cost anybody their data: not one byte and no mode of it is changed."""
    path = tmp_path / "state.db"
    before = database(path, *statements)
    path.chmod(0o640)
    store = Store(locate("sqlite:state.db", tmp_path))
    with pytest.raises(StateUnavailable, match=says):
        await store.open()
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path):
    """Garbage is an error that names the file."""
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StateUnavailable, match=r"state\.db.*not a database"):
        await Store(locate("sqlite:state.db", tmp_path)).open()
    assert path.read_bytes() == b"not a database at all" * 100


async def test_a_missing_folder_is_named(tmp_path):
    """No folder is made up."""
    with pytest.raises(StateUnavailable, match="missing"):
        await Store(locate("sqlite:missing/state.db", tmp_path)).open()
    assert list(tmp_path.iterdir()) == []


async def test_a_store_that_is_not_open_cannot_tell(tmp_path):
    """Before open and after close every use is StateUnavailable."""
    with pytest.raises(StateUnavailable, match="not open"):
        await Store(locate("sqlite:state.db", tmp_path)).ping()


async def test_a_transaction_is_all_or_nothing(store):
    """What raises inside is raised outside, and nothing of the transaction stands."""
    before = await names(store)

    async def half() -> None:
        async with store.writing() as connection:
            await connection.execute(insert(meta).values(name="half", value="1"))
            raise Conflict("stop")

    with pytest.raises(Conflict):
        await half()
    assert await names(store) == before


async def test_a_uniqueness_rule_is_a_clash(store):
    """Who comes second is told apart from a database that cannot answer."""
    with pytest.raises(Clash):
        async with store.writing() as connection:
            await connection.execute(insert(meta).values(name="schema", value="2"))


async def test_a_fault_shows_no_parameters(store):
    """Statements' parameters are sealed bytes and ids; an error message holds none of them."""
    with pytest.raises(StateUnavailable) as caught:
        async with store.writing() as connection:
            await connection.execute(text("INSERT INTO nowhere VALUES (:secret)"), {"secret": "CANARY"})
    assert "CANARY" not in str(caught.value)
    assert "CANARY" not in str(caught.value.__cause__)


async def test_writers_take_turns(store):
    """Fifty writers at once: all commit, none is told that the database is locked."""

    async def write(number: int) -> None:
        async with store.writing() as connection:
            await connection.execute(insert(meta).values(name=f"n{number:02}", value="1"))

    await asyncio.gather(*(write(number) for number in range(50)))
    assert len(await names(store)) == 52


async def test_a_cancelled_writer_leaves_the_store_usable(store):
    """Clients go away at any moment: whole transactions stand or none, and the next writer is served."""

    async def write(number: int) -> None:
        async with store.writing() as connection:
            await connection.execute(insert(meta).values(name=f"a{number}", value="1"))
            await connection.execute(insert(meta).values(name=f"b{number}", value="1"))

    for number in range(12):
        task = asyncio.create_task(write(number))
        for _ in range(number * 3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.ping()
    found = await names(store)
    assert {name[1:] for name in found if name[0] == "a" and name != "application"} == {name[1:] for name in found if name[0] == "b"}


async def test_a_database_damaged_under_us_cannot_tell(sqlite, tmp_path):
    """A database that no longer answers is StateUnavailable, never a crash of the caller."""
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("DROP TABLE outbox")
    other.close()
    with pytest.raises(StateUnavailable, match="no such table"):
        async with sqlite.reading() as connection:
            await connection.execute(text("SELECT count(*) FROM outbox"))


async def test_readers_do_not_wait_for_a_writer(store):
    """A read sees the last committed state while a transaction is open."""
    async with store.writing() as connection:
        await connection.execute(insert(meta).values(name="open", value="1"))
        assert await names(store) == ["application", "schema"]
    assert await names(store) == ["application", "open", "schema"]


def test_the_schema_is_one_that_postgresql_understands():
    """Nothing in the tables is SQLite's alone: PostgreSQL's own compiler writes them, partial indexes included."""
    dialect = postgresql.dialect()
    written = [str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables]
    written += [str(CreateIndex(index).compile(dialect=dialect)) for table in metadata.sorted_tables for index in table.indexes]
    partial = [index for table in metadata.sorted_tables for index in table.indexes if index.dialect_options["sqlite"]["where"] is not None]
    assert sum("WHERE" in statement for statement in written) == len(partial) > 0
    assert any("BYTEA" in statement for statement in written)
