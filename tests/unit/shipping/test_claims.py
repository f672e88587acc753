"""What the manuals name is there: statuses, metrics, links, files, suites and what they need, the demo."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from stagewarden.cli import main
from stagewarden.cli.demo import _PEOPLE
from stagewarden.config.catalogue import NAMES
from stagewarden.identity.jwt import STAGE_CLAIM, WORKFLOW_CLAIM
from stagewarden.metrics import families
from stagewarden.metrics.cells import Family
from stagewarden.model import HoldState
from stagewarden.modes import parse_scope
from stagewarden.web import render
from tests.needs import NEEDS
from tests.unit.shipping.manuals import CONTRIBUTORS, MANUALS, OPERATORS, README, ROOT, codes, table

METRICS = {family.name for family in vars(families).values() if isinstance(family, Family)}
PEOPLES_OWN = {
    "not_allowed",
    "method_not_allowed",
    "conflict",
    "misdirected",
    "invalid",
    "internal",
    "not_a_person",
    "step_up",
    "invalid_logout",
}  # codes the agents' table leaves out


def test_the_readmes_statuses_are_the_renderers() -> None:
    """Each code has the status of `web/render.py`, and every code an agent can get is there."""
    told: dict[str, int] = {}
    for _, status, names in table(README, "situation", "status", "code"):
        numbers, found = status.split(), codes(names)
        if found and numbers != ["202"]:
            told |= dict(zip(found, map(int, numbers if len(numbers) > 1 else numbers * len(found)), strict=True))
    assert told == {code: render.problem(code).status for code in told}
    assert told.keys() == (render._STATUS.keys() - PEOPLES_OWN) | {"held", "denied"}


@pytest.mark.parametrize("manual", MANUALS)
def test_every_metric_named_is_there(manual: str) -> None:
    """A name that begins like a metric of ours is one, or a claim of a token."""
    named = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bstagewarden_[a-z_]+\b", MANUALS[manual])}
    assert named <= METRICS | {name.removesuffix("_total") for name in METRICS} | {WORKFLOW_CLAIM, STAGE_CLAIM}


@pytest.mark.parametrize("manual", MANUALS)
def test_every_link_leads_somewhere(manual: str) -> None:
    """Files are there, headings too."""
    for target in re.findall(r"\]\(([^)]+)\)", MANUALS[manual]):
        path, _, anchor = target.partition("#")
        where = (ROOT / manual).parent / path if path else ROOT / manual
        assert where.exists(), target
        if anchor:
            headings = {
                re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in where.read_text().splitlines() if line[:1] == "#"
            }
            assert anchor in headings, target


@pytest.mark.parametrize("manual", MANUALS)
def test_every_file_named_is_there(manual: str) -> None:
    """A path in backticks that begins with a folder of ours, seen from the root or from the manual's folder."""
    folders = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    beside = tuple(f"{path.name}/" for path in (ROOT / manual).parent.iterdir() if path.is_dir())
    for code in codes(MANUALS[manual]):
        name = re.sub(r"\*.*", "", code)
        if " " not in code and name.startswith((*folders, *beside, ".ci/")) and not re.search(r"[…{:]|\b[A-Z]{2,}\b", name):
            assert (ROOT / name).exists() or ((ROOT / manual).parent / name).exists() or (ROOT / "src/stagewarden" / name).exists(), code


def test_no_manual_tells_more_than_its_machine() -> None:
    """No absolute figures that nobody can reproduce: milliseconds and rates stand in objectives and keys only."""
    assert re.findall(r"\b\d[\d,.]* ?(?:µs|us|req/s|rps|requests/s|MB)\b", README + OPERATORS + CONTRIBUTORS) == []


def test_what_tests_need_is_their_table() -> None:
    """tests/README.md and tests/needs.py, both ways; and the suites are the folders."""
    assert dict(table(CONTRIBUTORS, "name", "install")) == {name: f"`{need.install}`" for name, need in NEEDS.items()}
    suites = {codes(folder)[0].rstrip("/"): needed for folder, _, needed in table(CONTRIBUTORS, "folder", "is", "needs")}
    assert suites.keys() == {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and not path.name.startswith("__")}
    used = {
        folder: {name for path in (ROOT / "tests" / folder).rglob("*.py") for name in re.findall(r'needs\("([\w-]+)"\)', path.read_text())}
        for folder in suites
    }
    assert {folder: set(needed.split(", ")) - {""} for folder, needed in suites.items()} == used


def test_scenario_steps_are_the_players() -> None:
    """Every step and every expectation the contributors' manual lists is one, and none is left out."""
    player = (ROOT / "tests" / "scenarios" / "test_scenarios.py").read_text()
    steps = {name.split(":")[0] for first, _ in table(CONTRIBUTORS, "step", "does") for name in codes(first)}
    assert steps == set(re.findall(r"async def (\w+)\(self, (?:article|members|wanted|by|agent|state)\)", player))
    expectations = set(codes(CONTRIBUTORS.split("and may `expect` any of:")[1].split("\n")[0]))
    assert expectations == set(re.findall(r'^            "(\w+)": lambda', player, re.MULTILINE)) | {"effect", "reasons", "tier", "stage"}


def test_hold_states_and_scopes() -> None:
    """States of holds and scopes of stops that the operators' manual names."""
    holds = OPERATORS.split("## Holds")[1].split("## ")[0]
    assert {code for code in codes(holds) if re.fullmatch(r"[a-z_]+", code) and not code.startswith("stagewarden_")} == {
        str(state) for state in HoldState
    }
    for scope in ("all", "agent:ID", "workflow:ID", "upstream:ID"):
        assert f"`{scope}`" in OPERATORS
        assert parse_scope(scope) == scope
    assert f"`{NAMES[0]}`" in README


def test_the_demo_is_what_the_readme_shows() -> None:
    """`demo --once` exits 0; its rows are those of the README, in order; its people are named there."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["demo", "--once"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    told = []
    for _, answer, _ in table(README, "the agent wants to", "answer", "why"):
        told += [f"{part.split()[0]} {({'held': 'held', 'denied': 'refused'}).get(''.join(codes(part)), 'done')}" for part in answer.split(", ")]
    assert re.findall(r"│ (\d{3} \w+) +│", result.output) == told
    assert all(f"`{person}`" in README for person in _PEOPLE)
    assert "legal_or_price" in result.output
    assert "exactly once each, with the publisher's credential" in result.output
