"""Handshakes on real sockets: who holds a place meanwhile, for how long, and what is told of those that fail."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest
from msgspec.structs import replace

from stagewarden.wire.tls import server_context
from tests.authority import Authority
from tests.unit.wire.listener.parts import LIMITS
from tests.unit.wire.listener.test_server import QUICK, REQUEST, answer, listening, until

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # a ClientHello begins, and says it has 512 bytes


@pytest.fixture(scope="module")
def trusted(tmp_path_factory):
    """An authority."""
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def ours(trusted, tmp_path_factory):
    """The listener's TLS, which asks for a certificate."""
    folder = tmp_path_factory.mktemp("listener")
    trusted.server_certificate("localhost").save(folder / "c.pem", folder / "k.pem")
    context = server_context()
    context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    context.load_verify_locations(cadata=trusted.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client(trusted, version=None, alpn=(), *, shows=True):
    """One that trusts ours and shows a certificate."""
    context = trusted.client(trusted.svid("spiffe://example.org/a") if shows else None)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


async def shut_out(address, context) -> bool:
    """Whether a client gets no answer to a request. Under TLS 1.3 it may believe for a moment that it is in."""
    try:
        reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname="localhost")
        writer.write(REQUEST % 1)
        closed = await reader.read() == b""
        writer.close()
    except OSError:  # ssl.SSLError is one
        return True
    return closed


VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("h2", "http/1.1")], ids=["no-alpn", "http-1", "both"])
async def test_who_speaks_http_1_is_served(trusted, ours, version, alpn):
    """Its certificate is the connection's, and it holds one place from beginning to end."""
    async with listening(context=ours) as (door, server, address):
        reader, writer = await asyncio.open_connection(*address, ssl=client(trusted, version, alpn), server_hostname="localhost")
        for number in range(2):
            writer.write(REQUEST % number)
            assert (await answer(reader))[1] == b"/%d" % number
            assert len(server) == 1
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == ("http/1.1" if alpn else None)
        writer.close()
        await until(lambda: not len(server))
        assert door.unmade == []


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
async def test_rfc_7301_http_2_alone_is_refused_before_anything_is_read(trusted, ours, version):
    """An attacker's bytes in another protocol are never looked at (ALPACA, 2021)."""
    async with listening(context=ours) as (door, server, address):
        assert await shut_out(address, client(trusted, version, ("h2",)))
        await until(lambda: door.unmade == ["alpn"] and not len(server))
        assert door.served == []


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize("shows", ["nothing", "another authority's"])
async def test_a_certificate_that_does_not_count(trusted, ours, version, shows, tmp_path):
    """None, or one of an authority we do not know: the handshake fails, and is told as that."""
    theirs = client(trusted, version, shows=False)
    if shows != "nothing":
        Authority.make(tmp_path).svid("spiffe://example.org/a").save(tmp_path / "c", tmp_path / "k")
        theirs.load_cert_chain(tmp_path / "c", tmp_path / "k")
    async with listening(context=ours) as (door, server, address):
        assert await shut_out(address, theirs)
        await until(lambda: door.unmade == ["certificate"] and not len(server))
        assert door.served == []


SAID = {
    "plain HTTP": (REQUEST % 1, "protocol"),
    "noise": (b"\xff" * 100, "protocol"),
    "an alert": (b"\x15\x03\x03\x00\x02\x02\x28", "protocol"),
    "half a hello": (HELLO, "left"),
    "nothing": (b"", "left"),
}


@pytest.mark.parametrize(("said", "cause"), SAID.values(), ids=SAID)
async def test_what_is_no_handshake(ours, said, cause):
    """It ends, whatever it said; who went by itself is told apart."""
    async with listening(context=ours) as (door, server, address):
        _, writer = await asyncio.open_connection(*address)
        writer.write(said)
        await until(lambda: len(server) or door.unmade)
        writer.write_eof()
        await until(lambda: door.unmade and not len(server))
        assert (door.unmade, door.served) == ([cause], [])
        writer.close()


@pytest.mark.parametrize("said", [b"", HELLO], ids=["silent", "half-a-hello"])
async def test_slowloris_before_http_ends_at_the_heads_deadline(ours, said):
    """Who never finishes has a place until then, is cut, and is counted."""
    async with listening(timeouts=replace(QUICK, head=0.3), context=ours) as (door, server, address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(said)
        await until(lambda: len(server) == 1 or door.unmade)  # also a deadline that falls between two looks is one
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await until(lambda: door.unmade == ["deadline"] and not len(server))
        writer.close()


async def test_handshakes_under_way_are_within_the_limit_and_keep_nobody_out(trusted, ours):
    """Four places, thrice as many clients that never speak: those that have waited longest go for the new one, which is served."""
    async with listening(replace(LIMITS, connections=4), context=ours) as (door, server, address):
        silent = []
        for _ in range(12):
            silent.append(await asyncio.open_connection(*address))
            await until(lambda: len(server) == min(4, len(silent)))
        reader, writer = await asyncio.open_connection(*address, ssl=client(trusted), server_hostname="localhost")
        writer.write(REQUEST % 1)
        assert (await answer(reader))[1] == b"/1"
        assert len(server) <= 4
        assert door.gone["idle"] >= 9
        assert door.unmade == [], "it was we who ended them"
        for _, each in (*silent, (reader, writer)):
            each.close()


async def test_a_handshake_does_not_outlive_the_server(ours):
    """What is under way when the process ends is cut at once."""
    async with listening(context=ours) as (door, server, address):
        reader, writer = await asyncio.open_connection(*address)
        await until(lambda: len(server) == 1)
        await server.close(30.0)
        assert not len(server)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        assert door.unmade == []
        writer.close()
