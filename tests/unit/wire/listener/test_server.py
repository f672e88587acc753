"""The listener on real sockets, with a door that does as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
from cryptography import x509
from msgspec.structs import replace

from stagewarden.errors import Refused
from stagewarden.wire.listener import Reply, Server, Timeouts
from tests.authority import Authority
from tests.unit.wire.listener.parts import LIMITS

REQUEST = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
QUICK = Timeouts(head=30.0, body=30.0, write=30.0, linger=0.2)


class Door:
    """Answers with the request's path; `/wait` once it is let, `/big` with many bytes, `/body` with the body's length."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self.cancelled = 0
        self.gone = {"idle": 0, "new": 0}
        self.unmade: list[str] = []
        self.go = asyncio.Event()

    async def handle(self, exchange) -> None:
        """One request."""
        path = exchange.heading.target.path
        self.served.append(path)
        try:
            if path == "/wait":
                await self.go.wait()
            said = b"%d" % len(await exchange.body(1 << 20)) if path == "/body" else b"x" * (1 << 22) if path == "/big" else path.encode()
        except Refused as refused:
            exchange.answer(self.refuse(refused, exchange.peer))
            return
        except asyncio.CancelledError:
            self.cancelled += 1
            exchange.cut()
            raise
        exchange.answer(Reply(200, (), said))

    def refuse(self, refused, peer):
        """None."""
        return Reply(400, (), refused.code.encode())

    def ended(self, idle, new):
        """Counted."""
        self.gone["idle"] += idle
        self.gone["new"] += new

    def unsecured(self, cause, peer):
        """Noted; whose it was is told too."""
        assert peer == "127.0.0.1"
        self.unmade.append(cause)


@asynccontextmanager
async def listening(limits=LIMITS, timeouts=QUICK, context=None):
    """A door, its server, and its address."""
    door = Door()
    server = Server(door, limits, timeouts, context)
    sockets = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    try:
        yield door, server, sockets.sockets[0].getsockname()
    finally:
        door.go.set()
        sockets.close()
        await server.close(1.0)


async def until(true) -> None:
    """Poll; fails by the test's own timeout."""
    while not true():  # noqa: ASYNC110 - the transports set no event
        await asyncio.sleep(0.01)


