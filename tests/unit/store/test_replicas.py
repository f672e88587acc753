"""Several stores on one PostgreSQL: a name is one's own, a lock is one's alone, whoever starts at the same moment is served."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from stagewarden.errors import StateUnavailable
from stagewarden.store import Store, locate
from stagewarden.store.instances import beat
from stagewarden.store.tables import meta
from tests.databases import cluster, prepared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[str]:
    """A database with our tables."""
    with prepared("postgresql", tmp_path) as made:
        yield made


@asynccontextmanager
async def opened(state: str, folder: Path, *names: str | None) -> AsyncIterator[list[Store]]:
    """Replicas of these names."""
    async with AsyncExitStack() as stack:
        stores = [Store(locate(state, folder), name) for name in names]
        for store in stores:
            stack.push_async_callback(store.close)
            await store.open()
        yield stores


async def test_two_living_instances_never_have_one_name(state, tmp_path):
    """The second is refused by name, and takes nothing; once the first is gone it may have it."""
    async with opened(state, tmp_path, "a") as (first,):
        second = Store(locate(state, tmp_path), "a")
        with pytest.raises(StateUnavailable, match="an instance named a is using it"):
            await second.open()
        await first.ping()
    async with opened(state, tmp_path, "a") as (again,):
        await again.ping()


async def test_a_name_that_was_lost_is_taken_again(state, tmp_path):
    """The server was restarted: its instances come back, each to its name."""
    async with opened(state, tmp_path, "a", "b") as (first, second):
        cluster().run(state.rpartition("/")[2], "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_try_advisory%'")
        async with asyncio.timeout(60):
            while not first._backend._named.is_closed():  # noqa: ASYNC110 - the other side's act
                await asyncio.sleep(0.01)
        await first.keep()
        await second.keep()
        third = Store(locate(state, tmp_path), "a")
        with pytest.raises(StateUnavailable, match="named a"):
            await third.open()


async def test_a_lock_is_one_replicas_alone(state, tmp_path):
    """From lock to unlock nobody else has it; other keys are free; who gives up waiting leaves nothing behind."""
    async with opened(state, tmp_path, "a", "b") as (first, second):
        await first.lock("asset cms /posts/42")
        await second.lock("asset cms /posts/43")
        waiting = asyncio.create_task(second.lock("asset cms /posts/42"))
        given_up = asyncio.create_task(second.lock("asset cms /posts/42"))
        await asyncio.sleep(0.2)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        assert not waiting.done()
        await first.unlock("asset cms /posts/42")
        await asyncio.wait_for(waiting, 60)
        await second.unlock("asset cms /posts/42")
        await asyncio.wait_for(first.lock("asset cms /posts/42"), 60)


async def test_a_lock_ends_with_whoever_has_it(state, tmp_path):
    """A replica that dies lets go of everything."""
    async with opened(state, tmp_path, "b") as (other,):
        async with opened(state, tmp_path, "a") as (first,):
            await first.lock("x")
        await asyncio.wait_for(other.lock("x"), 60)


async def test_what_is_passed_alone_is_passed_one_after_another(state, tmp_path):
    """Reading and then adding, by two replicas at once: each adds one, and none sees the other half-way."""

    async def add(store: Store) -> None:
        async with store.writing() as connection:
            await store.alone(connection, "counter")
            count = len((await connection.execute(select(meta.c.name).where(meta.c.name.like("n%")))).all())
            await asyncio.sleep(0)
            await connection.execute(meta.insert().values(name=f"n{count}", value="x"))

    async with opened(state, tmp_path, "a", "b") as stores:
        await asyncio.gather(*[add(stores[number % 2]) for number in range(16)])
        async with stores[0].reading() as connection:
            assert len((await connection.execute(select(meta.c.name).where(meta.c.name.like("n%")))).all()) == 16


async def test_instances_are_known_to_each_other(state, tmp_path):
    """By name, with the revisions they judge by, and how long they have been silent by the database's clock."""
    async with opened(state, tmp_path, "a", "b") as (first, second):
        await beat(first, "1", "p1", "r1")
        known = {each.name: each for each in await beat(second, "1", "p2", "r1")}
        assert {name: each[1:4] for name, each in known.items()} == {"a": ("1", "p1", "r1"), "b": ("1", "p2", "r1")}
        assert known["a"].silent >= known["b"].silent == 0
        cluster().run(state.rpartition("/")[2], "UPDATE instances SET heard_ns = heard_ns - 86400000000001 WHERE name = 'a'")
        assert [each.name for each in await beat(second, "1", "p2", "r1")] == ["b"]
