"""README.md shows the table the tests hold the product to, and points at tests that are there."""

import re
from pathlib import Path

import pytest

from tests.faults.table import opa_table, upstream_table

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
README = (HERE / "README.md").read_text()


@pytest.mark.parametrize("table", [upstream_table(), opa_table()], ids=["upstream", "opa"])
def test_the_manual_shows_the_table(table):
    """Word for word: `python -m tests.faults` prints it."""
    assert table in README


def test_every_test_named_is_there():
    """A row that says where it is tested says so truly."""
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", README)
    assert named
    for path, function in named:
        source = (ROOT / path).read_text()
        assert not function or f"def {function}(" in source, (path, function)
