"""`python -m tests.bench.holds [--holds 1000] [--queue 10000] [--rounds 7] [--state URL]`: what holds cost, opened, voted and released.

Two questions. (1) How many holds a second one process opens (an agent asks), votes (a person reads the hold and approves) and releases
(until the upstream has answered each of them), with so many clients. (2) What an open queue costs whoever asks for something else: CPU
per allowed request of a process with that many open holds over one with none, in interleaved rounds. `--state` names another database.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from tests.bench import machine
from tests.bench.arms.ours import Written, written
from tests.bench.check import check
from tests.bench.field import ground
from tests.bench.load import Load
from tests.bench.numbers import Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.bench.arms.arm import Arm, Ground

CLIENTS = 8
REQUESTS = 4000  # of one round
MULTIPART = "multipart/form-data; boundary=B"
FORM = (
    b"".join(b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % pair for pair in ((b"status", b"publish"), (b"title", b"@")))
    + b"--B--\r\n"
)


@dataclass
class Asked:
    """A sidecar with all three listeners, and clients of one connection each."""

    product: Written
    people: int
    arm: Arm
    _idle: list[dict[int, http.client.HTTPConnection]] = field(default_factory=list)

    def exchange(self, port: int, words: tuple[str, str, str], body: bytes | None = None, media: str = "application/json") -> tuple[int, dict]:
        """Method, target and bearer; the answer's status and JSON."""
        method, target, bearer = words
        mine = self._idle.pop() if self._idle else {}
        connection = mine.setdefault(port, http.client.HTTPConnection("localhost", port, timeout=60))
        connection.request(method, target, body, {"Authorization": f"Bearer {bearer}", "Content-Type": media})
        answer = connection.getresponse()
        data = answer.read()
        self._idle.append(mine)
        return answer.status, json.loads(data)

    def open(self, number: int) -> str:
        """The agent asks to publish; the hold."""
        form = FORM.replace(b"@", str(number).encode())
        status, told = self.exchange(self.product.port, ("POST", "/newsroom/forms", self.product.house.keys["drafter"]), form, MULTIPART)
        assert status == 403, told
        return str(told["hold"]["id"])

    def vote(self, hold: str) -> None:
        """A reviewer reads it and approves."""
        bearer = self.product.house.tokens["ines"]
        _, shown = self.exchange(self.people, ("GET", f"/api/v1/holds/{hold}", bearer))
        ballot = {"decision": "approve", "function": "reviewer", "digest": shown["digest"], "view_digest": shown["view_digest"]}
        ballot["answers"] = dict.fromkeys(shown["questions"], True)
        status, told = self.exchange(self.people, ("POST", f"/api/v1/holds/{hold}/votes", bearer), json.dumps(ballot).encode())
        assert status == 200, told

    def open_still(self) -> int:
        """Whether any hold is still on its way."""
        _, listed = self.exchange(self.people, ("GET", "/api/v1/holds?state=open&limit=1", self.product.house.tokens["ines"]))
        return len(listed["items"])


def sidecar(made: Ground, name: str, state: str | None) -> Asked:
    """Started and answering."""
    product = written(made.folder / name, made.upstream)
    config = yaml.safe_load(product.house.config.read_text())
    people = machine.free_port()
    config["listen"]["people"] = {"bind": f"127.0.0.1:{people}"}
    config["limits"]["holds_per_agent"] = 1_000_000
    if state is not None:
        config["state"] = state
    product.house.config.write_text(yaml.safe_dump(config, sort_keys=False))
    process = made.start(product.command, product.port)
    started = Asked(product, people, product.arm(name, [process]))
    check(started.arm, made.upstream)
    return started


def each(act: Callable, among: Iterable) -> tuple[list, float]:
    """Done by so many clients at once; results, and how many a second."""
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        done = list(clients.map(act, among))
    return done, len(done) / (time.perf_counter() - began)


def life(asked: Asked, count: int) -> None:
    """Question (1)."""
    holds, opened = each(asked.open, range(count))
    began = time.perf_counter()
    _, voted = each(asked.vote, holds)
    machine.until(lambda: not asked.open_still(), "the end of every hold")
    released = count / (time.perf_counter() - began)
    print(f"{count} holds, {CLIENTS} clients: {opened:.0f} opened, {voted:.0f} read and voted a second; voted and released {released:.0f} a second")


def queue(empty: Asked, full: Asked, length: int, rounds: int) -> None:
    """Question (2)."""
    each(full.open, range(length))
    cost: dict[str, list[float]] = {empty.arm.name: [], full.arm.name: []}
    for _ in range(rounds):
        for one in random.sample((empty, full), 2):
            before = machine.cpu(one.arm.processes)
            with Load(one.arm.port, one.arm.request, 16) as load:
                load.closed(REQUESTS)
            cost[one.arm.name].append((machine.cpu(one.arm.processes) - before) * 1e6 / REQUESTS)
    ratios = [with_queue / without for with_queue, without in zip(cost[full.arm.name], cost[empty.arm.name], strict=True)]
    spread = Spread(statistics.median(ratios), min(ratios), max(ratios))
    print(f"CPU per allowed request with {length} open holds ÷ with none, {rounds} interleaved rounds of {REQUESTS}: {spread}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--holds", type=int, default=1000)
    parser.add_argument("--queue", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--state", help="a state URL instead of a SQLite file in the folder; of an empty database")
    options = parser.parse_args()
    with ground() as made:
        life(sidecar(made, "life", options.state), options.holds)
        if options.queue:
            queue(sidecar(made, "empty", None), sidecar(made, "full", None), options.queue, options.rounds)


if __name__ == "__main__":
    main()
