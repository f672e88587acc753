"""Who gets which connection, and which connections nobody gets."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from stagewarden.clock import SystemClock
from stagewarden.errors import OutcomeUnknown, UpstreamUnavailable
from stagewarden.wire.upstream import Upstreams, endpoint, serialize
from tests.authority import Authority
from tests.upstreams import Peer, RecordingUpstream, ScriptedUpstream, answer

SOON = 30.0  # seconds; what is awaited comes at once on a machine that is not overloaded


async def ask(pool: Upstreams, url: str, key: tuple[str, ...] = ("a", "cms", "edit"), *, ca: str | None = None, **options: bool) -> bytes:
    """One GET, its body."""
    there = endpoint(url, ca)
    async with pool.lease(key, there, SOON, **options) as connection:
        got = await connection.exchange(serialize("GET", "/", there.authority, (), 0), b"", SOON)
        return await got.read(1 << 20)


async def test_one_connection_serves_one_key_again_and_again(pool):
    """Keep-alive within a key."""
    async with RecordingUpstream() as upstream:
        for _ in range(5):
            await ask(pool, upstream.url)
        assert (len(upstream.requests), upstream.connections) == (5, 1)


@pytest.mark.parametrize(
    "other", [("b", "cms", "edit"), ("a", "shop", "edit"), ("a", "cms", "export"), ("a", "cms"), ("a:cms", "edit")], ids=":".join
)
async def test_no_connection_is_shared_between_keys(pool, other):
    """CVE-2026-71324: what one agent left on a connection never reaches another; no two keys are joined into one."""
    async with RecordingUpstream() as upstream:
        await ask(pool, upstream.url)
        await ask(pool, upstream.url, other)
        assert upstream.connections == 2


async def test_fresh_never_takes_an_idle_connection(pool):
    """A release gets a connection nobody used before."""
    async with RecordingUpstream() as upstream:
        await ask(pool, upstream.url)
        await ask(pool, upstream.url, fresh=True)
        assert upstream.connections == 2


async def test_two_borrowers_two_connections(pool):
    """A leased connection is nobody else's."""
    async with RecordingUpstream() as upstream:
        there = endpoint(upstream.url)
        async with pool.lease(("a",), there, SOON) as one, pool.lease(("a",), there, SOON) as two:
            assert one is not two
        assert pool._idle_count == 2


async def test_more_idle_connections_than_the_bound_are_closed(pool):
    """The pool is bounded per key."""
    async with RecordingUpstream() as upstream:
        there = endpoint(upstream.url)
        leases = [pool.lease(("a",), there, SOON) for _ in range(20)]
        for lease in leases:
            await lease.__aenter__()
        for lease in leases:
            await lease.__aexit__(None, None, None)
        assert pool._idle_count == 16


class Hands(SystemClock):
    """A clock moved by hand."""

    now = 0.0

    def monotonic(self) -> float:
        """Where the hands stand."""
        return self.now


async def test_an_old_idle_connection_is_not_used():
    """Idle for the time-out: closed, so that we close before the upstream does."""
    clock = Hands()
    pool = Upstreams(clock, idle_timeout=4.0)
    async with RecordingUpstream() as upstream:
        await ask(pool, upstream.url)
        clock.now = 3.9
        await ask(pool, upstream.url)
        assert upstream.connections == 1
        clock.now = 8.0
        await ask(pool, upstream.url)
        assert upstream.connections == 2
    await pool.close()


async def test_idle_connections_are_swept_without_anybody_asking():
    """No descriptor stays open for a key that is never used again."""
    pool = Upstreams(SystemClock(), idle_timeout=0.02)
    async with RecordingUpstream() as upstream:
        await ask(pool, upstream.url)
        while pool._open:  # noqa: ASYNC110 - the sweep is what is waited for
            await asyncio.sleep(0.01)
        assert (pool._idle, pool._idle_count, pool._sweeper) == ({}, 0, None)
    await pool.close()


