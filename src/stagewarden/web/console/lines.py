"""Two texts, line against line: side by side with numbers, changed words marked, unchanged runs folded.

The content is an agent's, so work and page are bounded (`exact.Room`): past the bounds whole lines are marked instead of words, texts
stand beside each other unmatched, and what has no room is counted where it would stand. Nothing is left out without a count.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import TYPE_CHECKING

from stagewarden.web.console.exact import Room, Run, cost, reveal

if TYPE_CHECKING:
    from collections.abc import Sequence

    Steps = Sequence[tuple[str, int, int, int, int]]

CONTEXT = 2  # unchanged lines kept beside a change
_LINES = 2_000  # lines a side that are matched at all
_PAIRS = 4_000_000  # equal pairs of lines times lines: what matching costs at worst
_TOKENS = 120  # words a line whose words are compared, not counting those both lines begin and end with
_LONG = 20_000  # characters of a line from which only what differs is shown of it
_AROUND = 200  # characters shown of what such a line has in common with its other side
_ROW = 200  # bytes of markup a row costs by itself
_WORDS = re.compile(r"\w+|\s+|.", re.DOTALL)

Place = tuple[int | None, int | None, bool]  # a line before, a line after, whether they differ


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
    """Rows that stand together; `folded`: unchanged and out of the way; `more`: lines of it that found no room."""

    rows: tuple[Row, ...]
    folded: bool
    more: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """A whole text compared; `single`: there was nothing before, so there is one side."""

    blocks: tuple[Block, ...]
    changed: int
    added: int
    removed: int
    single: bool


def words(before: str, after: str, room: Room | None = None) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """Both texts with the words marked that differ."""
    room = room or Room()
    return _cut(before, after, room) if _too_long(before, after, room) else _words(before, after, room)


def compare(before: str | None, after: str, room: Room | None = None) -> Comparison:
    """Line by line. What differs takes its room before what is folded."""
    room = room or Room()
    new = after.split("\n")
    if before is None:
        places: list[Place] = [(None, number, False) for number in range(len(new))]
        return Comparison((_block(places, [], new, room),), 0, len(new), 0, single=True)
    old = before.split("\n")
    places = _places(old, new)
    groups = _groups(places)
    open_ = {at: _block(places[start:end], old, new, room) for at, (start, end, folded) in enumerate(groups) if not folded}
    blocks = tuple(open_[at] if at in open_ else _folded(_block(places[start:end], old, new, room)) for at, (start, end, _) in enumerate(groups))
    return Comparison(
        blocks,
        sum(differs and left is not None and right is not None for left, right, differs in places),
        sum(left is None for left, _, _ in places),
        sum(right is None for _, right, _ in places),
        single=False,
    )


def _folded(block: Block) -> Block:
    return Block(block.rows, folded=True, more=block.more)


def _places(old: Sequence[str], new: Sequence[str]) -> list[Place]:
    """Which line stands beside which. What both begin and end with is not matched: it is the same."""
    start = _common(old, new)
    end = min(_common(old[::-1], new[::-1]), min(len(old), len(new)) - start)
    mine, theirs = old[start : len(old) - end], new[start : len(new) - end]
    places: list[Place] = [(number, number, False) for number in range(start)]
    whole: Steps = [("replace", 0, len(mine), 0, len(theirs))]
    steps: Steps = SequenceMatcher(None, mine, theirs).get_opcodes() if _matchable(mine, theirs) else whole
    for step, a, b, c, d in steps:
        places.extend((_moved(left, start), _moved(right, start), step != "equal") for left, right in zip_longest(range(a, b), range(c, d)))
    places.extend((len(old) - end + number, len(new) - end + number, False) for number in range(end))
    return places


def _moved(number: int | None, by: int) -> int | None:
    return None if number is None else number + by


def _matchable(old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether matching stays cheap whatever the lines are: many equal ones make it cubic."""
    if len(old) > _LINES or len(new) > _LINES:
        return False
    here, there = Counter(old), Counter(new)
    return sum(number * there[line] for line, number in here.items()) * min(len(old), len(new)) <= _PAIRS


