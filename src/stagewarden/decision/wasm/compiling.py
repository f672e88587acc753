"""Machine code of a policy, made by a process of its own: the compiler's memory, and what a policy might do to it, end with that process.

Run as a script: Wasm on standard input, machine code on standard output. As one it imports nothing of ours, which keeps its start short.
Machine code is only ever taken from our own child, through a pipe: whoever could give us some could give us anything.
"""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache

from wasmtime import Config, Engine, Module, WasmtimeError

_PATIENCE = 60.0  # seconds; our own policy takes half of one


def engine() -> Engine:
    """What code is made for, and runs in."""
    config = Config()
    # Fuel costs 10 µs of an evaluation's 32, epochs 6 (tests/bench/policy.py). Fuel nevertheless: the same question ends in
    # the same way on every machine, a runaway rule stops the loop for some 15 ms and not for the whole deadline, and no thread is needed.
    config.consume_fuel = True
    config.memory_reservation = 1 << 32  # address space, not memory: every 32-bit address lands in it, so that no access needs a check
    config.memory_may_move = False  # instance.py keeps the address; the store caps the size
    config.wasm_threads = False
    return Engine(config)


def module(made_for: Engine, wasm: bytes) -> Module:
    """The policy's module; raises WasmtimeError, which says what is wrong with it.

    Compiled here where no process can be had, it failed, or what it made is not for this processor (an emulator shows us another than it).
    """
    try:
        return Module.deserialize(made_for, _compiled(wasm))
    except (OSError, subprocess.SubprocessError, WasmtimeError):
        return Module(made_for, wasm)


@lru_cache(maxsize=2)  # the policy in force, and one that may follow it
def _compiled(wasm: bytes) -> bytes:
    command = [sys.executable, "-P", __file__]  # -P: our builtins.py must not become everybody's
    return subprocess.run(command, input=wasm, capture_output=True, timeout=_PATIENCE, check=True).stdout  # noqa: S603  # no shell, our own file


if __name__ == "__main__":
    sys.stdout.buffer.write(Module(engine(), sys.stdin.buffer.read()).serialize())
