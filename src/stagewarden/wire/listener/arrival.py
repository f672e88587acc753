"""A client between its connection and its TLS: it has a place among the connections, and a deadline. Must never read anything itself.

A loop tells its protocol of a TLS connection once the handshake is over, and of a handshake that failed never. So we accept without TLS,
and a second transport makes it on the same socket: whoever counts connections sees each from its first moment to its last.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, ClassVar, Protocol

from stagewarden.wire.tls import NothingInCommon

if TYPE_CHECKING:
    from stagewarden.wire.listener.connection import Connection, Timeouts


class Owner(Protocol):
    """What an arrival asks of the server that accepted it."""

    timeouts: Timeouts

    def now(self) -> float:
        """Monotonic seconds, of the loop."""

    def arrived(self, arrival: Arrival) -> None:
        """It is there, and its handshake is to begin."""


class Arrival(asyncio.Protocol):
    """The transport's side of a client without TLS yet."""

    __slots__ = ("_owner", "_socket", "cause", "deadline", "peer")

    at_work: ClassVar = False
    waiting: ClassVar = True
    unread: ClassVar = False

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._socket: socket.socket | None = None
        self.peer = ""
        self.cause: str | None = None  # why there was no handshake; empty: we ended it, for a reason of our own
        self.deadline: float | None = None  # by the owner's clock

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came. Its socket is ours from here on; the first transport goes before it has read."""
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if peer else ""
        with contextlib.suppress(OSError):  # no descriptor left: nothing holds the connection, and it ends
            self._socket = transport.get_extra_info("socket").dup()
        transport.abort()  # type: ignore[attr-defined]  # a full Transport; uvloop's do not derive from asyncio's
        if self._socket is not None:
            self.deadline = self._owner.now() + self._owner.timeouts.head
            self._owner.arrived(self)

    async def handshake(self, connection: Connection, context: ssl.SSLContext) -> None:
        """Make its TLS: `connection` has it once that is done. Else `cause` says why not."""
        assert self._socket is not None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, self._socket, ssl=context, ssl_handshake_timeout=self._owner.timeouts.head
            )
        except OSError as failure:
            if self.cause is None:
                self.cause = _cause_of(failure)
        except BaseException:
            self.abort()
            raise

    def expire(self) -> None:
        """The deadline is over. Called by the owner's sweep."""
        self._end("deadline")

    def quit(self) -> None:
        """The process ends."""
        self._end("")

    def abort(self) -> None:
        """Cut it."""
        self._end("")

    def _end(self, cause: str) -> None:
        """On the socket itself: whatever state the handshake is in, it hears of it."""
        if self.cause is None:
            self.cause = cause
        if self._socket is not None:
            with contextlib.suppress(OSError):  # gone already
                self._socket.shutdown(socket.SHUT_RDWR)


def _cause_of(failure: OSError) -> str:
    """One of labels.HANDSHAKES."""
    match failure:
        case NothingInCommon():
            return "alpn"
        case ssl.SSLCertVerificationError() | ssl.SSLError(reason="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
            return "certificate"
        case ssl.SSLError():
            return "protocol"
        case ConnectionAbortedError() | TimeoutError():
            return "deadline"
    return "left"
