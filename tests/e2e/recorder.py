"""A recording forwarder: stands before a server, keeps every request as it came, and passes both directions byte for byte.

One request per connection, as PHP's built-in server answers. It changes nothing and hides nothing: what is counted here is what arrived.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.upstreams import Received

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CHUNK = 1 << 16


class Recorder(socketserver.ThreadingTCPServer):
    """`requests` in order of arrival; `before_answer` runs when one has been forwarded and before the first byte of its answer goes back."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int) -> None:
        self.requests: list[Received] = []
        self.behind = ("127.0.0.1", port)
        self.before_answer: Callable[[Received], None] = lambda _: None
        super().__init__(("127.0.0.1", 0), _Connection)

    @property
    def url(self) -> str:
        """As it would stand in a configuration."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def writes(self) -> list[Received]:
        """Everything that arrived and is not a GET."""
        return [request for request in self.requests if request.method != "GET"]


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Read one whole request, record it, forward it, relay the answer to its end."""
        assert isinstance(self.server, Recorder)
        raw = b""
        while b"\r\n\r\n" not in raw:
            if not (chunk := self.request.recv(_CHUNK)):
                return
            raw += chunk
        length = _LENGTH.search(raw)
        whole = raw.index(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
        while len(raw) < whole:
            if not (chunk := self.request.recv(_CHUNK)):
                return
            raw += chunk
        received = Received(raw)
        self.server.requests.append(received)
        # The other side may have been killed: then there is nobody to tell.
        with contextlib.suppress(ConnectionError), socket.create_connection(self.server.behind) as behind:
            behind.sendall(raw)
            answered = False
            while chunk := behind.recv(_CHUNK):
                if not answered:
                    self.server.before_answer(received)
                    answered = True
                self.request.sendall(chunk)


@contextmanager
def recording(port: int) -> Iterator[Recorder]:
    """A recorder before this port of loopback."""
    with Recorder(port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="recorder", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
