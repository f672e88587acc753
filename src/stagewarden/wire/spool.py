"""Bodies too large for memory, on disk while they are judged and sent. Must never leave a file behind, nor take the audit log's room.

A spool's file has no name from the moment it is made (O_TMPFILE, or unlinked before its first byte) and mode 0600: whatever ends
the process ends the file. Every read and write runs in a thread, a MiB at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from contextlib import aclosing, suppress
from typing import IO, TYPE_CHECKING, Self, TypeVar

from stagewarden.errors import CannotTell, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from pathlib import Path

    from stagewarden.model import Body, Large

BLOCK = 1 << 20
SMALL = 64 << 10  # a body up to this never touches the disk
MOST_FILES = 64  # at once, over all requests
MOST_BODIES = 16  # of the largest size allowed, over all requests: what spools may take from the disk together

T = TypeVar("T")


async def in_thread(call: Callable[..., T], *arguments: object) -> T:
    """What `call` gives; when we are cancelled, only after its thread is done: nobody may close what a thread still works on."""
    work = asyncio.ensure_future(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        work.exception()  # looked at: nobody waits for it any more
        raise


async def pieces(body: Large) -> AsyncGenerator[bytes, None]:
    """A large body block by block, read outside the event loop."""
    blocks = body.blocks()
    while block := await in_thread(next, blocks, b""):
        yield block


class Spools:
    """The bounds over all spools, and the folder they lie in, made when it is first needed."""

    def __init__(self, folder: Path, largest: int, reserve: int) -> None:
        self.folder = folder
        self.reserve = reserve  # bytes of the disk that are left alone
        self._most = largest * MOST_BODIES
        self._files = 0
        self._bytes = 0

    @property
    def in_use(self) -> tuple[int, int]:
        """Files and bytes."""
        return self._files, self._bytes

    async def take(self, arriving: AsyncGenerator[bytes, None]) -> Body:
        """A whole body: bytes where it is small, else a Spool for the caller to close. Whatever stops it half-way leaves nothing."""
        held: list[bytes] = []
        size, room = 0, SMALL
        spool: Spool | None = None
        try:
            async with aclosing(arriving):
                async for piece in arriving:
                    held.append(piece)
                    size += len(piece)
                    if size > room:
                        spool = spool or self.open()
                        await spool.write(b"".join(held))
                        held, size, room = [], 0, BLOCK
            if spool is None:
                return b"".join(held)
            await spool.write(b"".join(held))
        except BaseException:
            if spool is not None:
                spool.close()
            raise
        return spool

    def open(self) -> Spool:
        """An empty one. Raises Refused (`overloaded`) where there are too many already."""
        if self._files >= MOST_FILES:
            raise Refused("overloaded", "as many large bodies are under way as there may be")
        self._files += 1
        return Spool(self)

    def grow(self, size: int) -> None:
        """So many more bytes. Raises Refused (`overloaded`)."""
        if self._bytes + size > self._most:
            raise Refused("overloaded", "the large bodies under way take all the room there is for them")
        self._bytes += size

    def forget(self, size: int) -> None:
        """One is closed."""
        self._files -= 1
        self._bytes -= size


class Spool:
    """One body on disk, a `model.Large`: written once, then read as often as needed. Close it always."""

    __slots__ = ("_closed", "_file", "_hash", "_spools", "size")

    def __init__(self, spools: Spools) -> None:
        self.size = 0
        self._spools = spools
        self._hash = hashlib.sha256()
        self._file: IO[bytes] | None = None
        self._closed = False

    @property
    def digest(self) -> str:
        """SHA-256 of what was written."""
        return f"sha256:{self._hash.hexdigest()}"

    async def write(self, block: bytes) -> None:
        """Add to its end. Raises Refused where all spools together are full, CannotTell where the disk is."""
        self._spools.grow(len(block))
        self.size += len(block)
        try:
            await in_thread(self._append, block, self.size - len(block))
        except OSError as error:
            raise CannotTell(f"a body could not be kept on disk: {error.strerror or error}") from error

    def _append(self, block: bytes, at: int) -> None:
        if self._file is None:
            self._spools.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(buffering=0, dir=self._spools.folder)  # noqa: SIM115 - closed by close()
        number = self._file.fileno()
        disk = os.fstatvfs(number)
        if disk.f_bavail * disk.f_frsize < self._spools.reserve + len(block):
            raise CannotTell("a body could not be kept on disk: it would take the room reserved for the record")
        view = memoryview(block)
        while view:
            written = os.pwrite(number, view, at)
            view, at = view[written:], at + written
        self._hash.update(block)

    def blocks(self) -> Iterator[bytes]:
        """All of it, a MiB at a time. For a thread. Raises CannotTell where the disk does not give back what was written."""
        at = 0
        while at < self.size:
            if self._file is None:
                raise CannotTell("a body on disk was read after its end")
            try:
                block = os.pread(self._file.fileno(), min(BLOCK, self.size - at), at)
            except OSError as error:
                raise CannotTell(f"a body could not be read back: {error.strerror or error}") from error
            if not block:
                raise CannotTell("a body on disk is shorter than what was written")
            at += len(block)
            yield block

    def close(self) -> None:
        """Give the room back; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._spools.forget(self.size)
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
