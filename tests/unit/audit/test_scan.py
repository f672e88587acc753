"""Finding lines without reading all: what is found is what a plain reading finds, and what is read does not grow with the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from stagewarden.audit import scan as scanning
from stagewarden.audit import segments
from stagewarden.audit.entries import outcome_entry, ruling_entry
from stagewarden.audit.line import GENESIS, Stamp, canonical, digest
from stagewarden.audit.reader import Reader, Wanted
from stagewarden.audit.scan import Scan, needle
from stagewarden.clock import NANOSECONDS, made_ms, new_id
from stagewarden.errors import AuditUnavailable, Invalid
from stagewarden.model import Outcome
from tests.unit.audit.parts import NOON, ruling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = 20


def rare(number: int) -> str:
    """Every thousandth ruling is of another agent."""
    return "rare" if number % 1000 == 1 else "usual"


def written(folder: Path, count: int, per_segment: int = 4000, agent: Callable[[int], str] = rare) -> list[str]:
    """A log of so many rulings, one a second, every allowed one with its outcome; made at the speed of a file. Their ids, oldest first."""
    base = [orjson.loads(canonical(ruling_entry(ruling(effect)))) for effect in ("allow", "hold", "deny")]
    stamp, prev, ids, lines = Stamp(), GENESIS, [], []
    for number in range(count):
        now = NOON + number * NANOSECONDS
        ids.append(new_id("r", now))
        made = {**base[number % 3], "ruling": ids[-1]}
        made["principal"] = {**made["principal"], "agent": agent(number)}
        bodies = [("ruling", made)]
        if number % 3 == 0:
            bodies.append(("outcome", outcome_entry(Outcome(ids[-1], "done", 200, None, None, 1, 0.01))))
        for kind, body in bodies:
            line = canonical({**body, "v": 1, "seq": len(lines), "time": stamp(now), "boot": "b_1", "kind": kind, "prev": prev})
            prev = digest(line)
            lines.append(line)
    folder.mkdir()
    for first in range(0, len(lines), per_segment):
        segments.path_of(folder, first).write_bytes(b"\n".join(lines[first : first + per_segment]) + b"\n")
    return ids


@pytest.fixture(params=[(1 << 16, 1 << 20), (300, 700), (7, 64)], ids=["as shipped", "some lines", "less than a line"])
def log(request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seventy rulings in small segments, read in stretches of several sizes."""
    monkeypatch.setattr(scanning, "_FIRST", request.param[0])
    monkeypatch.setattr(scanning, "_STEP", request.param[1])
    monkeypatch.setattr(scanning, "_NEAR", request.param[1])
    monkeypatch.setattr(scanning, "_LINE", request.param[0])
    written(tmp_path / "audit", 70, per_segment=31, agent=lambda number: f"agent-{number % 7}")
    return tmp_path / "audit"


@pytest.mark.parametrize(
    "needles", [(), (needle("agent", "agent-3"),), (b'"kind":"outcome"', b'"seq":5'), (b"nowhere",)], ids=["all", "one", "two", "none"]
)
def test_both_ways_find_what_a_plain_reading_finds(log: Path, needles: tuple[bytes, ...]) -> None:
    """From any place to any other, over the borders of stretches and segments, with the place of each line."""
    scan = Scan(log)
    whole = b"".join(path.read_bytes() for path in segments.listed(log))
    places = [0]
    while places[-1] < len(whole):
        places.append(whole.index(b"\n", places[-1]) + 1)
    plain = [(at, line) for at, line in zip(places, whole.splitlines(), strict=False) if all(wanted in line for wanted in needles)]
    for floor, end in ((0, scan.size), (places[11], places[60]), (places[31], places[62]), (places[40], places[40])):
        inside = [found for found in plain if floor <= found[0] < end]
        assert [*scan.forwards(floor, end, needles)] == inside
        assert [*scan.backwards(end, floor, needles)] == inside[::-1]
        assert scan.reached == floor


