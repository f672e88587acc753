"""`--latency`: an open loop at shares of each arm's own capacity, from the time a request was due; and twice as much as it can do.

This process is the generator and does nothing else meanwhile; upstream and arm are processes of their own. Times are kept raw and
sorted: no bucket widens a percentile.
"""

from __future__ import annotations

import random
import statistics
from typing import TYPE_CHECKING

from tests.bench import machine
from tests.bench.arms import ours
from tests.bench.field import CONNECTIONS, checked, direct, ground
from tests.bench.load import Load, Run
from tests.bench.numbers import Round, ratios, schedule

if TYPE_CHECKING:
    from tests.bench.arms.arm import Arm

SHARES = (0.3, 0.5, 0.8)
COMMON = "common"
WIDE = 256  # connections: enough for what waits at 80 % of capacity
FLOOD = 1024  # connections: all that twice the capacity is offered on
SHED = (200, 429, 503)  # what an overloaded arm may say


Found = dict[tuple[str, str], list[tuple[Run, float]]]  # arm and offer → runs, and the share of time stolen in each


def offers(peaks: dict[str, float]) -> dict[tuple[str, str], float]:
    """Arm and offer → requests per second: shares of the arm's own peak, and one rate that is half of the slowest arm's."""
    common = min(peaks.values()) / 2
    own = {(name, f"{share:.0%}"): share * peak for name, peak in peaks.items() for share in SHARES}
    return own | {(name, COMMON): common for name in peaks}


def run(names: list[str], rounds: int, seconds: float) -> None:
    """Measure and print."""
    with ground() as made:
        running = {arm.name: arm for arm in checked(names, made)}
        alone = _capacity(direct(made), seconds)
        peaks = {name: _capacity(arm, seconds) for name, arm in running.items()}
        offered = offers(peaks)
        found: Found = {offer: [] for offer in offered}
        for _ in range(rounds):
            for offer in random.sample(list(offered), len(offered)):
                found[offer].append(_open(running[offer[0]], offered[offer], seconds))
        print(f"\nopen loop, from when each was due; {rounds} rounds of {seconds:g} s; load and upstream alone: {alone:.0f} requests/s; medians, ms")
        _print(peaks, offered, found)
        _print_audit(running, found)
        _print_overload([*running.values(), *([ours.limited(made)] if "wasm" in names else [])], rounds, seconds)


def _capacity(arm: Arm, seconds: float) -> float:
    """Requests per second in a closed loop: the median of three runs."""
    with Load(arm.port, arm.request, CONNECTIONS) as load:
        return statistics.median(load.closed(seconds=seconds).rate for _ in range(3))


def _open(arm: Arm, rate: float, seconds: float, connections: int = WIDE, expected: tuple[int, ...] = (200,)) -> tuple[Run, float]:
    """A run at this rate, and the share of time stolen meanwhile."""
    with Load(arm.port, arm.request, connections, expected) as load:
        before = machine.stat()
        return load.open(schedule(rate, seconds)), machine.steal_of(before, machine.stat())


def _print(peaks: dict[str, float], offered: dict[tuple[str, str], float], found: Found) -> None:
    print(f"{'arm':40} {'capacity/s':>10} {'offered':>8} {'a second':>9} {'p50':>8} {'p99':>8} {'p99.9':>8}")
    for offer, runs in found.items():
        name, share = offer
        p50, p99, p999 = (statistics.median(run.at(at) for run, _ in runs) for at in (0.5, 0.99, 0.999))
        print(f"{name:40} {peaks[name]:10.0f} {share:>8} {offered[offer]:9.0f} {p50:8.3f} {p99:8.2f} {p999:8.2f}")


def _print_audit(running: dict[str, Arm], found: Found) -> None:
    """p99 with the audit durable before the effect ÷ with it by the batch, each at half its capacity, round by round."""
    rounds = {name: [Round(run.at(0.99), steal) for run, steal in found[name, "50%"]] for name, arm in running.items() if arm.operations}
    durable, batched = (rounds.get(f"stagewarden, Wasm{rest}") for rest in ("", ", audit batched"))
    if durable and batched:
        print(f"p99 at half capacity, audit durable before the effect ÷ batched: {ratios(durable, batched)}")
    else:
        print("p99 at half capacity, audit durable ÷ batched: needs the arms wasm and batched")


def _print_overload(running: list[Arm], rounds: int, seconds: float) -> None:
    """Good answers per second while twice the peak of the same minute is offered, beside that peak."""
    print(f"\ntwice the capacity offered on {FLOOD} connections: good answers/s ÷ peak (median and range); the rest was refused or waited")
    for arm in running:
        kept, peak = [], []
        for _ in range(rounds):
            peak.append(Round(_capacity(arm, seconds / 3)))
            flood, steal = _open(arm, 2 * peak[-1].value, seconds, FLOOD, SHED)
            kept.append(Round(flood.rate, steal))
        shed = {status: count for status, count in flood.answers.items() if status != 200}
        print(f"{arm.name:40} {ratios(kept, peak)!s:>20}  refused in the last round: {shed or 'none'}")
