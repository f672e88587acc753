"""TLS on our own listeners, on both event loops: which handshakes end in a connection, and what a reload changes (row 52)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from stagewarden.clock import SystemClock
from stagewarden.config import Secrets
from stagewarden.errors import ConfigError
from stagewarden.wire.tls import ListenersTls, peer_certificate
from tests.authority import Authority, Issued
from tests.connections import Connections
from tests.unit.config.parts import changed, loaded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from stagewarden.clock import Clock

DAY_NS = 86_400_000_000_000
WORKLOAD = "spiffe://example.org/drafter"
TLS = {"certificate": "file:svid.pem", "key": "file:svid_key.pem", "client_ca": "file:bundle.pem"}
KEY, MTLS = {"kind": "key", "keys": "file:agent-keys.yaml"}, {"kind": "mtls", "trust_domain": "example.org"}


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    """The authority of the listener and of its clients, files in place."""
    (tmp_path / "ours").mkdir()
    made = Authority.make(tmp_path / "ours")
    made.server_certificate("localhost").save(tmp_path / "svid.pem", tmp_path / "svid_key.pem")
    (tmp_path / "bundle.pem").write_text(made.pem)
    return made


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    """Another authority."""
    (tmp_path / "theirs").mkdir()
    return Authority.make(tmp_path / "theirs")


class Hands(SystemClock):
    """A wall clock that can be put forward."""

    ahead_ns = 0

    def now_ns(self) -> int:
        """Later than it is."""
        return super().now_ns() + self.ahead_ns


def tls_of(folder: Path, *agents: Mapping[str, str], clock: Clock | None = None, **changes: object) -> ListenersTls:
    """The TLS of an agents' listener for these kinds of agents."""
    document = changed("listen.agents.tls", TLS | changes)
    document["identity"]["agents"] = list(agents or (MTLS, KEY))
    return ListenersTls(loaded(folder, document), Secrets(folder, {}), clock or SystemClock())


