"""What is installed: the wheel's content, the dependencies, the versions, the pins."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING

import pytest

import stagewarden
from tests.unit.shipping.manuals import ROOT, SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(line.split("==") for line in (ROOT / "tests" / "constraints.txt").read_text().splitlines() if not line.startswith("#"))
NOT_IMPORTED = {
    "aiosqlite": "SQLAlchemy's driver, named in the engine's URL",
    "pytest-aiohttp": "a plugin",
    "pytest-timeout": "a plugin",
}
BACKEND = {"hatchling": "run by the test below"}


def names(requirements: Iterable[str]) -> set[str]:
    """Distribution names in their normal form (PEP 503)."""
    return {normal(re.match(r"[A-Za-z0-9._-]+", text)[0]) for text in requirements}


def normal(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(folder: Path) -> set[str]:
    """Distributions whose modules are imported below a folder, other than ours and Python's own."""
    modules: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(str(node.module).split(".")[0])
    foreign = modules - set(sys.stdlib_module_names) - {"stagewarden", "tests"}
    known = packages_distributions()
    return {normal(name) for module in foreign for name in known[module]}


def test_the_package_needs_what_it_imports_and_nothing_else() -> None:
    """Every import has its requirement, every requirement its import."""
    assert imported(SOURCE) == names(PROJECT["dependencies"]) - NOT_IMPORTED.keys()


def test_the_tests_need_what_they_import_and_nothing_else() -> None:
    """The `test` extra is what the tests import beside the package's own, plug-ins, and what builds the wheel."""
    extra = names(PROJECT["optional-dependencies"]["test"])
    assert imported(ROOT / "tests") - names(PROJECT["dependencies"]) == extra - NOT_IMPORTED.keys() - BACKEND.keys()


def test_every_requirement_is_pinned_for_ci() -> None:
    """tests/constraints.txt pins everything that is required, exactly, and says how it is renewed."""
    required = names([*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)])
    assert required <= {normal(name) for name in PINS}
    head = (ROOT / "tests" / "constraints.txt").read_text().splitlines()[:4]
    assert all(line.startswith("#") for line in head)
    assert "pip freeze" in "".join(head)


def test_the_version_is_written_once_more_and_equal() -> None:
    """Static in pyproject.toml, the same in the package; compose names its image by it."""
    assert stagewarden.__version__ == PROJECT["version"]
    assert f"stagewarden:{PROJECT['version']}" in (ROOT / "deploy" / "compose.yaml").read_text()


def test_the_pythons_the_readme_names_are_the_classifiers() -> None:
    """3.11, 3.12, 3.13, and nothing older is accepted."""
    versions = [found[1] for text in PROJECT["classifiers"] if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", text))]
    readme = (ROOT / "README.md").read_text()
    assert f"Python {', '.join(versions[:-1])} or {versions[-1]}" in readme
    assert PROJECT["requires-python"] == f">={versions[0]}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist, built from a copy without `.git`, under an ignore file that hides everything, beside secrets of an example in use."""
    copy = tmp_path_factory.mktemp("built") / "source"
    skipped = shutil.ignore_patterns(".git", ".*_cache", "__pycache__", ".hypothesis", "*.egg-info", ".venv", "dist")
    copy.mkdir()
    for name in ("src", "rego", "deploy", "tests", ".ci"):
        shutil.copytree(ROOT / name, copy / name, ignore=skipped)
    for name in ("pyproject.toml", "README.md", "LICENSE", "Dockerfile", ".dockerignore"):
        shutil.copy(ROOT / name, copy / name)
    (copy / ".gitignore").write_text("*\n")
    example = copy / "deploy" / "examples" / "newsroom"
    for name in ("holds.key", "agent-keys.yaml", "people.yaml", "people-tokens.yaml", "secrets/publisher"):
        (example / name).parent.mkdir(exist_ok=True)
        (example / name).write_text("secret")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(copy.parent)], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return copy.parent


def test_the_wheel_carries_the_whole_package_and_nothing_else(built: Path) -> None:
    """Every file of the package with its bytes, the licence, the console script; no test, no policy source."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist()}
    sources = [
        one
        for one in SOURCE.rglob("*")
        if one.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in one.relative_to(SOURCE).parts)
    ]
    package = {f"stagewarden/{one.relative_to(SOURCE).as_posix()}": one.read_bytes() for one in sources}
    assert {name: data for name, data in files.items() if ".dist-info/" not in name} == package
    needed = (
        "bundle/stagewarden.tar.gz",
        "catalogue/wordpress.json",
        "templates/newsletter/stagewarden.yaml",
        "templates/wordpress/secrets/drafter",
        "web/console/templates/shell.html",
        "web/console/static/console.css",
        "web/console/static/console.js",
        "py.typed",
    )
    assert {f"stagewarden/{name}" for name in needed} <= files.keys()
    info = f"stagewarden-{PROJECT['version']}.dist-info"
    assert files[f"{info}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert b"stagewarden = stagewarden.cli:main" in files[f"{info}/entry_points.txt"]
    assert b"License-Expression: Apache-2.0" in files[f"{info}/METADATA"]


def test_the_source_archive_builds_the_same_and_holds_no_secret(built: Path) -> None:
    """Source, tests, policies and manuals; nothing that `init` or a running sidecar left beside an example."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "rego/README.md",
        "deploy/README.md",
        "tests/README.md",
        "tests/constraints.txt",
        ".ci/run",
    } <= files
    assert {"src/stagewarden/bundle/stagewarden.tar.gz", "deploy/examples/newsroom/stagewarden.yaml", "tests/scenarios/holds.yaml"} <= files
    secrets = ("holds.key", "agent-keys.yaml", "people.yaml", "people-tokens.yaml", "secrets/publisher")
    assert files.isdisjoint(f"deploy/examples/newsroom/{name}" for name in secrets)
