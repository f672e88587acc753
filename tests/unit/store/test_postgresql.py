"""PostgreSQL's own: what every connection is told, TLS that knows whom it talks to, limits that end every wait, errors that show nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import TextClause, insert, select, text, update

from stagewarden.errors import StateUnavailable
from stagewarden.store import Clash, Store, locate
from stagewarden.store.tables import meta
from tests.authority import Authority
from tests.databases import PASSWORD, USER, Cluster, cluster, prepared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Open, on a database of its own."""
    with prepared("postgresql", tmp_path) as state:
        made = Store(locate(state, tmp_path), "one")
        await made.open()
        yield made
        await made.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("synchronous_commit", "on"), ("statement_timeout", "5s"), ("lock_timeout", "4s"), ("idle_in_transaction_session_timeout", "15s"),
        ("application_name", "stagewarden"), ("transaction_isolation", "read committed"), ("transaction_read_only", "off"),
    ],
)  # fmt: skip
async def test_every_connection_is_set_up(store, name, value):
    """Whatever role, database or server say: the test's server commits without waiting for its disk."""
    async with store.writing() as connection:
        assert await connection.scalar(text(f"SHOW {name}")) == value


async def test_a_reader_sees_one_moment_and_writes_nothing(store):
    """Two statements of one reading belong together."""
    async with store.reading() as connection:
        assert await connection.scalar(text("SHOW transaction_isolation")) == "repeatable read"
        before = (await connection.execute(select(meta.c.name))).all()
        async with store.writing() as other:
            await other.execute(insert(meta).values(name="meanwhile", value="1"))
        assert (await connection.execute(select(meta.c.name))).all() == before
    with pytest.raises(StateUnavailable, match="ReadOnlySQLTransaction"):
        async with store.reading() as connection:
            await connection.execute(insert(meta).values(name="x", value="1"))


async def test_a_lock_that_does_not_come_is_given_up(store):
    """By the server's own limit, and the next transaction is served."""
    async with store.writing() as holder:
        await holder.execute(update(meta).where(meta.c.name == "schema").values(value=meta.c.value))
        with pytest.raises(StateUnavailable, match="LockNotAvailable"):
            async with store.writing() as connection:
                await connection.execute(update(meta).where(meta.c.name == "schema").values(value=meta.c.value))
    await store.ping()


async def test_a_deadlock_is_a_cannot_tell_for_one_of_them(store):
    """Never for both, and never for ever."""
    async with store.writing() as connection:
        await connection.execute(insert(meta), [{"name": "a", "value": "0"}, {"name": "b", "value": "0"}])
    met = asyncio.Barrier(2)

    async def both(first: str, second: str) -> None:
        async with store.writing() as connection:
            await connection.execute(update(meta).where(meta.c.name == first).values(value=first))
            await met.wait()
            await connection.execute(update(meta).where(meta.c.name == second).values(value=first))

    said = await asyncio.gather(both("a", "b"), both("b", "a"), return_exceptions=True)
    assert sorted(type(each).__name__ for each in said) == ["NoneType", "StateUnavailable"]
    assert "DeadlockDetected" in str(next(each for each in said if each is not None))


async def test_more_who_ask_than_there_are_connections_take_turns(tmp_path):
    """The pool is bounded, and nobody is refused who is served in time."""
    with prepared("postgresql", tmp_path) as state:
        store = Store(locate(f"{state}?pool=2", tmp_path), "one")
        await store.open()

        async def count() -> int:
            async with store.reading() as connection:
                return int(await connection.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid()")) or 0)

        assert await asyncio.gather(*[count() for _ in range(40)]) == [1] * 40
        name = state.rpartition("/")[2]
        used = cluster().run("postgres", f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'")
        assert used[0][0] == 3  # two of the pool, and the one that holds the name
        await store.close()


FAILS = {
    "a value that is there already": (insert(meta).values(name="schema", value="CANARY"), Clash, "meta_pkey"),
    "a value that is no number": (text("SELECT CAST(CAST(:value AS text) AS integer)"), StateUnavailable, "InvalidTextRepresentation"),
    "a value too many": (text("INSERT INTO meta VALUES ('x', NULL)"), Clash, "NotNull"),
    "a table that is not there": (text("INSERT INTO nowhere VALUES (:value)"), StateUnavailable, "UndefinedTable"),
}


@pytest.mark.parametrize(("statement", "kind", "says"), FAILS.values(), ids=FAILS)
async def test_a_fault_shows_no_value(store, statement, kind, says):
    """The server's detail repeats values; ours does not."""
    values = {"value": "CANARY"} if isinstance(statement, TextClause) and ":value" in statement.text else {}
    with pytest.raises(kind) as caught:
        async with store.writing() as connection:
            await connection.execute(statement, values)
    assert says in str(caught.value)
    assert "CANARY" not in str(caught.value)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Path]]:
    """A server with TLS and passwords, and the folder of its authority."""
    folder, other = tmp_path_factory.mktemp("tls"), tmp_path_factory.mktemp("other")
    Authority.make(other).file.rename(folder / "other.pem")
    own = Cluster(tls=Authority.make(folder).server_certificate("localhost"))
    yield own, folder
    own.close()


@pytest.mark.parametrize(
    ("host", "query", "says"),
    [
        pytest.param("localhost", "?sslmode=verify-full&sslrootcert=ca.pem", None, id="its own authority"),
        pytest.param("localhost", "?sslmode=verify-full&sslrootcert=other.pem", "SSLCertVerification", id="another authority"),
        pytest.param("localhost", "?sslmode=verify-full", "SSLCertVerification", id="the system's authorities"),
        pytest.param("127.0.0.1", "?sslmode=verify-full&sslrootcert=ca.pem", "SSLCertVerification", id="another name"),
        pytest.param("localhost", "?sslmode=disable", "InvalidAuthorization", id="without TLS, which it refuses"),
    ],
)
async def test_tls_knows_whom_it_talks_to(secured, host, query, says):
    """Encrypted and not checked would be talking to whoever answers."""
    own, folder = secured
    name = own.database()
    store = Store(locate(f"postgresql://{USER}:{PASSWORD}@{host}:{own.port}/{name}{query}", folder), "one")
    if says is None:
        await store.open()
        async with store.reading() as connection:
            assert await connection.scalar(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
        await store.close()
        return
    with pytest.raises(StateUnavailable) as caught:
        await store.open()
    assert says in str(caught.value)


async def test_a_wrong_password_is_told_without_it(secured):
    """Nor is the right one."""
    own, folder = secured
    store = Store(locate(f"postgresql://{USER}:hunter2@localhost:{own.port}/postgres?sslmode=verify-full&sslrootcert=ca.pem", folder), "one")
    with pytest.raises(StateUnavailable, match="InvalidPassword") as caught:
        await store.open()
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)
