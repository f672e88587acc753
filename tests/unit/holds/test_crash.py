from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.databases import DATABASES
from tests.unit.holds.crash_drill import ENDS

ROOT = Path(__file__).parents[3]
LAST = {"release": {"done", "unknown"}, "withdraw": {"withdrawn"}, "kill": {"stopped"}, "expire": {"expired"}}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("database", DATABASES, indirect=True)
async def test_kill_9_at_every_statement(database, tmp_path, end):
    """A process killed before or after any durable step: no vote lost, no entry lost or doubled, at most one send, a state a person can read."""
    drill = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.unit.holds.crash_drill", tmp_path, end, "3" if end == "release" else "1",
        cwd=ROOT, env={"PYTHONPATH": f"{ROOT / 'src'}"}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await drill.communicate()
    assert drill.returncode == 0, errors.decode()
    runs = [json.loads(line) for line in out.splitlines()]
    assert len(runs) > 5
    for run in runs:
        check(run, end)
    assert runs[-1]["states"][0] in LAST[end]


def check(run: dict, end: str) -> None:
    """What must hold after every single crash."""
    acknowledged, states = run["acknowledged"], run["states"]
    assert acknowledged.count("bytes") <= 1
    assert ("opened" not in acknowledged) or len(states) == 1
    assert {line.removeprefix("vote ") for line in acknowledged if line.startswith("vote ")} <= set(run["voters"])
    assert set(states) <= {"pending", "done", "unknown", "withdrawn", "stopped", "expired"}
    assert not (end in acknowledged and end != "release" and "bytes" in acknowledged)
    assert states != ["done"] or "bytes" in acknowledged
    log = run["log"]
    assert len({entry["id"] for entry in log}) == len(log)
    moves = [entry for entry in log if entry["kind"] == "hold"]
    assert [move["from"] for move in moves] == [None, *(move["state"] for move in moves[:-1])][: len(moves)]
    assert [move["state"] for move in moves[-1:]] == states
    assert sorted(entry["person"] for entry in log if entry["kind"] == "vote") == sorted(run["voters"])
