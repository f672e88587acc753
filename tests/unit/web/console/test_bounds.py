"""Large and hostile content: everything is on the page or counted, no value stands for another, and neither page nor work runs away.

Work is counted, or compared with work on half as much; no time is asserted.
"""

from __future__ import annotations

import json
import re
import time
from difflib import SequenceMatcher
from html import unescape
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagewarden.model import Request
from stagewarden.web.console import exact, fields, lines
from stagewarden.web.console.changes import FIELDS, TEXTS, changes
from tests.fakes import held
from tests.unit.web.console.test_pages import get
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import ClientSession

    from stagewarden.web.console.exact import Run
    from tests.people_listener import Served

MIB = 1 << 20
_NAMES = st.sampled_from(["a", "b", "a.b", '"a"', '"a.b"', "?a", "", "a\u200b", "raw"]) | st.text(max_size=4)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=300), lambda inner: st.dictionaries(_NAMES, inner, max_size=4)
)


def request(body: bytes, kind: str = "application/json") -> Request:
    """With this body."""
    return Request("cms", "POST", "https", "cms", "/p", (("Content-Type", kind),), body)


def spelled(runs: Iterable[Run]) -> str:
    """Runs put together again; our own words are no part of the text."""
    return "".join(chr(int(run.text[2:].split()[0], 16)) if run.hidden else run.text for run in runs if not run.note)


@settings(max_examples=200)
@given(st.dictionaries(_NAMES, _VALUES, max_size=6), st.none() | st.dictionaries(_NAMES, _VALUES, max_size=6))
def test_every_value_of_the_body_is_on_the_page_once(body: dict[str, object], before: dict[str, object] | None) -> None:
    """Whatever the names look like, each leaf has its own row with its own text, in the order sent; no two share a name."""
    seen = changes(request(json.dumps(body).encode()), None if before is None else json.dumps(before).encode())
    expected = sorted(value for _, value in fields.leaves(body))  # type: ignore[arg-type]
    rows = [spelled(field.after) for field in (*seen.changed, *seen.same)]
    texts = ["\n".join(spelled(row.right.runs) for block in text.lines.blocks for row in block.rows if row.right) for text in seen.texts]
    assert sorted(rows + texts) == expected
    assert seen.more == 0
    names = [name for name, _ in fields.leaves(body)]  # type: ignore[arg-type]
    assert len(names) == len({*names}) == len(expected)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"title": {"raw": "evil"}, "title.raw": "harmless"}', ["title.raw", '"title.raw"']),
        (b'{"title": "harmless", "title": "evil"}', ["body"]),
        (b'{"count": 100000000000000000000000000001}', ["body"]),
        (b'{"?a": 1}', ['"?a"']),
    ],
    ids=["a dot in a name", "a name twice", "a number some readers round", "a name like a query's"],
)
def test_no_value_stands_for_another(body: bytes, names: list[str]) -> None:
    """What could be read in two ways is quoted, or shown as the text it is."""
    seen = changes(request(body), None)
    shown = [*(spelled(field.name) for field in seen.changed), *(spelled(text.name) for text in seen.texts)]
    assert shown == names
    if names == ["body"]:
        assert spelled(seen.changed[0].after) == body.decode()


def test_form_fields_that_come_twice() -> None:
    """Both stand there: which one the upstream takes is not ours to guess."""
    seen = changes(request(b"a=harmless&a=evil", "application/x-www-form-urlencoded"), None)
    assert [(spelled(field.name), spelled(field.after)) for field in seen.changed] == [("a", "harmless"), ("a", "evil")]


@given(st.text(max_size=400), st.integers(0, 2000))
def test_what_finds_no_room_is_counted(text: str, room: int) -> None:
    """What is shown is the beginning; what is not is counted to the character; and no more was taken than there was room."""
    place = exact.Room(room)
    runs = place.take(text)
    shown = spelled(runs)
    left_out = sum(int(run.text.partition(" ")[0].replace(",", "")) for run in runs if run.note)
    assert text.startswith(shown)
    assert len(shown) + left_out == len(text)
    assert exact.cost(shown) <= max(room, 0) or not shown
    assert (left_out == 0) == (exact.cost(text) <= room)


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from(["a", "b c", "", "x\u200b"]), max_size=40),
    st.lists(st.sampled_from(["a", "b c", "", "x\u200b"]), max_size=40),
    st.integers(0, 9000),
)
def test_lines_are_there_or_counted(old: list[str], new: list[str], room: int) -> None:
    """With any room: the lines shown are the first of each group, the others are counted, and none is neither."""
    shown = lines.compare("\n".join(old), "\n".join(new), exact.Room(room))
    numbers = [row.right.number for block in shown.blocks for row in block.rows if row.right]
    assert numbers == sorted(numbers)
    rows = sum(len(block.rows) + block.more for block in shown.blocks)
    whole = lines.compare("\n".join(old), "\n".join(new))
    assert rows == sum(len(block.rows) for block in whole.blocks)
    assert (shown.changed, shown.added, shown.removed) == (whole.changed, whole.added, whole.removed)


