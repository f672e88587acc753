"""The listeners over TLS with client certificates, through the whole product: who gets in, who does not, and what SIGHUP changes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json as jsonlib
import signal
import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.clock import NANOSECONDS, SystemClock
from stagewarden.errors import ConfigError
from tests.authority import Authority, Issued, usage
from tests.e2e.articles import Articles
from tests.e2e.crew import metric
from tests.e2e.houses import NOWHERE, edit
from tests.e2e.processes import PATIENCE, SidecarProcess, until
from tests.product import House, Reply, house, rulings
from tests.product import until as found

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DRAFTER, DOMAIN = "spiffe://example.org/ns/news/sa/drafter", "example.org"
KEYS = '    - {kind: key, keys: "file:agent-keys.yaml"}\n'
MTLS = f"    - {{kind: mtls, trust_domain: {DOMAIN}}}\n"
FILES = 'certificate: "file:svid.pem", key: "file:svid_key.pem"'
UNKNOWN = (401, "unauthenticated")


def authority(folder: Path, name: str) -> Authority:
    """One of this name, in a folder of its own."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    return Authority.make(folder / name)


def secure_house(folder: Path, newsroom: str, trusted: Authority, kinds: str = MTLS + KEYS) -> House:
    """The drafter is known by its SVID, the other agents by keys, if by anything."""
    made = house(folder, newsroom)
    edit("registry.yaml", "identity: {key: drafter}", f'identity: {{spiffe: "{DRAFTER}"}}')(made)
    edit("stagewarden.yaml", "localhost]}", f'localhost], tls: {{{FILES}, client_ca: "file:bundle.pem"}}}}')(made)
    edit("stagewarden.yaml", KEYS, kinds)(made)
    serve_for(made, trusted)
    return made


def serve_for(made: House, trusted: Authority) -> Issued:
    """A listener's certificate of this authority, and its clients' authority too."""
    served = trusted.server_certificate("localhost")
    served.save(made.folder / "svid.pem", made.folder / "svid_key.pem")
    (made.folder / "bundle.pem").write_text(trusted.pem)
    return served


@contextmanager
def connected(port: int, tls: ssl.SSLContext) -> Iterator[http.client.HTTPSConnection]:
    """A connection that stands until the block is left."""
    with contextlib.closing(http.client.HTTPSConnection("localhost", port, timeout=PATIENCE, context=tls)) as connection:
        yield connection


