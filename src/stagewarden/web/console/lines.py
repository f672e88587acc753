"""Two texts, line against line: side by side with numbers, changed words marked, unchanged runs folded whole.

The content is an agent's, so the work is bounded: past the bounds whole lines are marked instead of words, and past the
outer bound the two texts stand beside each other unmatched. Nothing is left out in any case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from stagewarden.web.console.exact import Run, reveal

CONTEXT = 2  # unchanged lines kept beside a change
_LINES = 2_000  # lines a side that are matched at all
_TOKENS = 120  # words a line whose words are compared
_WORK = 400_000  # sum of products of token counts for one text
_WORDS = re.compile(r"\w+|\s+|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Side:
    """One line of one side."""

    number: int
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A line before and a line after; `None` where there is none."""

    left: Side | None
    right: Side | None
    changed: bool


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that stand together; `folded`: unchanged and out of the way."""

    rows: tuple[Row, ...]
    folded: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A whole text compared; `single`: there was nothing before, so there is one side."""

    blocks: tuple[Block, ...]
    changed: int
    added: int
    removed: int
    single: bool


def words(before: str, after: str) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """Both texts with the words marked that differ."""
    left, right, _ = _words(before, after, _WORK)
    return left, right


def compare(before: str | None, after: str) -> Comparison:
    """Line by line."""
    new = after.split("\n")
    if before is None:
        rows = tuple(Row(None, Side(number, reveal(line)), changed=False) for number, line in enumerate(new, 1))
        return Comparison((Block(rows, folded=False),), 0, len(new), 0, single=True)
    old = before.split("\n")
    rows = _rows(old, new)
    return Comparison(
        _blocks(rows),
        sum(row.changed and row.left is not None and row.right is not None for row in rows),
        sum(row.left is None for row in rows),
        sum(row.right is None for row in rows),
        single=False,
    )


def _rows(old: list[str], new: list[str]) -> tuple[Row, ...]:
    matched = len(old) <= _LINES and len(new) <= _LINES
    steps = SequenceMatcher(None, old, new).get_opcodes() if matched else [("replace", 0, len(old), 0, len(new))]
    rows: list[Row] = []
    work = _WORK if matched else 0
    for step, a, b, c, d in steps:
        for left, right in zip_longest(range(a, b), range(c, d)):
            if step == "equal":
                assert left is not None
                assert right is not None
                rows.append(Row(Side(left + 1, reveal(old[left])), Side(right + 1, reveal(new[right])), changed=False))
                continue
            row, work = _changed(old, new, left, right, work)
            rows.append(row)
    return tuple(rows)


def _changed(old: list[str], new: list[str], left: int | None, right: int | None, work: int) -> tuple[Row, int]:
    if left is None or right is None:
        one = None if left is None else Side(left + 1, reveal(old[left]))
        other = None if right is None else Side(right + 1, reveal(new[right]))
        return Row(one, other, changed=True), work
    before, after, work = _words(old[left], new[right], work)
    return Row(Side(left + 1, before), Side(right + 1, after), changed=True), work


def _words(before: str, after: str, work: int) -> tuple[tuple[Run, ...], tuple[Run, ...], int]:
    a, b = _WORDS.findall(before), _WORDS.findall(after)
    cost = len(a) * len(b)
    if len(a) > _TOKENS or len(b) > _TOKENS or cost > work:
        return reveal(before, changed=True), reveal(after, changed=True), work
    left: list[Run] = []
    right: list[Run] = []
    steps = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    for at, (step, start, end, from_, to) in enumerate(steps):
        gap = 0 < at < len(steps) - 1 and "".join(a[start:end]).isspace()  # a space between two changed words reads as one change
        changed = step != "equal" or gap
        left.extend(reveal("".join(a[start:end]), changed=changed))
        right.extend(reveal("".join(b[from_:to]), changed=changed))
    return _joined(left), _joined(right), work - cost


def _joined(runs: list[Run]) -> tuple[Run, ...]:
    """Neighbours of one kind as one run."""
    joined: list[Run] = []
    for run in runs:
        if joined and not run.hidden and (joined[-1].hidden, joined[-1].changed) == (False, run.changed):
            joined[-1] = Run(joined[-1].text + run.text, changed=run.changed)
        else:
            joined.append(run)
    return tuple(joined)


def _blocks(rows: tuple[Row, ...]) -> tuple[Block, ...]:
    """Runs of unchanged rows longer than the context around changes are folded."""
    near = {at + step for at, row in enumerate(rows) if row.changed for step in range(-CONTEXT, CONTEXT + 1)}
    blocks: list[Block] = []
    start = 0
    for at in range(1, len(rows) + 1):
        if at == len(rows) or (at in near) != (start in near):
            folded = start not in near and at - start > 1
            blocks.append(Block(rows[start:at], folded=folded))
            start = at
    return tuple(blocks)
