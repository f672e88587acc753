"""The product, a black box started with `python -m stagewarden serve`: identity by key, strict reading, Rego, audit, metrics."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from stagewarden import config as configuration
from stagewarden.errors import ConfigError
from tests.bench import machine
from tests.bench.arms.arm import Arm, Ground, Missing
from tests.bench.arms.authorizers import BUNDLE
from tests.needs import NEEDS
from tests.product import house

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.product import House

_INFLIGHT = 1024  # all of the load is one agent's; what is measured is not its limit
WASM = "{engine: wasm, deadline: 5s}"


@dataclass(frozen=True, slots=True)
class Written:
    """A folder the product can be started from, and where it will listen."""

    house: House
    port: int
    operations: int

    @property
    def command(self) -> list[str]:
        """How an operator starts it; `--workers` may follow."""
        return [sys.executable, "-m", "stagewarden", "serve", "--config", str(self.house.config)]

    def arm(self, name: str, processes: list, lacks: str = "") -> Arm:
        """Its arm, as the drafter uses it."""
        headers = f"Authorization: Bearer {self.house.keys['drafter']}\r\n".encode()
        return Arm(name, processes, self.port, lacks, headers, b"/newsroom", operations=self.operations, folder=self.house.folder)


def written(folder: Path, upstream: int, engine: str = WASM, audit: Mapping[str, object] | None = None, inflight: int | None = _INFLIGHT) -> Written:
    """The house of the scenarios with fixed ports; raises Missing where this version has no such audit setting."""
    made = house(folder, f"http://127.0.0.1:{upstream}", engine)
    port, operations = machine.free_port(), machine.free_port()
    config = yaml.safe_load(made.config.read_text())
    config["listen"] = {"agents": {"bind": f"127.0.0.1:{port}", "hosts": ["localhost"]}, "operations": {"bind": f"127.0.0.1:{operations}"}}
    config["audit"] |= audit or {}
    config["limits"] |= {} if inflight is None else {"inflight_per_agent": inflight}
    made.config.write_text(yaml.safe_dump(config, sort_keys=False))
    try:
        configuration.load(made.config)
    except ConfigError as failure:
        raise Missing(f"this version refuses {engine} {audit or ''}: {failure.problems[0].message}") from None
    return Written(made, port, operations)


def wasm(ground: Ground) -> Arm:
    """The policy in process; every ruling durable before its effect."""
    made = written(ground.folder / "wasm", ground.upstream)
    return made.arm("stagewarden, Wasm", [ground.start(made.command, made.port)])


def limited(ground: Ground) -> Arm:
    """The same with the limits it is shipped with: what an agent asks beyond them is refused. For the overload alone."""
    made = written(ground.folder / "limited", ground.upstream, inflight=None)
    return made.arm("stagewarden, Wasm, limits as shipped", [ground.start(made.command, made.port)])


def repeated(ground: Ground) -> Arm:
    """The same, asked the same thing again and again: what a decision cache, where there is one, makes of it."""
    made = written(ground.folder / "repeated", ground.upstream)
    arm = made.arm("stagewarden, Wasm, one body", [ground.start(made.command, made.port)], "the body never changes: a decision cache may answer")
    arm.repeats = True
    return arm


def batched(ground: Ground) -> Arm:
    """The same with audit by the batch: a crash may lose what was done last."""
    made = written(ground.folder / "batched", ground.upstream, audit={"durability": "batched"})
    return made.arm("stagewarden, Wasm, audit batched", [ground.start(made.command, made.port)], "a crash may lose the last rulings")


def opa(ground: Ground) -> Arm:
    """The policy in an OPA server beside it, over a unix socket."""
    found = NEEDS["opa"].find()
    if found is None:
        raise Missing(NEEDS["opa"].install)
    sock = ground.folder / "opa.sock"
    made = written(ground.folder / "opa", ground.upstream, f"{{engine: opa, deadline: 5s, opa: {{url: 'unix:{sock}'}}}}")
    command = [str(found), "run", "--server", "--addr", f"unix://{sock}", "--bundle", str(BUNDLE), "--log-level", "error", "--skip-version-check"]
    server = ground.start(command, sock)
    return made.arm("stagewarden, OPA server", [ground.start(made.command, made.port), server])
