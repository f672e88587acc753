"""How long an order to stop takes to reach every replica: python -m tests.bench.propagation.

Three sidecars, a people's instance and a PostgreSQL of its own. Each round a kill is given at the people's instance; measured is, for every
sidecar, the time from the order (its own, on one machine's clock) until its stop file says so, which is what its next request looks at. Once
with the database pushing, once with the push cut, so that only polling is left. Asserts nothing.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

from stagewarden.clock import SystemClock
from stagewarden.modes import Modes
from tests.databases import Cluster
from tests.e2e.fleet import Fleet, fleet
from tests.e2e.houses import NOWHERE
from tests.e2e.processes import until

_STEPS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, math.inf)  # seconds
# A function of the same name, found first: what is notified goes nowhere, and nobody can tell.
_CUT = (
    "CREATE FUNCTION public.pg_notify(varchar, varchar) RETURNS void LANGUAGE sql AS ''",
    "CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE sql AS ''",
)
_PAUSE = 0.0005  # seconds between two looks


def rounds(running: Fleet, count: int) -> list[float]:
    """Seconds from the order to each sidecar's file, of so many kills."""
    files = {name: Modes(each.house.folder / "stops.json", SystemClock()) for name, each in running.sidecars.items()}
    for modes in files.values():
        modes.join()
    people, found = running.people, []
    assert people is not None
    for number in range(count):
        kill = people.person("PUT", "/kill", "ines", {"scope": "agent:drafter"}).json
        waiting = dict(files)
        while waiting:
            for name, modes in list(waiting.items()):
                if modes.stop(agent="drafter") is not None:
                    found.append(_since(modes, kill["id"]))
                    del waiting[name]
            time.sleep(_PAUSE)
        people.person("DELETE", "/kill", "lena", {"id": kill["id"], "reason": "next"})
        until(lambda: not any(modes.stop(agent="drafter") for modes in files.values()), "its end everywhere")
        time.sleep(0.017 * (number % 60))  # no round begins at the same moment of the polling
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{number + 1}/{count}")
    return found


def _since(modes: Modes, kill: str) -> float:
    """From the order until now."""
    return (SystemClock.now_ns() - next(each.at_ns for each in modes.kills() if each.id == kill)) / 1e9


def told(name: str, found: list[float]) -> str:
    """Quantiles and a histogram."""
    found = sorted(found)
    lines = [f"{name}: {len(found)} arrivals; p50 {_at(found, 0.5)}, p90 {_at(found, 0.9)}, p99 {_at(found, 0.99)}, longest {_at(found, 1)}"]
    before = 0.0
    for step in _STEPS:
        inside = sum(before < each <= step for each in found)
        label = "longer" if step == math.inf else f"≤ {step * 1000:g} ms"
        lines.append(f"  {label:>10}  {inside:5}  {'#' * round(60 * inside / len(found))}")
        before = step
    return "\n".join(lines)


def _at(found: list[float], share: float) -> str:
    return f"{found[min(len(found) - 1, math.ceil(share * len(found)) - 1)] * 1000:.1f} ms"


def main() -> None:
    """Both, one after another."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.propagation")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--cut-rounds", type=int, default=60)
    given = parser.parse_args()
    cluster = Cluster(auth="trust", fsync="on", synchronous_commit="on")
    try:
        for name, count, cut in (("pushed", given.rounds, False), ("push cut, polled", given.cut_rounds, True)):
            database = cluster.database()
            if cut:
                cluster.run(database, *_CUT, f"ALTER DATABASE {database} SET search_path = public, pg_catalog", "SELECT 1")
            with tempfile.TemporaryDirectory() as folder, fleet(Path(folder), NOWHERE, cluster.state(database)) as running:
                sys.stdout.write(f"{told(name, rounds(running, count))}\n")
                sys.stdout.flush()
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
