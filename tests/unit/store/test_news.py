"""What replicas say to each other: committed means heard, undone means never said, and a cut connection is made again and said."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from stagewarden.clock import SystemClock
from stagewarden.errors import Conflict
from stagewarden.store import Notice, Store, locate
from stagewarden.store.news import LOOK
from tests.databases import cluster, prepared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stagewarden.store import Ear

PAUSE = 60.0  # seconds within which a notice must have come, on however slow a machine


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Two replicas on one PostgreSQL."""
    with prepared("postgresql", tmp_path) as state:
        stores = (Store(locate(state, tmp_path), "one"), Store(locate(state, tmp_path), "two"))
        for store in stores:
            await store.open()
        yield stores
        for store in stores:
            await store.close()


@asynccontextmanager
async def hearing(store: Store) -> AsyncIterator[tuple[Ear, asyncio.Queue[Notice]]]:
    """What this replica hears, from the moment on that it is connected."""
    ear, heard = store.listen(("holds",), SystemClock()), asyncio.Queue()

    async def listen() -> None:
        async with aclosing(ear.notices()) as notices:
            async for notice in notices:
                heard.put_nowait(notice)

    task = asyncio.create_task(listen())
    assert await take(heard) == LOOK
    yield ear, heard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not ear.connected


async def take(heard: asyncio.Queue[Notice]) -> Notice:
    """The next one."""
    async with asyncio.timeout(PAUSE):
        return await heard.get()


async def say(store: Store, *payloads: str, then: Exception | None = None) -> None:
    """In one transaction."""
    async with store.writing() as connection:
        for payload in payloads:
            await store.notify(connection, "holds", payload)
        if then is not None:
            raise then


async def test_a_notice_is_heard_by_others_and_by_oneself(pair):
    """In the order of the commits."""
    one, two = pair
    async with hearing(one) as (_, here), hearing(two) as (_, there):
        await say(one, "first")
        await say(one, "second")
        for heard in (here, there):
            assert [await take(heard), await take(heard)] == [("holds", "first"), ("holds", "second")]


async def test_what_is_undone_was_never_said(pair):
    """A transaction that fails tells nobody."""
    one, two = pair
    async with hearing(two) as (_, heard):
        with pytest.raises(Conflict):
            await say(one, "undone", then=Conflict("stop"))
        await say(one, "done")
        assert await take(heard) == ("holds", "done")


async def test_a_cut_connection_is_made_again_and_says_that_something_may_be_missed(pair):
    """Between the cut and the new connection nothing is heard: whoever listens is told to look."""
    one, two = pair
    async with hearing(two) as (ear, heard):
        database = cluster()
        name = one._backend.name.rpartition("/")[2]
        database.run(name, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query = 'SELECT 1'")
        assert await take(heard) == LOOK
        while not ear.connected:
            assert await take(heard) == LOOK
        await say(one, "after")
        while (notice := await take(heard)) == LOOK:
            pass
        assert notice == ("holds", "after")


async def test_when_it_was_last_proven_that_nothing_is_missed_is_known(pair):
    """Without notices too, every second or so."""
    async with hearing(pair[1]) as (ear, _):
        first = ear.heard_at
        async with asyncio.timeout(PAUSE):
            while ear.heard_at == first:  # noqa: ASYNC110 - a proof is no notice
                await asyncio.sleep(0.05)
        assert first < ear.heard_at <= SystemClock.monotonic()


async def test_where_one_sidecar_has_the_database_there_is_nothing_to_hear(tmp_path):
    """SQLite: no notice, and nothing that could be stale."""
    store = Store(locate("sqlite:state.db", tmp_path))
    await store.open()
    await say(store, "nobody")
    ear = store.listen(("holds",), SystemClock())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await anext(ear.notices())
    assert ear.connected
    assert ear.heard_at > SystemClock.monotonic()
    await store.close()
