"""`python -m tests.bench.workers [--rounds 5] [--requests 4000]`: what several processes cost and bring, as ratios of interleaved rounds.

Two questions, since generator and upstream need a core too. (1) CPU per request of `--workers 2` (house and workers added up) over one
process, each on core 0 alone with everything else on core 1: what the second process costs. From it follows what two idle cores could do:
twice one over two, as long as the house's own share leaves it idle. (2) Throughput with two workers on both cores over one process on one, with
generator and upstream beside them: a lower bound, since they take what the workers then lack.
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.bench.__main__ import BODY, cpu, free_port, start
from tests.bench.load import drive
from tests.product import WASM, house

CONNECTIONS = 32


@dataclass(frozen=True)
class Running:
    """A process of the system under test."""

    pid: int


@dataclass
class Arm:
    """`serve` with so many workers: its processes, the house first, and the request as its client sends it."""

    count: int
    processes: list
    port: int
    request: bytes

    def pin(self, cores):
        """Every thread of every process onto these cores."""
        for process in self.processes:
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                with contextlib.suppress(ProcessLookupError):  # a thread that ended meanwhile
                    os.sched_setaffinity(int(task.name), cores)

    def measure(self, requests):
        """CPU microseconds per request, of all and of the house, and requests a second."""
        before, house_before, began = cpu(self.processes), cpu(self.processes[:1]), time.perf_counter()
        asyncio.run(drive(self.port, self.request, CONNECTIONS, requests))
        took = time.perf_counter() - began
        per = 1e6 / requests
        return (cpu(self.processes) - before) * per, (cpu(self.processes[:1]) - house_before) * per, requests / took


def arm(folder, count, upstream_port):
    """Start it, and wait until every worker listens."""
    port = free_port()
    made = house(folder, f"http://127.0.0.1:{upstream_port}", WASM)
    config = yaml.safe_load(made.config.read_text())
    config["listen"] = {"agents": {"bind": f"127.0.0.1:{port}", "hosts": ["localhost"]}}
    config["limits"]["inflight_per_agent"] = 2 * CONNECTIONS
    made.config.write_text(yaml.safe_dump(config, sort_keys=False))
    words = [sys.executable, "-m", "stagewarden", "serve", "--config", str(made.config), "--workers", str(count)]
    process = start(words, 0, port)
    deadline = time.monotonic() + 60
    while len(found := children(process.pid)) < (count if count > 1 else 0):
        assert time.monotonic() < deadline, "the workers do not start"
        time.sleep(0.05)
    time.sleep(3)  # those that listen last
    head = b"POST /newsroom/articles HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n"
    request = head % made.keys["drafter"].encode() + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
    return Arm(count, [process, *map(Running, found)], port, request)


def children(pid):
    """Its workers."""
    found = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return [child for child in found if b"cli.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]


def spread(values):
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def report(one, two, options):
    """Interleaved rounds in random order, then what they say."""
    cost, share, rate = {1: [], 2: []}, [], {1: [], 2: []}
    for each in (one, two):
        each.measure(1000)  # warm
    for _ in range(options.rounds):
        for each in random.sample((one, two), 2):
            each.pin({0})
            used, of_house, _ = each.measure(options.requests)
            cost[each.count].append(used)
            if each is two:
                share.append(of_house)
        for each in random.sample((one, two), 2):
            each.pin({0} if each is one else {0, 1})
            rate[each.count].append(each.measure(options.requests)[2])
    dearer = [mine / theirs for mine, theirs in zip(cost[2], cost[1], strict=True)]
    print(f"{options.rounds} interleaved rounds of {options.requests} requests; POST 1 KB of JSON, 1 KB back; {CONNECTIONS} connections")
    print(f"CPU us/req, one process:            {statistics.median(cost[1]):.0f}")
    print(f"CPU us/req, two workers and house:  {statistics.median(cost[2]):.0f}, of which the house {statistics.median(share):.0f}")
    print(f"two workers ÷ one process, CPU/req: {spread(dearer)}")
    print(f"so two idle cores could do:         {spread([2 / ratio for ratio in dearer])} of one (goal 1.8)")
    seen = [mine / theirs for mine, theirs in zip(rate[2], rate[1], strict=True)]
    print(f"seen here, load on the same cores:  {spread(seen)} of one: a lower bound")


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4000)
    options = parser.parse_args()
    upstream_port = free_port()
    os.sched_setaffinity(0, {1})
    processes = [start([sys.executable, "-m", "tests.bench.parts", "upstream", str(upstream_port)], 1, upstream_port)]
    with tempfile.TemporaryDirectory() as folder:
        try:
            one = arm(Path(folder) / "one", 1, upstream_port)
            processes += one.processes[:1]
            two = arm(Path(folder) / "two", 2, upstream_port)
            processes += two.processes[:1]
            report(one, two, options)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(30)


if __name__ == "__main__":
    main()
