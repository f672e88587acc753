"""Bodies on disk: the same digest as in memory, no file that anybody could find, and nothing left of what goes wrong."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from stagewarden.errors import Ambiguous, CannotTell, Refused
from stagewarden.model import Request, Stage
from stagewarden.wire import spool as spooling
from stagewarden.wire.spool import BLOCK, MOST_BODIES, MOST_FILES, SMALL, Spool, Spools, in_thread, pieces

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

LARGE = bytes(range(256)) * (3 * BLOCK // 256) + b"and a tail"


async def arriving(body: bytes, cut: int = 100_000, failure: Exception | None = None) -> AsyncGenerator[bytes, None]:
    """The body as a connection gives it; `failure` in the place of its end."""
    for at in range(0, len(body), cut):
        yield body[at : at + cut]
    if failure is not None:
        raise failure


@pytest.fixture
def spools(tmp_path: Path) -> Spools:
    """For bodies of at most 4 MiB, in a folder that is not there yet."""
    return Spools(tmp_path / "state" / "spool", 4 << 20, 0)


def request(body) -> Request:
    """A request with this body."""
    return Request("cms", "POST", "https", "cms.internal", "/media?x=1", (("Content-Type", "image/png"), ("X-A", "ä")), body)


@pytest.mark.parametrize("cut", [1 << 16, BLOCK, BLOCK + 1, 1 << 23], ids=str)
async def test_a_spooled_body_has_the_digest_of_the_same_bytes_in_memory(spools, cut):
    """One formula (contract section 3), however the bytes arrived: request digest, repeat digest, digest of the bytes alone."""
    with await spools.take(arriving(LARGE, cut)) as spool:
        assert isinstance(spool, Spool)
        there, here = request(spool), request(LARGE)
        assert there.digest("drafter", Stage.EXPORT) == here.digest("drafter", Stage.EXPORT)
        assert there.repeat_digest("drafter") == here.repeat_digest("drafter")
        assert (spool.digest, there.size) == ("sha256:" + hashlib.sha256(LARGE).hexdigest(), here.size)


async def test_what_was_written_is_read_again_and_again(spools):
    """For the digest, for the parts, for the sending: each time from its beginning, no block above a MiB."""
    with await spools.take(arriving(LARGE)) as spool:
        for _ in range(2):
            blocks = [block async for block in pieces(spool)]
            assert b"".join(blocks) == LARGE
            assert max(map(len, blocks)) <= BLOCK


@pytest.mark.parametrize("size", [0, 1, SMALL], ids=str)
async def test_a_small_body_never_touches_the_disk(spools, size):
    """Up to 64 KiB it is bytes, and there is not even a folder."""
    assert await spools.take(arriving(LARGE[:size])) == LARGE[:size]
    assert not spools.folder.exists()


async def test_no_file_can_be_found_or_outlives_the_process(spools):
    """It has no name while it is open, so a crash leaves none; nobody else could read it, and its folder is ours alone."""
    with await spools.take(arriving(LARGE)) as spool:
        assert list(spools.folder.iterdir()) == []
        opened = os.fstat(spool._file.fileno())
        assert (opened.st_nlink, stat.S_IMODE(opened.st_mode), opened.st_size) == (0, 0o600, len(LARGE))
        assert stat.S_IMODE(spools.folder.stat().st_mode) == 0o700
        assert spools.in_use == (1, len(LARGE))
    assert spools.in_use == (0, 0)
    assert spool._file is None


@pytest.mark.parametrize("failure", [Ambiguous("body", "the client left before its end"), Refused("body_too_large", "over")], ids=["gone", "over"])
async def test_a_body_that_never_comes_whole_leaves_nothing(spools, failure):
    """Whoever stops it half-way: the file is closed and its room given back."""
    with pytest.raises(Refused):
        await spools.take(arriving(LARGE, failure=failure))
    assert spools.in_use == (0, 0)


async def test_a_full_disk_is_could_not_tell(spools, monkeypatch):
    """ENOSPC is a no, and nothing is left."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(spooling.os, "pwrite", full)
    with pytest.raises(CannotTell, match="No space left"):
        await spools.take(arriving(LARGE))
    assert spools.in_use == (0, 0)


async def test_the_audit_logs_room_is_never_taken(tmp_path):
    """What is reserved for the record stays free: the body is refused before a byte of it is written."""
    spools = Spools(tmp_path / "spool", 4 << 20, 1 << 62)
    with pytest.raises(CannotTell, match="reserved"):
        await spools.take(arriving(LARGE))
    assert spools.in_use == (0, 0)


async def test_all_spools_together_are_bounded(spools):
    """In number and in bytes; what is beyond is told to come again, and what is closed makes room."""
    opened = [spools.open() for _ in range(MOST_FILES)]
    with pytest.raises(Refused) as refused:
        await spools.take(arriving(LARGE))
    assert refused.value.code == "overloaded"
    spools.grow(MOST_BODIES * (4 << 20) - 10)
    with pytest.raises(Refused) as refused:
        await opened[0].write(b"x" * 11)
    assert refused.value.code == "overloaded"
    await opened[0].write(b"x" * 10)
    for spool in opened:
        spool.close()
    assert spools.in_use[0] == 0


async def test_a_body_cut_short_on_disk_is_never_sent_as_whole(spools):
    """What the disk does not give back is an error, not an end."""
    with await spools.take(arriving(LARGE)) as spool:
        os.ftruncate(spool._file.fileno(), BLOCK)
        with pytest.raises(CannotTell, match="shorter"):
            b"".join(spool.blocks())
    with pytest.raises(CannotTell, match="after its end"):
        b"".join(spool.blocks())


async def test_a_cancelled_wait_ends_after_its_thread():
    """Nobody may close a file that a thread still writes: the cancellation is delivered when the thread is done."""
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)
        done.set()

    waiting = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait, 10)
    waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done.is_set()