def _groups(places: Sequence[Place]) -> list[tuple[int, int, bool]]:
    """From, to, folded: runs of unchanged lines longer than the context around changes are folded."""
    near = {at + step for at, (_, _, differs) in enumerate(places) if differs for step in range(-CONTEXT, CONTEXT + 1)}
    groups: list[tuple[int, int, bool]] = []
    start = 0
    for at in range(1, len(places) + 1):
        if at == len(places) or (at in near) != (start in near):
            groups.append((start, at, start not in near and at - start > 1))
            start = at
    return groups


def _block(places: Sequence[Place], old: Sequence[str], new: Sequence[str], room: Room) -> Block:
    rows: list[Row] = []
    for left, right, differs in places:
        if not room.spend(_ROW):
            break
        rows.append(_row((left, right, differs), old, new, room))
    return Block(tuple(rows), folded=False, more=len(places) - len(rows))


def _row(place: Place, old: Sequence[str], new: Sequence[str], room: Room) -> Row:
    left, right, differs = place
    if left is not None and right is not None and differs:
        before, after = words(old[left], new[right], room)
        return Row(Side(left + 1, before), Side(right + 1, after), changed=True)
    one = None if left is None else Side(left + 1, room.take(old[left]))
    other = None if right is None else Side(right + 1, room.take(new[right]))
    return Row(one, other, changed=differs)


def _too_long(before: str, after: str, room: Room) -> bool:
    return max(len(before), len(after)) > _LONG or not room.spend(cost(before) + cost(after))


def _words(before: str, after: str, room: Room) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    a, b = _WORDS.findall(before), _WORDS.findall(after)
    start = _common(a, b)
    end = min(_common(a[::-1], b[::-1]), min(len(a), len(b)) - start)
    mine, theirs = a[start : len(a) - end], b[start : len(b) - end]
    left, right = [*reveal("".join(a[:start]))], [*reveal("".join(a[:start]))]
    few = max(len(mine), len(theirs)) <= _TOKENS and room.work(len(mine) * len(theirs))
    whole: Steps = [("replace", 0, len(mine), 0, len(theirs))]
    steps: Steps = SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes() if few else whole
    for at, (step, c, d, e, f) in enumerate(steps):
        gap = 0 < at < len(steps) - 1 and "".join(mine[c:d]).isspace()  # a space between two changed words reads as one change
        left.extend(reveal("".join(mine[c:d]), changed=step != "equal" or gap))
        right.extend(reveal("".join(theirs[e:f]), changed=step != "equal" or gap))
    rest = reveal("".join(a[len(a) - end :]))
    return _joined([*left, *rest]), _joined([*right, *rest])


def _cut(before: str, after: str, room: Room) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """Of two long lines what differs, with a little around it; the rest counted. What would be sent takes its room first."""
    start = _common(before, after)
    end = min(_common(before[::-1], after[::-1]), min(len(before), len(after)) - start)
    sides = []
    for text in (after, before):
        lead, tail = text[:start], text[len(text) - end :]
        runs = [Run(f"{start - _AROUND:,} characters in common", note=True)] if start > _AROUND else []
        runs += [*room.take(lead[-_AROUND:]), *room.take(text[start : len(text) - end], changed=True), *room.take(tail[:_AROUND])]
        sides.append((*runs, Run(f"{end - _AROUND:,} characters in common", note=True)) if end > _AROUND else tuple(runs))
    return sides[1], sides[0]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How long both begin alike, found by halves: slices compare at the speed of C."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _joined(runs: list[Run]) -> tuple[Run, ...]:
    """Neighbours of one kind as one run."""
    joined: list[Run] = []
    for run in runs:
        if joined and not run.hidden and (joined[-1].hidden, joined[-1].changed) == (False, run.changed):
            joined[-1] = Run(joined[-1].text + run.text, changed=run.changed)
        else:
            joined.append(run)
    return tuple(joined)
