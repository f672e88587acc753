"""The last use, wanted by two processes at once over one database: one gets it, every time."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from stagewarden.grants import Grants
from stagewarden.store import Store, locate
from tests.databases import state_in
from tests.unit.grants.bench import DIGEST, Bench
from tests.unit.holds.bench import HandClock

ROUNDS = 25
ROOT = Path(__file__).parents[3]


async def rival(folder: str, names: list[str]) -> None:
    """The other process: joins the database, says so, and on each line wants one use of the next grant."""
    store = Store(locate(state_in(Path(folder)), Path(folder)))
    await store.join()
    room = Grants(store, HandClock())
    grants = [await room.get(name) for name in names]
    print("ready", flush=True)  # noqa: T201 - what the other side waits for
    for grant in grants:
        await asyncio.to_thread(sys.stdin.readline)
        won = await room.reserve(grant, "r_there", DIGEST, ()) is not None
        print(json.dumps(won), flush=True)  # noqa: T201 - the answer
    await store.close()


async def test_two_processes_never_both_spend_the_last_use(bench: Bench, tmp_path: Path) -> None:
    """Two processes: of each pair exactly one reserves, and the count never passes what was granted."""
    grants = [await bench.active(uses=1) for _ in range(ROUNDS)]
    words = (sys.executable, "-m", "tests.unit.grants.test_race", str(tmp_path), *(grant.id for grant in grants))
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    won = []
    for grant in grants:
        process.stdin.write(b"\n")
        here = await bench.grants.reserve(grant, "r_here", DIGEST, ())
        won.append((here is not None, json.loads(await process.stdout.readline())))
    assert await process.wait() == 0
    assert {sum(pair) for pair in won} == {1}
    assert [(await bench.grants.get(grant.id)).used for grant in grants] == [1] * ROUNDS


async def test_two_hundred_at_once_get_what_there_is(bench: Bench) -> None:
    """One process, two rooms over the store, 200 requests for 7 uses: 7 get one."""
    grant = await bench.active(uses=7)
    other = Bench(bench.store, bench.clock)
    found = await asyncio.gather(*(room.grants.reserve(grant, f"r_{at}", DIGEST, ()) for at in range(100) for room in (bench, other)))
    assert sum(one is not None for one in found) == 7
    assert (await bench.grants.get(grant.id)).used == 7


if __name__ == "__main__":
    asyncio.run(rival(sys.argv[1], sys.argv[2:]))
