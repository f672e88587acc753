"""One request, one answer: what leaves, what comes back, and what each failure is called."""

from __future__ import annotations

import asyncio

import pytest

from stagewarden.errors import OutcomeUnknown, UpstreamTimeout, UpstreamUnavailable
from stagewarden.wire.upstream import Upstreams, endpoint, serialize
from tests.upstreams import Peer, RecordingUpstream, ScriptedUpstream, answer

KEY = ("drafter-7", "cms", "edit")
SOON = 30.0  # seconds; what is awaited comes at once on a machine that is not overloaded
OTHERS = ("RTSP/1.0", "RTSP/1.1", "ICE", "ICE/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2", "HTTP/2.0", "http/1.1", "HTTP", "\r\nHTTP/1.1")
LENGTH_2, CHUNKED_2 = b"Content-Length: 2\r\n\r\nok", b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


async def ask(pool: Upstreams, upstream: ScriptedUpstream, method: str = "GET", body: bytes = b"", deadline: float = SOON):
    """One exchange, its body read: status, reason, headers, body."""
    there = endpoint(upstream.url)
    async with pool.lease(KEY, there, SOON) as connection:
        head = serialize(method, "/x?y=1", there.authority, (("X-A", "1"),), len(body))
        got = await connection.exchange(head, body, deadline)
        return got.status, got.reason, got.headers, await got.read(1 << 24)


async def test_the_bytes_given_are_the_bytes_sent(pool):
    """Nothing is added, decoded or normalized on the way out."""
    async with RecordingUpstream() as upstream:
        there = endpoint(upstream.url)
        head = serialize("POST", "/a%20b/?q=%7C", there.authority, (("X-Case", "Kept"), ("x-case", "twice")), 3)
        async with pool.lease(KEY, there, SOON) as connection:
            got = await connection.exchange(head, b"\x00\xff\n", SOON)
            assert await got.read(100) == b'{"ok":true}'
        assert [each.raw for each in upstream.requests] == [head + b"\x00\xff\n"]


