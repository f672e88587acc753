"""The gate's judgement, apart from valgrind; and what a scrape is read as."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.bench.arms.arm import Missing
from tests.bench.instructions import BROKEN, HELD, UNJUDGED, interpreter, judge, run
from tests.bench.scrape import samples, total

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("found", "kept", "result", "says"),
    [
        pytest.param(104, 100, HELD, "+4.0%", id="within"),
        pytest.param(106, 100, BROKEN, "mend it", id="more"),
        pytest.param(90, 100, BROKEN, "--record", id="fewer-is-news-too"),
        pytest.param(106, None, UNJUDGED, f'"{interpreter()}": 106', id="another-interpreter"),
    ],
)
def test_the_gate(found: int, kept: int | None, result: int, says: str) -> None:
    """Beyond the tolerance fails, both ways; an interpreter without a figure is neither, and is told the line that keeps one."""
    said, judged = judge(found, kept)
    assert judged == result
    assert says in said


def test_a_figure_is_recorded_and_held_to(tmp_path: Path) -> None:
    """Without a record nothing is judged; with one it holds this interpreter to it, and leaves the figures of others alone."""
    kept = tmp_path / "instructions.json"
    kept.write_text('{"Other 3.1 z": 7}')
    assert [run(gate=gate, record=False, kept_in=kept, counted=lambda: 100.4) for gate in (True, False)] == [UNJUDGED, HELD]
    assert json.loads(kept.read_text()) == {"Other 3.1 z": 7}
    assert run(gate=True, record=True, kept_in=kept, counted=lambda: 100.4) == HELD
    assert json.loads(kept.read_text()) == {"Other 3.1 z": 7, interpreter(): 100}
    assert [run(gate=gate, record=False, kept_in=kept, counted=lambda: 120.0) for gate in (True, False)] == [BROKEN, HELD]
    assert run(gate=True, record=False, kept_in=kept, counted=lambda: 103.0) == HELD


@pytest.mark.parametrize(
    ("figures", "result"),
    [
        pytest.param([100.0], HELD, id="at-once"),
        pytest.param([106.0, 93.0, 104.0], HELD, id="a-neighbour-twice"),
        pytest.param([106.0, 107.0, 106.0], BROKEN, id="the-code"),
    ],
)
def test_only_what_is_found_each_time_breaks_the_gate(tmp_path: Path, figures: list[float], result: int) -> None:
    """A figure beyond the tolerance is measured again, up to three times; nothing is measured more often than that, or than is needed."""
    kept = tmp_path / "instructions.json"
    kept.write_text(json.dumps({interpreter(): 100}))
    left = list(figures)
    assert run(gate=True, record=False, kept_in=kept, counted=lambda: left.pop(0)) == result
    assert not left


def test_the_gate_without_valgrind_does_not_pass(tmp_path: Path) -> None:
    """What was not measured has not held."""

    def absent() -> float:
        raise Missing("apt-get install valgrind")

    assert [run(gate=gate, record=False, kept_in=tmp_path / "none", counted=absent) for gate in (True, False)] == [BROKEN, HELD]


def test_a_figure_belongs_to_an_interpreter() -> None:
    """Implementation, minor version, machine."""
    assert len(interpreter().split()) == 3


def test_a_scrape_is_read() -> None:
    """Comments are not samples; labels may hold anything; a family is not its longer namesake."""
    found = samples('# HELP a b\na{x="1 }",y="2"} 3\na{x="2"} 4.5e1\na_b 7\n')
    assert total(found, "a") == 48
    assert total(found, "a_b") == 7
    with pytest.raises(KeyError):
        total(found, "b")