@pytest.mark.parametrize("looked", [True, False], ids=["seen by the loop", "still in the socket"])
@pytest.mark.parametrize("last", [answer(b"poison"), b"x", b""], ids=["an answer", "a byte", "the end"])
async def test_an_idle_connection_that_has_anything_to_say_is_discarded(pool, last, looked):
    """Row 46, the response queue: stray bytes or an end of stream while idle; the next request gets a new connection."""
    said = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer(b"mine"))
        if last:
            await peer.send(last)
            said.set()
            await peer.request()
        else:
            await peer.end()
            said.set()

    async with ScriptedUpstream(play) as upstream:
        there = endpoint(upstream.url)
        async with pool.lease(("a",), there, SOON) as connection:
            got = await connection.exchange(serialize("GET", "/", there.authority, (), 0), b"", SOON)
            if not looked:
                connection.pause()
            assert await got.read(10) == b"mine"
        await said.wait()
        if looked:
            await asyncio.sleep(0.02)
        assert await ask(pool, upstream.url, ("a",)) == b"mine"
        assert (len(upstream.requests), upstream.connections) == (2, 2)


async def test_nothing_is_read_from_proxy_variables(pool, monkeypatch):
    """`http_proxy` and its kin do not choose where the credential goes."""
    async with RecordingUpstream(b"proxy") as proxy, RecordingUpstream(b"direct") as upstream:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert await ask(pool, upstream.url) == b"direct"
        assert proxy.connections == 0


async def test_no_cookie_is_kept(pool):
    """What one answer sets, the next request does not carry."""
    async with ScriptedUpstream(answer(b"", "200 OK", "Set-Cookie: session=agent-a")) as upstream:
        await ask(pool, upstream.url)
        await ask(pool, upstream.url)
        assert [each.header("cookie") for each in upstream.requests] == [None, None]


