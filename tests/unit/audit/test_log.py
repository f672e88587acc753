"""Appending: durable when told so, in order, and honest about every fault."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from stagewarden.audit.line import GENESIS, digest
from stagewarden.audit.verify import verify
from stagewarden.errors import AuditUnavailable
from tests.unit.audit.parts import ManualClock, TroubledDisk, audit_log, entries_of, segments_of

if TYPE_CHECKING:
    from stagewarden.audit.log import Flushed


async def until(true) -> None:
    """Wait for the writing thread."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - the thread has no event to give
            await asyncio.sleep(0.005)


async def opened(directory: Path, **parts):
    """An open log."""
    log = audit_log(directory, **parts)
    await log.open({"version": "test"})
    return log


async def test_entries_are_chained_from_the_genesis(tmp_path) -> None:
    """Each entry names the SHA-256 of the line before it; the first one the documented genesis."""
    log = await opened(tmp_path / "audit")
    assert [await log.append("read", {"by": "alice"}), await log.append("read", {"by": "bob"})] == [1, 2]
    await log.close()
    lines = segments_of(tmp_path / "audit")[0].read_bytes().splitlines()
    entries = [orjson.loads(line) for line in lines]
    assert [entry["prev"] for entry in entries] == [GENESIS, digest(lines[0]), digest(lines[1])]
    assert [(entry["v"], entry["seq"], entry["kind"]) for entry in entries] == [(1, 0, "start"), (1, 1, "read"), (1, 2, "read")]
    assert len({entry["boot"] for entry in entries}) == 1


async def test_only_the_owner_can_read_the_log(tmp_path) -> None:
    """Directory 0700 (made so where it was wider), files 0600."""
    directory = tmp_path / "audit"
    directory.mkdir(mode=0o755)
    log = await opened(directory)
    await log.close()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


async def test_whoever_comes_during_a_flush_shares_the_next(tmp_path) -> None:
    """A hundred entries that wait while one flush is under way cost one more flush, and land in the order they came."""
    disk, seen = TroubledDisk(), []
    log = await opened(tmp_path / "audit", disk=disk, observe=seen.append)
    disk.gate.clear()
    first = log.append("read", {"n": 0})
    await until(disk.stuck.is_set)
    rest = [log.append("read", {"n": n}) for n in range(1, 101)]
    disk.gate.set()
    assert await asyncio.gather(first, *rest) == list(range(1, 102))
    assert disk.syncs == 3
    assert [flushed.entries for flushed in seen] == [1, 1, 100]
    await log.close()
    assert [entry.get("n") for entry in entries_of(tmp_path / "audit")] == [None, *range(101)]


async def test_nobody_is_told_before_the_sync(tmp_path) -> None:
    """The future is not done while the disk has not answered."""
    disk = TroubledDisk()
    log = await opened(tmp_path / "audit", disk=disk)
    disk.gate.clear()
    future = log.append("read", {})
    await until(disk.stuck.is_set)
    await asyncio.sleep(0.05)  # whoever would be told too early is told by now
    assert not future.done()
    disk.gate.set()
    assert await future == 1
    await log.close()


async def test_one_who_stops_waiting_disturbs_nobody(tmp_path) -> None:
    """A cancelled request's entry is written all the same, and the others of the flush are told."""
    disk = TroubledDisk()
    log = await opened(tmp_path / "audit", disk=disk)
    disk.gate.clear()
    gone, stays = log.append("read", {"n": 1}), log.append("read", {"n": 2})
    gone.cancel()
    disk.gate.set()
    assert await stays == 2
    await log.close()
    assert verify(tmp_path / "audit").size == 3


async def test_a_short_write_is_finished(tmp_path) -> None:
    """A system call that takes seven bytes at a time still makes whole lines."""
    log = await opened(tmp_path / "audit", disk=TroubledDisk(takes=7))
    await log.append("read", {"by": "alice"})
    await log.close()
    assert verify(tmp_path / "audit").state == "unanchored"


