"""Agents by X.509-SVID: which leaf is one (X509-SVID sections 2 to 5.2), for how long, and whose it is."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from stagewarden.clock import NANOSECONDS
from stagewarden.config import KeyIdentity, MtlsIdentity, Secret, Secrets
from stagewarden.config.spiffe import trust_domain_of
from stagewarden.errors import BadCredential
from stagewarden.identity import mtls
from stagewarden.identity.agents import AgentIdentities
from stagewarden.identity.fetch import fetch
from stagewarden.identity.keys import new_key
from stagewarden.identity.mtls import MtlsAuthenticator, read_svid
from stagewarden.model import Credential, Link
from stagewarden.registry import Registry, RegistryData
from tests.authority import Authority, Issued, usage
from tests.unit.identity.people_and_agents import StillClock, agent, head

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stagewarden.model import Head

DOMAIN, DRAFTER = "example.org", "spiffe://example.org/ns/news/sa/drafter"
REGISTRY = Registry.of(RegistryData(agents={"drafter": agent(spiffe=DRAFTER), "briefer": agent(key="briefer")}))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The trust domain's authority. Whether it signed a leaf is the handshake's question, and not asked again here."""
    return Authority.make(tmp_path_factory.mktemp("authority"))


def shown(certificate: bytes | None, authorization: str | None = None) -> Head:
    """A head on a connection with this client certificate."""
    return msgspec.structs.replace(head(authorization), certificate=certificate)


def first_second(issued: Issued) -> int:
    """Of its validity."""
    return int(issued.certificate.not_valid_before_utc.timestamp()) * NANOSECONDS


def last_second(issued: Issued) -> int:
    """Of its validity."""
    return int(issued.certificate.not_valid_after_utc.timestamp()) * NANOSECONDS


def knows(issued: Issued, registry: Registry = REGISTRY) -> tuple[MtlsAuthenticator, StillClock]:
    """An authenticator whose clock stands inside this certificate's validity."""
    clock = StillClock(wall_ns=first_second(issued) + NANOSECONDS)
    return MtlsAuthenticator(DOMAIN, registry, clock), clock


async def test_a_registered_workload(ours: Authority) -> None:
    """The registry's link leads from the SPIFFE ID to the agent; the credential says who issued it and until when."""
    issued = ours.svid(DRAFTER)
    found = await knows(issued)[0].authenticate(shown(issued.der))
    assert found is not None
    assert (found.agent, found.credential) == ("drafter", Credential("mtls", DOMAIN, last_second(issued)))
    assert found.chain == (Link("agent", "drafter", verified=True),)


async def test_an_unregistered_workload_is_shown_as_seen(ours: Authority) -> None:
    """So that the policy can say `unregistered`; an ID never passes for the registry's name of an agent."""
    issued = ours.svid("spiffe://example.org/drafter")
    found = await knows(issued)[0].authenticate(shown(issued.der))
    assert found is not None
    assert found.agent == "spiffe://example.org/drafter"


async def test_no_certificate_is_not_mine(ours: Authority) -> None:
    """Whatever headers say: a certificate comes from the handshake alone (CVE-2026-30851)."""
    issued = ours.svid(DRAFTER)
    shown = issued.pem.decode().replace("\n", "")
    headers = tuple((name, shown) for name in ("Client-Cert", "X-Client-Cert", "X-Forwarded-Client-Cert"))
    claimed = msgspec.structs.replace(head(), headers=headers, named={name.lower(): value for name, value in headers})
    assert await knows(issued)[0].authenticate(claimed) is None