@dataclass
class Listener:
    """A server that says `here` to each line, and keeps the certificate of each connection."""

    port: int
    seen: list[bytes | None] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)

    async def ask(self, context: ssl.SSLContext, **options: Any) -> ssl.SSLObject:
        """One line there and one back, on a connection of its own; its TLS as the client saw it. OSError where it does not come about."""
        reader, writer = await self.connect(context, **options)
        try:
            await exchange(reader, writer)
            return writer.get_extra_info("ssl_object")
        finally:
            writer.transport.abort()

    async def connect(self, context: ssl.SSLContext, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that stays."""
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context, **{"server_hostname": "localhost", **options})


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One line there and one back."""
    writer.write(b"hello\n")
    await writer.drain()
    if await reader.readline() != b"here\n":
        raise ConnectionResetError("the other side ended it")


@asynccontextmanager
async def listening(tls: ListenersTls, **options: Any) -> AsyncIterator[Listener]:
    """A server with the agents' listener's context."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener.seen.append(peer_certificate(writer.transport))
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                listener.lines.append(line)
                writer.write(b"here\n")
        writer.transport.abort()

    connections = Connections(accept)
    server = await asyncio.start_server(connections, "127.0.0.1", 0, ssl=tls.context("agents"), **options)
    listener = Listener(server.sockets[0].getsockname()[1])
    try:
        yield listener
    finally:
        await connections.end(server)


async def test_the_certificate_of_the_handshake(tmp_path, ours):
    """A client that proves to hold a certificate has it, one without has none, and plain connections have none either."""
    issued = ours.svid(WORKLOAD)
    async with listening(tls_of(tmp_path)) as listener:
        await listener.ask(ours.client(issued))
        await listener.ask(ours.client())
    assert listener.seen == [issued.der, None]
    async with plain() as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        assert peer_certificate(writer.transport) is None
        writer.close()


@asynccontextmanager
async def plain() -> AsyncIterator[int]:
    """A server without TLS that ends every connection."""

    async def nothing(*_: object) -> None:
        pass

    connections = Connections(nothing)
    server = await asyncio.start_server(connections, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await connections.end(server)


def forged(ours: Authority, theirs: Authority) -> dict[str, Issued]:
    """Certificates that no authority of ours has signed, or whose time it is not."""
    return {
        "another_authority": theirs.svid(WORKLOAD),
        "self_signed": ours.issue([], self_signed=True),
        "expired": ours.svid(WORKLOAD, days=(-3, -1)),
        "not_yet": ours.svid(WORKLOAD, days=(1, 2)),
    }


@pytest.mark.parametrize("case", ["another_authority", "self_signed", "expired", "not_yet"])
@pytest.mark.parametrize("agents", [(MTLS, KEY), (MTLS,)], ids=["optional", "required"])
async def test_a_chain_that_does_not_hold_is_no_connection(tmp_path, ours, theirs, case, agents):
    """CVE-2026-32305: never let through as one without a certificate; nothing the client writes is read."""
    async with listening(tls_of(tmp_path, *agents)) as listener:
        with pytest.raises(OSError):  # noqa: PT011 - what is told differs by loop and moment
            await listener.ask(ours.client(forged(ours, theirs)[case]))
    assert listener.lines == []


ASKED = {
    "mtls_and_key": ((MTLS, KEY), {}, True),
    "mtls_alone": ((MTLS,), {}, False),
    "key_behind_an_authority": ((KEY,), {}, False),
    "key_without_authority": ((KEY,), {"client_ca": None}, True),
}


@pytest.mark.parametrize(("agents", "changes", "welcome"), ASKED.values(), ids=ASKED)
async def test_who_may_come_without_a_certificate(tmp_path, ours, agents, changes, welcome):
    """Nobody where certificates are the only way in, or an authority is named and no agent is known by it."""
    async with listening(tls_of(tmp_path, *agents, **changes)) as listener:
        if welcome:
            await listener.ask(ours.client())
        else:
            with pytest.raises(OSError):  # noqa: PT011 - what is told differs by loop and moment
                await listener.ask(ours.client())
    assert listener.lines == ([b"hello\n"] if welcome else [])


async def test_an_authority_that_is_not_asked_for_gives_no_certificate(tmp_path, ours):
    """Without `client_ca` nothing a client could show is looked at."""
    async with listening(tls_of(tmp_path, KEY, client_ca=None)) as listener:
        await listener.ask(ours.client(ours.svid(WORKLOAD)))
    assert listener.seen == [None]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("named", [True, False], ids=["sni", "no_sni"])
@pytest.mark.parametrize("certificate", [True, False], ids=["certificate", "none"])
async def test_cve_2024_39321_every_way_of_shaking_hands_asks_alike(tmp_path, ours, version, named, certificate):
    """By version, with and without a server name: a certificate is required, and no second connection gets in on the first one's word."""
    context = ours.client(ours.svid(WORKLOAD) if certificate else None)
    context.minimum_version = context.maximum_version = version
    context.check_hostname = named
    async with listening(tls_of(tmp_path, MTLS)) as listener:
        for _ in range(2):
            if certificate:
                assert (await listener.ask(context, server_hostname="localhost" if named else "")).version() == version.name.replace("_", ".")
            else:
                with pytest.raises(OSError):  # noqa: PT011 - what is told differs by loop and moment
                    await listener.ask(context, server_hostname="localhost" if named else "")
    assert len(listener.lines) == (2 if certificate else 0)


async def test_cve_2024_39321_a_client_hello_in_single_bytes(tmp_path, ours):
    """However the first flight is cut, the same is asked."""
    async with listening(tls_of(tmp_path, MTLS)) as listener:
        for issued in (ours.svid(WORKLOAD), None):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = ours.client(issued).wrap_bio(incoming, outgoing, server_hostname="localhost")
            answer = b""
            with contextlib.suppress(OSError):
                await drip(tls.do_handshake, incoming, outgoing, reader, writer)
                await drip(lambda tls=tls: tls.write(b"hello\n"), incoming, outgoing, reader, writer)
                answer = await drip(tls.read, incoming, outgoing, reader, writer)
            assert answer == (b"here\n" if issued else b"")
            writer.transport.abort()
    assert listener.lines == [b"hello\n"]


async def drip(step: Callable[[], Any], incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *wire: Any) -> Any:
    """Take one TLS step to its end, every byte of ours in a segment of its own."""
    reader, writer = wire
    while True:
        try:
            result, ended = step(), True
        except ssl.SSLWantReadError:
            result, ended = None, False
        for byte in outgoing.read():
            if writer.is_closing():
                raise ConnectionResetError("the other side ended it")
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        if ended:
            return result
        if not (received := await reader.read(1 << 16)):
            raise ConnectionResetError("the other side ended it")
        incoming.write(received)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_cve_2024_39321_no_session_is_taken_up_again_after_a_reload(tmp_path, ours, theirs, version):
    """A session made under the old authorities opens nothing under the new ones."""
    context = ours.client(ours.svid(WORKLOAD))
    context.minimum_version = context.maximum_version = version
    tls = tls_of(tmp_path, MTLS)
    async with listening(tls) as listener:
        session, _ = await asyncio.to_thread(talk, context, listener.port, None)
        (tmp_path / "bundle.pem").write_text(theirs.pem)
        tls.use(tls.read())
        with pytest.raises(OSError):  # noqa: PT011 - what is told differs by moment
            await asyncio.to_thread(talk, context, listener.port, session)
    assert len(listener.lines) == 1


async def test_no_ticket_is_given(tmp_path, ours):
    """TLS 1.3 takes up a session by ticket only, and there is none: every connection proves its certificate."""
    context = ours.client(ours.svid(WORKLOAD))
    async with listening(tls_of(tmp_path)) as listener:
        session, _ = await asyncio.to_thread(talk, context, listener.port, None)
        assert session is None or not session.has_ticket
        assert (await asyncio.to_thread(talk, context, listener.port, session))[1] is False


async def test_a_session_taken_up_by_its_id_is_its_beginners(tmp_path, ours):
    """TLS 1.2: who takes it up has the certificate it was made with, and not another one shown beside it."""
    issued = ours.svid(WORKLOAD)
    context = ours.client(issued)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with listening(tls_of(tmp_path)) as listener:
        session, _ = await asyncio.to_thread(talk, context, listener.port, None)
        await asyncio.to_thread(talk, context, listener.port, session)
    assert listener.seen == [issued.der, issued.der]


def talk(context: ssl.SSLContext, port: int, session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool]:
    """One line there and one back with this session, ended in order; the session afterwards, and whether it was taken up."""
    with socket.create_connection(("127.0.0.1", port), 10) as wire, context.wrap_socket(wire, server_hostname="localhost", session=session) as tls:
        tls.sendall(b"hello\n")
        if tls.recv(100) != b"here\n":
            raise ConnectionResetError("the other side ended it")
        found = tls.session, bool(tls.session_reused)
        with contextlib.suppress(OSError):
            tls.unwrap()
        return found


async def test_below_tls_1_2_nobody_is_served(tmp_path, ours):
    """Whatever else the client would accept."""
    context = ours.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    tls = tls_of(tmp_path, KEY, client_ca=None)
    async with listening(tls) as listener:
        with pytest.raises(OSError):  # noqa: PT011 - what is told differs by loop
            await listener.ask(context)
    assert listener.lines == []
    assert tls.read()["agents"].context.minimum_version is ssl.TLSVersion.TLSv1_2  # ours, not the library's default


@pytest.mark.parametrize(("offered", "agreed"), [(["h2", "http/1.1"], "http/1.1"), (["spdy/1"], None), (["http/1.1"], "http/1.1")], ids=str)
async def test_only_http_1_1_is_agreed_upon(tmp_path, ours, offered, agreed):
    """Whatever else is offered."""
    context = ours.client()
    context.set_alpn_protocols(offered)
    async with listening(tls_of(tmp_path)) as listener:
        tls = await listener.ask(context)
        assert (tls.selected_alpn_protocol(), tls.compression()) == (agreed, None)


async def test_rfc_7301_http_2_alone_completes_no_handshake(tmp_path, ours):
    """Nor is anything read that such a client sends."""
    context = ours.client()
    context.set_alpn_protocols(["h2"])
    async with listening(tls_of(tmp_path)) as listener:
        with pytest.raises(OSError):  # noqa: PT011 - what is told differs by loop and version
            await listener.ask(context)
    assert (listener.seen, listener.lines) == ([], [])


async def test_a_client_without_tls_gets_no_answer(tmp_path, ours):
    """Plain text on a TLS port is nobody's request."""
    async with listening(tls_of(tmp_path, KEY)) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"here" not in await reader.read()
        writer.close()
    assert (listener.seen, listener.lines) == ([], [])


async def test_who_does_not_shake_hands_is_cut(tmp_path, ours):
    """Slowloris before HTTP begins: the handshake has a deadline."""
    async with listening(tls_of(tmp_path), ssl_handshake_timeout=0.1) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"\x16\x03\x01")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
    assert listener.seen == []