async def test_large_bodies_leave_whole(pool):
    """A body above one write arrives byte for byte."""
    body = bytes(range(256)) * 4096
    async with RecordingUpstream() as upstream:
        await ask(pool, upstream, "POST", body)
        assert upstream.requests[0].body == body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=1\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "raw", "status", "body", "kept"),
    [
        pytest.param("GET", answer(b"hello"), 200, b"hello", True, id="content-length"),
        pytest.param("GET", answer(b""), 200, b"", True, id="empty"),
        pytest.param("GET", CHUNKED, 200, b"hello world", True, id="chunked, extension and trailer dropped"),
        pytest.param("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, b"", True, id="head"),
        pytest.param("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, b"", True, id="head chunked"),
        pytest.param("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True, id="204"),
        pytest.param("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n", 304, b"", True, id="304 with a length"),
        pytest.param(
            "POST", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer(b"ok"), 200, b"ok", True, id="1xx"
        ),
        pytest.param("GET", answer(b"moved", "302 Found", "Location: http://127.0.0.1:1/"), 302, b"moved", True, id="redirects are answers"),
        pytest.param("GET", answer(b"\x1f\x8b", "200 OK", "Content-Encoding: gzip"), 200, b"\x1f\x8b", True, id="encodings stay"),
        pytest.param("GET", answer(b"bye", "200 OK", "Connection: close"), 200, b"bye", False, id="connection close"),
        pytest.param("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False, id="http/1.0"),
        pytest.param("GET", answer(b"no", "500 Internal Server Error"), 500, b"no", True, id="500"),
    ],
)
async def test_answers(pool, method, raw, status, body, kept):
    """Every way an answer can end, and whether the connection is used again."""
    async with ScriptedUpstream(raw) as upstream:
        for _ in range(2):
            got = await ask(pool, upstream, method)
            assert (got[0], got[3]) == (status, body)
        assert len(upstream.requests) == 2
        assert upstream.connections == (1 if kept else 2)


async def test_body_until_the_end_of_the_connection(pool):
    """Without any length the body ends with the connection, which is not used again."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await peer.send(b" whole")
        await peer.end()

    async with ScriptedUpstream(play) as upstream:
        assert (await ask(pool, upstream))[3] == b"half whole"
        assert (await ask(pool, upstream))[3] == b"half whole"
        assert upstream.connections == 2


async def test_headers_come_as_they_were(pool):
    """Order, case and repetition are the upstream's; a byte outside ASCII is the character of that number, so that it leaves as the same byte."""
    head = b"HTTP/1.1 200 Fine thanks\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-U: \xc3\xbc\r\nX-L: \xfc\r\nContent-Length: 0\r\n\r\n"
    async with ScriptedUpstream(head) as upstream:
        status, reason, headers, _ = await ask(pool, upstream)
    assert (status, reason) == (200, "Fine thanks")
    assert headers == (("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("X-U", "Ã¼"), ("X-L", "ü"), ("Content-Length", "0"))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9\r\n", id="another protocol"),
        *[
            pytest.param(b"%b 200 OK\r\n%b" % (version.encode(), rest), id=f"{version}, {how}")
            for version in OTHERS
            for how, rest in {"plain": LENGTH_2, "chunked": CHUNKED_2}.items()
        ],
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nRTSP/1.0 200 OK\r\n" + LENGTH_2, id="another protocol after 1xx"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="CL and TE"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", id="CL twice"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", id="CL not decimal"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", id="CL list"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="TE list"),
        pytest.param(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="TE in HTTP/1.0"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="101"),
        pytest.param(b"HTTP/1.1 102 Processing\r\n\r\n" * 9 + answer(b""), id="too many 1xx"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", id="bare CR in a value"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n", id="NUL in a value"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\x1bb\r\nContent-Length: 0\r\n\r\n", id="ESC in a value"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX Y: a\r\n\r\n", id="space in a name"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", id="folded line"),
        pytest.param(b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", id="status 999"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 201 + b"\r\n", id="too many headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * (65 << 10) + b"\r\n\r\n", id="a header too long"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 20), id="a header without end"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="cut in the head"),
    ],
)
async def test_what_is_not_an_answer_leaves_the_outcome_unknown(pool, raw):
    """The bytes have left, so the outcome is unknown; the request is never sent again."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(raw)
        await peer.end()

    async with ScriptedUpstream(play) as upstream:
        with pytest.raises(OutcomeUnknown):
            await ask(pool, upstream, "PUT", b"{}")
        assert len(upstream.requests) == 1
        assert upstream.connections == 1


async def gather(chunks, pieces: list[bytes]) -> None:
    """Every piece, also those before a failure."""
    async for piece in chunks:
        pieces.append(piece)  # noqa: PERF401 - a comprehension would lose what came before the failure


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", id="content-length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", id="chunked"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n", id="bad chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n", id="no last line"),
    ],
)
async def test_an_answer_cut_short_is_never_taken_for_whole(pool, raw):
    """What arrived is handed over, then the iterator raises OutcomeUnknown."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(raw)
        await peer.end()

    async with ScriptedUpstream(play) as upstream:
        there = endpoint(upstream.url)
        async with pool.lease(KEY, there, SOON) as connection:
            got = await connection.exchange(serialize("GET", "/", there.authority, (), 0), b"", SOON)
            pieces: list[bytes] = []
            with pytest.raises(OutcomeUnknown):
                await gather(got.chunks, pieces)
            assert b"".join(pieces) == b"half"


async def test_dropped_after_the_request_counts_one(pool):
    """A client like aiohttp's sends PUT again after a dropped connection (measured); ours never does."""

    async def play(peer: Peer) -> None:
        await peer.request()
        peer.drop()

    async with ScriptedUpstream(play) as upstream:
        with pytest.raises(OutcomeUnknown):
            await ask(pool, upstream, "PUT", b"{}")
        await asyncio.sleep(0.05)
        assert (len(upstream.requests), upstream.connections) == (1, 1)


async def test_dropped_kept_connection_counts_one(pool):
    """Also on a connection that had been used before."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"ok"))
        await peer.request()
        peer.drop()

    async with ScriptedUpstream(play) as upstream:
        await ask(pool, upstream)
        with pytest.raises(OutcomeUnknown):
            await ask(pool, upstream, "DELETE")
        await asyncio.sleep(0.05)
        assert (len(upstream.requests), upstream.connections) == (2, 1)


async def test_no_answer_inside_the_deadline(pool):
    """A silent upstream is a timeout, and its connection is not used again."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(60)

    async with ScriptedUpstream(play) as upstream:
        with pytest.raises(UpstreamTimeout):
            await ask(pool, upstream, deadline=0.05)
        with pytest.raises(UpstreamTimeout):
            await ask(pool, upstream, deadline=0.05)
        while upstream.connections < 2:  # noqa: ASYNC110 - the other side's act
            await asyncio.sleep(0.01)


async def test_stalled_body(pool):
    """The deadline holds between pieces too."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await asyncio.sleep(60)

    async with ScriptedUpstream(play) as upstream:
        with pytest.raises(UpstreamTimeout):
            await ask(pool, upstream, deadline=0.05)


async def test_trickled_head_does_not_extend_the_deadline(pool):
    """Bytes of a head that never ends do not buy time."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await peer.send(b"X: y\r\n")
            await asyncio.sleep(0.01)

    async with ScriptedUpstream(play) as upstream:
        with pytest.raises(UpstreamTimeout):
            await ask(pool, upstream, deadline=0.1)


@pytest.mark.parametrize("looked", [True, False], ids=["seen by the loop", "still in the socket"])
async def test_an_answer_before_the_request_is_nobodys(pool, looked):
    """Row 46: a reply sent before the request is not taken for its answer, and nothing is sent."""
    leased, early = asyncio.Event(), asyncio.Event()

    async def play(peer: Peer) -> None:
        await leased.wait()
        await peer.send(answer(b"poison"))
        early.set()
        await peer.request()

    async with ScriptedUpstream(play) as upstream:
        there = endpoint(upstream.url)
        async with pool.lease(KEY, there, SOON) as connection:
            if not looked:
                connection.pause()
            leased.set()
            await early.wait()
            if looked:
                await asyncio.sleep(0.02)
            with pytest.raises(UpstreamUnavailable):
                await connection.exchange(serialize("GET", "/", there.authority, (), 0), b"", SOON)
        assert upstream.requests == []


async def test_an_answer_at_the_handshake_is_nobodys(pool):
    """The same where the upstream speaks as soon as it is connected."""

    async def play(peer: Peer) -> None:
        await peer.send(answer(b"poison"))
        await peer.request()

    async with ScriptedUpstream(play) as upstream:
        with pytest.raises(UpstreamUnavailable):
            await ask(pool, upstream)
        assert upstream.requests == []


async def test_bytes_after_the_answer_end_the_connection(pool):
    """A second answer nobody asked for is not kept for the next request."""
    async with ScriptedUpstream(answer(b"mine") + answer(b"poison")) as upstream:
        for _ in range(3):
            assert (await ask(pool, upstream))[3] == b"mine"
        assert (len(upstream.requests), upstream.connections) == (3, 3)


async def test_a_body_after_an_answer_to_head_ends_the_connection(pool):
    """HEAD has no body whatever the upstream sends."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"HTTP/1.1 200 OK\r\n\r\n"))
        await peer.request()

    async with ScriptedUpstream(play) as upstream:
        assert (await ask(pool, upstream, "HEAD"))[3] == b""
        assert (await ask(pool, upstream, "HEAD"))[3] == b""
        assert upstream.connections == 2


async def test_an_early_no_is_an_answer(pool):
    """An upstream may refuse before it has read the body."""

    async def play(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(answer(b"too large", "413 Content Too Large", "Connection: close"))
        await peer.reader.read()

    async with ScriptedUpstream(play) as upstream:
        assert (await ask(pool, upstream, "POST", b"x" * (8 << 20)))[0] == 413


async def test_a_slow_reader_holds_the_upstream_back(pool):
    """Back-pressure: what is not read stays on the wire, not in memory, and arrives whole in the end."""
    size = 32 << 20
    sent = 0

    async def play(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // (64 << 10)):
            await peer.send(bytes(64 << 10))
            sent += 64 << 10

    async with ScriptedUpstream(play) as upstream:
        there = endpoint(upstream.url)
        async with pool.lease(KEY, there, SOON) as connection:
            got = await connection.exchange(serialize("GET", "/", there.authority, (), 0), b"", SOON)
            await asyncio.sleep(0.2)
            assert sent < size
            assert got._buffered < 2 << 20
            total = 0
            async for piece in got.chunks:
                total += len(piece)
            assert total == size


async def test_read_has_a_limit(pool):
    """An answer over the limit is not handed over in part."""
    async with ScriptedUpstream(answer(b"x" * 100)) as upstream:
        there = endpoint(upstream.url)
        async with pool.lease(KEY, there, SOON) as connection:
            got = await connection.exchange(serialize("GET", "/", there.authority, (), 0), b"", SOON)
            with pytest.raises(OutcomeUnknown):
                await got.read(99)


async def test_cancelled_while_waiting_is_not_pooled(pool):
    """A borrower who is cancelled leaves nothing for the next one."""
    arrived = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        arrived.set()
        await peer.request()

    async with ScriptedUpstream(play) as upstream:
        task = asyncio.create_task(ask(pool, upstream))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool._idle_count == 0


async def cut(body: bytes, pieces: list[bytes], size: int = 1 << 20):
    """A large body in pieces; `pieces` are those that were asked for."""
    for at in range(0, len(body), size):
        pieces.append(body[at : at + size])
        yield pieces[-1]


def large_head(upstream: ScriptedUpstream, size: int) -> bytes:
    """Of a request with so many bytes."""
    return serialize("POST", "/x", endpoint(upstream.url).authority, (), size)


LARGE = bytes(range(256)) * (12 << 12)


async def test_a_body_in_pieces_leaves_whole_and_framed_once(pool):
    """Byte for byte, one Content-Length, and the connection is used again."""
    async with RecordingUpstream() as upstream:
        for _ in range(2):
            async with pool.lease(KEY, endpoint(upstream.url), SOON) as connection:
                got = await connection.exchange_pieces(large_head(upstream, len(LARGE)), cut(LARGE, []), SOON)
                assert (got.status, await got.read(100)) == (200, b'{"ok":true}')
        assert [each.body == LARGE for each in upstream.requests] == [True, True]
        assert [each.raw.lower().count(b"content-length:") for each in upstream.requests] == [1, 1]
        assert upstream.connections == 1


async def test_a_slow_upstream_is_waited_for_and_not_stuffed(pool):
    """No piece is asked for before the last was taken: at most what sockets hold lies between the disk and the upstream."""
    stepped = asyncio.Event()
    asked: list[bytes] = []

    async def script(peer: Peer) -> None:
        await stepped.wait()
        assert len(await peer.reader.readexactly(len(large_head(upstream, 4 * len(LARGE))) + 4 * len(LARGE))) > len(LARGE)
        await peer.send(answer(b"ok"))

    async with ScriptedUpstream(script) as upstream, pool.lease(KEY, endpoint(upstream.url), SOON) as connection:
        sending = asyncio.create_task(connection.exchange_pieces(large_head(upstream, 4 * len(LARGE)), cut(4 * LARGE, asked), SOON))
        while not connection._full:  # noqa: ASYNC110 - a turn of the loop at a time
            await asyncio.sleep(0)
        held = len(asked)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(asked) == held < 4 * len(LARGE) >> 20
        stepped.set()
        assert (await sending).status == 200
        assert b"".join(asked) == 4 * LARGE


async def test_an_early_answer_ends_the_sending(pool):
    """413 before everything is there (RFC 9112 section 9.3): the rest stays here, the answer is the upstream's, the connection ends."""
    asked: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(answer(b"too large", "413 Content Too Large"))
        await asyncio.sleep(SOON)

    async with ScriptedUpstream(script) as upstream:
        async with pool.lease(KEY, endpoint(upstream.url), SOON) as connection:
            got = await connection.exchange_pieces(large_head(upstream, 8 * len(LARGE)), cut(8 * LARGE, asked), SOON)
            assert (got.status, got.early, await got.read(100)) == (413, True, b"too large")
            assert sum(map(len, asked)) < 8 * len(LARGE)
        assert not connection.clean


async def test_an_upstream_that_takes_no_more_is_given_up(pool):
    """Inside the deadline of one piece; what happened there is not known."""

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(SOON)

    async with ScriptedUpstream(script) as upstream, pool.lease(KEY, endpoint(upstream.url), SOON) as connection:
        with pytest.raises(UpstreamTimeout):
            await connection.exchange_pieces(large_head(upstream, 8 * len(LARGE)), cut(8 * LARGE, []), 0.2)


async def test_a_body_that_cannot_be_read_on_never_looks_whole(pool):
    """Our own fault half-way: the connection is cut, so that the upstream cannot take what came for all."""
    over = asyncio.Event()

    async def script(peer: Peer) -> None:
        try:
            await peer.request()
        finally:
            over.set()

    async def failing():
        yield LARGE[: 1 << 20]
        raise OSError("the disk is gone")

    async with ScriptedUpstream(script) as upstream, pool.lease(KEY, endpoint(upstream.url), SOON) as connection:
        with pytest.raises(OSError, match="disk is gone"):
            await connection.exchange_pieces(large_head(upstream, len(LARGE)), failing(), SOON)
        assert not connection.clean
        await asyncio.wait_for(over.wait(), SOON)
        assert upstream.requests == []
