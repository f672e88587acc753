"""Where a measurement takes place: the upstream on the load's core, the arms on theirs, everything ended when it is over."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import arms, machine
from tests.bench.arms.arm import Arm, Ground
from tests.bench.check import check
from tests.bench.load import Load

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS = 16


@contextmanager
def ground() -> Iterator[Ground]:
    """An upstream and a folder; this process goes to the load's core. Ends what was started here, and nothing else."""
    os.sched_setaffinity(0, {machine.LOAD})
    folder = Path(tempfile.mkdtemp(prefix="stagewarden-bench-"))
    port = machine.free_port()
    upstream = machine.start([sys.executable, "-m", "tests.bench.parts", "upstream", str(port)], machine.LOAD, port)
    made = Ground(folder, port)
    try:
        yield made
    finally:
        machine.stop([*made.started, upstream])
        shutil.rmtree(folder, ignore_errors=True)


def checked(names: list[str], made: Ground) -> list[Arm]:
    """The arms that are here (at least one, else this ends the program), each seen to answer and to refuse as it should, and warm."""
    running = arms.start(names, made)
    if not running:
        raise SystemExit("none of these arms can run here")
    for arm in running:
        check(arm, made.upstream)
        with Load(arm.port, arm.request, CONNECTIONS) as load:
            load.closed(seconds=1.0)
    return running


def direct(made: Ground) -> Arm:
    """The upstream without anything before it: what load and upstream can do alone."""
    return Arm("direct", [], made.upstream, "", judges=False)
