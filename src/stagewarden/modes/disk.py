"""The stop file itself: replaced whole and synced with its directory, read strictly, one writer at a time.

A file that is gone or does not read raises CannotTell: nothing here ever says "nothing is stopped" because it could not find out.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from stagewarden.errors import CannotTell
from stagewarden.modes.folding import Former, InForce
from stagewarden.modes.orders import SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Signature: TypeAlias = "tuple[int, int, int]"  # inode, time, size


class StopFile:
    """One path. Readers need no lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = str(path)

    def exists(self) -> bool:
        """Whether it was ever begun."""
        return self.path.exists()

    def signature(self) -> Signature:
        """What tells one version of it from the next, without reading."""
        try:
            stat = os.stat(self._name, follow_symlinks=False)  # noqa: PTH116 - asked at each request; Path.stat costs twice as much
        except OSError as failure:
            raise CannotTell(f"the stop file cannot be read: {failure.strerror}") from failure
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def read(self) -> tuple[Signature, InForce]:
        """All of it, as this release writes it."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            with os.fdopen(handle, "rb") as opened:
                stat = os.fstat(opened.fileno())
                data = opened.read()
            file = _decoded(data)
        except OSError as failure:
            raise CannotTell(f"the stop file cannot be read: {failure.strerror}") from failure
        except msgspec.DecodeError as failure:
            raise CannotTell(f"the stop file is not understood: {failure}") from failure
        if any(SCOPE.fullmatch(kill.scope) is None for kill in file.kills):
            raise CannotTell("the stop file is not understood: a scope")
        return (stat.st_ino, stat.st_mtime_ns, stat.st_size), file

    def replace(self, file: InForce, moment_ns: int) -> None:
        """Write beside, sync, rename, sync the directory: a reader sees the old file or the new one, and a crash leaves one of them.

        Its time is set: the kernel's steps are too coarse to tell two acts apart.
        """
        beside = self.path.with_name(self.path.name + ".new")
        try:
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as opened:
                self.give_to_owner(handle)
                opened.write(msgspec.json.format(msgspec.json.encode(file)) + b"\n")
                opened.flush()
                os.utime(opened.fileno(), ns=(moment_ns, moment_ns))
                os.fsync(opened.fileno())
            beside.replace(self.path)
            directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as failure:
            raise CannotTell(f"the stop file cannot be written: {failure.strerror}") from failure

    def give_to_owner(self, handle: int) -> None:
        """What root writes (`sudo stagewarden kill`) belongs to whoever owns the folder: a sidecar that cannot read it stays stopped for ever."""
        if os.geteuid() == 0:
            folder = self.path.parent.stat()
            os.fchown(handle, folder.st_uid, folder.st_gid)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One writer at a time, over processes and threads."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self.give_to_owner(handle)
        except OSError as failure:
            raise CannotTell(f"the stop file cannot be locked: {failure.strerror}") from failure
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class _Version(msgspec.Struct, frozen=True):
    version: int


def _decoded(data: bytes) -> InForce:
    if msgspec.json.decode(data, type=_Version).version == 1:
        return msgspec.json.decode(data, type=Former).today()
    return msgspec.json.decode(data, type=InForce)
