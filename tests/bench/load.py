"""The load: keep-alive connections on one epoll, in a closed loop (one request under way on each) or an open one (a fixed schedule).

Checks every answer's status and reads it whole. No event loop, no object per request: on the same core as the upstream it must be
several times faster than what is measured. In an open loop a request's time runs from when it was due, not from when it was sent:
an answer that comes late makes the ones behind it late too, and hides nothing.
"""

from __future__ import annotations

import gc
import select
import socket
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.bench.numbers import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GOOD = 200
SPIN = 60e-6  # seconds: what a timer may oversleep


class Unexpected(Exception):
    """An answer that is not what this load is about."""


@dataclass(slots=True)
class Run:
    """Seconds each good answer took, in order of completion; how long the whole took; answers by status."""

    took: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    answers: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return len(self.took) / self.elapsed

    def at(self, share: float) -> float:
        """A percentile, in milliseconds."""
        return percentile(sorted(self.took), share) * 1000


def answered(data: bytes) -> int | None:
    """The status of a whole answer; None while some of it is still to come."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    at = data.find(b"ontent-", 0, end)
    while at >= 0 and data[at + 7 : at + 14].lower() != b"length:":
        at = data.find(b"ontent-", at + 7, end)
    if at < 0:
        lowered = data[:end].lower()
        at = lowered.find(b"content-length:") + 1
        if at == 0:
            whole = data.endswith(b"0\r\n\r\n") if b"chunked" in lowered else True
            return int(data[9:12]) if whole else None
    length = int(data[at + 14 : data.find(b"\r", at)])
    return int(data[9:12]) if len(data) >= end + 4 + length else None


class Load:
    """Connections to one port. `make` gives the bytes of the next request; a status outside `expected` ends the run."""

    def __init__(self, port: int, make: Callable[[], bytes], connections: int, expected: Sequence[int] = (200,)) -> None:
        self._make = make
        self._port = port
        self._expected = frozenset(expected)
        self._sockets: dict[int, socket.socket] = {}
        self._parts: dict[int, bytes] = {}
        self._since: dict[int, float] = {}
        self._poll = select.epoll()
        for _ in range(connections):
            self._connect()

    def __enter__(self) -> Self:
        gc.collect()
        gc.disable()
        return self

    def __exit__(self, *_: object) -> None:
        gc.enable()
        self._poll.close()
        for sock in self._sockets.values():
            sock.close()

    def _connect(self) -> int:
        sock = socket.create_connection(("127.0.0.1", self._port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(0)
        number = sock.fileno()
        self._sockets[number] = sock
        self._parts[number] = b""
        self._poll.register(number, select.EPOLLIN)
        return number

    def closed(self, requests: int | None = None, seconds: float | None = None) -> Run:
        """So many requests, or as many as go into so many seconds; what is under way at the end is still read."""
        run = Run()
        began = time.perf_counter()
        left = requests if requests is not None else 1 << 62
        until = began + seconds if seconds is not None else float("inf")
        for number in list(self._sockets)[: min(left, len(self._sockets))]:
            self._send(number, time.perf_counter())
            left -= 1
        while self._since:
            for number, _ in self._poll.poll(30) or self._silent():
                idle = number not in self._since
                after = self._receive(number, run)
                if after is None or idle:
                    continue
                now = time.perf_counter()
                run.elapsed = now - began
                if left > 0 and now < until:
                    left -= 1
                    self._send(after, now)
        return run

    def open(self, due: Sequence[float]) -> Run:
        """Requests at these seconds from now. Whoever finds no free connection waits for one, and the wait counts."""
        run = Run()
        free = list(self._sockets)  # the last used first: as many connections are busy as are needed
        waiting: deque[float] = deque()
        began = time.perf_counter() + 0.01
        at = 0
        while at < len(due) or waiting or self._since:
            now = time.perf_counter()
            while at < len(due) and began + due[at] <= now:
                waiting.append(began + due[at])
                at += 1
            while waiting and free:
                self._send(free.pop(), waiting.popleft())
            pause = began + due[at] - time.perf_counter() if at < len(due) else 30.0
            if pause > SPIN and not select.select([self._poll.fileno()], [], [], pause - SPIN)[0] and at == len(due):
                self._silent()
            for number, _ in self._poll.poll(0):
                if number not in self._since:
                    free.remove(number)
                after = self._receive(number, run)
                if after is not None:
                    free.append(after)
        run.elapsed = time.perf_counter() - began
        return run

    def _silent(self) -> list[tuple[int, int]]:
        raise Unexpected(f"no answer for 30 seconds; {len(self._since)} under way")

    def _send(self, number: int, since: float) -> None:
        self._since[number] = since
        request = self._make()
        sent = self._sockets[number].send(request)
        if sent != len(request):
            raise Unexpected("a request of 1 KB did not fit into the socket")

    def _receive(self, number: int, run: Run) -> int | None:
        """Read what came. The connection to use next once the answer is whole and counted: a new one where this one was closed."""
        try:
            more = self._sockets[number].recv(65536)
        except BlockingIOError:
            return None if number in self._since else number
        if number not in self._since:
            if more:
                raise Unexpected(f"an answer to nothing: {more[:200]!r}")
            return self._renew(number)
        data = self._parts[number] + more if self._parts[number] else more
        status = answered(data)
        if status is None:
            if not more:
                raise Unexpected(f"the connection was closed within an answer: {data[:200]!r}")
            self._parts[number] = data
            return None
        if status not in self._expected:
            raise Unexpected(data[:400].decode(errors="replace"))
        since = self._since.pop(number)
        if status == GOOD:
            run.took.append(time.perf_counter() - since)
        run.answers[status] = run.answers.get(status, 0) + 1
        self._parts[number] = b""
        return self._renew(number) if b"onnection: close" in data[:1024] else number

    def _renew(self, number: int) -> int:
        """Another connection in the place of one the other side has closed."""
        self._poll.unregister(number)
        self._sockets.pop(number).close()
        del self._parts[number]
        return self._connect()


def once(port: int, request: bytes) -> tuple[int, bytes]:
    """One request on a connection of its own: status and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(request)
        data = b""
        while answered(data) is None:
            more = sock.recv(65536)
            if not more:
                break
            data += more
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head[9:12]), body
