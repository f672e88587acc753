"""`--idle N`: what an idle keep-alive connection costs in memory, and whether a good request is answered beside so many.

The product may close what has been idle for its keep-alive time: those are not counted.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from typing import TYPE_CHECKING

from tests.bench import machine
from tests.bench.arms import ours
from tests.bench.check import check
from tests.bench.field import ground
from tests.bench.load import answered

if TYPE_CHECKING:
    from collections.abc import Callable

SPARE = 256  # descriptors besides the connections
PER_ADDRESS = 20_000  # connections from one loopback address: there are 28,000 ports


def allowed(wanted: int) -> int:
    """How many connections the descriptors allow, the limit raised as far as it goes (the product inherits it)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + SPARE
    for soft, top in ((need, max(need, hard)), (min(need, hard), hard)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, top))
            break
    return min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE)


def run(wanted: int) -> None:
    """Measure and print."""
    count = allowed(wanted)
    if count < wanted:
        print(f"only {count} of {wanted}: RLIMIT_NOFILE cannot be raised further here")
    with ground() as made:
        arm = ours.wasm(made)
        check(arm, made.upstream)
        for used, stage in ((False, "connected, nothing asked yet"), (True, "asked once each")):
            before, files = machine.resident(arm.processes), machine.descriptors(arm.processes)
            kept: list[socket.socket] = []
            try:
                stopped = _connect(arm.port, count, kept, arm.request if used else None)
                time.sleep(1)  # idle is what is measured: whom the product turns away, it turns away meanwhile
                alive = sum(_open(sock) for sock in kept)
                grown = machine.resident(arm.processes) - before
                check(arm, made.upstream)
                print(f"{len(kept)} idle connections ({stage}{stopped}), {alive} still open: {grown:.1f} MB, "
                      f"{grown * 1024 / max(1, alive):.2f} KB each; a new request is answered meanwhile")  # fmt: skip
            finally:
                for sock in kept:
                    sock.close()
            machine.until(lambda: machine.descriptors(arm.processes) <= files, "the connections' end")  # noqa: B023 - called here


def _connect(port: int, count: int, kept: list[socket.socket], make: Callable[[], bytes] | None) -> str:
    """So many connections, one after the other; what stopped it, if anything did."""
    for number in range(count):
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(f"127.0.0.{1 + number // PER_ADDRESS}", 0))
            kept.append(sock)
            if make is not None:
                _ask(sock, make())
        except OSError as failure:
            return f"; stopped by: {failure}"
    return ""


def _ask(sock: socket.socket, request: bytes) -> None:
    sock.sendall(request)
    data = b""
    while answered(data) is None:
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("closed within an answer")
        data += more


def _open(sock: socket.socket) -> bool:
    """Whether the other side has left it open."""
    sock.settimeout(0)
    try:
        return sock.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
