"""`agents`, `kill` and `unkill` against the people's listener, and the stop without any process."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from stagewarden.cli import main
from stagewarden.clock import SystemClock
from stagewarden.config import load, stops_path
from stagewarden.model import Stage
from stagewarden.modes import Modes
from tests.people_listener import people_listener
from tests.product import house
from tests.unit.cli.test_people import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.people_listener import Served

CONFIG = """
version: 1
name: newsroom
environment: sandbox
registry: registry.yaml
listen: {people: {bind: "127.0.0.1:1"}}
identity: {people: [{kind: token, tokens: "file:tokens.yaml"}]}
upstreams: {}
"""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """The people's listener on loopback."""
    async with people_listener(tmp_path) as running:
        yield running


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration, of which no process runs."""
    path = tmp_path / "stagewarden.yaml"
    path.write_text(CONFIG)
    return path


async def test_agents(served: Served) -> None:
    """Anybody listed pauses; resuming takes security or technical and a reason."""
    assert (await run(served, "agents", "pause", "drafter-7")).exit_code == 0
    refused = await run(served, "agents", "resume", "drafter-7", "--reason", "over")
    assert (refused.exit_code, "security or technical" in refused.output, served.gate.modes["drafter-7"][0]) == (1, True, "paused")
    assert (await run(served, "agents", "resume", "drafter-7", "--reason", "over", who="aiko")).exit_code == 0
    assert "active" in (await run(served, "agents", "list")).output


async def test_kill_and_unkill(served: Served) -> None:
    """Over the API: by anybody listed, and lifted by its id."""
    assert (await run(served, "kill", "workflow:newsletter")).exit_code == 0
    (kill,) = served.gate.engaged
    assert kill.id in (await run(served, "kill", "--list")).output
    assert (await run(served, "unkill", kill.id, "--reason", "over")).exit_code == 1
    assert (await run(served, "unkill", kill.id, "--reason", "over", who="aiko")).exit_code == 0
    assert served.gate.engaged == []


def test_kill_with_the_process_down(config: Path) -> None:
    """`kill --config` writes where every sidecar of this state looks; `unkill --config` lifts it."""
    result = CliRunner().invoke(main, ["kill", "workflow:newsletter", "--config", str(config), "--json"])
    assert result.exit_code == 0, result.output
    (kill,) = json.loads(result.stdout)
    modes = Modes(stops_path(load(config)), SystemClock())
    assert modes.stop(workflow="newsletter", stage=Stage.EXPORT) is not None
    assert modes.stop(workflow="other") is None
    assert kill["by"].startswith("terminal:")
    assert CliRunner().invoke(main, ["unkill", kill["id"], "--reason", "over", "--config", str(config)]).exit_code == 0
    assert modes.stop(workflow="newsletter") is None


def test_kill_by_a_user_without_a_name(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user is often a bare number; it stops things all the same, and the number is recorded."""
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_001)
    result = CliRunner().invoke(main, ["kill", "all", "--config", str(config), "--json"])
    assert result.exit_code == 0
    (kill,) = json.loads(result.stdout)
    assert kill["by"] == "terminal:uid 4000000001"


@pytest.mark.parametrize("scope", ["everything", "agent:", "stage:none", "ALL", "all "])
def test_a_scope_that_is_none(config: Path, scope: str) -> None:
    """Usage, and nothing is stopped."""
    assert CliRunner().invoke(main, ["kill", scope, "--config", str(config)]).exit_code == 2
    assert not stops_path(load(config)).exists()


@pytest.mark.parametrize("scope", ["agent:draftr", "workflow:nwsletter", "upstream:newsrom"])
def test_a_name_nobody_knows_is_refused_by_name(tmp_path: Path, scope: str) -> None:
    """A misspelt stop must not look like one: it names what is not known and stops nothing; `--force` stops it all the same."""
    config = house(tmp_path, "http://127.0.0.1:1").config
    refused = CliRunner().invoke(main, ["kill", scope, "--config", str(config)])
    assert (refused.exit_code, scope in refused.output, stops_path(load(config)).exists()) == (1, True, False)
    assert CliRunner().invoke(main, ["kill", scope, "--config", str(config), "--force"]).exit_code == 0
    assert [kill.scope for kill in Modes(stops_path(load(config)), SystemClock()).kills()] == [scope]


@pytest.mark.parametrize("scope", ["all", "agent:drafter", "workflow:newsletter", "upstream:newsroom", "stage:export"])
def test_every_scope_without_a_process(tmp_path: Path, scope: str) -> None:
    """Each is known by its name."""
    config = house(tmp_path, "http://127.0.0.1:1").config
    result = CliRunner().invoke(main, ["kill", scope, "--config", str(config), "--json"])
    assert (result.exit_code, json.loads(result.output)[0]["scope"]) == (0, scope)


def test_a_registry_that_does_not_read_keeps_nobody_from_stopping(tmp_path: Path) -> None:
    """The name cannot be checked, and that is said."""
    config = house(tmp_path, "http://127.0.0.1:1").config
    (tmp_path / "registry.yaml").write_text("agents: [")
    result = CliRunner().invoke(main, ["kill", "agent:drafter", "--config", str(config)])
    assert (result.exit_code, "is not checked" in result.stderr) == (0, True)


def test_a_stop_file_that_cannot_be_written(config: Path) -> None:
    """No process is there to hold it in memory: the command says that nothing is stopped, and why."""
    path = stops_path(load(config))
    path.with_name("stops.json.new").mkdir()
    result = CliRunner().invoke(main, ["kill", "all", "--config", str(config)])
    assert (result.exit_code, "nothing is stopped" in result.output) == (1, True), result.output


async def test_modes_from_a_terminal(served: Served) -> None:
    """Recommend-only and revoke take anybody; what is owed is told on standard error, and JSON stays JSON."""
    served.gate.owed = ("workers have not confirmed it: 1",)
    assert "recommend_only" in (await run(served, "agents", "recommend-only", "drafter-7")).output
    assert (await run(served, "agents", "revoke", "drafter-7")).exit_code == 0
    assert served.gate.modes["drafter-7"][0] == "revoked"
    said = await run(served, "kill", "all", "--json")
    assert (json.loads(said.stdout)[0]["owed"], "owed: workers" in said.stderr) == ([*served.gate.owed], True)
