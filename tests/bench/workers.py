"""`python -m tests.bench.workers [--rounds 5] [--requests 4000]`: what several processes cost and bring, as ratios of interleaved rounds.

Two questions, since generator and upstream need a core too. (1) CPU per request of `--workers 2` (house and workers added up) over one
process, each on core 0 alone with everything else on core 1: what the second process costs. From it follows what two idle cores could do:
twice one over two, as long as the house's own share leaves it idle. (2) Throughput with two workers on both cores over one process on one, with
generator and upstream beside them: a lower bound, since they take what the workers then lack.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench import machine
from tests.bench.arms.ours import written
from tests.bench.check import check
from tests.bench.field import ground
from tests.bench.load import Load
from tests.bench.numbers import Spread

if TYPE_CHECKING:
    from tests.bench.arms.arm import Arm, Ground

CONNECTIONS = 32
WARM = 1000  # requests


@dataclass(frozen=True, slots=True)
class Crew:
    """`serve` with so many workers, and its house."""

    count: int
    arm: Arm

    def pin(self, cores: set[int]) -> None:
        """Every thread of every process onto these cores."""
        for pid in machine.family(self.arm.processes[0].pid):
            for task in (machine.PROC / str(pid) / "task").iterdir():
                with contextlib.suppress(ProcessLookupError):  # a thread that ended meanwhile
                    os.sched_setaffinity(int(task.name), cores)

    def measure(self, requests: int) -> tuple[float, float, float]:
        """CPU microseconds per request, of all and of the house, and requests a second."""
        before, house = machine.cpu(self.arm.processes), self._house()
        with Load(self.arm.port, self.arm.request, CONNECTIONS) as load:
            took = load.closed(requests).elapsed
        per = 1e6 / requests
        return (machine.cpu(self.arm.processes) - before) * per, (self._house() - house) * per, requests / took

    def _house(self) -> float:
        return machine.cpu_of((machine.PROC / str(self.arm.processes[0].pid) / "stat").read_text())


def crew(made: Ground, count: int) -> Crew:
    """Start it, and wait until every worker listens."""
    product = written(made.folder / f"workers-{count}", made.upstream)
    process = made.start([*product.command, "--workers", str(count)], product.port)
    machine.until(lambda: machine.listeners(product.port) == count, f"{count} workers that listen")
    started = Crew(count, product.arm(f"workers {count}", [process]))
    check(started.arm, made.upstream)
    started.measure(WARM)
    return started


def spread(values: list[float]) -> Spread:
    """Median and range."""
    return Spread(statistics.median(values), min(values), max(values))


def report(one: Crew, two: Crew, rounds: int, requests: int) -> None:
    """Interleaved rounds in random order, then what they say."""
    cost: dict[int, list[float]] = {1: [], 2: []}
    rate: dict[int, list[float]] = {1: [], 2: []}
    share: list[float] = []
    for _ in range(rounds):
        for each in random.sample((one, two), 2):
            each.pin({machine.SYSTEM})
            used, of_house, _ = each.measure(requests)
            cost[each.count].append(used)
            if each is two:
                share.append(of_house)
        for each in random.sample((one, two), 2):
            each.pin({machine.SYSTEM} if each is one else {machine.SYSTEM, machine.LOAD})
            rate[each.count].append(each.measure(requests)[2])
    dearer = [mine / theirs for mine, theirs in zip(cost[2], cost[1], strict=True)]
    seen = [mine / theirs for mine, theirs in zip(rate[2], rate[1], strict=True)]
    print(f"{rounds} interleaved rounds of {requests} requests; POST 1 KB of JSON, 1 KB back; {CONNECTIONS} connections")
    print(f"CPU us/req, one process:            {statistics.median(cost[1]):.0f}")
    print(f"CPU us/req, two workers and house:  {statistics.median(cost[2]):.0f}, of which the house {statistics.median(share):.0f}")
    print(f"two workers ÷ one process, CPU/req: {spread(dearer)}")
    print(f"so two idle cores could do:         {spread([2 / ratio for ratio in dearer])} of one (goal 1.8)")
    print(f"seen here, load on the same cores:  {spread(seen)} of one: a lower bound")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4000)
    options = parser.parse_args()
    with ground() as made:
        report(crew(made, 1), crew(made, 2), options.rounds, options.requests)


if __name__ == "__main__":
    main()
