"""`--stream`: what each arm adds to the first event of a stream, beside what it adds to a plain answer. Read by one connection."""

from __future__ import annotations

import math
import random
import socket
import statistics
import time
from typing import TYPE_CHECKING

from tests.bench.field import checked, direct, ground
from tests.bench.parts import ANSWER, EVENT, GAP

if TYPE_CHECKING:
    from tests.bench.arms.arm import Arm

EACH = 15  # of each kind in a round
PLAIN, STREAM = b"1", b"stream"


def run(names: list[str], rounds: int) -> None:
    """Measure and print."""
    with ground() as made:
        alone = direct(made)
        running = [alone, *(arm for arm in checked(names, made) if _reads(arm))]
        found: dict[tuple[str, bytes], list[float]] = {(arm.name, kind): [] for arm in running for kind in (PLAIN, STREAM)}
        for _ in range(rounds):
            for arm, kind in random.sample([(arm, kind) for arm in running for kind in (PLAIN, STREAM)], len(found)):
                found[arm.name, kind].append(statistics.median(first_byte(arm, kind) for _ in range(EACH)))
        print(
            f"\nGET, {rounds} rounds of {EACH}; ms added to the upstream alone, medians; the second event comes {GAP * 1000:.0f} ms after the first"
        )
        print(f"{'arm':40} {'plain answer':>12} {'first event':>12} {'ratio (range of rounds)':>26}")
        for arm in running[1:]:
            pairs = [list(zip(found[arm.name, kind], found[alone.name, kind], strict=True)) for kind in (PLAIN, STREAM)]
            _print(arm.name, *([mine - theirs for mine, theirs in rounds_of] for rounds_of in pairs))


def _print(name: str, plain: list[float], event: list[float]) -> None:
    ratios = [mine / theirs if theirs > 0 else math.inf for mine, theirs in zip(event, plain, strict=True)]  # nothing added: noise
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    print(f"{name:40} {statistics.median(plain) * 1000:12.3f} {statistics.median(event) * 1000:12.3f} {spread:>26}")


def _reads(arm: Arm) -> bool:
    """Whether this arm lets a GET pass: the peers' question knows two methods only."""
    try:
        first_byte(arm, PLAIN)
    except ConnectionError:
        print(f"(left out: {arm.name}: it does not let a GET pass)")
        return False
    return True


def first_byte(arm: Arm, kind: bytes) -> float:
    """Seconds until the first byte of the body has come; the rest is read too, and all of it is right."""
    wanted = EVENT if kind == STREAM else ANSWER
    with socket.create_connection(("127.0.0.1", arm.port), timeout=30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        sock.sendall(arm.read(kind))
        data, took = b"", None
        while (more := sock.recv(65536)) or took is None:
            data += more
            if not more or not data.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(data[:200])
            took = took or (time.perf_counter() - began if wanted[:4] in data.partition(b"\r\n\r\n")[2] else None)
            if data.endswith(b"0\r\n\r\n" if kind == STREAM else ANSWER):
                break
    if data.count(wanted) != (2 if kind == STREAM else 1):
        raise ConnectionError(data[:200])
    return took
