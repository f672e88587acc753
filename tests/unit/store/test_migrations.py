"""Databases of earlier releases: brought to our schema whole or not at all, and then no different from new ones; others are left alone."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, inspect, select

from stagewarden.errors import StateUnavailable
from stagewarden.store import Clash, Store, database, locate, migrations
from stagewarden.store.tables import SCHEMA, holds, instances, meta, metadata, outbox, votes
from tests.databases import DATABASES, cluster, prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

OLD = Path(__file__).parent / "schema_2"
ROOT = Path(__file__).parents[3]
META = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT)"


def statements(*names: str) -> list[str]:
    """Of these files of the old schema."""
    text = "\n".join((OLD / f"{name}.sql").read_text() for name in names)
    return [each.strip() for each in re.sub(r"^--.*$", "", text, flags=re.MULTILINE).split(";") if each.strip()]


@pytest.fixture(params=DATABASES)
def old(request, tmp_path) -> Iterator[str]:
    """A database of the first release, with rows; as `state:` names it."""
    with prepared(request.param, tmp_path, tables=False) as state:
        fill(state, tmp_path, *statements(request.param, "rows"))
        yield state


def fill(state: str, folder: Path, *given: str) -> None:
    """As somebody else would."""
    if state.startswith("sqlite"):
        with closing(sqlite3.connect(folder / "state.db")) as connection:
            for statement in given:
                connection.execute(statement)
            connection.commit()
    else:
        cluster().run(state.rpartition("/")[2], *given)


def rows(state: str, folder: Path, query: str) -> list[tuple[Any, ...]]:
    """Read beside the store."""
    if not state.startswith("sqlite"):
        return [tuple(row) for row in cluster().run(state.rpartition("/")[2], query)]
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        return connection.execute(query).fetchall()


def shape(connection: Connection) -> dict[str, Any]:
    """Every table: its columns by name, keys, unique rules and indexes with their conditions."""
    looked = inspect(connection)
    return {
        table: {
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"], column.get("default"), column.get("autoincrement"))
                for column in looked.get_columns(table)
            },
            "key": looked.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted((each["constrained_columns"], each["referred_table"]) for each in looked.get_foreign_keys(table)),
            "unique": sorted(each["column_names"] for each in looked.get_unique_constraints(table)),
            "indexes": {
                each["name"]: (each["column_names"], bool(each["unique"]), {name: str(value) for name, value in each["dialect_options"].items()})
                for each in looked.get_indexes(table)
            },
        }
        for table in sorted(looked.get_table_names())
    }  # fmt: skip


async def opened_shape(state: str, folder: Path) -> dict[str, Any]:
    """What stands there once our release has opened it."""
    store = Store(locate(state, folder))
    await store.open()
    async with store.reading() as connection:
        found = await connection.run_sync(shape)
    await store.close()
    return found


async def test_an_old_database_becomes_what_a_new_one_is(old, tmp_path):
    """Column by column and index by index: a column of tables/ that the migration lacks fails here."""
    (tmp_path / "new").mkdir()
    kind = "sqlite" if old.startswith("sqlite") else "postgresql"
    with prepared(kind, tmp_path / "new", tables=False) as new:
        made = await opened_shape(new, tmp_path / "new")
    migrated = await opened_shape(old, tmp_path)
    assert migrated.keys() == made.keys() == {table.name for table in metadata.sorted_tables}
    for table, expected in made.items():
        assert migrated[table] == expected, table


async def test_every_row_is_kept_and_means_what_it_meant(old, tmp_path):
    """What waits still waits; new columns say what was true before they were there; the uniqueness rules hold for what is added."""
    store = Store(locate(old, tmp_path))
    await store.open()
    async with store.reading() as connection:
        found = {row.id: row for row in (await connection.execute(select(holds))).all()}
        assert {name: (row.state, row.asked, row.settles_at_ns, row.grant, row.sends) for name, row in found.items()} == {
            "h_1": ("pending", True, 0, None, 0), "h_2": ("unknown", True, 0, None, 0),
        }  # fmt: skip
        assert found["h_1"].seats == [{"functions": ["reviewer"], "count": 1}]
        assert (await connection.execute(select(votes.c.id, votes.c.answers))).all() == [("v_1", {"factual": True})]
        assert (await connection.execute(select(outbox.c.id, outbox.c.origin))).all() == [("e_1", "")]
        assert await connection.scalar(select(meta.c.value).where(meta.c.name == "schema")) == str(SCHEMA)
    again = {column.name: getattr(found["h_1"], column.name) for column in holds.c if column.name != "number"}
    with pytest.raises(Clash):
        async with store.writing() as connection:
            await connection.execute(insert(holds).values(again | {"id": "h_3", "state": "settling"}))
    await store.close()
    await store.open()
    await store.close()


async def test_a_database_of_schema_3_becomes_what_a_new_one_is(old, tmp_path, monkeypatch):
    """The way begins anywhere: what the release before made is brought forward by the steps it lacks, and no row is lost."""
    with monkeypatch.context() as earlier:
        earlier.setattr(database, "SCHEMA", 3)
        earlier.setattr(migrations, "SCHEMA", 3)
        before = await opened_shape(old, tmp_path)
        assert rows(old, tmp_path, "SELECT value FROM meta WHERE name = 'schema'") == [("3",)]
    after = await opened_shape(old, tmp_path)
    assert after.keys() - before.keys() == {"reviews", "titles", "token_uses", "views"}
    assert after.keys() == {table.name for table in metadata.sorted_tables}
    assert rows(old, tmp_path, "SELECT id FROM holds ORDER BY id") == [("h_1",), ("h_2",)]


@pytest.mark.parametrize("kind", DATABASES)
async def test_a_step_that_fails_leaves_the_old_schema(kind, tmp_path):
    """All steps are one transaction: an old database in which one cannot be done is as it was, and its own release goes on with it."""
    with prepared(kind, tmp_path, tables=False) as state:
        fill(state, tmp_path, *statements(kind, "rows"), "CREATE TABLE instances (x INTEGER)")
        with pytest.raises(StateUnavailable):
            await Store(locate(state, tmp_path)).open()
        assert rows(state, tmp_path, "SELECT value FROM meta WHERE name = 'schema'") == [("2",)]
        assert rows(state, tmp_path, "SELECT id FROM holds ORDER BY id") == [("h_1",), ("h_2",)]
        with pytest.raises(Exception, match="asked"):
            rows(state, tmp_path, "SELECT asked FROM holds")


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from stagewarden.store import Store, locate

left = [int(sys.argv[3])]
def count(*_):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
event.listen(Engine, "after_cursor_execute", count)
asyncio.run(Store(locate(sys.argv[1], Path(sys.argv[2]))).open())
"""


