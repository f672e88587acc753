"""Line against line: nothing is left out, nothing takes long."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from stagewarden.web.console import lines

_TEXT = st.lists(st.sampled_from(["a", "b", "the end of March", "Sunday 28 March", "", "<li>x</li>"]), max_size=30).map("\n".join)


@settings(max_examples=150)
@given(_TEXT, _TEXT)
def test_both_texts_stand_there_whole(before: str, after: str) -> None:
    """Left sides put together are the text before, right sides the text after, numbered from 1."""
    rows = [row for block in lines.compare(before, after).blocks for row in block.rows]
    for side, text in ((lambda row: row.left, before), (lambda row: row.right, after)):
        shown = [side(row) for row in rows if side(row) is not None]
        assert "\n".join("".join(run.text for run in line.runs) for line in shown) == text
        assert [line.number for line in shown] == list(range(1, len(shown) + 1))


@settings(max_examples=150)
@given(_TEXT, _TEXT)
def test_only_unchanged_lines_fold(before: str, after: str) -> None:
    """A changed line is never inside a fold."""
    for block in lines.compare(before, after).blocks:
        assert not (block.folded and any(row.changed for row in block.rows))


def test_changed_words_are_marked() -> None:
    """Two changed words with a space between read as one change."""
    left, right = lines.words("until the end of March.", "until Sunday 28 March.")
    assert [run.text for run in left if run.changed] == ["the end of"]
    assert [run.text for run in right if run.changed] == ["Sunday 28"]


def test_quadratic_diff() -> None:
    """An agent cannot make a page slow: past the bounds whole lines are marked."""
    short, long = "a b " * 4_000, "b a " * 4_000
    many = "\n".join("a b c d " * 14 for _ in range(1_500))
    started = time.process_time()
    lines.compare(short, long)
    lines.compare(many, many.replace("a", "x"))
    lines.compare("\n" * 50_000, "x\n" * 50_000)
    assert time.process_time() - started < 20  # hours without bounds