async def answer(reader) -> tuple[bytes, bytes]:
    """Status line and body of one answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    return head.partition(b"\r\n")[0], await reader.readexactly(length)


async def test_a_connection_is_used_again():
    """One after the other, each answered in its place."""
    async with listening() as (door, _, address):
        reader, writer = await asyncio.open_connection(*address)
        for number in range(5):
            writer.write(REQUEST % number)
            assert await answer(reader) == (b"HTTP/1.1 200 OK", b"/%d" % number)
        writer.close()
        assert door.served == [f"/{number}" for number in range(5)]


@pytest.mark.parametrize("size", [1, 7, 100_000], ids=["bytes", "small", "at-once"])
async def test_segments_make_no_difference(size):
    """A chunked body in segments of any size, between two other requests."""
    wire = b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5;x\r\nhello\r\n" * 20 + b"0\r\nT: 1\r\n\r\n"
    async with listening() as (_, _, address):
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(2):
            for at in range(0, len(wire), size):
                writer.write(wire[at : at + size])
                await writer.drain()
                await asyncio.sleep(0)
            assert await answer(reader) == (b"HTTP/1.1 200 OK", b"100")
        writer.close()


@pytest.mark.parametrize("at", [3, 40, 80], ids=["start-line", "fields", "body"])
async def test_a_reset_at_any_point_ends_the_connection_alone(at):
    """Half a request and a reset: nothing is served of it that reads a body, and the next client is answered."""
    wire = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\nX-A: 12345678\r\n\r\n" + b"x" * 20
    async with listening() as (_, server, address):
        _, writer = await asyncio.open_connection(*address)
        writer.write(wire[:at])
        await writer.drain()
        await until(lambda: len(server))
        writer.transport.abort()
        await until(lambda: not len(server))
        reader, writer = await asyncio.open_connection(*address)
        writer.write(REQUEST % 1)
        assert (await answer(reader))[1] == b"/1"
        writer.close()


async def test_a_client_that_asks_and_does_not_read_is_not_served_on():
    """Answers of 4 MiB: the first waits in our memory, the second is not even made."""
    async with listening() as (door, _, address):
        reader, writer = await asyncio.open_connection(*address, limit=1 << 10)
        for _ in range(20):
            writer.write(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)
        assert len(door.served) <= 2
        assert len((await answer(reader))[1]) == 1 << 22
        writer.transport.abort()


async def test_over_the_limit_the_longest_idle_leave_and_work_stays():
    """Idle connections never keep a client out, and a request at work is never ended for a new one."""
    async with listening(replace(LIMITS, connections=4)) as (door, server, address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: door.served)
        idle = [await asyncio.open_connection(*address) for _ in range(3)]
        newcomer = await asyncio.open_connection(*address)
        newcomer[1].write(REQUEST % 1)
        assert (await answer(newcomer[0]))[1] == b"/1"
        assert await idle[0][0].read() == b"", "the longest idle was ended"
        assert len(server) <= 4
        door.go.set()
        assert (await answer(reader))[1] == b"/wait"
        assert door.gone["idle"] >= 1
        for _, each in (*idle, newcomer, (reader, writer)):
            each.close()


async def test_where_all_are_at_work_the_new_one_is_closed():
    """Nothing under way is ended, and nobody waits in a queue."""
    async with listening(replace(LIMITS, connections=2)) as (door, _, address):
        working = [await asyncio.open_connection(*address) for _ in range(2)]
        for _, writer in working:
            writer.write(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: len(door.served) == 2)
        reader, writer = await asyncio.open_connection(*address)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        assert door.gone == {"idle": 0, "new": 1}
        door.go.set()
        for each, _ in working:
            assert (await answer(each))[1] == b"/wait"
        for _, each in (*working, (reader, writer)):
            each.close()


async def test_drain_ends_idle_connections_and_lets_answers_out():
    """SIGTERM: who waits for nothing is gone in a moment; who is answered is told that it was the last time."""
    async with listening() as (door, server, address):
        idle, idle_writer = await asyncio.open_connection(*address)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: door.served)
        server.drain()
        assert await idle.read() == b""
        door.go.set()
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Connection: close" in head
        assert await reader.read() == b"/wait"
        idle_writer.close()
        writer.close()


async def test_what_was_answered_is_waited_for():
    """A drain is over when the last answer has left, not when it was made."""
    async with listening() as (door, server, address):
        reader, writer = await asyncio.open_connection(*address, limit=1 << 10)
        writer.write(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: door.served)
        written = asyncio.get_running_loop().create_task(server.written())
        await asyncio.wait([written], timeout=0.6)
        assert not written.done()
        assert len((await answer(reader))[1]) == 1 << 22
        await asyncio.wait_for(written, 60)
        writer.close()


async def test_close_writes_out_what_was_answered_and_cancels_what_is_not():
    """Inside the grace a slow reader gets its whole answer; a request that is still at work is cancelled, and its client sees a cut."""
    async with listening() as (door, server, address):
        slow, slow_writer = await asyncio.open_connection(*address, limit=1 << 10)
        slow_writer.write(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        stuck, stuck_writer = await asyncio.open_connection(*address)
        stuck_writer.write(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: len(door.served) == 2)
        closing = asyncio.get_running_loop().create_task(server.close(3.0))
        await asyncio.sleep(0.1)
        assert len((await answer(slow))[1]) == 1 << 22
        with contextlib.suppress(ConnectionError):
            assert await stuck.read() == b""
        await closing
        assert door.cancelled == 1
        assert not len(server)
        slow_writer.close()
        stuck_writer.close()


@pytest.fixture
def contexts(tmp_path):
    """Ours, and a client's."""
    issued = Authority.make(tmp_path).issue([x509.IPAddress(ip_address("127.0.0.1"))])
    issued.save(tmp_path / "c.pem", tmp_path / "k.pem")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(tmp_path / "ca.pem")
    return server, client


async def test_over_tls_a_refused_upload_reads_its_refusal(contexts):
    """RFC 9112 section 9.6: the answer to a body too large arrives though the client is still sending it."""
    async with listening(context=contexts[0]) as (_, server, address):
        reader, writer = await asyncio.open_connection(*address, ssl=contexts[1])
        writer.write(b"GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n")
        for _ in range(30):
            writer.write(b"x" * 10_000)
            await writer.drain()
            await asyncio.sleep(0)
        assert (await answer(reader))[1] == b"/1"
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        await until(lambda: not len(server))


async def test_over_tls_connections_are_used_again_and_end(contexts):
    """Keep-alive, then the client's goodbye."""
    async with listening(context=contexts[0]) as (_, server, address):
        reader, writer = await asyncio.open_connection(*address, ssl=contexts[1])
        for number in range(3):
            writer.write(REQUEST % number)
            assert (await answer(reader))[1] == b"/%d" % number
        writer.close()
        await writer.wait_closed()
        await until(lambda: not len(server))