BAD: dict[str, tuple[Callable[[Authority], bytes], str]] = {
    "two_uris": (lambda ca: ca.svid(DRAFTER, "spiffe://example.org/other").der, "exactly one URI"),
    "the_same_uri_twice": (lambda ca: ca.svid(DRAFTER, DRAFTER).der, "exactly one URI"),
    "no_name": (lambda ca: ca.svid().der, "exactly one URI"),
    "a_dns_name_only": (lambda ca: ca.server_certificate("example.org").der, "exactly one URI"),
    "https": (lambda ca: ca.svid("https://example.org/ns/news/sa/drafter").der, "not a SPIFFE ID"),
    "no_path": (lambda ca: ca.svid("spiffe://example.org").der, "no path"),
    "root_path": (lambda ca: ca.svid("spiffe://example.org/").der, "empty segment"),
    "trailing_slash": (lambda ca: ca.svid(f"{DRAFTER}/").der, "ends with a slash"),
    "dot_segment": (lambda ca: ca.svid("spiffe://example.org/ns/../sa/drafter").der, "dot segment"),
    "percent": (lambda ca: ca.svid("spiffe://example.org/ns%2fnews").der, "letters, digits"),
    "query": (lambda ca: ca.svid(f"{DRAFTER}?x").der, "letters, digits"),
    "another_trust_domain": (lambda ca: ca.svid("spiffe://example.com/ns/news/sa/drafter").der, "another trust domain"),
    "a_trust_domain_below": (lambda ca: ca.svid("spiffe://sub.example.org/ns/news/sa/drafter").der, "another trust domain"),
    "a_trust_domain_in_capitals": (lambda ca: ca.svid("spiffe://EXAMPLE.ORG/ns/news/sa/drafter").der, "trust domain is not one"),
    "an_authority": (lambda ca: ca.svid(DRAFTER, ca=True).der, "an authority's"),
    "signs_certificates": (lambda ca: ca.svid(DRAFTER, key_usage=usage("digital_signature", "key_cert_sign")).der, "key usage"),
    "signs_lists": (lambda ca: ca.svid(DRAFTER, key_usage=usage("digital_signature", "crl_sign")).der, "key usage"),
    "no_signature": (lambda ca: ca.svid(DRAFTER, key_usage=usage("key_encipherment")).der, "key usage"),
    "no_key_usage": (lambda ca: ca.svid(DRAFTER, key_usage=None).der, "key usage"),
    "no_certificate": (lambda _: b"\x30\x03\x02\x01\x01", "cannot be read"),
    "nothing": (lambda _: b"", "cannot be read"),
    "cut": (lambda ca: ca.svid(DRAFTER).der[:-10], "cannot be read"),
    "more_behind_it": (lambda ca: ca.svid(DRAFTER).der + b"\0", "cannot be read"),
}


@pytest.mark.parametrize(("make", "why"), BAD.values(), ids=BAD)
async def test_a_leaf_that_breaks_a_rule_is_mine_and_bad(ours: Authority, make: Callable[[Authority], bytes], why: str) -> None:
    """Refused, the second time as the first, with the rule and nothing of the certificate."""
    der = make(ours)
    authenticator, _ = knows(ours.svid(DRAFTER))
    for _ in range(2):
        with pytest.raises(BadCredential, match=why) as caught:
            await authenticator.authenticate(shown(der))
        assert "example" not in str(caught.value)
        assert "news" not in str(caught.value)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4))
def test_whatever_bytes_a_certificate_has(ours: Authority, changes: list[tuple[int, int]]) -> None:
    """A leaf with some bytes changed is one of our trust domain still, or it is refused: nothing else is raised."""
    der = bytearray(ours.svid(DRAFTER).der)
    for place, byte in changes:
        der[place % len(der)] = byte
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own, of what it will refuse one day
        try:
            svid = read_svid(bytes(der), DOMAIN)
        except BadCredential:
            return
    assert trust_domain_of(svid.id) == DOMAIN


def test_what_a_leaf_may_have_besides(ours: Authority) -> None:
    """DNS names, a subject, key agreement: none of it is who it is."""
    names = [x509.UniformResourceIdentifier(DRAFTER), x509.DNSName("drafter.news.svc")]
    issued = ours.issue(names, usage("digital_signature", "key_encipherment", "key_agreement"))
    assert read_svid(issued.der, DOMAIN).id == DRAFTER


