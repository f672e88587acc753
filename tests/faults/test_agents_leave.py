"""Agents that leave, dawdle or do not read: nothing half-read is judged, nothing judged is lost, and nobody else has to wait."""

import asyncio
import re

import pytest
import pytest_asyncio

from tests.faults.doors import PATIENCE, code_of, doors
from tests.product import until
from tests.toxics import ENDLESS_CHUNKS, NONE, Toxic

pytestmark = pytest.mark.asyncio(loop_scope="module")
BODY = b'{"title":"half of it"}'


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory):
    """One product for all of it."""
    async with doors(tmp_path_factory.mktemp("agents") / "house") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def there(house):
    """The upstream is well."""
    house.upstream.poison(NONE)
    house.upstream.requests.clear()
    return house


def head_of(there, start, *fields):
    """A request's head as an agent writes it."""
    lines = (start, "Host: localhost", f"Authorization: Bearer {there.product.house.keys['drafter']}", *fields)
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def draft_of(there, chunked):
    """A good request with a body."""
    if chunked:
        return head_of(there, "POST /newsroom/articles HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked") + (
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
        )
    return head_of(there, "POST /newsroom/articles HTTP/1.1", "Content-Type: application/json", f"Content-Length: {len(BODY)}") + BODY


async def connected(there):
    """A connection of an agent's."""
    return await asyncio.open_connection(*there.product.sidecar.agents_address)


