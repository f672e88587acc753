"""A transport and a server of no socket, so that a connection can be driven byte by byte and moment by moment."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import strategies as some

from stagewarden.config import Limits
from stagewarden.wire.listener import Connection, Reply, Timeouts

if TYPE_CHECKING:
    from stagewarden.errors import Refused
    from stagewarden.wire.listener import Exchange

LIMITS = Limits()
TIMEOUTS = Timeouts(head=10.0, body=30.0, write=20.0, linger=2.0)
HIGH, LOW = 1000, 250  # bytes written and not read, at which a transport says so


class Transport:
    """What a connection is told to do; the client reads only when `client_reads` says so."""

    def __init__(self, protocol: Connection, *, half: bool = True) -> None:
        self.protocol = protocol
        self.written = b""
        self.unread = 0
        self.reading = True
        self.closing = False
        self.lost = False
        self.ended = False  # our side
        self.half = half
        self._paused = False

    def get_extra_info(self, name: str) -> object:
        """A peer, and no TLS."""
        return ("192.0.2.1", 4711) if name == "peername" else None

    def is_closing(self) -> bool:
        """As asyncio's."""
        return self.closing

    def can_write_eof(self) -> bool:
        """TLS cannot."""
        return self.half

    def get_write_buffer_size(self) -> int:
        """Bytes the client has not taken."""
        return self.unread

    def write(self, data: bytes) -> None:
        """After the end there is nothing to say."""
        assert not self.ended, "written after the end of our side"
        assert not self.closing, "written to a closing transport"
        self.written += data
        self.unread += len(data)
        if self.unread > HIGH and not self._paused:
            self._paused = True
            self.protocol.pause_writing()

    def write_eof(self) -> None:
        """Our side is over."""
        assert self.half
        self.ended = True

    def pause_reading(self) -> None:
        """Nothing more comes."""
        assert not self.closing
        self.reading = False

    def resume_reading(self) -> None:
        """It comes again."""
        assert not self.closing
        self.reading = True

    def close(self) -> None:
        """What was written still goes out, then it is lost."""
        self.closing = True

    def abort(self) -> None:
        """Lost with what was not read."""
        self.closing = True
        self.unread = 0

    def client_reads(self, count: int) -> None:
        """So many bytes leave."""
        self.unread = max(0, self.unread - count)
        if self._paused and self.unread <= LOW:
            self._paused = False
            self.protocol.resume_writing()

    def settle(self) -> None:
        """A closed transport with nothing left to write tells its protocol, once."""
        if self.closing and not self.unread and not self.lost:
            self.lost = True
            self.protocol.connection_lost(None)


class Owner:
    """A server of one connection, with a clock moved by hand."""

    limits = LIMITS
    timeouts = TIMEOUTS

    def __init__(self, *, half: bool = True) -> None:
        self.draining = False
        self.time = 1000.0
        self.there = False
        self.exchanges: list[Exchange] = []
        self.refused: list[Refused] = []
        self.connection = Connection(self)
        self.transport = Transport(self.connection, half=half)
        self.connection.connection_made(self.transport)

    def now(self) -> float:
        """Monotonic seconds."""
        return self.time

    def opened(self, connection: Connection) -> None:
        """It is there."""
        self.there = True

    def closed(self, connection: Connection) -> None:
        """It is gone."""
        self.there = False

    def serve(self, exchange: Exchange) -> None:
        """A request came."""
        self.exchanges.append(exchange)

    def refuse(self, refused: Refused, peer: str) -> Reply:
        """None came."""
        self.refused.append(refused)
        return Reply(400, (), refused.code.encode())

    def sweep(self) -> None:
        """As the server's."""
        if self.there and self.connection.deadline is not None and self.connection.deadline <= self.time:
            self.connection.deadline = None
            self.connection.expire()
        self.transport.settle()


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The bytes, cut at these places."""
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(places) if start < end]


CUTS = some.lists(some.integers(0, 1 << 16), max_size=12)