def test_a_change_at_the_end_of_a_long_line_is_seen() -> None:
    """One line of a million characters that differs in a word: the word is shown, and how much is the same is counted."""
    common = "word " * 200_000
    left, right = lines.words(f"{common}harmless{common}", f"{common}evil{common}", exact.Room())
    assert ("evil" in spelled(right), "harmless" in spelled(left)) == (True, True)
    assert max(len(spelled(left)), len(spelled(right))) < 1000
    assert sum(run.note for run in right) == 2


def test_a_change_at_the_end_of_a_long_text_is_seen() -> None:
    """The same in many lines: what both begin with folds, and does not use up the room of what differs."""
    common = "\n".join(f"line {number} " + "x" * 90 for number in range(9_000))
    shown = lines.compare(f"{common}\nharmless", f"{common}\nevil", exact.Room(100_000))
    assert "evil" in [spelled(row.right.runs) for block in shown.blocks if not block.folded for row in block.rows if row.right]


def test_matching_lines_is_bounded_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cubic matching of equal lines is never begun: of all texts here the matcher is given only cheap ones."""
    given_: list[int] = []

    class Counted(SequenceMatcher[str]):
        def __init__(self, isjunk: None, a: list[str], b: list[str], *, autojunk: bool = True) -> None:
            given_.append(sum(a.count(line) * b.count(line) for line in {*a}) * min(len(a), len(b)))
            super().__init__(isjunk, a, b, autojunk)

    monkeypatch.setattr(lines, "SequenceMatcher", Counted)
    same = ["a", "b"] * 900
    for old, new in (
        ([*same, "x"], ["y", *same]),
        (["a"] * 1900, ["b", *["a"] * 1900, "c"]),
        ([f"{n}" for n in range(1900)], [f"{n}" for n in range(1, 1901)]),
    ):
        lines.compare("\n".join(old), "\n".join(new))
    assert given_
    assert max(given_) <= 4_000_000


HOSTILE = {
    "fields": lambda number: json.dumps({f"f{at}": "v" for at in range(number // 14)}).encode(),
    "long fields": lambda number: json.dumps({f"f{at}": "v" * 161 for at in range(number // 180)}).encode(),
    "one name": lambda number: json.dumps({"n" * (number // 2): {f"{at}": at for at in range(number // 30)}}).encode(),
    "a line": lambda number: json.dumps({"content": "<b>" * (number // 3)}).encode(),
    "lines": lambda number: json.dumps({"content": "\n" * (number // 2)}).encode(),
    "hidden": lambda number: json.dumps({"content": "\u200b" * (number // 6)}, ensure_ascii=True).encode(),
    "quotes": lambda number: b'{"content": "' + b"'" * (number - 20) + b'"}',
    "deep": lambda number: b'{"a":' * 60 + b'"' + b"x" * (number - 500) + b'"' + b"}" * 60,
    "too deep": lambda number: b'{"a":' * (number // 6) + b"1" + b"}" * (number // 6),
    "a list": lambda number: json.dumps(list(range(number // 8))).encode(),
    "hosts": lambda number: json.dumps({"content": " ".join(f"//h{at}.example" for at in range(number // 16))}).encode(),
    "binary": lambda number: b"\xff" * number,
}  # fmt: skip


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
async def test_a_mebibyte_of_anything_is_a_page(served: Served, http: ClientSession, make: object) -> None:
    """The page stays within a few MiB, twice as much content makes it hardly larger, and it takes no more than a few times as long."""
    await sign_in(http, served)
    sizes, took = [], []
    for number in (MIB // 2, MIB - 100):
        hold = served.gate.add(held(time.time_ns(), make(number), before={"content": "before"}))  # type: ignore[operator]
        started = time.process_time()
        status, page = await get(served, http, f"/holds/{hold.id}")
        took.append(time.process_time() - started)
        sizes.append(len(page.encode()))
        assert status == 200
        assert f"/holds/{hold.id}/body" in page  # the whole of it, as a file
        assert re.search(r"[\d,]+ more (?:characters|lines|fields|bytes)", unescape(page))
    assert max(sizes) < 4 * MIB
    assert sizes[1] < sizes[0] * 1.5 + 65536
    assert took[1] < took[0] * 6 + 1  # quadratic work would be four times as much, and cubic eight


def test_the_tables_are_bounded() -> None:
    """Fields and texts past the bounds are one number."""
    many = changes(request(json.dumps({f"f{at}": "v" for at in range(FIELDS + 7)} | {f"t{at}": "v" * 200 for at in range(TEXTS + 3)}).encode()), None)
    assert (len(many.changed), len(many.texts), many.more) == (FIELDS, TEXTS, 10)
