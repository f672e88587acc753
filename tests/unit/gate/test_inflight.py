"""One limit over several workers: never more than that, nothing lost, nothing left by the dead."""

import subprocess
import sys

import pytest

from stagewarden.gate.inflight import COLUMNS, Columns, SharedPlaces, Table


@pytest.fixture
def table():
    """For three workers."""
    made = Table.make(3)
    yield made
    made.close()


def places(table, worker, limit=4, **columns):
    """One worker's view."""
    made = SharedPlaces(table, worker, limit)
    made.know(columns or {"drafter": 0, "briefer": 1})
    return made


def test_the_limit_is_one_over_all_workers(table):
    """Four places, wherever they are taken; one given back is one for anybody; another agent has its own."""
    one, two, three = (places(table, worker) for worker in range(3))
    assert [one.enter("drafter"), two.enter("drafter"), two.enter("drafter"), three.enter("drafter")] == [True] * 4
    assert [each.enter("drafter") for each in (one, two, three)] == [False] * 3
    assert one.enter("briefer")
    two.leave("drafter")
    assert [three.enter("drafter"), one.enter("drafter")] == [True, False]


def test_what_a_dead_worker_had_under_way_is_free_again(table):
    """Its row is cleared, nobody else's."""
    one, two = places(table, 0), places(table, 1)
    assert [one.enter("drafter") for _ in range(3)] + [two.enter("drafter")] == [True] * 4
    table.clear(0)
    after = places(table, 0)
    assert [after.enter("drafter") for _ in range(4)] == [True, True, True, False]


def test_an_agent_nobody_registered_has_a_share_in_each_worker(table):
    """Rounded up, and kept apart from those who have a column."""
    one, two = places(table, 0), places(table, 1)
    assert [one.enter("stranger") for _ in range(3)] == [True, True, False]
    assert [two.enter("stranger") for _ in range(3)] == [True, True, False]
    one.leave("stranger")
    assert one.enter("stranger")


def test_an_agent_that_is_registered_meanwhile_gives_back_what_it_took(table):
    """Places taken before it was listed are not taken out of its column."""
    one = places(table, 0)
    assert one.enter("new")
    one.know({"drafter": 0, "briefer": 1, "new": 2})
    assert [one.enter("new") for _ in range(4)] == [True] * 4
    for _ in range(5):
        one.leave("new")
    assert sum(table.cells) == 0
    assert [one.enter("new") for _ in range(5)] == [True] * 4 + [False]


def test_a_column_is_an_agents_for_ever():
    """Leaving the registry and coming back changes nothing for the others; beyond the table nobody gets one."""
    columns = Columns()
    first = columns.name(["b", "a"])
    assert columns.name(["c"])["c"] == 2
    assert {name: columns.name(["a", "b"])[name] for name in ("a", "b")} == first
    assert len(columns.name([f"agent-{number}" for number in range(COLUMNS + 10)])) == COLUMNS


HAMMER = """
import random, sys
from stagewarden.gate.inflight import COLUMNS, SharedPlaces, Table
handle, marks, worker = map(int, sys.argv[1:])
table, marks = Table(handle, 3), Table(marks, 3).cells  # in `marks` each notes with how many it was let in, and how often it has noted
mine = SharedPlaces(table, worker, 4)
mine.know({"drafter": 0})
inside = taken = looks = most = 0

def note():
    marks[worker * COLUMNS + 1] += 1  # odd: not to be read
    marks[worker * COLUMNS] = inside
    marks[worker * COLUMNS + 1] += 1

def look():
    before = marks[1::COLUMNS].tolist()
    seen = sum(marks[0::COLUMNS])
    return seen if before == marks[1::COLUMNS].tolist() and not any(each % 2 for each in before) else None

for turn in range(40_000):
    if mine.enter("drafter"):
        inside, taken = inside + 1, taken + 1
        note()
        if (seen := look()) is not None:  # nobody noted meanwhile: so many were in at one moment
            looks, most = looks + 1, max(most, seen)
    else:
        leaving = random.randint(0, inside)
        inside -= leaving
        note()
        for _ in range(leaving):
            mine.leave("drafter")
left, inside = inside, 0
note()
for _ in range(left):
    mine.leave("drafter")
print(taken, looks, most)
"""


def test_processes_that_hammer_it_are_never_more_than_the_limit(table):
    """Three processes enter and leave as fast as they can: none ever sees more than four let in, each gets in, and all places come back."""
    marks = Table.make(3)
    handles = (table.handle, marks.handle)
    words = [[sys.executable, "-c", HAMMER, *map(str, handles), str(worker)] for worker in range(3)]
    running = [subprocess.Popen(each, pass_fds=handles, stdout=subprocess.PIPE, text=True) for each in words]
    said = [tuple(map(int, process.communicate(timeout=100)[0].split())) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert max(most for _, _, most in said) == 4
    assert all(taken > 100 and looks > 100 for taken, looks, _ in said)
    assert sum(table.cells) == 0
    marks.close()