async def test_a_reload_counts_for_new_connections_and_ends_none(tmp_path, ours, theirs):
    """Certificate, key and authorities at once; who was connected before stays, and is who it was."""
    tls = tls_of(tmp_path, MTLS)
    old, new = ours.svid(WORKLOAD), theirs.svid(WORKLOAD)
    async with listening(tls) as listener:
        standing = await listener.connect(ours.client(old))
        await exchange(*standing)
        served = theirs.server_certificate("localhost")
        served.save(tmp_path / "svid.pem", tmp_path / "svid_key.pem")
        (tmp_path / "bundle.pem").write_text(theirs.pem)
        fresh = tls.read()
        await listener.ask(ours.client(old))  # read, and not yet in use
        tls.use(fresh)
        assert (await listener.ask(theirs.client(new))).getpeercert(binary_form=True) == served.der
        both = theirs.client(old)  # trusts the new listener, and shows the old certificate
        with pytest.raises(OSError):  # noqa: PT011 - what is told differs by loop and moment
            await listener.ask(both)
        await exchange(*standing)
        standing[1].transport.abort()
    assert listener.seen[:3] == [old.der, old.der, new.der]
    assert len(listener.lines) == 4


BROKEN = {
    "no_certificate": ("svid.pem", ""),
    "another_key": ("svid_key.pem", "another"),
    "no_authorities": ("bundle.pem", ""),
    "authorities_in_prose": ("bundle.pem", "none"),
}


