"""The writing end of the log on disk: one segment, what of it is durable, and the way back after a fault. Blocking.

An error of write or sync leaves the descriptor dead for good: after a failed sync nobody knows what the disk holds. Never
appends behind bytes that were not read back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from stagewarden.audit import segments
from stagewarden.audit.line import digest
from stagewarden.errors import AuditUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from stagewarden.audit.chain import Tip


class Disk(Protocol):
    """The system calls that fail in the field, so that a test can make them fail."""

    def write(self, handle: int, data: bytes) -> int:
        """Bytes taken; may be fewer than given."""

    def sync(self, handle: int) -> None:
        """Return when what was written is on the disk."""

    def free(self, directory: Path) -> int:
        """Bytes the file system still gives to us."""


class SystemDisk:
    """The machine's."""

    def write(self, handle: int, data: bytes) -> int:
        """The system call of that name."""
        return os.write(handle, data)

    def sync(self, handle: int) -> None:
        """As fdatasync does: the size is part of what is needed to read the data back, so it is flushed too."""
        os.fdatasync(handle)

    def free(self, directory: Path) -> int:
        """As statvfs says."""
        return segments.free_bytes(directory)


@dataclass(frozen=True, slots=True)
class Written:
    """Whole lines to be made durable together; `seq` and `head` are what stands after them."""

    data: bytes
    seq: int
    head: str


class Tail:
    """The end of the log. `seq`, `head` and `size` tell only what is durable."""

    def __init__(self, directory: Path, roll_at: int, disk: Disk, tip: Tip) -> None:
        self._directory = directory
        self._roll_at = roll_at
        self._disk = disk
        self._handle: int | None = None
        self._path = tip.segment
        self.size = tip.size
        self.seq = tip.seq
        self.head = tip.head

    def open(self) -> None:
        """Go on in the last segment, or begin the first."""
        if self._path is None:
            self._begin()
        else:
            self._handle = segments.reopen(self._path)

    def write(self, written: Written) -> None:
        """Append and sync; on any error the descriptor is closed and stays so until `recover`."""
        if self._handle is None:
            raise AuditUnavailable("the log is not open")
        try:
            if self.size >= self._roll_at:
                self._roll()
            self._put(written.data)
        except BaseException:
            self.close()
            raise
        self.size += len(written.data)
        self.seq, self.head = written.seq, written.head

    def recover(self) -> int:
        """Begin a new segment after a fault; the bytes cut off that were never acknowledged.

        (1) Cut what was not acknowledged. (2) Read the last acknowledged line back from the disk. (3) Only if it is the one we
        wrote, begin a new segment. Anything else stays down: acknowledged entries may be gone, and a person must look.
        """
        self.close()
        dropped = 0
        if self._path is not None:
            # (1) ftruncate never lengthens here: a shorter file has lost acknowledged entries.
            real = self._path.stat().st_size
            if real < self.size:
                raise AuditUnavailable(f"{self._path}: {self.size - real} acknowledged bytes are gone")
            dropped = real - self.size
            segments.cut(self._path, self.size)
            # (2) From the disk, not from memory.
            if self.size and digest(segments.tail(self._path, self.size)) != self.head:
                raise AuditUnavailable(f"{self._path}: the last acknowledged entry does not read back")
            if not self.size:
                self._path.unlink()
        # (3) The chain goes on from what is durable.
        self._begin()
        return dropped

    def close(self) -> None:
        """Let the descriptor go; what a failing close would say was said by sync."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            try:
                os.close(handle)
            except OSError:
                return

    def _roll(self) -> None:
        handle, self._handle = self._handle, None
        assert handle is not None
        os.close(handle)
        self._begin()

    def _begin(self) -> None:
        path = segments.path_of(self._directory, self.seq)
        self._handle = segments.create(path)
        self._path, self.size = path, 0

    def _put(self, data: bytes) -> None:
        assert self._handle is not None
        rest = memoryview(data)
        while rest:
            taken = self._disk.write(self._handle, bytes(rest) if len(rest) != len(data) else data)
            rest = rest[taken:]
        self._disk.sync(self._handle)
