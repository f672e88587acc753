"""`python -m tests.bench [--rounds 5] [--requests 3000]`: CPU per request and added latency as ratios from interleaved rounds, resident memory.

Each arm runs alone on core 0, upstream and load on core 1. CPU is the change of user and system time of the arm's processes over the
requests counted. Medians with the whole range: these machines are shared and noisy.
"""

import argparse
import asyncio
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.bench.load import drive
from tests.needs import NEEDS
from tests.product import house

BODY = b'{"title": "Winter opening hours", "body": "' + b"x" * 950 + b'"}'
TICK = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).parents[2]


def free_port():
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(command, core, port=None, **environment):
    """A process on one core, listening on its port when this returns."""
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, preexec_fn=lambda: os.sched_setaffinity(0, {core}))  # noqa: PLW1509 - no thread runs here
    deadline = time.monotonic() + 60
    while port is not None:
        assert process.poll() is None, f"{command} ended"
        assert time.monotonic() < deadline, f"{command} does not listen"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    return process


def cpu(processes):
    """User and system seconds of these processes so far."""
    total = 0
    for process in processes:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def resident(process):
    """Resident memory in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


class Arm:
    """One way to pass the request on: its processes, its port, the request as its client sends it."""

    def __init__(self, name, processes, port, path, headers=b""):
        self.name = name
        self.processes = processes
        self.port = port
        self.request = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s" % (
            path, headers, len(BODY), BODY,
        )  # fmt: skip

    def measure(self, connections, requests):
        """CPU microseconds per request and the times of one run."""
        before = cpu(self.processes)
        took = asyncio.run(drive(self.port, self.request, connections, requests))
        return (cpu(self.processes) - before) / requests * 1e6, sorted(took)


def ours(name, folder, upstream_port, engine, helpers=()):
    """The whole product: identity by key, strict reading, Rego, durable audit, metrics, own upstream connection."""
    port = free_port()
    made = house(folder, f"http://127.0.0.1:{upstream_port}", engine)
    config = yaml.safe_load(made.config.read_text())
    config["listen"] = {"agents": {"bind": f"127.0.0.1:{port}", "hosts": ["localhost"]}}
    made.config.write_text(yaml.safe_dump(config, sort_keys=False))
    process = start([sys.executable, "-m", "stagewarden", "serve", "--config", str(made.config)], 0, port)
    return Arm(name, [process, *helpers], port, b"/newsroom/articles", f"Authorization: Bearer {made.keys['drafter']}\r\n".encode())


def arms(folder, upstream_port):
    """Every arm that can run here."""
    port = free_port()
    process = start([sys.executable, "-m", "tests.bench.parts", "passthrough", str(port), f"http://127.0.0.1:{upstream_port}"], 0, port)
    yield Arm("aiohttp pass-through", [process], port, b"/articles")
    yield ours("stagewarden, Wasm", folder / "wasm", upstream_port, "{engine: wasm, deadline: 2s}")
    opa = NEEDS["opa"].find()
    if opa is None:
        print(f"(no OPA server arm: {NEEDS['opa'].install})")
        return
    sock = folder / "opa.sock"
    bundle = ROOT / "src" / "stagewarden" / "bundle" / "stagewarden.tar.gz"
    server = start(
        [str(opa), "run", "--server", "--addr", f"unix://{sock}", "--bundle", str(bundle), "--log-level", "error", "--skip-version-check"], 0
    )
    while not sock.exists():
        time.sleep(0.05)
    yield ours("stagewarden, OPA server", folder / "opa", upstream_port, f"{{engine: opa, deadline: 2s, opa: {{url: 'unix:{sock}'}}}}", [server])


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=3000)
    options = parser.parse_args()
    upstream_port = free_port()
    os.sched_setaffinity(0, {1})
    upstream = start([sys.executable, "-m", "tests.bench.parts", "upstream", str(upstream_port)], 1, upstream_port)
    running = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            running = list(arms(Path(folder), upstream_port))
            report(running, options, Arm("direct", [upstream], upstream_port, b"/articles"))
        finally:
            for process in [upstream, *(process for arm in running for process in arm.processes)]:
                process.send_signal(signal.SIGTERM)
            for process in [upstream, *(process for arm in running for process in arm.processes)]:
                process.wait(30)


def report(running, options, direct):
    """Interleaved rounds in random order, then the table."""
    costs = {arm.name: [] for arm in running}
    p50 = {arm.name: [] for arm in [*running, direct]}
    p99 = {arm.name: [] for arm in running}
    for arm in running:
        arm.measure(16, 500)  # warm
    for _ in range(options.rounds):
        for arm in random.sample(running, len(running)):
            cost, took = arm.measure(16, options.requests)
            costs[arm.name].append(cost)
            p99[arm.name].append(took[int(len(took) * 0.99)])
        for arm in random.sample([*running, direct], len(running) + 1):
            p50[arm.name].append(statistics.median(arm.measure(1, max(200, options.requests // 10))[1]))
    base = running[0].name
    print(f"{options.rounds} interleaved rounds of {options.requests} requests; POST 1 KB of JSON, 1 KB back; 16 connections")
    print(f"{'arm':26} {'CPU us/req':>11} {'÷ pass-through (range)':>26} {'p99 ms':>8} {'p50 ms at 1':>12} {'added ms':>9} {'MB':>6}")
    for arm in running:
        ratios = [mine / theirs for mine, theirs in zip(costs[arm.name], costs[base], strict=True)]
        added = (statistics.median(p50[arm.name]) - statistics.median(p50["direct"])) * 1000
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(
            f"{arm.name:26} {statistics.median(costs[arm.name]):11.0f} {spread:>26} {statistics.median(p99[arm.name]) * 1000:8.1f}"
            f" {statistics.median(p50[arm.name]) * 1000:12.2f} {added:9.2f} {resident(arm.processes[0]):6.0f}"
        )


if __name__ == "__main__":
    main()
