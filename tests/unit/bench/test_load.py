"""The generator against a small upstream in a thread: what it counts, what it refuses, where an open loop's time begins."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.bench.load import Load, Unexpected, answered, once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
YES = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def upstream(answer: Callable[[int], bytes], *, keep: bool = True) -> Iterator[int]:
    """Answers the n-th request by `answer(n)`; closes after each answer unless it keeps connections. Its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        clients: list[socket.socket] = []
        count = iter(range(1 << 20))

        def serve(sock: socket.socket) -> None:
            with sock:
                while sock.recv(4096):
                    sock.sendall(answer(next(count)))
                    if not keep:
                        return

        def accept() -> None:
            try:
                while True:
                    clients.append(listener.accept()[0])
                    threading.Thread(target=serve, args=(clients[-1],), daemon=True).start()
            except OSError:
                return  # the listener was closed: the test is over

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(YES, 200, id="whole"),
        pytest.param(YES[:-1], None, id="one-byte-short"),
        pytest.param(YES.replace(b"Content-Length", b"content-length"), 200, id="lower-case"),
        pytest.param(YES.replace(b"Content-Length", b"CONTENT-LENGTH"), 200, id="upper-case"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Type: a\r\nContent-Length: 1\r\n\r\n", None, id="another-content-field-first"),
        pytest.param(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 403, id="refused"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", None, id="chunked-not-over"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, id="chunked-over"),
        pytest.param(b"HTTP/1.1 204 No\r\n\r\n", 204, id="no-body"),
    ],
)
def test_an_answer_is_whole_or_not(data: bytes, status: int | None) -> None:
    """A status only when all of it is there."""
    assert answered(data) == status


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "closed-after-each"])
def test_a_closed_loop_sends_exactly_so_many(keep: bool) -> None:  # noqa: FBT001 - a table's column
    """Each is answered once, on connections that are kept or not."""
    seen: list[int] = []
    close = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with upstream(lambda number: seen.append(number) or (YES if keep else close), keep=keep) as port, Load(port, lambda: REQUEST, 3) as load:
        run = load.closed(20)
    assert (len(run.took), len(seen), run.answers) == (20, 20, {200: 20})
    assert run.rate > 0


def test_another_status_ends_the_run() -> None:
    """A refusal is a fast answer: it must not be timed as a good one."""
    with upstream(lambda number: NO if number == 5 else YES) as port, Load(port, lambda: REQUEST, 1) as load, pytest.raises(Unexpected, match="503"):
        load.closed(20)


def test_what_is_shed_is_counted_apart() -> None:
    """Under overload 503 may come; only good answers make the rate."""
    with upstream(lambda number: NO if number % 2 else YES) as port, Load(port, lambda: REQUEST, 1, expected=(200, 503)) as load:
        run = load.closed(10)
    assert (len(run.took), run.answers) == (5, {200: 5, 503: 5})


def test_an_open_loop_counts_from_when_a_request_was_due() -> None:
    """Three due at once and one connection: the upstream holds the first until all were due, and each waits for those before it."""
    hold = threading.Event()
    with upstream(lambda number: (hold.wait(10) if number == 0 else None, YES)[1]) as port, Load(port, lambda: REQUEST, 1) as load:
        threading.Timer(0.3, hold.set).start()
        run = load.open([0.0, 0.0, 0.1])
    first, second, third = run.took
    assert first <= second
    assert third >= first - 0.1  # it was due 0.1 later: what it waited is in its time, though its own answer came at once


def test_once_reads_status_and_body() -> None:
    """One request on a connection of its own."""
    with upstream(lambda _: YES) as port:
        assert once(port, REQUEST) == (200, b"ok")
