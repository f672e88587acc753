"""Reading back: newest first, page by page, with outcomes."""

from __future__ import annotations

import pytest

from stagewarden.audit.entries import outcome_entry, ruling_entry
from stagewarden.audit.reader import Reader, Wanted
from stagewarden.errors import AuditUnavailable, Invalid
from stagewarden.model import Outcome
from tests.unit.audit.parts import audit_log, ruling, segments_of


@pytest.fixture(params=[100_000_000, 3000], ids=["one segment", "many segments"])
async def written(request, tmp_path):
    """Thirty rulings of two agents, every third one allowed and done; the directory and their ids, oldest first."""
    log = audit_log(tmp_path / "audit", segment=request.param)
    await log.open()
    ids = []
    for n in range(30):
        one = ruling(("allow", "hold", "deny")[n % 3], agent=f"agent-{n % 2}")
        ids.append(one.id)
        await log.append("ruling", ruling_entry(one))
        if n % 3 == 0:
            await log.append("outcome", outcome_entry(Outcome(one.id, "done", 201, None, None, 0, 0.1)))
    await log.close()
    return tmp_path / "audit", ids


async def test_pages_cover_everything_once_newest_first(written) -> None:
    """Following the cursor to its end gives each ruling once."""
    directory, ids = written
    reader, cursor, seen = Reader(directory), None, []
    while True:
        page, cursor = await reader.rulings(cursor=cursor, limit=7)
        seen += [entry["ruling"] for entry in page]
        if cursor is None:
            break
    assert seen == ids[::-1]


async def test_the_last_page_says_so(written) -> None:
    """Also where it is full: nobody asks for an empty one."""
    cursor, nexts = None, []
    for _ in range(3):
        page, cursor = await Reader(written[0]).rulings(cursor=cursor, limit=10)
        nexts.append((len(page), cursor is None))
    assert nexts == [(10, False), (10, False), (10, True)]


async def test_filters_and_outcomes(written) -> None:
    """By agent and by effect; an allowed ruling carries what came of it, the others none."""
    directory, ids = written
    page, cursor = await Reader(directory).rulings(Wanted(agent="agent-0", effect="allow"), limit=50)
    assert cursor is None
    assert [entry["ruling"] for entry in page] == [ids[n] for n in (24, 18, 12, 6, 0)]
    assert {entry["outcome"]["result"] for entry in page} == {"done"}
    held, _ = await Reader(directory).rulings(Wanted(effect="hold"))
    assert {entry["outcome"] for entry in held} == {None}


async def test_one_ruling_is_found_with_its_newest_outcome(written) -> None:
    """Wherever it stands; an unknown one is None."""
    directory, ids = written
    for number in (0, 15, 29):
        found = await Reader(directory).ruling(ids[number])
        assert found is not None
        assert found["ruling"] == ids[number]
        assert (found["outcome"] is None) == (number % 3 != 0)
    assert await Reader(directory).ruling("r_unknown") is None


def test_backwards_is_forwards_reversed(written) -> None:
    """Over block borders and segments."""
    reader = Reader(written[0])
    assert [*reader.newest()] == [*reader.lines()][::-1]
    assert len([*reader.entries()]) == 41


async def test_an_unfinished_last_line_is_left_out(written) -> None:
    """The writer may be in the middle of it."""
    directory, _ = written
    before = [*Reader(directory).newest()]
    with segments_of(directory)[-1].open("ab") as file:
        file.write(b'{"unfinished')
    assert [*Reader(directory).newest()] == before == [*Reader(directory).lines()][::-1]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1e3", "٣", "9" * 40])
async def test_a_foreign_cursor_is_refused(written, cursor) -> None:
    """It comes from outside."""
    with pytest.raises(Invalid):
        await Reader(written[0]).rulings(cursor=cursor)


async def test_what_cannot_be_read_is_said(tmp_path) -> None:
    """No directory, or lines that are no entries: AuditUnavailable, never an empty page."""
    with pytest.raises(AuditUnavailable):
        await Reader(tmp_path / "absent").rulings()
    (tmp_path / "00000000000000000000.jsonl").write_bytes(b'garbage "kind":"ruling"\n')
    with pytest.raises(AuditUnavailable):
        await Reader(tmp_path).rulings()