async def test_kill_9_in_the_middle_leaves_the_old_schema_or_the_new_one(old, tmp_path):
    """A migration that dies after any of some statements is begun anew by the next start, and no row is lost."""
    for number in (2, 9, 14, 17):
        words = [sys.executable, "-c", KILLED, old, tmp_path, str(number)]
        died = await asyncio.to_thread(subprocess.run, words, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, check=False)
        assert died.returncode == -signal.SIGKILL
        (schema,) = rows(old, tmp_path, "SELECT value FROM meta WHERE name = 'schema'")
        assert schema in {("2",), (str(SCHEMA),)}
    assert "instances" in await opened_shape(old, tmp_path)
    assert rows(old, tmp_path, "SELECT id FROM holds ORDER BY id") == [("h_1",), ("h_2",)]


@pytest.mark.parametrize("given", [("postgresql", "rows"), ()], ids=["an old database", "an empty one"])
async def test_several_that_open_at_once_settle_it_once(tmp_path, given):
    """Replicas that are brought to a new release together: one does it, the others wait for it, and all are served."""
    with prepared("postgresql", tmp_path, tables=False) as state:
        if given:
            fill(state, tmp_path, *statements(*given))
        stores = [Store(locate(state, tmp_path), f"i{number}") for number in range(4)]
        await asyncio.gather(*[store.open() for store in stores])
        for store in stores:
            await store.ping()
            await store.close()
        assert rows(state, tmp_path, "SELECT value FROM meta WHERE name = 'schema'") == [(str(SCHEMA),)]
        assert rows(state, tmp_path, "SELECT id FROM holds ORDER BY id") == ([("h_1",), ("h_2",)] if given else [])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param(["CREATE TABLE customers (id INTEGER)"], "not a Stagewarden state database", id="somebody else's"),
        pytest.param(["CREATE TABLE meta (key TEXT)"], "not a Stagewarden state database", id="a meta table of another shape"),
        pytest.param(
            [META, f"INSERT INTO meta VALUES ('application', 'stagewarden'), ('schema', '{SCHEMA + 1}')"],
            f"schema {SCHEMA + 1} is not schema {SCHEMA}", id="a newer release's",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", DATABASES)
async def test_what_is_not_ours_to_change_is_left_alone(kind, tmp_path, given, says):
    """A wrong name must not cost anybody their data: no table is added, none is changed."""
    with prepared(kind, tmp_path, tables=False) as state:
        fill(state, tmp_path, *given)
        tables = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
            "postgresql": "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
        }[kind]
        before = rows(state, tmp_path, tables)
        with pytest.raises(StateUnavailable, match=says):
            await Store(locate(state, tmp_path)).open()
        assert rows(state, tmp_path, tables) == before


def test_instances_are_the_tables_of_this_schema():
    """The table a failing step is provoked with is one that the step makes."""
    assert instances.name == "instances"
