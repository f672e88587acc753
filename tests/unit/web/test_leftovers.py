"""Nothing of an exchange waits for the garbage collector: its buffers are hundreds of kilobytes, and the collector comes once in many requests."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import Counter

import pytest

from tests.unit.web.test_agents_door import behind
from tests.upstreams import ScriptedUpstream, answer

TURNS = 5
ROUNDS = 2  # what an exchange leaves, it leaves in each; a product of an earlier test dies once
OF_AN_EXCHANGE = ("stagewarden.wire.", "stagewarden.gate.", "stagewarden.model.", "stagewarden.errors")
GET = "GET /newsroom/articles HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
POST = "POST /newsroom/articles HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
PUBLISH = POST.replace("articles", "articles/7/publish") + "Content-Length: 0\r\n\r\n"
UPLOAD = POST.replace("articles", "media").replace("application/json", "image/png") + "Content-Length: 40000\r\n\r\n"
BIG = answer(b"x" * (8 << 20))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

# what the upstream answers, what the client says, and after how many bytes of the answer it leaves (None: at its end)
EXCHANGES = {
    "a plain answer": (answer(b"ok"), GET, None),
    "chunks": (CHUNKED, GET, None),
    "after 1xx": (b"HTTP/1.1 103 Early Hints\r\n\r\n" + CHUNKED, GET, None),
    "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", GET, None),
    "a large answer": (BIG, GET, None),
    "a large answer, not read": (BIG, GET, 1 << 10),
    "a body": (answer(b"ok"), POST + 'Content-Length: 13\r\n\r\n{{"title":"x"}}', None),
    "half a body": (answer(b"ok"), POST + 'Content-Length: 13\r\n\r\n{{"ti', 0),
    "a body of no JSON": (answer(b"ok"), POST + "Content-Length: 1\r\n\r\nx", None),
    "no answer": (b"", GET, None),
    "an answer that breaks off": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", GET, None),
    "another protocol": (b"RTSP/1.0 200 OK\r\n\r\n", GET, None),
    "a hold": (answer(b'{"status": "draft"}'), PUBLISH, None),
    "a look-up that breaks off": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", PUBLISH, None),
    "an upload": (answer(b"ok"), UPLOAD + "x" * 40_000, None),
    "half an upload": (answer(b"ok"), UPLOAD + "x" * 20_000, 0),
    "half a head": (answer(b"ok"), "GET /newsroom/art", 0),
    "no head": (answer(b"ok"), "GET  / HTTP/1.1\r\n\r\n", None),
    "nobody known": (answer(b"ok"), GET.replace("{key}", "nobody"), None),
    "a denial": (answer(b"ok"), GET.replace("GET", "DELETE", 1).replace("articles", "articles/7"), None),
}


@pytest.fixture
def collector():
    """Switched off; what it finds is kept."""
    gc.collect()
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def left_over() -> Counter[str]:
    """Objects of ours that only the collector frees, by kind: those an exchange makes."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = Counter(type(each).__qualname__ for each in gc.garbage if type(each).__module__.startswith(OF_AN_EXCHANGE))
    gc.garbage.clear()
    gc.collect()  # what was kept to be looked at is free only now
    return found


async def exchange(address: tuple[str, int], said: str, most: int | None) -> None:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection(*address, limit=1 << 10)
    writer.write(said.encode())
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        if most is None:
            writer.write_eof()
            await reader.read()
        else:
            await reader.readexactly(most)
    writer.transport.abort()


@pytest.mark.parametrize(("answered", "said", "most"), EXCHANGES.values(), ids=EXCHANGES)
async def test_nothing_of_an_exchange_waits_for_the_collector(tmp_path, collector, answered, said, most):
    """However it went: with its last reference everything of it is free."""

    async def play(peer) -> None:
        await peer.request()
        await peer.send(answered)
        await peer.end()

    async with ScriptedUpstream(play) as upstream, behind(tmp_path, upstream.url) as product:
        address = product.sidecar.agents_address
        text = said.format(key=product.house.keys["drafter"])
        await exchange(address, text, most)
        left_over()
        rounds = []
        for _ in range(ROUNDS):
            for _ in range(TURNS):
                await exchange(address, text, most)
            await product.operations("/metrics")  # whatever was under way has had its turn
            rounds.append({kind for kind, count in left_over().items() if count >= TURNS})
        assert set.intersection(*rounds) == set()
