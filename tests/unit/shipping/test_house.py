"""The rules of the house that a test can hold: sizes, docstrings, names, and who alone may do what."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.unit.shipping.manuals import ROOT, SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "core", "misc"}
TOP_LEVEL = {"README.md", "pyproject.toml", "LICENSE", "Dockerfile", "rego", "src", "tests", "deploy"}
LONGEST = 400
EXAMPLE = "cli/newsroom.py"  # an upstream to try things on, no part of the sidecar


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Every call."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def where(rule: dict[str, list[int]]) -> dict[str, list[int]]:
    """Only files that have something."""
    return {name: lines for name, lines in rule.items() if lines}


@pytest.mark.parametrize("name", FILES)
def test_a_file_opens_with_what_it_is_for(name: str) -> None:
    """Rule 1, and at most 400 lines."""
    assert ast.get_docstring(TREES[name])
    assert len(FILES[name].read_text().splitlines()) <= LONGEST


def test_names_say_something() -> None:
    """Nothing is called utils, helpers, common, base, manager, core, misc."""
    named = [path for path in (*SOURCE.rglob("*"), *(ROOT / "tests").rglob("*")) if path.stem in EMPTY_NAMES]
    assert named == []


def test_top_level_folders_are_fixed() -> None:
    """The design's files and folders, and hidden ones; what tools leave behind does not count."""
    left_behind = {"build", "dist", "venv"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".") and path.suffix != ".egg-info"} - left_behind
    assert found == TOP_LEVEL


def test_status_codes_stand_in_one_file() -> None:
    """Only web/render.py says with which status we answer: no status argument, no aiohttp answer class, no HTTPStatus anywhere else."""
    found = {
        name: [call.lineno for call in calls(tree) if _says_a_status(call)]
        + [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "HTTPStatus"]
        for name, tree in TREES.items()
        if name not in {"web/render.py", EXAMPLE}
    }
    assert where(found) == {}


def _says_a_status(call: ast.Call) -> bool:
    function = ast.unparse(call.func)
    literal = any(word.arg == "status" and isinstance(word.value, ast.Constant) for word in call.keywords)
    answer = re.fullmatch(r"web\.(HTTP\w+|\w*[rR]esponse)", function) is not None and any(word.arg == "status" for word in call.keywords)
    raised = re.fullmatch(r"web\.HTTP\w+", function) is not None
    return literal or answer or raised or function.endswith(".set_status")


def test_the_environment_is_read_in_the_configuration_alone() -> None:
    """`os.environ` and its kin stand below config/."""
    found = {
        name: [
            node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb"}
        ]
        for name, tree in TREES.items()
    }
    assert {name for name in where(found) if not name.startswith("config/")} == set()


def test_only_the_gate_appends_to_the_audit_log() -> None:
    """An append with a kind and a body is the log's; outside the log itself it stands in gate/."""
    found = {
        name: [call.lineno for call in calls(tree) if isinstance(call.func, ast.Attribute) and call.func.attr == "append" and len(call.args) > 1]
        for name, tree in TREES.items()
    }
    assert {name for name in where(found) if not name.startswith(("gate/", "audit/"))} == set()
    assert any(name.startswith("gate/") for name in where(found))


def test_time_comes_from_the_clock() -> None:
    """Nobody but clock.py asks the system what time it is."""
    asked = re.compile(r"time\.(time|monotonic|time_ns|monotonic_ns)|(datetime|date)\.(now|today|utcnow)")
    found = {name: [call.lineno for call in calls(tree) if asked.fullmatch(ast.unparse(call.func))] for name, tree in TREES.items()}
    assert where(found).keys() <= {"clock.py"}


def test_tasks_are_owned() -> None:
    """Rule 9: a task that is made is kept: assigned, returned, awaited, collected or passed on; never a bare statement."""
    found = {
        name: [
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and re.search(r"(asyncio|loop)\.(create_task|ensure_future)$", ast.unparse(node.value.func))
        ]
        for name, tree in TREES.items()
    }
    assert where(found) == {}


def test_packages_mirror_the_design() -> None:
    """No package folder is called build or dist, and the rooms of the design are there."""
    folders = {path.name for path in SOURCE.rglob("*") if path.is_dir()}
    assert not folders & {"build", "dist"}
    rooms = {
        "cli",
        "app",
        "web",
        "gate",
        "identity",
        "classify",
        "decision",
        "holds",
        "modes",
        "audit",
        "metrics",
        "wire",
        "store",
        "registry",
        "config",
        "model",
        "errors",
    }
    assert rooms <= {path.stem for path in SOURCE.iterdir()}


def test_nothing_names_the_machine_it_was_made_on() -> None:
    """No file names a folder of a developer's machine or a package registry's host."""
    unwanted = re.compile(r"/root/|/home/\w+|/tmp/venv|pypi\.org|pythonhosted")
    shipped = [
        path
        for folder in ("src", "rego", "deploy", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".rego", ".toml", ".txt"}
    ]
    assert [str(path.relative_to(ROOT)) for path in _except_this(shipped) if unwanted.search(path.read_text(errors="replace"))] == []


def _except_this(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.name != "test_house.py"]
