"""The stand-ins' own connections: nothing of them outlives the test that opened them."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import TYPE_CHECKING

import pytest

from tests.connections import Connections

if TYPE_CHECKING:
    from pathlib import Path

    from tests.connections import Serve


async def _hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def _flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(bytes(1 << 16))
        await writer.drain()


async def _left_in_a_hurry(path: str, serve: Serve, turns: int) -> None:
    loop = asyncio.get_running_loop()
    connections = Connections(serve)
    server = await asyncio.start_unix_server(connections, path)
    dialling = [asyncio.create_task(loop.create_unix_connection(asyncio.Protocol, path)) for _ in range(50)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await connections.end(server)
    assert len(connections) == 0
    for dialled in await asyncio.gather(*dialling, return_exceptions=True):
        if not isinstance(dialled, BaseException):
            dialled[0].abort()


@pytest.mark.parametrize("serve", [_hang, _flood])
@pytest.mark.parametrize("turns", range(6))
def test_connections_accepted_in_the_last_moment_are_closed(tmp_path: Path, serve: Serve, turns: int) -> None:
    """However far the accepting has come when the stand-in and then its loop end, no socket is left for the garbage collector."""
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        with asyncio.Runner() as runner:
            runner.run(_left_in_a_hurry(str(tmp_path / "stand-in.sock"), serve, turns))
        gc.collect()
    assert not [each for each in left if "stand-in.sock" in str(each.message)]