async def test_a_connection_does_not_outlive_its_certificate(ours: Authority) -> None:
    """Both ends are looked at with every request, by our clock: the handshake's look was once."""
    issued = ours.svid(DRAFTER)
    authenticator, clock = knows(issued)
    clock.wall_ns = last_second(issued)
    assert await authenticator.authenticate(shown(issued.der))
    clock.wall_ns += 1
    with pytest.raises(BadCredential, match="expired"):
        await authenticator.authenticate(shown(issued.der))
    clock.wall_ns = first_second(issued)
    assert await authenticator.authenticate(shown(issued.der))
    clock.wall_ns -= 1
    with pytest.raises(BadCredential, match="not valid yet"):
        await authenticator.authenticate(shown(issued.der))


async def test_a_certificate_is_parsed_once(ours: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with every request; each certificate by itself, the bad ones too, and never more than the bound are kept."""
    parsed: list[bytes] = []

    def counting(der: bytes, trust_domain: str) -> object:
        parsed.append(der)
        return read_svid(der, trust_domain)

    monkeypatch.setattr(mtls, "read_svid", counting)
    good, other, bad = ours.svid(DRAFTER), ours.svid(DRAFTER), ours.svid("spiffe://example.com/x")
    authenticator, _ = knows(good)
    for _ in range(3):
        assert await authenticator.authenticate(shown(good.der))
        assert await authenticator.authenticate(shown(other.der))
        with pytest.raises(BadCredential):
            await authenticator.authenticate(shown(bad.der))
    assert parsed == [good.der, other.der, bad.der]
    for number in range(mtls.CACHE_SIZE + 1):
        with pytest.raises(BadCredential):
            await authenticator.authenticate(shown(number.to_bytes(4, "big")))
    assert len(authenticator._read) == mtls.CACHE_SIZE


async def identities(folder: Path, clock: StillClock, registry: Registry, *settings: Any) -> AgentIdentities:
    """The listener's, opened."""
    made = AgentIdentities(settings, Secrets(folder, {}), registry, clock, fetch)
    await made.open()
    return made


ORDERS = {"certificate_first": (MtlsIdentity(trust_domain=DOMAIN), KeyIdentity(keys=Secret("file:keys"))),
          "key_first": (KeyIdentity(keys=Secret("file:keys")), MtlsIdentity(trust_domain=DOMAIN))}  # fmt: skip


@pytest.mark.parametrize("settings", ORDERS.values(), ids=ORDERS)
async def test_two_credentials_are_none(tmp_path: Path, ours: Authority, settings: tuple[Any, ...]) -> None:
    """Each alone is somebody; a certificate with a key beside it, good or bad, is refused whichever stands first (ASI03)."""
    key, stored = new_key("briefer")
    (tmp_path / "keys").touch(mode=0o600)
    (tmp_path / "keys").write_text(f"briefer: '{stored}'\n")
    good, bad = ours.svid(DRAFTER), ours.svid("spiffe://example.com/x")
    made = await identities(tmp_path, knows(good)[1], REGISTRY, *settings)
    assert (await made.authenticate(shown(good.der))).agent == "drafter"
    assert (await made.authenticate(shown(None, f"Bearer {key}"))).agent == "briefer"
    assert (await made.authenticate(shown(good.der, "Basic YTpi"))).agent == "drafter"  # nobody's credential, and it goes nowhere
    for certificate, bearer in ((good, key), (good, f"{key[:-2]}xx"), (good, "sw_x"), (bad, key), (bad, "opaque")):
        with pytest.raises(BadCredential):
            await made.authenticate(shown(certificate.der, f"Bearer {bearer}"))


async def test_a_change_of_the_registry_counts_on_standing_connections(tmp_path: Path, ours: Authority) -> None:
    """Certificates are remembered, decisions are not."""
    issued = ours.svid(DRAFTER)
    made = await identities(tmp_path, knows(issued)[1], REGISTRY, MtlsIdentity(trust_domain=DOMAIN))
    assert (await made.authenticate(shown(issued.der))).agent == "drafter"
    await made.reload(Registry.of(RegistryData(agents={"renamed": agent(spiffe=DRAFTER)})))
    assert (await made.authenticate(shown(issued.der))).agent == "renamed"
    await made.reload(Registry.of(RegistryData()))
    assert (await made.authenticate(shown(issued.der))).agent == DRAFTER