async def test_nobody_listens(pool):
    """Refused at the port: nothing left."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(UpstreamUnavailable):
            await ask(pool, f"http://127.0.0.1:{closed.getsockname()[1]}")


async def test_a_listener_that_never_accepts_is_given_up_on(pool):
    """The deadline bounds the handshake: a TLS upstream that says nothing."""

    async def play(peer: Peer) -> None:
        await peer.reader.read()

    async with ScriptedUpstream(play) as upstream:
        there = endpoint(upstream.url.replace("http://", "https://"))
        with pytest.raises(UpstreamUnavailable):
            await pool.lease(("a",), there, 0.1).__aenter__()


async def test_a_closed_pool_lends_nothing():
    """After close every connection is gone, leased ones too."""
    pool = Upstreams(SystemClock())
    async with RecordingUpstream() as upstream:
        await ask(pool, upstream.url)
        there = endpoint(upstream.url)
        async with pool.lease(("b",), there, SOON) as leased:
            await pool.close()
            assert not leased.clean
            with pytest.raises(UpstreamUnavailable):
                await ask(pool, upstream.url)
        assert pool._open == set()


@pytest.mark.parametrize("bound", ["127.0.0.1", "localhost", "0.0.0.0", "::", "", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("later", [False, True], ids=["known at the start", "known once bound"])
async def test_our_own_listeners_are_never_an_upstream(bound, later):
    """Row 89: the people's and the operations' listener cannot be reached through the proxy, whatever they are bound to."""
    async with RecordingUpstream() as upstream:
        own = [(bound, upstream.port)]
        pool = Upstreams(SystemClock(), () if later else own)
        if later:
            pool.refuse(own)
        with pytest.raises(UpstreamUnavailable, match="listener of ours"):
            await ask(pool, upstream.url)
        with pytest.raises(UpstreamUnavailable, match="listener of ours"):
            await ask(pool, upstream.url.replace("127.0.0.1", "localhost"))
        assert upstream.requests == []
        await pool.close()


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"])
async def test_cve_2022_24825_our_own_listener_in_every_spelling(host):
    """What is refused is the address that was connected to, however it is written; nothing of the request arrives."""
    async with RecordingUpstream() as upstream:
        pool = Upstreams(SystemClock(), [("127.0.0.1", upstream.port)])
        with pytest.raises(UpstreamUnavailable, match=r"listener of ours|does not resolve"):
            await ask(pool, f"http://{host}:{upstream.port}")
        assert upstream.requests == []
        await pool.close()


async def test_another_port_of_this_machine_is_fine():
    """Only our own sockets are refused; the upstream may be a neighbour."""
    async with RecordingUpstream() as upstream:
        pool = Upstreams(SystemClock(), [("0.0.0.0", upstream.port + 1), ("10.0.0.1", upstream.port)])
        assert await ask(pool, upstream.url) == b'{"ok":true}'
        await pool.close()


class TestTLS:
    """`https://` upstreams."""

    async def test_certificate_of_a_known_authority_and_the_right_name(self, authority):
        """The ordinary case, and kept connections work under TLS 1.3 with its session tickets."""
        pool = Upstreams(SystemClock())
        async with RecordingUpstream(tls=authority.server("localhost")) as upstream:
            for _ in range(3):
                assert await ask(pool, upstream.url, ca=authority.pem) == b'{"ok":true}'
            assert upstream.connections == 1
        await pool.close()

    async def test_another_name_is_refused(self, authority):
        """A certificate for somebody else, although its authority is trusted."""
        pool = Upstreams(SystemClock())
        async with RecordingUpstream(tls=authority.server("cms.example")) as upstream:
            with pytest.raises(UpstreamUnavailable, match=r"(?i)hostname|mismatch"):
                await ask(pool, upstream.url, ca=authority.pem)
            assert upstream.requests == []
        await pool.close()

    async def test_an_unknown_authority_is_refused(self, authority, pool):
        """Only the system's authorities count without `ca`."""
        async with RecordingUpstream(tls=authority.server("localhost")) as upstream:
            with pytest.raises(UpstreamUnavailable, match=r"(?i)certificate"):
                await ask(pool, upstream.url)
            assert upstream.requests == []

    async def test_below_tls_1_2_is_refused(self, authority):
        """A server that knows TLS 1.1 at most gets nothing."""
        context = authority.server("localhost")
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        pool = Upstreams(SystemClock())
        async with RecordingUpstream(tls=context) as upstream:
            with pytest.raises(UpstreamUnavailable):
                await ask(pool, upstream.url, ca=authority.pem)
            assert upstream.requests == []
        assert pool._tls[authority.pem].minimum_version is ssl.TLSVersion.TLSv1_2
        await pool.close()

    async def test_the_name_is_shown_to_the_server(self, authority):
        """SNI carries the configured host."""
        seen: list[str | None] = []
        context = authority.server("localhost")
        context.sni_callback = lambda _socket, name, _context: seen.append(name)
        pool = Upstreams(SystemClock())
        async with RecordingUpstream(tls=context) as upstream:
            await ask(pool, upstream.url, ca=authority.pem)
        assert seen == ["localhost"]
        await pool.close()

    async def test_an_idle_connection_the_server_closed_is_discarded(self, authority):
        """The end of a TLS connection while idle is seen before the next request leaves."""

        async def play(peer: Peer) -> None:
            await peer.request()
            await peer.send(answer(b"mine"))
            await peer.end()

        pool = Upstreams(SystemClock())
        async with ScriptedUpstream(play, tls=authority.server("localhost")) as upstream:
            for _ in range(3):
                assert await ask(pool, upstream.url, ca=authority.pem) == b"mine"
                while pool._open:  # noqa: ASYNC110 - the end is what is waited for
                    await asyncio.sleep(0.01)
            assert (len(upstream.requests), upstream.connections) == (3, 3)
        await pool.close()

    def test_a_key_log_file_is_not_written(self, authority, monkeypatch, tmp_path):
        """SSLKEYLOGFILE would hand the credential to whoever can set a variable; the standard library's default context obeys it."""
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
        pool = Upstreams(SystemClock())
        assert [pool._trusting(ca).keylog_filename for ca in (None, authority.pem)] == [None, None]
        assert not (tmp_path / "keys").exists()

    async def test_authorities_are_an_upstreams_own(self, authority, tmp_path):
        """What one upstream trusts, another does not; and no connection is shared between the two."""
        (tmp_path / "other").mkdir()
        other = Authority.make(tmp_path / "other")
        pool = Upstreams(SystemClock())
        async with RecordingUpstream(tls=authority.server("localhost")) as upstream:
            assert await ask(pool, upstream.url, ca=authority.pem) == b'{"ok":true}'
            for ca in (other.pem, None):
                with pytest.raises(UpstreamUnavailable, match=r"(?i)certificate"):
                    await ask(pool, upstream.url, ca=ca)
            assert (len(upstream.requests), upstream.connections) == (1, 1)
        await pool.close()

    @pytest.mark.parametrize("case", ["expired", "not_yet", "self_signed", "client_only", "plain_text"])
    async def test_nothing_leaves_for_a_server_that_cannot_prove_itself(self, authority, case):
        """0 bytes of the request arrive: expired, not valid yet, signed by itself, a client's certificate, no TLS at all."""
        contexts = {
            "expired": lambda: authority.server("localhost", days=(-3, -1)),
            "not_yet": lambda: authority.server("localhost", days=(1, 2)),
            "self_signed": lambda: authority.server("localhost", self_signed=True),
            "client_only": lambda: authority.server("localhost", purpose=ExtendedKeyUsageOID.CLIENT_AUTH),
            "plain_text": lambda: None,
        }
        pool = Upstreams(SystemClock())
        async with RecordingUpstream(tls=contexts[case]()) as upstream:
            with pytest.raises(UpstreamUnavailable):
                await ask(pool, f"https://localhost:{upstream.port}", ca=authority.pem)
            assert upstream.requests == []
        await pool.close()


