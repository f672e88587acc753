"""`agents key`: one line of the keys file changes, in one step; or nothing does."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from stagewarden.cli import agent_key, main
from stagewarden.identity.bearer import fingerprint
from stagewarden.identity.keys import key_id, parse_keys
from tests.product import house

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from tests.product import House


@pytest.fixture
def desk(tmp_path: Path) -> House:
    """A house with its files; nothing runs."""
    return house(tmp_path, "http://127.0.0.1:1")


def run(desk: House, agent: str, *words: str) -> Result:
    """The command."""
    return CliRunner().invoke(main, ["agents", "key", agent, "--config", str(desk.config), *words])


def files(folder: Path) -> dict[str, bytes]:
    """Everything that stands in the folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_new_key(desk: House) -> None:
    """Shown once, kept as its SHA-256, in a file for its owner alone; every other line is as it was."""
    keys = desk.folder / "agent-keys.yaml"
    keys.write_text(f"# kept by hand\n{keys.read_text()}")
    before = keys.read_text().splitlines()
    result = run(desk, "drafter")
    (key,) = result.stdout.splitlines()
    assert (result.exit_code, key_id(key)) == (0, "drafter")
    after = keys.read_text()
    assert parse_keys(after, "x")["drafter"] == fingerprint(key)
    assert [line for line in after.splitlines() if "drafter" not in line] == [line for line in before if "drafter" not in line]
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert key not in "".join(map(str, files(desk.folder).values()))
    assert "SIGHUP" in result.stderr


def test_an_agent_without_one_and_json(desk: House) -> None:
    """A first key is added; machines get it with its place."""
    keys = desk.folder / "agent-keys.yaml"
    keys.write_text("\n".join(line for line in keys.read_text().splitlines() if not line.startswith("reader")))
    made = json.loads(run(desk, "reader", "--json").stdout)
    assert (made["agent"], made["key_id"], made["file"]) == ("reader", "reader", str(keys))
    assert parse_keys(keys.read_text(), "x")["reader"] == fingerprint(made["key"])


def test_the_first_key_of_all(desk: House) -> None:
    """An empty file is no obstacle."""
    keys = desk.folder / "agent-keys.yaml"
    keys.write_text("")
    key = run(desk, "drafter").stdout.strip()
    assert parse_keys(keys.read_text(), "x") == {"drafter": fingerprint(key)}


def test_the_key_left_by_init(desk: House) -> None:
    """Whoever keeps the old one in a file is told."""
    (desk.folder / "secrets" / "agents").mkdir()
    (desk.folder / "secrets" / "agents" / "drafter.key").write_text("old")
    assert "still has the old key" in run(desk, "drafter").stderr


@pytest.mark.parametrize(
    ("agent", "spoil", "said"),
    [
        ("nobody", None, "no such agent"),
        ("no\x1b[31mbody", None, "no such agent"),
        ("drafter", '{drafter: "x"}', "agent-keys.yaml"),
        ("drafter", "{drafter: '" + "0" * 64 + "', reader: '" + "1" * 64 + "'}", "not on a line of its own"),
        ("drafter", b"\xff", "cannot be replaced"),
    ],
    ids=["agent", "escapes", "broken", "flow", "bytes"],
)
def test_what_is_refused(desk: House, agent: str, spoil: str | bytes | None, said: str) -> None:
    """With the reason, and nothing changed; nothing of the file is repeated, and no escape reaches the terminal."""
    if spoil is not None:
        (desk.folder / "agent-keys.yaml").write_bytes(spoil if isinstance(spoil, bytes) else spoil.encode())
    before = files(desk.folder)
    result = run(desk, agent)
    assert (result.exit_code, said in result.output, "\x1b" in result.output, "sw_" in result.output) == (1, True, False, False), result.output
    assert files(desk.folder) == before


def test_an_agent_with_another_identity(desk: House) -> None:
    """No key for somebody who is known by something else."""
    registry = desk.folder / "registry.yaml"
    registry.write_text(registry.read_text().replace("identity: {key: drafter}", "identity: {issuer: https://i.example, subject: d}"))
    before = files(desk.folder)
    assert "another identity" in run(desk, "drafter").output
    assert files(desk.folder) == before


def test_two_at_once(desk: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change by somebody else in between is never overwritten."""
    keys = desk.folder / "agent-keys.yaml"
    fsync, other = os.fsync, keys.read_text() + f'new: "{"2" * 64}"\n'

    def meanwhile(handle: int) -> None:
        keys.write_text(other)
        fsync(handle)

    monkeypatch.setattr(agent_key.os, "fsync", meanwhile)
    result = run(desk, "drafter")
    assert (result.exit_code, "meanwhile" in result.output, keys.read_text()) == (1, True, other)
    assert not [name for name in files(desk.folder) if name.startswith(".agent-keys")]
