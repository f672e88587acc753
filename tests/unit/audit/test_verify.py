"""`verify`: each way of tampering with a file is found, with the first bad sequence number (reference: bypasses.md section 4)."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagewarden.audit.line import GENESIS, canonical
from stagewarden.audit.verify import verify
from tests.unit.audit.parts import audit_log, entries_of, segments_of

if TYPE_CHECKING:
    from pathlib import Path


def chain(count: int, start: int = 0, prev: str = GENESIS) -> list[bytes]:
    """Lines as a log of ours would hold them."""
    lines = []
    for seq in range(start, start + count):
        line = canonical(
            {"v": 1, "seq": seq, "time": "2026-11-21T09:00:00.000000Z", "boot": "b_1", "kind": "read", "prev": prev, "by": f"person {seq}"}
        )
        lines.append(line)
        prev = hashlib.sha256(line).hexdigest()
    return lines


def stored(directory: Path, *segments: list[bytes]) -> Path:
    """These lines as segments in a directory."""
    directory.mkdir(mode=0o700, exist_ok=True)
    first = 0
    for lines in segments:
        (directory / f"{first:020d}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        first += len(lines)
    return directory


def edited(line: bytes, **members: object) -> bytes:
    """The line with members changed, in canonical form."""
    return canonical({**orjson.loads(line), **members})


def rechained(lines: list[bytes], at: int, **members: object) -> list[bytes]:
    """An attacker edits one entry and recomputes everything after it."""
    entry = edited(lines[at], **members)
    kept, prev = [*lines[:at], entry], hashlib.sha256(entry).hexdigest()
    for line in lines[at + 1 :]:
        kept.append(edited(line, prev=prev))
        prev = hashlib.sha256(kept[-1]).hexdigest()
    return kept


TAMPERED = [
    pytest.param(lambda x: [*x[:4], x[4].replace(b"person 4", b"person X"), *x[5:]], 4, "edited", id="an entry edited"),
    pytest.param(lambda x: [edited(x[0], by="X"), *x[1:]], 0, "edited", id="the first entry edited"),
    pytest.param(lambda x: [*x[:4], x[4].replace(b'"by":', b'"by" :'), *x[5:]], 4, "edited", id="white space added"),
    pytest.param(lambda x: [*x[:4], x[4].replace(b'"by":', b'"by":"a","by":'), *x[5:]], 4, "edited", id="a member twice"),
    pytest.param(lambda x: [*x[:4], x[4] + b"\r", *x[5:]], 4, "edited", id="a carriage return added"),
    pytest.param(lambda x: [*x[:4], *x[5:]], 4, "dropped", id="an entry dropped"),
    pytest.param(lambda x: x[1:], 0, "dropped", id="the first entry dropped"),
    pytest.param(lambda x: [*x[:4], x[5], x[4], *x[6:]], 4, "swapped", id="two neighbours swapped"),
    pytest.param(lambda x: [*x[:4], x[7], *x[5:7], x[4], *x[8:]], 4, "dropped", id="two distant entries swapped"),
    pytest.param(lambda x: [*x[:5], x[4], *x[5:]], 4, "duplicate", id="an entry twice"),
    pytest.param(lambda x: [*x[:5], edited(x[4], by="X"), *x[5:]], 4, "inserted", id="another entry of the same number inserted"),
    pytest.param(lambda x: [*x[:5], edited(x[5], by="X"), *x[5:]], 5, "inserted", id="an entry inserted with the right link"),
    pytest.param(lambda x: [*x[:4], b"", *x[4:]], 4, "garbage", id="an empty line"),
    pytest.param(lambda x: [*x[:4], b"\xff\xfe\x00", *x[4:]], 4, "garbage", id="bytes"),
    pytest.param(lambda x: [*x[:4], b"[]", *x[4:]], 4, "foreign", id="JSON that is no entry"),
    pytest.param(lambda x: [*x[:4], edited(x[4], v=2), *x[5:]], 4, "foreign", id="another version"),
    pytest.param(lambda x: [*x[:4], edited(x[4], kind="gossip"), *x[5:]], 4, "foreign", id="an unknown kind"),
    pytest.param(lambda x: [*x[:4], edited(x[4], seq="4"), *x[5:]], 4, "foreign", id="a sequence number that is text"),
    pytest.param(lambda x: [*x[:4], edited(x[4], seq=True), *x[5:]], 4, "foreign", id="a sequence number that is true"),
    pytest.param(lambda x: [*x[:4], edited(x[4], seq=-1), *x[5:]], 4, "foreign", id="a negative sequence number"),
    pytest.param(lambda x: [*x[:4], edited(x[4], prev=None), *x[5:]], 3, "edited", id="a link that is null"),
    pytest.param(lambda x: chain(10, prev="0" * 64), 0, "foreign", id="another beginning"),
    pytest.param(lambda x: [*x[:4], b"x" * (1 << 20) + b"y", *x[4:]], 4, "garbage", id="a line longer than any of ours"),
]


@pytest.mark.parametrize(("tamper", "at", "how"), TAMPERED)
@pytest.mark.parametrize("cut", [10, 5], ids=["one segment", "two segments"])
def test_tampering_is_found_and_named(tmp_path, tamper, at, how, cut) -> None:
    """`broken`, with the first bad sequence number and what was done."""
    lines = tamper(chain(10))
    directory = stored(tmp_path / "audit", lines[:cut], lines[cut:]) if cut < 10 else stored(tmp_path / "audit", lines)
    report = verify(directory)
    if cut == 10:
        assert (report.state, report.at, report.how) == ("broken", at, how)
    else:
        assert report.state == "broken"


@pytest.mark.parametrize(
    ("segments", "at", "how"),
    [
        pytest.param([[0, 3], [6, 9]], 3, "dropped", id="a segment in the middle is missing"),
        pytest.param([[3, 9]], 0, "dropped", id="the first segment is missing"),
        pytest.param([[0, 3], [2, 9]], 2, "inserted", id="segments overlap"),
        pytest.param([[0, 3], [3, 3], [4, 9]], 3, "dropped", id="an empty segment in the middle"),
    ],
)
def test_a_missing_segment_is_found(tmp_path, segments, at, how) -> None:
    """Files are named after their first entry, so that a whole one cannot go unseen, but for the last."""
    directory, lines = tmp_path / "audit", chain(10)
    directory.mkdir()
    for first, end in segments:
        (directory / f"{first:020d}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines[first:end]))
    report = verify(directory)
    assert (report.state, report.at, report.how) == ("broken", at, how)


def test_a_line_torn_inside_the_log_is_found(tmp_path) -> None:
    """Only the last segment may end in the middle of a line."""
    directory = stored(tmp_path / "audit", chain(5), chain(10)[5:])
    first = segments_of(directory)[0]
    first.write_bytes(first.read_bytes()[:-1])
    report = verify(directory)
    assert (report.state, report.at, report.how) == ("broken", 4, "torn")


def test_a_torn_tail_is_named_while_nobody_writes(tmp_path) -> None:
    """Offline it is a finding; it says that the line was never acknowledged and what will happen to it."""
    directory = stored(tmp_path / "audit", chain(5))
    with segments_of(directory)[0].open("ab") as file:
        file.write(b'{"boot"')
    report = verify(directory)
    assert (report.state, report.at, report.how, report.size) == ("broken", 5, "torn", 5)
    assert "never acknowledged" in report.text


async def test_a_line_being_written_is_no_finding(tmp_path) -> None:
    """While a process has the log open its last line may be unfinished."""
    log = audit_log(tmp_path / "audit")
    await log.open()
    with segments_of(tmp_path / "audit")[0].open("ab") as file:
        file.write(b'{"boot"')
    assert verify(tmp_path / "audit").state == "unanchored"
    await log.close()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({}, id="an empty directory"),
        pytest.param({"00000000000000000000.jsonl": b""}, id="an empty file"),
        pytest.param({"00000000000000000000.jsonl": b"\n"}, id="a newline"),
        pytest.param({"00000000000000000000.jsonl": bytes(4096)}, id="zeros"),
        pytest.param({"00000000000000000000.jsonl": os.urandom(4096)}, id="random bytes"),
        pytest.param({"00000000000000000000.jsonl": b'{"level":"info"}\n'}, id="somebody else's JSON lines"),
        pytest.param({"access.jsonl": b'{"level":"info"}\n'}, id="somebody else's file name"),
        pytest.param({"00000000000000000000.jsonl": chain(1)[0] + b"\n", "00000000000000000001 copy.jsonl": b""}, id="a stranger beside a log"),
        pytest.param({"log.txt": b"hello"}, id="no log at all"),
    ],
)
def test_garbage_empty_and_foreign_input_never_passes(tmp_path, content) -> None:
    """There is no input for which nothing found means fine."""
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    assert verify(tmp_path).state == "broken"


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.write_text("x"), lambda path: path.symlink_to("/")], ids=["absent", "a file", "a link"]
)
def test_a_directory_that_cannot_be_read_is_broken(tmp_path, make) -> None:
    """Could not tell is a no."""
    make(tmp_path / "audit")
    assert verify(tmp_path / "audit").state == "broken"


def test_a_segment_that_is_a_link_is_not_followed(tmp_path) -> None:
    """The log is files of ours; a link could lead anywhere."""
    elsewhere = stored(tmp_path / "elsewhere", chain(5))
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / segments_of(elsewhere)[0].name).symlink_to(segments_of(elsewhere)[0])
    report = verify(tmp_path / "audit")
    assert (report.state, report.how) == ("broken", "unreadable")


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda x: x[:6], id="the tail truncated at a line"),
        pytest.param(lambda x: rechained(x, 4, by="X"), id="rewritten from some entry on, links recomputed"),
        pytest.param(lambda x: [*x[:9], edited(x[9], by="X")], id="the last entry edited"),
    ],
)
def test_what_only_an_outside_checkpoint_can_show_is_never_called_verified(tmp_path, tamper) -> None:
    """The chain alone says `unanchored after N`, and gives the head to compare with."""
    lines = tamper(chain(10))
    report = verify(stored(tmp_path / "audit", lines))
    assert (report.state, report.size, report.head) == ("unanchored", len(lines), hashlib.sha256(lines[-1]).hexdigest())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.integers(0, 10**9), st.integers(0, 7))
def test_no_flipped_bit_before_the_last_line_passes(tmp_path, place, bit) -> None:
    """Flip any one bit of any line but the last: broken."""
    lines = chain(6)
    directory = stored(tmp_path / "audit", lines)
    path = segments_of(directory)[0]
    data = bytearray(path.read_bytes())
    place %= len(data) - len(lines[-1]) - 1
    data[place] ^= 1 << bit
    path.write_bytes(bytes(data))
    assert verify(directory).state == "broken"


def test_memory_does_not_grow_with_the_log(tmp_path) -> None:
    """Twenty thousand entries, and one line of 50 MB without an end, are read in pieces."""
    directory = stored(tmp_path / "audit", chain(20_000))
    with segments_of(directory)[0].open("ab") as file:
        for _ in range(50):
            file.write(b"x" * (1 << 20))
    tracemalloc.start()
    try:
        report = verify(directory)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (report.state, report.at, report.how) == ("broken", 20_000, "garbage")
    assert peak < 8 << 20


async def test_what_the_log_writes_verifies(tmp_path) -> None:
    """Over segments, restarts and boots."""
    for boot in range(3):
        log = audit_log(tmp_path / "audit", segment=700)
        await log.open({"boot_number": boot})
        for n in range(5):
            await log.append("read", {"by": "alice", "n": n, "text": "\u202e\x1b[2J\n{}"})
        await log.close()
    report = verify(tmp_path / "audit")
    assert (report.state, report.size) == ("unanchored", 18)
    assert len({entry["boot"] for entry in entries_of(tmp_path / "audit")}) == 3