async def answered(reader):
    """Everything until the end of the connection; the reset that may follow an unread body is an end too."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def passes(there):
    """A good request is answered, and it is the only one that has arrived."""
    assert (await there.write()).status == 200
    assert len(there.upstream.requests) == 1


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
async def test_gone_after_every_byte_of_a_request(there, chunked):
    """The agent ends its side after each byte but the last: never a success, nothing judged to be sent, nothing at the upstream."""
    good = draft_of(there, chunked)
    before = len(there.entries("ruling"))
    for length in range(1, len(good)):
        reader, writer = await connected(there)
        writer.write(good[:length])
        writer.write_eof()
        async with asyncio.timeout(10 * PATIENCE):
            told = await answered(reader)
        writer.close()
        assert not re.match(rb"HTTP/1\.\d [23]", told), (length, told)
    await there.product.sidecar.judge.idle()
    assert {entry["effect"] for entry in there.entries("ruling")[before:]} <= {"deny"}
    assert there.upstream.requests == []
    await passes(there)


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
async def test_cut_off_after_every_byte_of_a_body(there, chunked):
    """The same by RST, in the body: whatever is recorded of it is a no."""
    good = draft_of(there, chunked)
    before = len(there.entries("ruling"))
    for length in range(good.index(b"\r\n\r\n") + 4, len(good)):
        _, writer = await connected(there)
        writer.write(good[:length])
        writer.transport.abort()
    await passes(there)
    await there.product.sidecar.judge.idle()
    assert [entry["effect"] for entry in there.entries("ruling")[before:]].count("allow") == 1
    assert len(there.upstream.requests) == 1


async def test_gone_while_held(there):
    """A hold is a record: it outlives whoever asked, is decided, sent once, and its answer is there for the one who asks again."""
    publish = head_of(there, "POST /newsroom/articles/9001/publish HTTP/1.1", "Content-Length: 0")
    _, writer = await connected(there)
    writer.write(publish.replace(b"\r\n\r\n", b"\r\nPrefer: wait=50\r\n\r\n"))
    hold = (await until(lambda: [entry for entry in there.entries("ruling") if entry["effect"] == "hold"]))[-1]["hold"]
    writer.transport.abort()
    assert (await there.product.person("GET", f"/holds/{hold}", "ines")).json["state"] == "pending"
    assert (await there.product.vote(hold, "ines", "reviewer")).status == 200
    assert await there.product.ended(hold) == "done"
    reader, writer = await connected(there)
    writer.write(publish)
    again = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert again.startswith(b"HTTP/1.1 200 ")
    assert b"Stagewarden-Hold: " + hold.encode() in again
    assert there.publishes("9001") == 1


async def test_gone_while_the_upstream_works(there):
    """The bytes have left: what comes of them is recorded once, though nobody is told, and the connection may be used again."""
    asked, left = asyncio.Event(), asyncio.Event()

    async def play(peer, good):
        asked.set()
        await left.wait()
        await peer.send(good)

    there.upstream.poison(Toxic("works until the agent has left", play, ends=False))
    before = len(there.entries("ruling"))
    _, writer = await connected(there)
    writer.write(draft_of(there, chunked=False))
    await asked.wait()
    there.upstream.heal()
    writer.transport.abort()
    left.set()
    (ruling,) = there.entries("ruling")[before:]
    outcome = await there.outcome(ruling=ruling["ruling"])
    assert (outcome["result"], outcome["as_approved"]) == ("done", True)
    await there.product.sidecar.judge.idle()
    assert len(there.upstream.requests) == 1
    assert (await there.write()).status == 200


async def test_a_head_that_never_ends(there):
    """Slow headers: the connection is ended at the header deadline though bytes keep coming, and nothing arrives."""
    reader, writer = await connected(there)
    writer.write(b"GET /newsroom/articles HTTP/1.1\r\nHost: localhost\r\n")
    ending = asyncio.create_task(answered(reader))
    async with asyncio.timeout(20 * PATIENCE):
        while not ending.done():
            writer.write(b"X-A: a\r\n")
            await asyncio.wait((ending,), timeout=PATIENCE / 10)
    assert not re.match(rb"HTTP/1\.\d [235]", ending.result())
    await passes(there)
    writer.close()


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
async def test_a_body_that_never_ends(there, chunked):
    """Slow body: refused at the body deadline though bytes keep coming; the no is recorded, and nothing arrives."""
    before = len(there.entries("ruling"))
    reader, writer = await connected(there)
    framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 60000"
    writer.write(head_of(there, "POST /newsroom/articles HTTP/1.1", "Content-Type: application/json", framing))
    ending = asyncio.create_task(answered(reader))
    async with asyncio.timeout(20 * PATIENCE):
        while not ending.done():
            writer.write(b"1\r\n \r\n" if chunked else b" ")
            await asyncio.wait((ending,), timeout=PATIENCE / 10)
    assert re.match(rb"HTTP/1\.\d 4", ending.result())
    assert [entry["effect"] for entry in there.entries("ruling")[before:]] == ["deny"]
    await passes(there)
    writer.close()


async def test_an_agent_that_does_not_read(there):
    """The upstream is held back instead of being buffered without end, others pass meanwhile, and when the agent leaves the upstream is let go."""
    sent = 0

    async def play(peer, good):
        nonlocal sent
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        while True:
            await peer.send(bytes(1 << 16))
            sent += 1 << 16

    there.upstream.poison(Toxic("a gigabyte", play))
    _, writer = await connected(there)
    writer.write(head_of(there, "GET /newsroom/articles HTTP/1.1"))
    await until(lambda: sent)
    there.upstream.heal()
    for _ in range(20):  # each passes through the same loop; what can be buffered meanwhile is buffered
        assert (await there.write()).status == 200
    # Socket buffers of both connections and our own: far below what was offered.
    assert sent < 64 << 20
    writer.transport.abort()
    await there.product.sidecar.judge.idle()
    assert (await there.write()).status == 200


async def test_without_end_is_held_back_too(there):
    """The same for a body whose length nobody said."""
    there.upstream.poison(ENDLESS_CHUNKS)
    _, writer = await connected(there)
    writer.write(head_of(there, "GET /newsroom/articles HTTP/1.1"))
    await until(lambda: there.upstream.struck)
    there.upstream.heal()
    held = await there.publish("9002")
    assert code_of(held) == "held"
    writer.transport.abort()
    await there.product.sidecar.judge.idle()
