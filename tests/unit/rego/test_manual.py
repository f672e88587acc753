"""The manual's own rule works as it is printed."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.needs import needs
from tests.unit.rego.policy import REGO

if TYPE_CHECKING:
    from pathlib import Path


def test_the_example_rule_passes_the_checks(tmp_path: Path) -> None:
    """Copied into a copy of the folder, it is formatted, checked and wholly covered by its test."""
    opa = str(needs("opa"))
    copy = shutil.copytree(REGO, tmp_path / "rego")
    blocks = re.findall(r"```rego\n# (\S+)\n(.*?)```", (REGO / "README.md").read_text(), re.DOTALL)
    assert [name for name, _ in blocks] == ["stagewarden/rules/audience/audience.rego", "stagewarden/rules/audience/audience_test.rego"]
    for name, text in blocks:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(text)
    for command in (
        ["fmt", "--diff", "--fail"],
        ["check", "--strict", "--schema", str(copy / "schemas")],
        ["test", "--coverage", "--threshold", "100"],
    ):
        done = subprocess.run([opa, *command, str(copy)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
