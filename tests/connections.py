"""What the server of a stand-in has accepted: served while the test lasts, and every one of them closed when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Connections:
    """The callback of one `asyncio.start_server`. A socket left open would be blamed on whichever test the next collection falls into."""

    def __init__(self, serve: Serve) -> None:
        """`serve` has one connection to itself, and may return or be cancelled at any time."""
        self._serve = serve
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._over = False

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection was accepted."""
        if self._over:  # the kernel had it before we stopped listening
            writer.transport.abort()
            return
        self._writers.add(writer)
        task = asyncio.create_task(self._one(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def __len__(self) -> int:
        """Those that are served just now."""
        return len(self._tasks)

    async def end(self, server: asyncio.Server) -> None:
        """Listen no more, and close every connection."""
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        # What was accepted in this very turn gets its transport in the next; once the server is closed it would be left without one, and open.
        await asyncio.sleep(0)
        server.close()
        self._over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A task that is cancelled before its first step never comes to its `finally`, so the connections are closed here.
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()  # what is still to be written has no reader any more
            raise
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self._writers.discard(writer)
