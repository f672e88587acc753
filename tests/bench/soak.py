"""`--soak MINUTES`: steady mixed load on the product, and what memory and descriptors do meanwhile.

Every second: allowed requests on kept connections, some held, some refused, some whose client goes before the answer or within its own
request; and always a few who read 8 MB slowly. Nothing here stops by itself but by the clock, so the load stays what it is.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench.arms import ours
from tests.bench.check import check
from tests.bench.field import ground
from tests.bench.load import Load, once
from tests.bench.numbers import schedule, slope
from tests.bench.scrape import scrape, total

if TYPE_CHECKING:
    from tests.bench.arms.arm import Arm

ALLOWED, HELD, REFUSED, DROPPED, SLOW = 64, 3, 3, 3, 4  # a second; of SLOW so many at any time
SIP, SIPS = 32 << 10, 40  # bytes a slow reader takes in a second, and how often before it goes
WARM = 10  # seconds before the first sample
WATCHED = {  # the product names no count of its tasks: what it has under way is the nearest thing to it
    "memory MB": ("process_resident_memory_bytes", 1 << 20),
    "descriptors": ("process_open_fds", 1),
    "under way": ("stagewarden_inflight_requests", 1),
}


@dataclass(slots=True)
class Mix:
    """The clients besides those on kept connections."""

    arm: Arm
    slow: list[tuple[socket.socket, int]] = field(default_factory=list)
    said: dict[str, int] = field(default_factory=dict)

    def second(self) -> None:
        """One second's worth."""
        for request in [self._publish()] * HELD + [self.arm.forbidden()] * REFUSED:
            status, body = once(self.arm.port, request)
            kind = f"{status} {'held' if b'problem:held' in body else 'refused'}"
            self.said[kind] = self.said.get(kind, 0) + 1
        for number in range(DROPPED):
            request = self.arm.request()
            with socket.create_connection(("127.0.0.1", self.arm.port), timeout=10) as sock:
                sock.sendall(request if number % 2 else request[: len(request) // 2])
        self._sip()

    def _publish(self) -> bytes:
        """Held: a publication takes people's approval, and nobody is there to give one."""
        return b"POST %s/articles/7/publish HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: 0\r\n\r\n" % (self.arm.mount, self.arm.headers)

    def _sip(self) -> None:
        left = []
        for sock, sips in self.slow:
            got = b""
            with contextlib.suppress(OSError):
                got = sock.recv(SIP)
            if got and sips < SIPS:
                left.append((sock, sips + 1))
            else:
                sock.close()
        while len(left) < SLOW:
            sock = socket.create_connection(("127.0.0.1", self.arm.port), timeout=10)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SIP)
            sock.sendall(self.arm.read(b"big"))
            left.append((sock, 0))
        self.slow = left


def run(minutes: float) -> None:
    """Load, sample, print."""
    with ground() as made:
        arm = ours.wasm(made)
        check(arm, made.upstream)
        samples, mix, good, seconds = _soak(arm, minutes)
        for sock, _ in mix.slow:
            sock.close()
        print(f"{minutes:g} minutes; {good} allowed, {mix.said}, {DROPPED * seconds} clients gone, {SLOW} slow readers at any time")
        print(f"{'':12} {'first':>10} {'last':>10} {'most':>10} {'per hour':>10}   ({len(samples)} samples, the first after {WARM} s)")
        for name in WATCHED:
            points = [(at / 3600, found[name]) for at, found in samples]
            print(f"{name:12} {points[0][1]:10.1f} {points[-1][1]:10.1f} {max(y for _, y in points):10.1f} {slope(points):10.1f}")


def _soak(arm: Arm, minutes: float) -> tuple[list[tuple[float, dict[str, float]]], Mix, int, int]:
    """Samples, what the mix was answered, allowed requests answered, seconds played."""
    mix, samples, good = Mix(arm), [], 0
    began = time.monotonic()
    every = max(2.0, minutes * 60 / 200)
    with Load(arm.port, arm.request, 8) as load:
        for second in itertools.count():
            now = time.monotonic() - began
            over = now >= minutes * 60
            if over or (now >= WARM and (not samples or now - samples[-1][0] >= every)):
                samples.append((now, _sample(arm)))
            if over:
                return samples, mix, good, second
            good += len(load.open(schedule(ALLOWED / 0.8, 0.8)).took)
            mix.second()
            time.sleep(max(0.0, began + second + 1 - time.monotonic()))
    raise AssertionError("unreachable")


def _sample(arm: Arm) -> dict[str, float]:
    """What the product says of itself."""
    assert arm.operations is not None
    found = scrape(arm.operations)
    return {name: total(found, family) / unit for name, (family, unit) in WATCHED.items()}