@pytest.mark.parametrize(
    ("disk", "said"),
    [
        pytest.param({"write_error": errno.ENOSPC}, "No space left", id="disk full"),
        pytest.param({"write_error": errno.ENOSPC, "takes": 20}, "No space left", id="disk full after half a line"),
        pytest.param({"write_error": errno.EIO}, "Input/output", id="write error"),
        pytest.param({"sync_error": errno.EIO}, "Input/output", id="sync error: the bytes are in the file, but nobody knows whether on the disk"),
        pytest.param({"sync_error": errno.ENOSPC}, "No space left", id="delayed allocation fails at the sync"),
    ],
)
async def test_a_fault_is_told_to_everybody_and_mends_itself(tmp_path, disk, said) -> None:
    """No entry that was not durable is acknowledged or kept; after the fault a new segment continues the acknowledged chain."""
    trouble, seen = TroubledDisk(), []
    log = await opened(tmp_path / "audit", disk=trouble, observe=seen.append)
    await log.append("read", {"by": "before"})
    for name, value in disk.items():
        setattr(trouble, name, value)
    futures = [log.append("read", {"by": "lost"}, entry_id=f"e_{n}") for n in range(3)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert all(isinstance(result, AuditUnavailable) and said in str(result) for result in results)
    assert said in (log.trouble or "")
    with pytest.raises(AuditUnavailable):
        await log.append("read", {"by": "refused"})
    await asyncio.sleep(0.05)  # attempts to come back fail while the fault lasts
    for name in disk:
        setattr(trouble, name, 0)
    await until(lambda: log.writable)
    await log.append("read", {"by": "after"})
    assert not log.has("e_0")
    await log.close()
    kept = entries_of(tmp_path / "audit")
    assert [(entry["seq"], entry["kind"], entry.get("by")) for entry in kept][:2] == [(0, "start", None), (1, "read", "before")]
    assert kept[2]["kind"] == "recovered"
    assert said in kept[2]["why"]
    assert kept[-1]["by"] == "after"
    assert "lost" not in {entry.get("by") for entry in kept}
    assert verify(tmp_path / "audit").state == "unanchored"
    assert len(segments_of(tmp_path / "audit")) == 2
    assert {flushed.result for flushed in seen} == {"ok", "failed", "refused"}


async def test_after_a_sync_error_nothing_is_appended_to_the_same_handle(tmp_path) -> None:
    """Acknowledged bytes that do not read back keep the log down: a person must look."""
    disk = TroubledDisk()
    log = await opened(tmp_path / "audit", disk=disk)
    disk.sync_error = errno.EIO
    with pytest.raises(AuditUnavailable):
        await log.append("read", {})
    disk.sync_error = 0
    path = segments_of(tmp_path / "audit")[0]
    path.write_bytes(path.read_bytes()[:10])
    await until(lambda: "acknowledged bytes are gone" in (log.trouble or ""))
    with pytest.raises(AuditUnavailable, match="gone"):
        await log.append("read", {})
    await log.close()
    assert len(segments_of(tmp_path / "audit")) == 1


async def test_below_the_reserve_only_the_end_of_what_was_begun_is_recorded(tmp_path) -> None:
    """Rulings and votes are refused; outcomes, kills and modes are not; it comes back when space does."""
    clock, disk = ManualClock(), TroubledDisk()
    log = await opened(tmp_path / "audit", clock=clock, disk=disk)
    disk.room = 999
    clock.move(1)
    assert not log.writable
    assert log.free_bytes == 999
    for kind in ("ruling", "hold", "vote", "read"):
        with pytest.raises(AuditUnavailable, match="reserve"):
            await log.append(kind, {})
    for kind in ("outcome", "kill", "mode"):
        await log.append(kind, {})
    disk.room = 1 << 30
    clock.move(1)
    await log.append("ruling", {})
    await log.close()


async def test_free_space_that_cannot_be_told_counts_as_none(tmp_path) -> None:
    """Could not tell is a no."""
    clock, disk = ManualClock(), TroubledDisk()
    log = await opened(tmp_path / "audit", clock=clock, disk=disk)
    disk.room = -1
    clock.move(1)
    assert not log.writable
    await log.close()


async def test_a_disk_that_does_not_answer_is_not_writable(tmp_path) -> None:
    """While a flush hangs, new entries are refused instead of queued behind it."""
    clock, disk = ManualClock(), TroubledDisk()
    log = await opened(tmp_path / "audit", clock=clock, disk=disk)
    disk.gate.clear()
    waiting = log.append("read", {})
    await until(disk.stuck.is_set)
    clock.move(6)
    with pytest.raises(AuditUnavailable, match="not answered"):
        await log.append("read", {})
    disk.gate.set()
    assert await waiting == 1
    await log.close()


async def test_segments_roll_and_the_chain_goes_on(tmp_path) -> None:
    """Each file is named after its first entry, and ends near the configured size."""
    log = await opened(tmp_path / "audit", segment=500)
    for _ in range(10):
        await log.append("read", {"by": "alice"})
    await log.close()
    files = segments_of(tmp_path / "audit")
    assert len(files) > 2
    assert [int(path.stem) for path in files] == [orjson.loads(path.read_bytes().splitlines()[0])["seq"] for path in files]
    assert verify(tmp_path / "audit").size == 11


async def test_two_processes_cannot_write_one_log(tmp_path) -> None:
    """The second is refused and changes nothing; after the first has closed it may."""
    log, other = await opened(tmp_path / "audit"), audit_log(tmp_path / "audit")
    before = segments_of(tmp_path / "audit")[0].read_bytes()
    with pytest.raises(AuditUnavailable, match="another process writes this log"):
        await other.open()
    assert segments_of(tmp_path / "audit")[0].read_bytes() == before
    await log.close()
    await other.open()
    await other.close()


async def test_a_torn_last_line_is_cut_and_recorded(tmp_path) -> None:
    """It was never acknowledged; the log goes on after the last whole line and says what it cut."""
    log = await opened(tmp_path / "audit")
    await log.append("read", {"by": "alice"})
    await log.close()
    with segments_of(tmp_path / "audit")[0].open("ab") as file:
        file.write(b'{"boot":"b_')
    log = await opened(tmp_path / "audit")
    await log.close()
    kinds = [(entry["kind"], entry.get("cut"), entry.get("after")) for entry in entries_of(tmp_path / "audit")]
    assert kinds == [("start", None, None), ("read", None, None), ("recovered", 11, 1), ("start", None, None)]
    assert verify(tmp_path / "audit").state == "unanchored"


async def test_a_log_broken_elsewhere_refuses_to_start(tmp_path) -> None:
    """With file and line; nothing is written, and the lock is let go."""
    log = await opened(tmp_path / "audit")
    await log.append("read", {"by": "alice"})
    await log.append("read", {"by": "bob"})
    await log.close()
    path = segments_of(tmp_path / "audit")[0]
    path.write_bytes(path.read_bytes().replace(b'"alice"', b'"mallo"'))
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(AuditUnavailable, match=r"broken at 1, edited: .*\.jsonl:3"):
            await audit_log(tmp_path / "audit").open()
    assert path.read_bytes() == before


async def test_a_disk_that_fails_at_the_start_leaves_nothing_half_open(tmp_path) -> None:
    """The start entry could not be made durable: refused, thread and lock are gone, and a later start works."""
    with pytest.raises(AuditUnavailable, match="Input/output"):
        await audit_log(tmp_path / "audit", disk=TroubledDisk(sync_error=errno.EIO)).open()
    log = await opened(tmp_path / "audit")
    await log.close()
    assert verify(tmp_path / "audit").state == "unanchored"


async def test_entry_ids_are_known_again_after_a_restart(tmp_path) -> None:
    """Recovery of the outbox asks `has`, and appends only what is missing."""
    log = await opened(tmp_path / "audit")
    await log.append("hold", {"hold": "h_1"}, entry_id="e_1")
    assert log.has("e_1")
    assert not log.has("e_2")
    await log.close()
    log = await opened(tmp_path / "audit")
    assert log.has("e_1")
    assert not log.has("e_2")
    await log.close()
    assert [entry["id"] for entry in entries_of(tmp_path / "audit") if entry["kind"] == "hold"] == ["e_1"]


@pytest.mark.parametrize(
    ("kind", "body", "entry_id"),
    [
        pytest.param("read", {"seq": 7}, None, id="the body would overwrite seq"),
        pytest.param("read", {"kind": "ruling"}, None, id="the body would overwrite kind"),
        pytest.param("hold", {"id": "h_1"}, "e_1", id="the body would overwrite the entry's id"),
        pytest.param("gossip", {}, None, id="an unknown kind"),
    ],
)
async def test_a_body_cannot_speak_for_the_envelope(tmp_path, kind, body, entry_id) -> None:
    """A fault in the caller is refused at once, and nothing is written."""
    log = await opened(tmp_path / "audit")
    with pytest.raises(ValueError, match=r"envelope|unknown kind"):
        log.append(kind, body, entry_id)
    await log.close()
    assert [entry["kind"] for entry in entries_of(tmp_path / "audit")] == ["start"]


@pytest.mark.parametrize("moment", ["before open", "after close"])
async def test_outside_its_life_the_log_takes_nothing(tmp_path, moment) -> None:
    """Refused like any other fault."""
    log = audit_log(tmp_path / "audit")
    if moment == "after close":
        await log.open()
        await log.close()
        await log.close()
    with pytest.raises(AuditUnavailable):
        await log.append("ruling", {})
    assert not log.writable


async def test_close_waits_for_what_was_queued(tmp_path) -> None:
    """Entries nobody awaits are durable when `close` returns."""
    log = await opened(tmp_path / "audit")
    for n in range(50):
        log.append("refusals", {"refusals": [{"code": "unauthenticated", "peer": "10.0.0.1", "count": n}]})
    await log.close()
    assert verify(tmp_path / "audit").size == 51


async def test_a_failed_entry_nobody_awaits_raises_no_alarm(tmp_path) -> None:
    """Refusal summaries are not waited for: their failure is counted, not logged as a forgotten exception."""
    seen: list[Flushed] = []
    disk = TroubledDisk()
    log = await opened(tmp_path / "audit", disk=disk, observe=seen.append)
    disk.write_error = errno.EIO
    log.append("refusals", {"refusals": []})
    await until(lambda: not log.writable)
    await log.close()
    assert seen[-1].result == "failed"


CHILD = """
import asyncio, sys
from pathlib import Path
from stagewarden.audit.log import AuditLog
from stagewarden.clock import SystemClock
from stagewarden.config import Audit
async def main():
    log = AuditLog(Audit(directory=sys.argv[1], reserve=0, segment=20000), SystemClock())
    await log.open()
    async def work(n):
        while True:
            print(await log.append("read", {"by": str(n)}), flush=True)
    await asyncio.gather(*map(work, range(8)))
asyncio.run(main())
"""


def test_kill_minus_9_loses_no_acknowledged_entry(tmp_path) -> None:
    """Every sequence number that was told is in the log afterwards, and the log holds."""
    source = str(Path(__file__).parents[3] / "src")
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "audit")], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": source})
    assert child.stdout is not None
    told = [int(child.stdout.readline()) for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    told += [int(line) for line in child.stdout.read().split(b"\n")[:-1]]
    child.stdout.close()
    child.wait()

    async def restart() -> None:
        log = await opened(tmp_path / "audit")
        await log.close()

    asyncio.run(restart())
    assert max(told) < verify(tmp_path / "audit").size
    assert {entry["seq"] for entry in entries_of(tmp_path / "audit")} >= set(told)
