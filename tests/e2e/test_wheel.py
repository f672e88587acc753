"""The built wheel in an environment of its own: what was left out of it would be missing here."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: object, cwd: Path) -> str:
    """What a command says; it must end well."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_the_installed_wheel_plays_the_demo(tmp_path: Path) -> None:
    """Built, installed without the network, `stagewarden --version` and `stagewarden demo --once`.

    Requirements are lent by the environment the tests run in; `.ci/run` installs the wheel with its own.
    """
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path / "wheel", cwd=ROOT)
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=tmp_path)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    (site / "lent.pth").write_text("\n".join(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))) + "\n")
    where = run(python, "-P", "-c", "import stagewarden; print(stagewarden.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(site)
    command = tmp_path / "venv" / "bin" / "stagewarden"
    assert run(command, "--version", cwd=tmp_path).startswith("stagewarden, version ")
    assert "exactly once each" in run(command, "demo", "--once", cwd=tmp_path)