async def test_a_name_is_resolved_once(pool, monkeypatch):
    """CVE-2026-41413: between the check and the connection nobody asks again, so a second answer cannot matter."""
    loop = asyncio.get_running_loop()
    asked: list[str] = []

    async with RecordingUpstream() as upstream:
        real = await loop.getaddrinfo("127.0.0.1", upstream.port, type=socket.SOCK_STREAM)

        async def changing_its_mind(host, port, **_):
            if host != "rebind.example":
                return real  # uvloop asks for literal addresses too
            asked.append(host)
            return real if len(asked) == 1 else [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", port))]

        monkeypatch.setattr(loop, "getaddrinfo", changing_its_mind)
        assert await ask(pool, f"http://rebind.example:{upstream.port}") == b'{"ok":true}'
        assert asked == ["rebind.example"]
        with pytest.raises(UpstreamUnavailable, match=r"metadata|link-local"):
            await ask(pool, f"http://rebind.example:{upstream.port}", fresh=True)
        assert len(upstream.requests) == 1


async def test_1000_interleaved_agents_never_see_each_others_answers(pool):
    """Row 90: every answer is the one to its own request."""

    async def play(peer: Peer) -> None:
        while True:
            received = await peer.request()
            await peer.send(answer(received.target.encode()))

    async with ScriptedUpstream(play) as upstream:
        there = endpoint(upstream.url)
        gate = asyncio.Semaphore(32)

        async def one(number: int) -> None:
            async with gate, pool.lease((f"agent-{number % 7}",), there, SOON) as connection:
                got = await connection.exchange(serialize("GET", f"/{number}", there.authority, (), 0), b"", SOON)
                assert await got.read(100) == f"/{number}".encode()

        async with asyncio.TaskGroup() as group:
            for number in range(1000):
                group.create_task(one(number))
        assert sorted(int(each.target[1:]) for each in upstream.requests) == list(range(1000))


@pytest.mark.parametrize("orderly", [True, False], ids=["closed in order", "cut off"])
async def test_a_body_without_length_over_tls_is_whole_only_when_closed_in_order(authority, orderly):
    """Whoever can cut the line must not be able to shorten the answer unseen (RFC 9112 section 9.8)."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        if orderly:
            await peer.end()
        else:
            await asyncio.sleep(0.05)
            peer.drop()

    pool = Upstreams(SystemClock())
    async with ScriptedUpstream(play, tls=authority.server("localhost")) as upstream:
        if orderly:
            assert await ask(pool, upstream.url, ca=authority.pem) == b"half"
        else:
            with pytest.raises(OutcomeUnknown):
                await ask(pool, upstream.url, ca=authority.pem)
    await pool.close()
