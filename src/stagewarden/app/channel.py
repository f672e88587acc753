"""One conversation between two processes of ours: length-prefixed messages over an inherited socket. Knows none of them.

Never resynchronizes: a frame that is too long or does not decode is the end of the conversation.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

Heard = TypeVar("Heard")

LONGEST = 64 << 20  # bytes of one message: a policy bundle is the longest there is
_PREFIX = 4
_ENCODER = msgspec.msgpack.Encoder()


class Channel(asyncio.Protocol, Generic[Heard]):
    """One end. `heard` gets each message as it comes; `gone` is told once that nothing more will, and why."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[Heard], heard: Callable[[Heard], None], gone: Callable[[str], None]) -> None:
        self._decoder = decoder
        self._heard = heard
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._left = bytearray()
        self._why = "the other end is gone"

    @classmethod
    async def over(
        cls, connected: socket.socket, decoder: msgspec.msgpack.Decoder[Heard], heard: Callable[[Heard], None], gone: Callable[[str], None]
    ) -> Channel[Heard]:
        """The end of this socket."""
        _, channel = await asyncio.get_running_loop().create_unix_connection(lambda: cls(decoder, heard, gone), sock=connected)
        return channel

    def send(self, message: object) -> None:
        """Queue a message; one to an end that is gone goes nowhere, and `gone` has said so."""
        if self._transport is None or self._transport.is_closing():
            return
        encoded = _ENCODER.encode(message)
        if len(encoded) > LONGEST:
            raise ValueError(f"a message of {len(encoded)} bytes")
        self._transport.write(len(encoded).to_bytes(_PREFIX, "big") + encoded)

    def close(self) -> None:
        """Say nothing more; what was queued is still delivered."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: here it is."""
        self._transport = transport  # type: ignore[assignment]  # a socket's transport, which uvloop does not derive from asyncio's

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes; every whole message in them is heard."""
        if self._left:
            self._left += data
            data = bytes(self._left)
        start = 0
        try:
            while (end := self._end(data, start)) is not None:
                self._heard(self._decoder.decode(memoryview(data)[start + _PREFIX : end]))
                start = end
        except (msgspec.DecodeError, ValueError) as failure:
            self._why = f"not understood: {failure}"
            self._left.clear()
            if self._transport is not None:
                self._transport.abort()
            return
        self._left = bytearray(data[start:])

    def connection_lost(self, error: Exception | None) -> None:
        """Asyncio: the end."""
        self._transport = None
        self._gone(self._why if error is None else f"{self._why}: {error}")

    def _end(self, data: bytes, start: int) -> int | None:
        """Where the message that begins here ends; None where it is not whole."""
        body = start + _PREFIX
        if len(data) < body:
            return None
        length = int.from_bytes(data[start:body], "big")
        if length > LONGEST:
            raise ValueError(f"a message of {length} bytes")
        return body + length if len(data) >= body + length else None
