"""The fleet's two configurations, after the manual's own lines: keys and secrets are where both look for them. Starts no process of ours."""

from __future__ import annotations

import subprocess

import pytest
from click.testing import CliRunner

from stagewarden.cli import main
from stagewarden.cli.init import write
from stagewarden.clock import SystemClock
from tests.unit.shipping.manuals import OPERATORS, ROOT, blocks

(LINES,) = (block.splitlines() for block in blocks(OPERATORS, "sh") if "deploy/examples/fleet" in block)


@pytest.fixture
def fleet(tmp_path):
    """The block typed line by line, in a folder of the test; the database is where nobody answers."""
    (made, *typed), checks = [line for line in LINES if " check " not in line], [line for line in LINES if " check " in line]
    assert made == "stagewarden init /tmp/crew --template newsletter"
    write(tmp_path / "crew", "newsletter", SystemClock())
    for line in typed:
        subprocess.run(["bash", "-euc", line.replace("/tmp/", f"{tmp_path}/")], cwd=ROOT, check=True)
    for path in (tmp_path / "fleet").glob("*/stagewarden.yaml"):
        path.write_text(path.read_text().replace("db.internal:5432", "127.0.0.1:1"))
    return [line.replace("/tmp/", f"{tmp_path}/").split()[1:] for line in checks]


def test_the_fleets_examples_pass_the_check(fleet) -> None:
    """Both: no error, and the one gap is the database that is not there."""
    assert len(fleet) == 2
    for words in fleet:
        result = CliRunner().invoke(main, words)
        assert (result.exit_code, "errors 0, warnings 1" in result.output) == (0, True), result.output