def draft(connection: http.client.HTTPSConnection, bearer: str | None = None, **headers: str) -> tuple[int, str]:
    """One draft on this connection: status and problem."""
    sent = {"Content-Type": "application/json", **headers, **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
    connection.request("POST", "/newsroom/articles", jsonlib.dumps({"title": "x"}), sent)
    answer = connection.getresponse()
    reply = Reply(answer.status, answer.headers, answer.read())
    problem = reply.json.get("type", "").removeprefix("urn:stagewarden:problem:")
    return reply.status, f"{problem}: {reply.json['reasons'][0]['code']}" if problem == "denied" else problem


def once(port: int, tls: ssl.SSLContext, bearer: str | None = None, **headers: str) -> tuple[int, str]:
    """One draft on a connection of its own."""
    with connected(port, tls) as connection:
        return draft(connection, bearer, **headers)


def served_by(port: int, tls: ssl.SSLContext) -> bytes | None:
    """The listener's certificate."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as wire, tls.wrap_socket(wire, server_hostname="localhost") as secure:
        return secure.getpeercert(binary_form=True)


def cut_off(port: int, tls: ssl.SSLContext) -> bool:
    """Whether no request gets as far as an answer."""
    try:
        once(port, tls)
    except (OSError, http.client.HTTPException):
        return True
    return False


def bad_ones(trusted: Authority) -> dict[str, Issued]:
    """Certificates of the trusted authority, each of which breaks one rule."""
    return {
        "another trust domain": trusted.svid("spiffe://example.com/ns/news/sa/drafter"),
        "two names": trusted.svid(DRAFTER, "spiffe://example.org/other"),
        "no name": trusted.svid(),
        "a web name": trusted.svid("https://example.org/ns/news/sa/drafter"),
        "an authority": trusted.svid(DRAFTER, ca=True, key_usage=usage("digital_signature", "key_cert_sign")),
        "a key that signs lists": trusted.svid(DRAFTER, key_usage=usage("digital_signature", "crl_sign")),
        "no key usage": trusted.svid(DRAFTER, key_usage=None),
        "a trailing slash": trusted.svid(f"{DRAFTER}/"),
    }


async def test_agents_by_svid(tmp_path):
    """Who proves to be a workload of the trust domain is that agent; whoever breaks a rule is 401, who is of no authority of ours gets no answer."""
    ours, theirs = authority(tmp_path, "ours"), authority(tmp_path, "theirs")

    def walk(sidecar: SidecarProcess, keys: dict[str, str]) -> None:
        sidecar.start()
        port, good = sidecar.ports["agents"], ours.client(ours.svid(DRAFTER))
        assert once(port, good) == (200, "")
        assert once(port, ours.client()) == UNKNOWN
        assert once(port, ours.client(), keys["briefer"]) == (403, "denied: prohibited")  # keys still count, without a certificate
        for bearer in (keys["briefer"], keys["drafter"], "sw_nobody"):
            assert once(port, good, bearer) == UNKNOWN  # two credentials, whatever the second is worth
        for name, bad in bad_ones(ours).items():
            assert once(port, ours.client(bad)) == UNKNOWN, name
            assert once(port, ours.client(bad), keys["briefer"]) == UNKNOWN, name
        for path in ("ns/news/sa/stranger", "drafter", "briefer"):
            assert once(port, ours.client(ours.svid(f"spiffe://example.org/{path}"))) == (403, "denied: unregistered")
        for name in ("Client-Cert", "X-Forwarded-Client-Cert", "X-Client-Cert"):
            assert once(port, ours.client(), **{name: f"By={DRAFTER};URI={DRAFTER}"}) == UNKNOWN
        assert cut_off(port, ours.client(theirs.svid(DRAFTER)))
        assert cut_off(port, ours.client(ours.svid(DRAFTER, days=(-3, -1))))
        assert cut_off(port, ours.client(ours.svid(DRAFTER, days=(1, 2))))
        until(lambda: metric(sidecar, "stagewarden_tls_handshakes_failed_total", cause="certificate") == 3, "what failed is counted")
        with connected(port, good) as standing:
            assert draft(standing) == (200, "")
            sidecar.signal(signal.SIGTERM)
            assert sidecar.ended() == 0

    async with Articles() as upstream:
        made = secure_house(tmp_path / "house", upstream.url, ours)
        sidecar = SidecarProcess(made)
        try:
            await asyncio.to_thread(walk, sidecar, made.keys)
        finally:
            sidecar.close()
    assert len(upstream.requests) == 2
    allowed = [each["principal"] for each in rulings(made.folder) if each.get("effect") == "allow"]
    assert [(each["agent"], each["credential"]["kind"], each["credential"]["issuer"]) for each in allowed] == [("drafter", "mtls", DOMAIN)] * 2
    refused = [row for each in rulings(made.folder) if each["kind"] == "refusals" for row in each["refusals"] if row["code"] == "tls_handshake"]
    assert {row["peer"] for row in refused} == {"127.0.0.1"}
    assert sum(row["count"] for row in refused) == 3
    assert all(jsonlib.loads(line) for line in sidecar.log.splitlines())  # a handshake that fails is no noise beside the log


async def test_a_header_that_claims_a_certificate_goes_nowhere(tmp_path):
    """RFC 9440 section 4: an upstream that trusts us to set it must not get the agent's."""
    ours = authority(tmp_path, "ours")
    spoofed = dict.fromkeys(("Client-Cert", "Client-Cert-Chain", "X-Forwarded-Client-Cert", "X-Client-Cert", "X-Kept"), f"URI={DRAFTER}")
    async with Articles() as upstream, running(configuration.load(secure_house(tmp_path / "house", upstream.url, ours).config)) as sidecar:
        assert sidecar.agents_address
        good = ours.client(ours.svid(DRAFTER))
        assert await asyncio.to_thread(once, sidecar.agents_address[1], good, **spoofed) == (200, "")
    (request,) = upstream.requests
    assert [name for name, _ in request.headers if name in spoofed] == ["X-Kept"]


async def test_where_certificates_are_the_only_way_in(tmp_path):
    """A client without one completes no handshake, and so reads no problem document either."""
    ours = authority(tmp_path, "ours")
    async with Articles() as upstream:
        made = secure_house(tmp_path / "house", upstream.url, ours, MTLS)
        async with running(configuration.load(made.config)) as sidecar:
            assert sidecar.agents_address
            port = sidecar.agents_address[1]
            assert await asyncio.to_thread(cut_off, port, ours.client())
            assert await asyncio.to_thread(once, port, ours.client(ours.svid(DRAFTER))) == (200, "")
    assert len(upstream.requests) == 1


async def test_http_2_is_no_request(tmp_path):
    """A client that offers nothing else completes no handshake: its preface is not read, and nobody is asked."""
    ours = authority(tmp_path, "ours")
    context = ours.client(ours.svid(DRAFTER))
    context.set_alpn_protocols(["h2"])
    made = secure_house(tmp_path / "house", NOWHERE, ours)
    async with running(configuration.load(made.config)) as sidecar:
        assert sidecar.agents_address
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            reader, writer = await asyncio.open_connection(*sidecar.agents_address, ssl=context, server_hostname="localhost")
            writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert await reader.read() == b""
            writer.close()
        (row,) = await found(lambda: [row for each in rulings(made.folder) if each["kind"] == "refusals" for row in each["refusals"]])
        assert row == {"code": "tls_handshake", "peer": "127.0.0.1", "count": 1}
    assert [each for each in rulings(made.folder) if "effect" in each] == []


class Ahead(SystemClock):
    """A wall clock that can be put forward."""

    ahead_ns = 0

    def now_ns(self) -> int:
        """Later than it is."""
        return super().now_ns() + self.ahead_ns


async def test_a_standing_connection_does_not_outlive_its_certificate(tmp_path):
    """The handshake looked once; every request looks again."""
    ours, clock = authority(tmp_path, "ours"), Ahead()
    async with Articles() as upstream:
        made = secure_house(tmp_path / "house", upstream.url, ours)
        async with running(configuration.load(made.config), clock=clock) as sidecar:
            assert sidecar.agents_address
            with connected(sidecar.agents_address[1], ours.client(ours.svid(DRAFTER))) as standing:
                assert await asyncio.to_thread(draft, standing) == (200, "")
                assert standing.sock is not None  # it stands, and the next request goes there
                clock.ahead_ns = 2 * 86_400 * NANOSECONDS
                assert await asyncio.to_thread(draft, standing) == UNKNOWN
    assert len(upstream.requests) == 1


async def test_sighup_takes_new_certificates_into_force(tmp_path):
    """The listener's, its key and its clients' authorities: for new connections. Who is connected stays; what is broken is told."""
    ours, theirs = authority(tmp_path, "ours"), authority(tmp_path, "theirs")

    def walk(sidecar: SidecarProcess, made: House) -> None:
        sidecar.start()
        port, old, new = sidecar.ports["agents"], ours.client(ours.svid(DRAFTER)), theirs.client(theirs.svid(DRAFTER))
        with connected(port, old) as standing:
            assert draft(standing) == (200, "")
            wire = standing.sock
            served = serve_for(made, theirs)
            sidecar.signal(signal.SIGHUP)
            until(lambda: not cut_off(port, new), "the new certificates")
            assert served_by(port, theirs.client()) == served.der
            assert once(port, new) == (200, "")
            shows_the_old = theirs.client(ours.svid(DRAFTER))
            assert cut_off(port, shows_the_old)
            assert draft(standing) == (200, "")
            assert standing.sock is wire

            (made.folder / "svid_key.pem").write_bytes(ours.svid().key_pem)
            sidecar.signal(signal.SIGHUP)
            told = until(lambda: sidecar.operations("/readyz").json["details"]["reload"], "the refusal")
            assert "listen.agents.tls.key" in told
            assert "is not the key of the first certificate" in told
            assert served_by(port, theirs.client()) == served.der
            assert once(port, new) == (200, "")
            assert draft(standing) == (200, "")

            again = serve_for(made, theirs)
            sidecar.signal(signal.SIGHUP)
            until(lambda: served_by(port, theirs.client()) == again.der, "the mended certificates")
            assert sidecar.operations("/readyz").json["details"]["reload"] is None

    async with Articles() as upstream:
        made = secure_house(tmp_path / "house", upstream.url, ours)
        sidecar = SidecarProcess(made)
        try:
            await asyncio.to_thread(walk, sidecar, made)
        finally:
            sidecar.close()


async def test_a_handshake_has_the_heads_deadline(tmp_path):
    """Slowloris before HTTP begins: who connects and says nothing is cut."""
    ours = authority(tmp_path, "ours")
    made = secure_house(tmp_path / "house", NOWHERE, ours)
    edit("stagewarden.yaml", "limits: {", "limits: {header_deadline: 200ms, ")(made)
    async with running(configuration.load(made.config)) as sidecar:
        assert sidecar.agents_address
        reader, writer = await asyncio.open_connection(*sidecar.agents_address)
        async with asyncio.timeout(PATIENCE / 2):  # the library's own deadline would be as long as our patience
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


def expired(made: House, trusted: Authority) -> None:
    """A listener's certificate of yesterday."""
    trusted.server_certificate("localhost", days=(-3, -1)).save(made.folder / "svid.pem", made.folder / "svid_key.pem")


REFUSED_AT_START = {
    "expired": (expired, "expired"),
    "another key": (lambda made, ca: (made.folder / "svid_key.pem").write_bytes(ca.svid().key_pem), "not the key"),
    "an open key": (lambda made, _: (made.folder / "svid_key.pem").chmod(0o644), "open to every user"),
    "empty authorities": (lambda made, _: (made.folder / "bundle.pem").write_text(""), "is empty"),
    "no authorities": (lambda made, _: (made.folder / "bundle.pem").unlink(), "cannot be read"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED_AT_START.values(), ids=REFUSED_AT_START)
async def test_cve_2026_32305_nothing_starts_with_files_that_do_not_hold(tmp_path, change, message):
    """Refused by file, line and key; no port is bound, no entry written."""
    ours = authority(tmp_path, "ours")
    made = secure_house(tmp_path / "house", NOWHERE, ours)
    change(made, ours)
    with pytest.raises(ConfigError, match=message) as caught:
        async with running(configuration.load(made.config)):
            pytest.fail("it started")
    assert all(problem.key.startswith("listen.agents.tls") and problem.line for problem in caught.value.problems)
    assert not (made.folder / "audit").exists()


async def test_people_and_operations_over_tls(tmp_path):
    """The same three keys there: an authority that is named lets nobody else connect, and one that is not asks for nothing."""
    ours = authority(tmp_path, "ours")
    made = secure_house(tmp_path / "house", NOWHERE, ours)
    for name, tls in (("people", FILES), ("operations", f'{FILES}, client_ca: "file:bundle.pem"')):
        edit("stagewarden.yaml", f'{name}: {{bind: "127.0.0.1:0"', f'{name}: {{bind: "127.0.0.1:0", tls: {{{tls}}}')(made)
    edit("stagewarden.yaml", "registry: registry.yaml", "people: {url: https://localhost}\nregistry: registry.yaml")(made)

    def get(port: int, path: str, tls: ssl.SSLContext, **headers: str) -> int | None:
        try:
            with connected(port, tls) as connection:
                connection.request("GET", path, headers=headers)
                return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None

    async with running(configuration.load(made.config)) as sidecar:
        assert sidecar.people_address
        assert sidecar.operations_address
        people, operations = sidecar.people_address[1], sidecar.operations_address[1]
        reader = {"Authorization": f"Bearer {made.tokens['rita']}"}
        assert await asyncio.to_thread(get, people, "/api/v1/holds", ours.client(), **reader) == 200
        assert await asyncio.to_thread(get, people, "/api/v1/holds", ours.client()) == 401
        assert await asyncio.to_thread(get, operations, "/livez", ours.client()) is None
        assert await asyncio.to_thread(get, operations, "/livez", ours.client(ours.svid("spiffe://example.org/probe"))) == 200
