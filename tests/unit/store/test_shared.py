"""One database, several processes: the house has it, workers share it; every write lands, none is lost, nobody starts beside them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from stagewarden.errors import StateUnavailable
from stagewarden.store import Store, locate
from stagewarden.store.tables import meta

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import asyncio, sys
from pathlib import Path
from sqlalchemy import insert, select
from stagewarden.store import Store, locate
from stagewarden.store.tables import meta

async def main(folder, name):
    store = Store(locate("sqlite:state.db", folder))
    await store.join()
    async def write(number):
        async with store.writing() as connection:
            await connection.execute(select(meta.c.value))
            await connection.execute(insert(meta).values(name=f"{name}-{number}", value="x"))
    for start in range(0, 60, 6):
        await asyncio.gather(*[write(number) for number in range(start, start + 6)])
    await store.close()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def write_from(folder: Path, *names: str) -> list[tuple[int, str]]:
    """One process for each name, at once: exit code and what it said on standard error."""
    running = [subprocess.Popen([sys.executable, "-c", WRITER, folder, name], stderr=subprocess.PIPE, text=True) for name in names]
    said = [process.communicate(timeout=100)[1] for process in running]
    return [(process.returncode, text) for process, text in zip(running, said, strict=True)]


async def test_three_processes_write_at_once_and_every_write_lands(tmp_path):
    """Each waits for its turn (busy time-out); none is told that the database is locked."""
    house = Store(locate("sqlite:state.db", tmp_path))
    await house.open()
    assert await asyncio.to_thread(write_from, tmp_path, "a", "b", "c") == [(0, "")] * 3
    async with house.reading() as connection:
        names = set((await connection.execute(select(meta.c.name))).scalars())
    assert {f"{name}-{number}" for name in "abc" for number in range(60)} <= names
    await house.close()


async def test_joining_creates_nothing_and_refuses_what_is_not_ours(tmp_path):
    """Without a house's database there is nothing to share."""
    worker = Store(locate("sqlite:state.db", tmp_path))
    with pytest.raises(StateUnavailable):
        await worker.join()
    await worker.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_house_keeps_others_out_while_workers_share(tmp_path):
    """A second house is refused before and after a worker has joined and left."""
    house = Store(locate("sqlite:state.db", tmp_path))
    await house.open()
    worker = Store(locate("sqlite:state.db", tmp_path))
    await worker.join()
    await worker.ping()
    for _ in range(2):
        second = Store(locate("sqlite:state.db", tmp_path))
        with pytest.raises(StateUnavailable, match="another process"):
            await second.open()
        await worker.close()
    await house.ping()
    await house.close()
