"""One conversation over a socket pair: whole messages, whatever pieces they come in, or its end."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from stagewarden.app.channel import LONGEST, Channel
from stagewarden.app.messages import Count, Moved, ToWorker

DECODER = msgspec.msgpack.Decoder(ToWorker)


class End:
    """What one end hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()


async def ends() -> tuple[socket.socket, Channel, End]:
    """A raw end and a real one."""
    raw, ours = socket.socketpair()
    raw.settimeout(0)
    end = End()
    return raw, await Channel.over(ours, DECODER, end.heard.append, end.gone.set_result), end


def frame(message: object) -> bytes:
    """As it travels."""
    encoded = msgspec.msgpack.encode(message)
    return len(encoded).to_bytes(4, "big") + encoded


@pytest.mark.parametrize("size", [1, 3, 7, 10_000])
async def test_messages_are_whole_whatever_pieces_they_come_in(size):
    """Three messages cut into pieces of any size are heard as three, in order."""
    raw, channel, end = await ends()
    messages = [Count(1), Moved(["h_1", "h_2"]), Count(2)]
    data = b"".join(map(frame, messages))
    for start in range(0, len(data), size):
        await asyncio.get_running_loop().sock_sendall(raw, data[start : start + size])
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while len(end.heard) < 3:  # noqa: ASYNC110 - a protocol sets no event
            await asyncio.sleep(0.005)
    assert end.heard == messages
    channel.close()
    assert await end.gone
    raw.close()


GARBAGE = {
    "not msgpack": (3).to_bytes(4, "big") + b"\xc1\xc1\xc1",
    "an unknown message": frame(["Nothing", 1]),
    "a message of the other direction": frame(["Ready", "r"]),
    "a wrong type": frame(["Count", "one"]),
    "too long": (LONGEST + 1).to_bytes(4, "big"),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
async def test_what_is_not_understood_ends_the_conversation(data):
    """Nothing of it, and nothing after it, is heard."""
    raw, _, end = await ends()
    await asyncio.get_running_loop().sock_sendall(raw, data + frame(Count(1)))
    async with asyncio.timeout(60):
        assert "not understood" in await end.gone
    assert end.heard == []
    raw.close()


async def test_the_end_of_the_other_is_told_once_and_speaking_on_is_no_fault():
    """A worker's death is an end of file; what is said to it afterwards goes nowhere."""
    raw, channel, end = await ends()
    raw.close()
    async with asyncio.timeout(60):
        await end.gone
    channel.send(Count(1))
    channel.close()
