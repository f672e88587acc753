"""A worker's place: one process after another fills it. This is one life: started, spoken to, serving, gone, and all it had said heard."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.app.link import Link
from stagewarden.app.messages import Drain
from stagewarden.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.app.link import Shared
    from stagewarden.app.messages import Hello
    from stagewarden.metrics.rows import Rows

AFTER_GRACE = 2.0  # seconds a draining worker has beyond the grace to write down what came of it
_START = 60.0  # seconds until a new worker has to serve


@dataclass(frozen=True, slots=True)
class Beginning:
    """What every life begins with: the words that start it, the memory it inherits, and what it is told."""

    command: tuple[str, ...]
    table: int
    shared: Shared
    hello: Callable[[int], Hello]
    is_in_force: Callable[[str], bool]  # a registry's revision
    draining: asyncio.Event


@dataclass(frozen=True, slots=True)
class End:
    """Why it is over, what it had counted, whether only a reload had overtaken its start, and whether it had stood still."""

    why: str
    rows: Rows
    stale: bool = False
    hung: bool = False


@dataclass(slots=True)
class Slot:
    """A worker's place, whoever fills it; `quick` counts lives in a row that were too short, `looks` those that found it as silent as before."""

    number: int
    process: asyncio.subprocess.Process | None = None
    link: Link | None = None
    serving: bool = False
    quick: int = 0
    looks: int = 0
    _heard_at: float = 0.0

    async def life(self, beginning: Beginning, serves: Callable[[Slot, int], None]) -> End:
        """From start to end; `serves` is told of the moment from which it answers agents."""
        link = self.link = Link(beginning.shared)
        stale, code, self.looks = False, "none", 0
        try:
            process = self.process = await self._start(beginning, link)
            with contextlib.suppress(TimeoutError, CannotTell):
                async with asyncio.timeout(_START):
                    stale = not beginning.is_in_force((await link.ready).registry)
                    self.serving = not stale
            if self.serving:
                serves(self, process.pid)
                await link.ended.wait()
            elif not link.ended.is_set():
                link.why = "a reload overtook its start" if stale else f"it did not serve within {_START:.0f} s"
        except OSError as failure:
            link.why = f"it could not be started: {failure}"
        finally:
            self.serving = False
            if self.process is not None:
                code = str(await _end(self.process, link, of_itself=beginning.draining.is_set() and link.ended.is_set()))
            link.close()
            self.process = self.link = None
        return End(f"{link.why} (exit {code})", link.rows, stale, link.hung)

    def look(self) -> int:
        """How many looks in a row, this one included, have found that a worker that serves has said nothing more."""
        if not self.serving or self.link is None or self.link.heard_at != self._heard_at:
            self.looks = 0
            self._heard_at = 0.0 if self.link is None else self.link.heard_at
        else:
            self.looks += 1
        return self.looks

    def kill(self, hung: str = "") -> None:
        """End whoever is here, where it hangs with a word on that; the next one follows."""
        if self.process is not None and self.link is not None:
            if hung:
                self.link.why, self.link.hung = hung, True
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()

    async def _start(self, beginning: Beginning, link: Link) -> asyncio.subprocess.Process:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            ours.settimeout(0)
            await link.open(ours)
            inherited = (theirs.fileno(), beginning.table)
            # A session of its own: Ctrl-C in a terminal is the house's to hear, also while a worker starts.
            process = await asyncio.create_subprocess_exec(
                *beginning.command, *map(str, inherited), pass_fds=inherited, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
            )
        link.send(beginning.hello(self.number))
        if beginning.draining.is_set():
            link.send(Drain(0))
        return process


async def _end(process: asyncio.subprocess.Process, link: Link, *, of_itself: bool) -> int:
    """Gone, and everything it had said heard."""
    if of_itself:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AFTER_GRACE):
                return await process.wait()
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    code = await process.wait()
    await link.ended.wait()
    return code
