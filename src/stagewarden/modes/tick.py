"""A number in a small file, mapped into every process that follows the stops: each act moves it, and reading it is no system call.

It says only that there is something new to read. Never what: that is in the stop file.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SIZE = 8


class Tick:
    """Shared by any number of processes; moved by one at a time, under the stop file's lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.now: mmap.mmap | bytes = b""  # `now[:]`: where it stands; empty before `open`

    def open(self, made: Callable[[int], None]) -> None:
        """Map it, making it where it is missing; `made` is told the descriptor. Raises OSError."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            made(handle)
            if os.fstat(handle).st_size < _SIZE:
                os.ftruncate(handle, _SIZE)
            self.now = mmap.mmap(handle, _SIZE)
        finally:
            os.close(handle)

    def move(self) -> None:
        """There is something new."""
        if isinstance(self.now, mmap.mmap):
            self.now[:] = ((int.from_bytes(self.now[:], "little") + 1) % (1 << 64)).to_bytes(_SIZE, "little")
