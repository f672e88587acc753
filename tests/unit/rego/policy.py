"""The policy of `rego/`, asked in its two forms: as OPA reads it, and compiled to Wasm as the product runs it."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from stagewarden.decision import build
from stagewarden.decision.wasm.instance import Instance
from stagewarden.decision.wasm.program import Abilities, Program
from tests.needs import needs

REGO = Path(__file__).parents[3] / "rego"
_FUEL = 1 << 30
_MEMORY = 64 << 20


def opa(*arguments: str) -> Any:
    """What an `opa` command prints as JSON; skips the test without OPA."""
    done = subprocess.run([str(needs("opa")), *arguments], capture_output=True, text=True, check=False, cwd=REGO)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@cache
def evaluated(query: str) -> Any:
    """The value of a query over rules and tests."""
    return opa("eval", "--format", "raw", "--data", ".", query)


@cache
def _program() -> tuple[Program, Abilities]:
    program = Program(build.compile_rules(build.sources(REGO), needs("opa")), _MEMORY)
    return program, Abilities.read(*Instance(program, Abilities(-1, {}), {}, _FUEL).describe())


class Compiled:
    """The compiled policy with one registry."""

    def __init__(self, registry: Any) -> None:
        self._instance = Instance(*_program(), {"registry": registry}, _FUEL)

    def verdict(self, question: Any) -> Any:
        """The verdict document."""
        (only,) = orjson.loads(self._instance.evaluate(orjson.dumps(question)))
        return only["result"]
