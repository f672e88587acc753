"""The table: processor time per request of every arm in interleaved rounds, as ratios pair by pair; latency in a closed loop; memory."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench import machine
from tests.bench.field import CONNECTIONS, checked, direct, ground
from tests.bench.load import Load, Run
from tests.bench.numbers import MAX_STEAL, Round, Spread, ratios

if TYPE_CHECKING:
    from tests.bench.arms.arm import Arm

ENOUGH = 3.0  # load and upstream alone must do so many times the arm's rate, else its rate and latency are the load's


@dataclass(slots=True)
class Measured:
    """What one arm did, round by round."""

    cost: list[Round] = field(default_factory=list)  # µs of processor time per request
    p50: list[Round] = field(default_factory=list)  # ms, one connection
    p99: list[Round] = field(default_factory=list)  # ms, sixteen
    rate: list[float] = field(default_factory=list)


def run(names: list[str], rounds: int, seconds: float) -> None:
    """Measure and print."""
    with ground() as made:
        alone = direct(made)
        running = checked(names, made)
        found = {arm.name: Measured() for arm in [alone, *running]}
        for _ in range(rounds):
            for arm in random.sample([alone, *running], len(running) + 1):
                _round(arm, found[arm.name], seconds)
        _print(alone, running, found, f"{rounds} interleaved rounds of {seconds:g} s")


def _round(arm: Arm, found: Measured, seconds: float) -> None:
    (many, cost, steal) = _measure(arm, CONNECTIONS, seconds)
    found.cost.append(Round(cost, steal))
    found.p99.append(Round(many.at(0.99), steal))
    found.rate.append(many.rate)
    (one, _, steal) = _measure(arm, 1, seconds / 4)
    found.p50.append(Round(one.at(0.5), steal))


def _measure(arm: Arm, connections: int, seconds: float) -> tuple[Run, float, float]:
    """A run, processor microseconds per request, and the share of time stolen meanwhile."""
    with Load(arm.port, arm.request, connections) as load:
        stat, before = machine.stat(), machine.cpu(arm.processes)
        done = load.closed(seconds=seconds)
        return done, (machine.cpu(arm.processes) - before) / len(done.took) * 1e6, machine.steal_of(stat, machine.stat())


def _print(alone: Arm, running: list[Arm], found: dict[str, Measured], what: str) -> None:
    capacity, nothing = statistics.median(found[alone.name].rate), _median(found[alone.name].p50)
    print(f"\n{what}, order at random; POST 1 KB of JSON, 1 KB back, no two bodies equal; {CONNECTIONS} connections, then one; medians")
    print(f"load and upstream alone: {capacity:.0f} requests/s\n")
    print(f"{'arm':40} {'CPU us/req':>10} {'req/s':>8} {'p99 ms':>8} {'p50 at 1':>9} {'added':>7} {'MB':>5}")
    for arm in running:
        mine = found[arm.name]
        rate, p50 = statistics.median(mine.rate), _median(mine.p50)
        short = "" if capacity >= ENOUGH * rate else "  *"
        print(f"{arm.name:40} {_median(mine.cost):10.0f} {rate:8.0f} {_median(mine.p99):8.2f}", end=" ")
        print(f"{p50:9.3f} {p50 - nothing:7.3f} {machine.resident(arm.processes):5.0f}{short}")
    print(f"*: load and upstream alone do less than {ENOUGH:g} times this: its requests/s and latency are theirs too; its CPU stands.")
    print("CPU: user and system time of all of an arm's processes. added: p50 at one connection less that of the upstream alone.")
    _print_ratios(running, found)
    print("\nnot done:")
    for arm in running:
        if arm.lacks:
            print(f"  {arm.name:40} {arm.lacks}")


def _print_ratios(running: list[Arm], found: dict[str, Measured]) -> None:
    """Each arm ÷ the first, and ours ÷ each arm; every ratio of two figures of one round."""
    base, ours = running[0].name, next((arm.name for arm in running if arm.operations), running[0].name)
    print(f"\nratios, pair by pair: median (range). A pair is dropped only where more than {MAX_STEAL:.0%} of its time was stolen; -N were.")
    print(f"{'arm':40} {'CPU ÷ ' + base:>26} | {ours} ÷ this: {'CPU':>3} {'p50 at 1':>20} {'p99':>20}")
    for arm in running:
        mine, first, us = found[arm.name], found[base], found[ours]
        pairs = [ratios(us.cost, mine.cost), ratios(us.p50, mine.p50), ratios(us.p99, mine.p99)]
        print(f"{arm.name:40} {_shown(ratios(mine.cost, first.cost)):>26} |", *(f"{_shown(pair):>20}" for pair in pairs))


def _median(rounds: list[Round]) -> float:
    return statistics.median(each.value for each in rounds)


def _shown(spread: Spread | None) -> str:
    return "all dropped" if spread is None else f"{spread}{f' -{spread.dropped}' if spread.dropped else ''}"
