"""The files of the log: their names, their order, what is read of them, and the lock. Blocking; never on the event loop.

A segment is named after the `seq` of its first line. Files are 0600, the directory 0700, links are not followed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from typing import TYPE_CHECKING

from stagewarden.audit.line import MAX_LINE
from stagewarden.errors import AuditUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAME = re.compile(r"[0-9]{20}\.jsonl")
_BLOCK = 1 << 16


def path_of(directory: Path, seq: int) -> Path:
    """The segment that begins with this entry."""
    return directory / f"{seq:020d}.jsonl"


def first_seq(path: Path) -> int:
    """The `seq` its name promises."""
    return int(path.stem)


def listed(directory: Path) -> list[Path]:
    """The segments in order."""
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))


def foreign(directory: Path) -> list[Path]:
    """Files that look like segments and are none of ours."""
    return sorted(path for path in directory.iterdir() if path.suffix == ".jsonl" and not _NAME.fullmatch(path.name))


def create(path: Path) -> int:
    """A new segment, durable as a directory entry; the descriptor appends."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    sync_directory(path.parent)
    return handle


def reopen(path: Path) -> int:
    """An existing segment, to be appended to."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)


def sync_directory(directory: Path) -> None:
    """Make names durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cut(path: Path, size: int) -> None:
    """Shorten a segment to `size` bytes, durably."""
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.ftruncate(handle, size)
        os.fsync(handle)
    finally:
        os.close(handle)


def tail(path: Path, size: int) -> bytes:
    """The last whole line among the first `size` bytes, read from the disk rather than from memory where the system can."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        # After a failed fsync the page cache may hold what the disk does not.
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        start = max(0, size - MAX_LINE - 2)
        data = os.pread(handle, size - start, start)
    finally:
        os.close(handle)
    return data[:-1].rpartition(b"\n")[2] if data.endswith(b"\n") else b""


def lines(path: Path) -> Iterator[bytes]:
    """The lines as they are, newline included where there is one; a longer one than MAX_LINE comes in pieces."""
    with os.fdopen(opened(path), "rb", buffering=_BLOCK * 4) as file:
        while line := file.readline(MAX_LINE + 1):
            yield line


def backwards(path: Path) -> Iterator[bytes]:
    """The whole lines, newest first, without their newline; an unfinished last line is left out."""
    with os.fdopen(opened(path), "rb") as file:
        position = file.seek(0, os.SEEK_END)
        rest, finished = b"", False
        while position:
            step = min(_BLOCK, position)
            position -= step
            file.seek(position)
            parts = (file.read(step) + rest).split(b"\n")
            rest = parts[0]
            if len(rest) > MAX_LINE:
                raise AuditUnavailable(f"{path}: a line is longer than {MAX_LINE} bytes")
            for part in reversed(parts[1:]):
                if finished:
                    yield part
                finished = True
        if finished:
            yield rest


def lock(directory: Path) -> int:
    """Two processes cannot write one log: take the lock or raise AuditUnavailable."""
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as failure:
        os.close(handle)
        raise AuditUnavailable(f"{directory}: another process writes this log") from failure
    return handle


def unlock(handle: int) -> None:
    """Let the lock go; safe for a handle that is gone."""
    with contextlib.suppress(OSError):
        os.close(handle)


def own_directory(directory: Path) -> None:
    """Make it, or see to it that it is ours alone; raises AuditUnavailable when we cannot."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as failure:
        raise AuditUnavailable(f"{directory}: must be a directory of ours with mode 0700: {failure.strerror}") from failure


def is_open(directory: Path) -> bool:
    """Whether a process writes this log now; a directory we may not look into counts as closed."""
    try:
        handle = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def free_bytes(directory: Path) -> int:
    """What the file system still gives to us."""
    stat = os.statvfs(directory)
    return stat.f_bavail * stat.f_frsize


def opened(path: Path) -> int:
    """A segment, to be read."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
