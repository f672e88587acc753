"""The gate's judgement, apart from valgrind; and what a scrape is read as."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.bench.arms.arm import Missing
from tests.bench.instructions import interpreter, judge, run
from tests.bench.scrape import samples, total

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("found", "kept", "held", "says"),
    [
        pytest.param(104, 100, True, "+4.0%", id="within"),
        pytest.param(106, 100, False, "mend it", id="more"),
        pytest.param(90, 100, False, "--record", id="fewer-is-news-too"),
        pytest.param(106, None, True, "record one with --record", id="another-interpreter"),
    ],
)
def test_the_gate(found: float, kept: float | None, held: bool, says: str) -> None:  # noqa: FBT001 - a table's column
    """Beyond the tolerance fails, both ways; an interpreter without a figure does not."""
    said, result = judge(found, kept)
    assert result is held
    assert says in said


def test_a_figure_is_recorded_and_held_to(tmp_path: Path) -> None:
    """Without a record the gate is open; with one it holds this interpreter to it, and leaves the figures of others alone."""
    kept = tmp_path / "instructions.json"
    kept.write_text('{"Other 3.1 z": 7}')
    assert run(gate=True, record=False, kept_in=kept, counted=lambda: 100.4) == 0
    assert json.loads(kept.read_text()) == {"Other 3.1 z": 7}
    assert run(gate=True, record=True, kept_in=kept, counted=lambda: 100.4) == 0
    assert json.loads(kept.read_text()) == {"Other 3.1 z": 7, interpreter(): 100}
    assert [run(gate=gate, record=False, kept_in=kept, counted=lambda: 120.0) for gate in (True, False)] == [1, 0]
    assert run(gate=True, record=False, kept_in=kept, counted=lambda: 103.0) == 0


def test_the_gate_without_valgrind_does_not_pass(tmp_path: Path) -> None:
    """What was not measured has not held."""

    def absent() -> float:
        raise Missing("apt-get install valgrind")

    assert [run(gate=gate, record=False, kept_in=tmp_path / "none", counted=absent) for gate in (True, False)] == [1, 0]


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
