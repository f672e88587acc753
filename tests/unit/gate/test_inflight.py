"""One limit over several workers: never more than that, nothing lost, nothing left by the dead."""

import os
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
import sys
from stagewarden.gate.inflight import SharedPlaces, Table
table = Table(int(sys.argv[1]), 3)
mine = SharedPlaces(table, int(sys.argv[2]), 4)
mine.know({"drafter": 0})
most = taken = 0
for turn in range(60_000):
    if mine.enter("drafter"):
        taken += 1
        if turn % 3:
            mine.leave("drafter")
        else:
            most = max(most, sum(table.cells[0::1 << 16]))
            mine.leave("drafter")
print(taken, most)
"""


def test_processes_that_hammer_it_leave_it_empty_and_are_all_served(table):
    """Three processes enter and leave as fast as they can: afterwards every place is free, and each of them got in."""
    words = [[sys.executable, "-c", HAMMER, str(table.handle), str(worker)] for worker in range(3)]
    running = [subprocess.Popen(each, pass_fds=(table.handle,), stdout=subprocess.PIPE, text=True, env={**os.environ}) for each in words]
    said = [process.communicate(timeout=100)[0].split() for process in running]
    assert all(int(taken) > 1000 for taken, _ in said)
    assert sum(table.cells) == 0
