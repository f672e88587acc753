"""What a server can do to an answer, by name: the same list for upstreams and for OPA, on TCP and on unix sockets.

A toxic is played on the connection of a request that was read whole, with the good answer at hand; some strike when the connection
is made, others when it is idle again. Must never wait longer than a moment by itself: whoever waits, waits for the other side.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tests.upstreams import ScriptedUpstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.upstreams import Peer, Received

Play: TypeAlias = "Callable[[Peer, bytes], Awaitable[None]]"
MOMENT = 0.05  # seconds: a delay that is no fault
PIECE = b"\xe2\x98\x83" * 4096  # of a flood; in no grammar of a head


async def whole(peer: Peer, good: bytes) -> None:
    """As it should be."""
    await peer.send(good)


@dataclass(frozen=True, slots=True)
class Toxic:
    """`play` answers; `connected` strikes before anything was read; `idle` when the agent has its answer. `ends`: the connection is over."""

    name: str
    play: Play = whole
    connected: Play | None = None
    idle: Play | None = None
    ends: bool = True


NONE = Toxic("none", ends=False)


class Poisoned(ScriptedUpstream):
    """Answers as `good` says, and plays `toxic` on every request that `aimed` picks; `heal` makes it good again.

    `struck` counts connections and answers that were poisoned.
    """

    def __init__(self, good: Callable[[Received], bytes], path: Path | None = None) -> None:
        super().__init__(self._script, path=path)
        self.toxic = NONE
        self.aimed: Callable[[Received], bool] = lambda _: True
        self.struck = 0
        self._good = good
        self._rest = asyncio.Event()
        self._rested = asyncio.Event()

    def poison(self, toxic: Toxic, aimed: Callable[[Received], bool] = lambda _: True) -> None:
        """From now on."""
        self.toxic, self.aimed, self.struck = toxic, aimed, 0
        self._rest.clear()
        self._rested.clear()

    def heal(self) -> None:
        """Good from the next request on; what is being played goes on."""
        self.toxic = NONE

    async def rest(self) -> None:
        """The agent has its answer: let the toxic strike the idle connection, and return when it has."""
        self._rest.set()
        if self.struck and self.toxic.idle is not None:
            await self._rested.wait()

    async def _script(self, peer: Peer) -> None:
        if self.toxic.connected is not None:
            self.struck += 1
            await self.toxic.connected(peer, self._good_for_nobody())
            return
        while await self._one(peer):
            pass

    async def _one(self, peer: Peer) -> bool:
        received = await peer.request()
        toxic = self.toxic if self.aimed(received) else NONE
        self.struck += toxic is not NONE
        await toxic.play(peer, self._good(received))
        if toxic.idle is not None:
            await self._rest.wait()
            await toxic.idle(peer, self._good(received))
            self._rested.set()
        if toxic.ends:
            await gone(peer)
        return not toxic.ends

    @staticmethod
    def _good_for_nobody() -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


async def gone(peer: Peer) -> None:
    """Until the other side has let go of the connection."""
    while await peer.reader.read(1 << 16):
        pass


async def _latency(peer: Peer, good: bytes) -> None:
    await asyncio.sleep(MOMENT)
    await peer.send(good)


async def _silence(peer: Peer, _: bytes) -> None:
    await gone(peer)


async def _slicer(peer: Peer, good: bytes) -> None:
    for byte in good:
        await peer.send(bytes([byte]))
        await asyncio.sleep(0)


async def _trickle(peer: Peer, good: bytes) -> None:
    for byte in good:
        await peer.send(bytes([byte]))
        await asyncio.sleep(MOMENT)


async def _reset(peer: Peer, _: bytes) -> None:
    peer.reset()


async def _reset_in_head(peer: Peer, good: bytes) -> None:
    await peer.send(good[:20])
    await asyncio.sleep(MOMENT)  # a reset overtakes what was not read yet
    peer.reset()


async def _reset_in_body(peer: Peer, good: bytes) -> None:
    await peer.send(good[:-1])
    await asyncio.sleep(MOMENT)
    peer.reset()


async def _hang_up(peer: Peer, _: bytes) -> None:
    await peer.end()


async def _slow_close(peer: Peer, good: bytes) -> None:
    await peer.send(good.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    await gone(peer)


async def _half_close(peer: Peer, _: bytes) -> None:
    peer.half_close()


async def _half_close_after(peer: Peer, good: bytes) -> None:
    await peer.send(good)
    peer.half_close()


async def _another_protocol(peer: Peer, good: bytes) -> None:
    await peer.send(b"RTSP/1.0" + good[len(b"HTTP/1.1") :])


async def _another_version(peer: Peer, good: bytes) -> None:
    await peer.send(b"HTTP/2.0" + good[len(b"HTTP/1.1") :])


async def _garbage_before(peer: Peer, good: bytes) -> None:
    await peer.send(b"\x16\x03\x01\x02\x00\x01\r\n" + good)


async def _garbage_in_head(peer: Peer, good: bytes) -> None:
    await peer.send(good.replace(b"\r\n", b"\r\nX-A: a\x00b\r\n", 1))


async def _garbage_after(peer: Peer, good: bytes) -> None:
    await peer.send(good + b"\x16\x03\x01\x02\x00\x01\r\n")


async def _twice(peer: Peer, good: bytes) -> None:
    await peer.send(good + good)


async def _more_than_said(peer: Peer, good: bytes) -> None:
    await peer.send(good)
    await _flood(peer, PIECE)


async def _endless_head(peer: Peer, good: bytes) -> None:
    await peer.send(good.partition(b"\r\n\r\n")[0])
    await _flood(peer, b"\r\nX-A: a" * 1000)


async def _endless_interim(peer: Peer, _: bytes) -> None:
    await _flood(peer, b"HTTP/1.1 102 Processing\r\n\r\n" * 100)


async def _endless_chunks(peer: Peer, good: bytes) -> None:
    await peer.send(_chunked_head(good))
    await _flood(peer, b"3000\r\n" + PIECE + b"\r\n")


async def _truncated(peer: Peer, good: bytes) -> None:
    await peer.send(good[:-1])
    await peer.end()


async def _stalled(peer: Peer, good: bytes) -> None:
    await peer.send(good[:-1])
    await gone(peer)


async def _chunk_size_is_no_number(peer: Peer, good: bytes) -> None:
    await peer.send(_chunked_head(good) + b"2\r\n{}\r\nzz\r\n")


async def _chunk_longer_than_said(peer: Peer, good: bytes) -> None:
    await peer.send(_chunked_head(good) + b"2\r\n{} too much\r\n0\r\n\r\n")


async def _chunk_shorter_than_said(peer: Peer, good: bytes) -> None:
    await peer.send(_chunked_head(good) + b"ff\r\n{}\r\n0\r\n\r\n")
    await peer.end()


async def _flood(peer: Peer, piece: bytes) -> None:
    while True:
        await peer.send(piece)


def _chunked_head(good: bytes) -> bytes:
    head = good.partition(b"\r\n\r\n")[0]
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    return b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", b""])


LATENCY = Toxic("latency", _latency, ends=False)
SILENCE = Toxic("silence", _silence)
SLICER = Toxic("slicer", _slicer, ends=False)
TRICKLE = Toxic("trickle", _trickle)
RESET = Toxic("reset", _reset)
RESET_IN_HEAD = Toxic("reset in the head", _reset_in_head)
RESET_IN_BODY = Toxic("reset in the body", _reset_in_body)
HANG_UP = Toxic("hang up", _hang_up)
SLOW_CLOSE = Toxic("slow close", _slow_close)
HALF_CLOSE = Toxic("half close instead of an answer", _half_close)
HALF_CLOSE_AFTER = Toxic("half close after the answer", _half_close_after)
GARBAGE_BEFORE = Toxic("garbage before the head", _garbage_before)
GARBAGE_IN_HEAD = Toxic("garbage in the head", _garbage_in_head)
ANOTHER_PROTOCOL = Toxic("status line of another protocol", _another_protocol)
ANOTHER_VERSION = Toxic("status line of another HTTP version", _another_version)
GARBAGE_AFTER = Toxic("garbage after the answer", _garbage_after)
TWICE = Toxic("two answers", _twice)
MORE_THAN_SAID = Toxic("flood behind Content-Length", _more_than_said)
ENDLESS_HEAD = Toxic("head without end", _endless_head)
ENDLESS_INTERIM = Toxic("1xx without end", _endless_interim)
ENDLESS_CHUNKS = Toxic("chunks without end", _endless_chunks)
TRUNCATED = Toxic("body cut short", _truncated)
STALLED = Toxic("body that stalls", _stalled)
CHUNK_NO_NUMBER = Toxic("chunk size that is no number", _chunk_size_is_no_number)
CHUNK_TOO_LONG = Toxic("chunk longer than said", _chunk_longer_than_said)
CHUNK_TOO_SHORT = Toxic("chunk shorter than said", _chunk_shorter_than_said)
SPEAKS_FIRST = Toxic("answer at the handshake", connected=whole)
SPEAKS_IDLE = Toxic("answer on an idle connection", idle=whole)
CLOSES_IDLE = Toxic("keep-alive, then close", idle=_hang_up)
RESETS_IDLE = Toxic("keep-alive, then reset", idle=_reset)
