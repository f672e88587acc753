"""Two sidecars in this process on one PostgreSQL: what moves at one is noticed at the other, and what one leaves is brought to its end."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession
from sqlalchemy import update

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.cli.newsroom import Newsroom
from stagewarden.errors import ConfigError, StateUnavailable
from stagewarden.gate import replicas
from stagewarden.store.tables import outbox
from tests.databases import cluster, prepared
from tests.needs import needs
from tests.product import DRAFTER, PUBLISHER, House, Product, house, rulings, serving, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def pair(folder: Path, state: str, **changed: str) -> AsyncIterator[tuple[Product, Product]]:
    """`a` and `b`, before one newsroom; `changed` is written into b's configuration."""
    newsroom = Newsroom(DRAFTER, PUBLISHER)
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serving(newsroom.application()))
        made = house(folder / "made", upstream)
        session = await stack.enter_async_context(ClientSession())
        both = []
        for name in ("a", "b"):
            shutil.copytree(made.folder, folder / name)
            its = House(folder / name, made.keys, made.tokens)
            words = {"name: scenarios": f"name: {name}", "state: sqlite:state.db": f"state: {state}", **(changed if name == "b" else {})}
            text = its.config.read_text()
            for before, after in words.items():
                text = text.replace(before, after)
            its.config.write_text(text)
            sidecar = await stack.enter_async_context(running(configuration.load(its.config)))
            both.append(Product(sidecar, its, session, newsroom))
        yield both[0], both[1]


@pytest.fixture
def state(tmp_path: Path):
    """`state:` of a PostgreSQL."""
    needs("postgresql")
    with prepared("postgresql", tmp_path) as made:
        yield made


async def asked(there: Product, title: str = "t") -> tuple[int, str]:
    """A draft that is to be published: its number, and the hold."""
    drafted = (await there.ask("POST", "/newsroom/articles", json={"title": title})).json
    reply = await there.ask("POST", f"/newsroom/articles/{drafted['id']}/publish")
    assert reply.status == 403, reply
    return drafted["id"], reply.json["hold"]["id"]


async def test_who_waits_at_one_is_woken_by_a_vote_at_the_other(tmp_path, state, monkeypatch):
    """By a notice: nothing at the one that waits looks by itself."""
    async with pair(tmp_path, state) as (a, b):
        _, hold = await asked(a)
        waiting = asyncio.create_task(a.ended(hold, 60))
        assert (await b.vote(hold, "ines", "reviewer")).status == 200
        async with asyncio.timeout(60):
            assert await waiting == "done"


async def test_deadlines_of_what_others_opened_are_watched_here(tmp_path, state):
    """By this one's monotonic clock too."""
    async with pair(tmp_path, state) as (a, b):
        _, hold = await asked(a)
        await until(lambda: hold in b.sidecar.rooms.holds._deadlines._runs)
        assert (await a.ask("POST", f"/.stagewarden/holds/{hold}/withdraw")).status == 200
        await until(lambda: hold not in b.sidecar.rooms.holds._deadlines._runs)


async def test_an_asset_is_one_request_at_a_time_over_both(tmp_path, state):
    """From look-up to answer: who holds it at a keeps b's request waiting, and b's next one too."""
    async with pair(tmp_path, state) as (a, b):
        article, _ = await asked(a)
        key = ("newsroom", f"/articles/{article}")
        await a.sidecar.rooms.assets.acquire(key)
        edit = asyncio.create_task(b.ask("PATCH", f"/newsroom/articles/{article}", json={"title": "later"}))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.shield(edit)
        a.sidecar.rooms.assets.release(key)
        async with asyncio.timeout(60):
            assert (await edit).status == 200


async def test_an_edit_at_one_supersedes_what_waits_at_the_other(tmp_path, state):
    """In the transaction of the edit, whoever opened the hold."""
    async with pair(tmp_path, state) as (a, b):
        article, hold = await asked(a)
        assert (await b.ask("PATCH", f"/newsroom/articles/{article}", json={"title": "other"})).status == 200
        assert await a.ended(hold) == "superseded"


async def test_what_a_silent_one_left_is_logged_and_released_by_another(tmp_path, state, monkeypatch):
    """An approval whose entry is in nobody's log is released by nobody; once its origin is silent another brings it into its own, and it goes on."""
    monkeypatch.setattr(replicas, "_BEAT", 0.1)
    async with pair(tmp_path, state) as (a, b):
        _, hold = await asked(a)

        async def left_behind(ids: object) -> None:
            async with b.sidecar.rooms.store.writing() as connection:
                await connection.execute(update(outbox).values(origin="gone"))
            raise StateUnavailable("it died between log and database")

        monkeypatch.setattr(b.sidecar.rooms.holds, "delivered", left_behind)
        monkeypatch.setattr(a.sidecar.rooms.holds, "adopt", lambda _: asyncio.sleep(0, 0))
        monkeypatch.setattr(b.sidecar.rooms.holds, "adopt", lambda _: asyncio.sleep(0, 0))
        assert (await b.vote(hold, "ines", "reviewer")).status == 503
        assert (await a.sidecar.rooms.holds.get(hold)).state == "approved"
        assert await a.sidecar.rooms.holds.due() == ()
        monkeypatch.undo()
        assert await a.ended(hold) == "done"
        name = state.rpartition("/")[2]
        assert (await asyncio.to_thread(cluster().run, name, "SELECT count(*) FROM outbox"))[0][0] == 0
        logged = [entry["id"] for each in (a, b) for entry in rulings(each.house.folder) if entry.get("hold") == hold and entry["kind"] == "vote"]
        assert len(set(logged)) == 1


async def test_another_key_is_refused(tmp_path, state):
    """`holds.key` is one over all: a replica with another could neither show nor send what the others stored."""
    async with pair(tmp_path, state) as (a, _):
        shutil.copytree(a.house.folder, tmp_path / "c")
        other = tmp_path / "c" / "stagewarden.yaml"
        other.write_text(other.read_text().replace("name: a", "name: c"))
        (tmp_path / "c" / "holds.key").write_text("0123456789abcdef" * 4)
        with pytest.raises((StateUnavailable, ConfigError)):
            async with running(configuration.load(other)):
                pass


async def test_an_instance_without_agents_releases_nothing(tmp_path, state, monkeypatch):
    """It ends what is out of time, and leaves sending to those who have the upstreams' network and credentials."""
    async with pair(tmp_path, state, **{'  agents: {bind: "127.0.0.1:0", hosts: [127.0.0.1, localhost]}\n': ""}) as (a, b):
        a.sidecar.releases.drain()
        _, hold = await asked(a)
        assert (await b.vote(hold, "ines", "reviewer")).status == 200
        holds, turns = b.sidecar.rooms.holds, []
        ending = holds.expire_due

        async def counted() -> object:
            turns.append(await holds.due())
            return await ending()

        monkeypatch.setattr(holds, "expire_due", counted)
        for wanted in (1, 2, 3):
            holds.changed.ring((hold,))
            await until(lambda wanted=wanted: len(turns) >= wanted)
        assert turns[:3] == [(hold,)] * 3
        assert [entry for entry in rulings(b.house.folder) if entry["kind"] == "release"] == []
