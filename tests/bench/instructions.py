"""`--instructions`: instructions per request by callgrind, the regression gate: it counts, so that a neighbour changes it little.

The product is started as an operator starts it (`serve`: uvloop, identity, Wasm, durable audit, metrics) under valgrind with
PYTHONHASHSEED=0; a fixed sequential script asks over one connection. N and 5N requests are counted in one process, three times, and
the median slope is the figure: what both have in common falls out. Start-up and the requests that fill caches run uncounted, and
several times as fast. What runs by the clock (the loop's watch) is counted over some idle seconds and taken off, so that a busy
machine, on which all takes longer, finds the same. valgrind runs wasmtime's compiled code as it is: the policy counts too.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import machine
from tests.bench.arms.arm import Ground, Missing, program
from tests.bench.arms.ours import WASM, written
from tests.bench.check import check
from tests.bench.field import ground
from tests.bench.load import Load
from tests.bench.numbers import per_request, within

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.arms.arm import Arm

KEPT = Path(__file__).with_name("instructions.json")
FEW, TIMES, WARM = 100, 3, 200
IDLE = 15.0  # seconds: some of it comes once in several
TOLERANCE = 0.05
ATTEMPTS = 3
HELD, BROKEN, UNJUDGED = 0, 1, 3  # exit codes: whoever gates must tell "as recorded" from "nothing recorded"; 2 is a wrong option
PATIENCE = 300  # seconds: start-up under valgrind, fifty times its own
_TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)


def interpreter() -> str:
    """What a figure belongs to: another minor version or machine executes other instructions."""
    return f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]} {platform.machine()}"


def run(*, gate: bool, record: bool, kept_in: Path = KEPT, counted: Callable[[], float] | None = None) -> int:
    """Measure, print, and compare or keep. With the gate: HELD, BROKEN (what could not be measured has not held either) or UNJUDGED.

    The gate says no after ATTEMPTS that all say so: a busy machine moves a figure now and then, a change of the code moves every one.
    """
    kept = json.loads(kept_in.read_text()) if kept_in.exists() else {}
    result = BROKEN
    for _ in range(ATTEMPTS if gate and not record else 1):
        try:
            found = round((counted or measure)())
        except Missing as absent:
            print(f"instructions per request: {absent}")
            return BROKEN if gate else HELD
        print(f"{found} instructions per request ({interpreter()}, uvloop; median of {TIMES} slopes of {FEW} and {5 * FEW} requests)")
        if record:
            kept_in.write_text(json.dumps(dict(sorted((kept | {interpreter(): found}).items())), indent=2) + "\n")
            return HELD
        said, result = judge(found, kept.get(interpreter()))
        print(said)
        if result != BROKEN:
            break
    return result if gate else HELD


def judge(found: int, kept: int | None) -> tuple[str, int]:
    """What to say of a figure, and the exit code. Fewer instructions than recorded fail too: the record is to be renewed."""
    if kept is None:
        return f'NOT JUDGED: {KEPT.name} has no figure for this interpreter; --record adds the line  "{interpreter()}": {found}', UNJUDGED
    held = within(found, kept, TOLERANCE)
    remedy = "" if held else ": mend it, or record anew with --record and say why"
    return f"{found / kept - 1:+.1%} against the {kept} recorded; {'within' if held else 'beyond'} {TOLERANCE:.0%}{remedy}", HELD if held else BROKEN


def measure() -> float:
    """Instructions per request; raises Missing."""
    install = "apt-get install valgrind"
    valgrind, control = program("valgrind", install=install), program("callgrind_control", install=install)
    with ground() as made:
        arm, process, out = _start(made, valgrind)
        try:
            check(arm, made.upstream)
            return _count(arm, process, control, out)
        finally:
            process.kill()  # nothing is lost, and its way out under valgrind is long
            process.wait()


def _start(made: Ground, valgrind: str) -> tuple[Arm, subprocess.Popen, Path]:
    product = written(made.folder / "counted", made.upstream, WASM)
    out = made.folder / "callgrind"
    command = [valgrind, "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", *product.command]
    log = made.folder / "valgrind.log"
    process = machine.start(command, None, product.port, log, PATIENCE, PYTHONHASHSEED="0")
    return product.arm("counted", [process]), process, out


def _count(arm: Arm, process: subprocess.Popen, control: str, out: Path) -> float:
    """Instructions per request: the median of TIMES slopes, each less what runs by the clock."""
    counted = []
    with Load(arm.port, arm.request, 1) as load:
        load.closed(WARM)
        _tell(control, process, "-i", "on")
        for number, requests in enumerate((*(FEW, 5 * FEW) * TIMES, None), 1):
            began = time.monotonic()
            if requests is None:
                time.sleep(IDLE)
            else:
                load.closed(requests)
            _tell(control, process, "-d")
            total = int(_TOTALS.search(out.with_name(f"{out.name}.{number}").read_text())[1])
            counted.append((total, time.monotonic() - began))
    idle, seconds = counted.pop()
    costs = [total - idle / seconds * took for total, took in counted]
    return statistics.median(per_request(FEW, few, 5 * FEW, many) for few, many in zip(costs[::2], costs[1::2], strict=True))


def _tell(control: str, process: subprocess.Popen, *words: str) -> None:
    subprocess.run([control, *words, str(process.pid)], check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})
