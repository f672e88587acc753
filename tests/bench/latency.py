"""`--latency`: an open loop at shares of each arm's own capacity, from the time a request was due; and twice as much as it can do.

This process is the generator and does nothing else meanwhile; upstream and arm are processes of their own. Times are kept raw and
sorted: no bucket widens a percentile.
"""

from __future__ import annotations

import random
import statistics
from typing import TYPE_CHECKING

from tests.bench import machine
from tests.bench.field import CONNECTIONS, checked, direct, ground
from tests.bench.load import Load, Run
from tests.bench.numbers import Round, ratios, schedule

if TYPE_CHECKING:
    from tests.bench.arms.arm import Arm

SHARES = (0.3, 0.5, 0.8)
WIDE = 256  # connections: enough for what waits at 80 % of capacity
FLOOD = 1024  # connections: all that twice the capacity is offered on
SHED = (200, 429, 503)  # what an overloaded arm may say


def run(names: list[str], rounds: int, seconds: float) -> None:
    """Measure and print."""
    with ground() as made:
        running = checked(names, made)
        alone = _capacity(direct(made), seconds)
        peaks = {arm.name: _capacity(arm, seconds) for arm in running}
        found: dict[tuple[str, float], list[tuple[Run, float]]] = {(arm.name, share): [] for arm in running for share in SHARES}
        for _ in range(rounds):
            for arm, share in random.sample([(arm, share) for arm in running for share in SHARES], len(found)):
                found[arm.name, share].append(_open(arm, share * peaks[arm.name], seconds))
        _print(running, peaks, found, f"{rounds} rounds of {seconds:g} s; load and upstream alone: {alone:.0f} requests/s")
        _print_audit(running, found)
        _print_overload(running, peaks, rounds, seconds)


def _capacity(arm: Arm, seconds: float) -> float:
    """Requests per second in a closed loop: the median of three runs."""
    with Load(arm.port, arm.request, CONNECTIONS) as load:
        return statistics.median(load.closed(seconds=seconds).rate for _ in range(3))


def _open(arm: Arm, rate: float, seconds: float, connections: int = WIDE, expected: tuple[int, ...] = (200,)) -> tuple[Run, float]:
    """A run at this rate, and the share of time stolen meanwhile."""
    with Load(arm.port, arm.request, connections, expected) as load:
        before = machine.stat()
        return load.open(schedule(rate, seconds)), machine.steal_of(before, machine.stat())


def _print(running: list[Arm], peaks: dict[str, float], found: dict[tuple[str, float], list[tuple[Run, float]]], what: str) -> None:
    print(f"\nopen loop, from intended send time; {what}; medians of the rounds, ms")
    print(f"{'arm':40} {'capacity/s':>10} {'offered':>8} {'p50':>8} {'p99':>8} {'p99.9':>8}")
    for arm in running:
        for share in SHARES:
            p50, p99, p999 = (statistics.median(run.at(at) for run, _ in found[arm.name, share]) for at in (0.5, 0.99, 0.999))
            first = f"{arm.name:40} {peaks[arm.name]:10.0f}" if share == SHARES[0] else " " * 51
            print(f"{first} {share:8.0%} {p50:8.3f} {p99:8.2f} {p999:8.2f}")


def _print_audit(running: list[Arm], found: dict[tuple[str, float], list[tuple[Run, float]]]) -> None:
    """p99 with the audit durable before the effect ÷ with it by the batch, each at half its capacity, round by round."""
    rounds = {arm.name: [Round(run.at(0.99), steal) for run, steal in found[arm.name, 0.5]] for arm in running if arm.operations}
    durable, batched = (rounds.get(f"stagewarden, Wasm{rest}") for rest in ("", ", audit batched"))
    if durable and batched:
        print(f"p99 at half capacity, audit durable before the effect ÷ batched: {ratios(durable, batched)}")
    else:
        print("p99 at half capacity, audit durable ÷ batched: needs the arms wasm and batched")


def _print_overload(running: list[Arm], peaks: dict[str, float], rounds: int, seconds: float) -> None:
    """Good answers per second while twice the capacity is offered, beside the peak of the same minute."""
    print(f"\ntwice the capacity offered on {FLOOD} connections: good answers/s ÷ peak (median and range); the rest was refused or waited")
    for arm in running:
        kept, peak = [], []
        for _ in range(rounds):
            peak.append(Round(_capacity(arm, seconds / 3)))
            flood, steal = _open(arm, 2 * peaks[arm.name], seconds, FLOOD, SHED)
            kept.append(Round(flood.rate, steal))
        shed = {status: count for status, count in flood.answers.items() if status != 200}
        print(f"{arm.name:40} {ratios(kept, peak)!s:>20}  refused in the last round: {shed or 'none'}")