def test_places_by_seq_and_by_time(log: Path) -> None:
    """Every one of them, those between, before and after."""
    scan = Scan(log)
    lines = [*scan.forwards(0, scan.size)]
    for seq in range(len(lines)):
        assert scan.from_seq(seq) == lines[seq][0]
    assert scan.from_seq(len(lines)) == scan.from_seq(10**9) == scan.size
    stamp = Stamp()
    for half in range(-2, 145):
        moment = stamp(NOON + half * NANOSECONDS // 2)
        assert scan.from_time(moment) == next((at for at, line in lines if orjson.loads(line)["time"] >= moment), scan.size), half


def test_pages_with_a_floor_a_ceiling_and_a_filter(log: Path) -> None:
    """A time range is half open; following cursors gives each once; `after` gives what is newer than a page shown."""
    reader, stamp = Reader(log), Stamp()
    wanted = Wanted(agent="agent-3", since=stamp(NOON + 10 * NANOSECONDS), until=stamp(NOON + 66 * NANOSECONDS))
    seen, cursor = [], None
    while True:
        page, cursor = reader.find_rulings(wanted, cursor, 2)
        seen += page
        if cursor is None:
            break
    assert [entry["time"] for entry in seen] == [stamp(NOON + number * NANOSECONDS) for number in (59, 52, 45, 38, 31, 24, 17, 10)]
    newest, _ = reader.find_rulings(Wanted(after=seen[0]["seq"]), None, 50)
    assert {entry["seq"] > seen[0]["seq"] for entry in newest} == {True}
    assert len(newest) == 70 - 60


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(effect="deny"), 23), (Wanted(stage="export"), 70), (Wanted(stage="edit"), 0), (Wanted(code="stage_granted"), 24),
        (Wanted(upstream="cms", workflow="newsletter"), 70), (Wanted(workflow="export"), 0), (Wanted(agent='agent-3","x":"'), 0),
    ],
    ids=str,
)  # fmt: skip
def test_filters(log: Path, wanted: Wanted, found: int) -> None:
    """Each member alone; what only looks like a member's bytes is none."""
    assert len(Reader(log).find_rulings(wanted, None, 100)[0]) == found


def test_a_page_reads_no_more_of_a_longer_log(tmp_path: Path) -> None:
    """The newest page, a page in the middle, one ruling and the counts of five minutes: as many bytes at twenty times the length."""
    work = []
    for count in (1000, 20_000):
        folder = tmp_path / str(count)
        ids = written(folder, count)
        reader, used = Reader(folder), []
        reader.scan = lambda folder=folder, used=used: used.append(Scan(folder)) or used[-1]  # type: ignore[method-assign]
        middle = reader.find_rulings(Wanted(), None, PAGE)[1]
        reader.find_rulings(Wanted(), str(int(middle or 0) // 2), PAGE)
        reader.find_ruling(ids[count // 6 * 3])
        reader.count(Stamp()(NOON + (count - 300) * NANOSECONDS))
        work.append([one.looked for one in used])
    assert [longer <= shorter + (4 << 20) for shorter, longer in zip(*work, strict=True)] == [True] * 4
    assert max(work[1]) < Scan(tmp_path / "20000").size / 6


def test_a_page_is_bounded_and_says_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is rare is not looked for without end: a short page, and the cursor goes on where the look ended."""
    from stagewarden.audit import reader as reading  # noqa: PLC0415 - to be patched

    written(tmp_path / "audit", 3000)
    monkeypatch.setattr(reading, "_MOST", 1 << 20)
    reader, pages, cursor = Reader(tmp_path / "audit"), [], None
    while True:
        page, cursor = reader.find_rulings(Wanted(agent="rare"), cursor, PAGE)
        pages.append([entry["seq"] for entry in page])
        if cursor is None:
            break
    assert [seq for page in pages for seq in page] == [2668, 1335, 2]
    assert len(pages) > 2


def test_what_is_written_meanwhile_is_not_half_read(log: Path) -> None:
    """An unfinished last line is no line, from either side; counts count lines alone."""
    before = Reader(log).count("2000-01-01T00:00:00Z")
    with segments.listed(log)[-1].open("ab") as file:
        file.write(b'{"effect":"allow","final":' + b"x" * 5000)
    scan = Scan(log)
    assert [*scan.backwards(scan.size)] == [*scan.forwards(0, scan.size)][::-1]
    assert Reader(log).count("2000-01-01T00:00:00Z") == before
    assert (before.allow, before.hold, before.deny, before.whole) == (24, 23, 23, True)


def test_a_line_without_end_is_said(tmp_path: Path) -> None:
    """It bounds what is ever held; no answer is made of it."""
    (tmp_path / "00000000000000000000.jsonl").write_bytes(b'{"kind":"x"}\n' + b"x" * (3 << 20) + b"\n")
    with pytest.raises(AuditUnavailable, match="longer than"):
        [*Scan(tmp_path).backwards(Scan(tmp_path).size)]


@pytest.mark.parametrize("bound", ["", "today", "2026-11-21", "2026-11-21T09:00:00+01:00", "2026-11-21T09:00:00Z'"])
def test_a_bound_that_is_no_time(bound: str) -> None:
    """It comes from outside."""
    with pytest.raises(Invalid):
        Wanted(since=bound)


def test_an_id_says_when_it_was_made() -> None:
    """To the millisecond; what is no id of ours says nothing, and the largest one is still a date."""
    assert made_ms(new_id("r", NOON)) == NOON // 1_000_000
    assert [made_ms(text) for text in ("", "r_", "r_" + "U" * 26, "r_" + "0" * 25, "r-" + "0" * 26)] == [None] * 5
    assert made_ms("r_" + "Z" * 26) == 253_402_300_799_000
