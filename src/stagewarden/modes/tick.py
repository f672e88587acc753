"""A number in a small file, mapped into every process that follows the stops: each act moves it, and reading it is no system call.

It says only that there is something new to read, and until when the shared state counts as heard. Never what: that is in the stop file.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AT = 8  # bytes of the number; those after it are the time
_SIZE = 16


class Tick:
    """Shared by any number of processes; moved by one at a time, under the stop file's lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.now: mmap.mmap | bytes = b""  # `now[:AT]`: where it stands; empty before `open`

    def open(self, made: Callable[[int], None]) -> None:
        """Map it, making it where it is missing; `made` is told the descriptor. Raises OSError."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            made(handle)
            os.posix_fallocate(handle, 0, _SIZE)  # a hole, written to through the map when the disk is full, would end the process
            self.now = mmap.mmap(handle, _SIZE)
        finally:
            os.close(handle)

    def move(self) -> None:
        """There is something new."""
        if isinstance(self.now, mmap.mmap):
            self.now[:AT] = ((int.from_bytes(self.now[:AT], "little") + 1) % (1 << 64)).to_bytes(AT, "little")

    def heard(self, until_ns: int) -> None:
        """The shared state counts as heard until then (monotonic clock, which processes of one machine share)."""
        if isinstance(self.now, mmap.mmap):
            self.now[AT:] = until_ns.to_bytes(_SIZE - AT, "little", signed=True)

    @property
    def heard_until_ns(self) -> int:
        """See `heard`; 0 before it was ever heard."""
        return int.from_bytes(self.now[AT:], "little", signed=True)