@pytest.mark.parametrize(("name", "content"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_reload_changes_nothing(tmp_path, ours, name, content):
    """The last good files stay in force, the client's authorities too; at start there are none, and it does not begin."""
    tls = tls_of(tmp_path, MTLS)
    served = ssl.PEM_cert_to_DER_cert((tmp_path / "svid.pem").read_text())
    (tmp_path / name).write_bytes(ours.svid().key_pem if content == "another" else content.encode())
    with pytest.raises(ConfigError, match=r"listen\.agents\.tls"):
        tls.read()
    async with listening(tls) as listener:
        assert (await listener.ask(ours.client(ours.svid(WORKLOAD)))).getpeercert(binary_form=True) == served
        with pytest.raises(OSError):  # noqa: PT011 - what is told differs by loop and moment
            await listener.ask(ours.client())
    with pytest.raises(ConfigError, match=r"listen\.agents\.tls"):
        tls_of(tmp_path, MTLS)


async def test_a_certificate_that_ran_out_is_told(tmp_path, ours):
    """At its last moment all is well, after it we are not ready, and a renewed one mends that."""
    clock = Hands()
    tls = tls_of(tmp_path, clock=clock)
    assert await tls.trouble() is None
    clock.ahead_ns = 2 * DAY_NS
    assert "listen.agents at 2" in (await tls.trouble() or "")
    with pytest.raises(ConfigError, match="expired"):
        tls.read()
    ours.server_certificate("localhost", days=(1, 3)).save(tmp_path / "svid.pem", tmp_path / "svid_key.pem")
    (tmp_path / "bundle.pem").write_bytes(ours.svid(days=(1, 3), ca=True).pem)
    tls.use(tls.read())
    assert await tls.trouble() is None


def test_a_key_that_openssl_refuses_refuses_to_start(tmp_path, ours):
    """What the files' own look does not find is found before a socket is bound."""
    weak = rsa.generate_private_key(65537, 1024)
    ours.issue([x509.DNSName("localhost")], key=weak).save(tmp_path / "svid.pem", tmp_path / "svid_key.pem")
    with pytest.raises(ConfigError, match="cannot be used: EE_KEY_TOO_SMALL"):
        tls_of(tmp_path)


def test_a_key_log_file_is_not_written(tmp_path, ours, monkeypatch):
    """SSLKEYLOGFILE would open every agent's requests to whoever can set a variable."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert tls_of(tmp_path).read()["agents"].context.keylog_filename is None
    assert not (tmp_path / "keys").exists()


async def test_used_in_another_way_it_serves_nobody(tmp_path, ours):
    """The context that is handed out holds no certificate itself: a library that does not ask for one connection's TLS completes no handshake."""
    handed = tls_of(tmp_path, KEY, client_ca=None).context("agents")
    assert handed is not None
    ends = socket.socketpair()
    with ends[0], ends[1]:
        for end in ends:
            end.settimeout(10)
        server = asyncio.to_thread(handed.wrap_socket, ends[0], server_side=True)
        client = asyncio.to_thread(ours.client().wrap_socket, ends[1], server_hostname="localhost")
        outcomes = await asyncio.gather(server, client, return_exceptions=True)
    assert all(isinstance(outcome, OSError) for outcome in outcomes)
