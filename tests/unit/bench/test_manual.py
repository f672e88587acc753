"""The bench's commands in the manual."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

MANUAL = (Path(__file__).parents[2] / "README.md").read_text()
NAMED = sorted(set(re.findall(r"python -m (tests\.[a-z0-9_.]*[a-z0-9_])", MANUAL)))


@pytest.mark.parametrize("name", NAMED)
def test_what_the_manual_runs_can_be_loaded(name):
    """A module that nothing else imports must not break unseen."""
    assert find_spec(name) is not None
    assert callable(import_module(f"{name}.__main__" if find_spec(name).submodule_search_locations else name).main)


def test_the_manual_names_them():
    """The search above finds something."""
    assert {"tests.bench", "tests.bench.workers", "tests.attacks", "tests.fuzz"} <= set(NAMED)
