"""JWTs of agents: for us alone, signed by their issuer's key, in time, and leading to the registry by its own links."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey

from stagewarden.errors import BadCredential
from stagewarden.identity.jwt import JwtAuthenticator, memory_key
from tests.unit.identity.people_and_agents import ISSUER, StillClock, head
from tests.unit.identity.tokens_made_here import EC, EC_NEXT, RSA, WORKLOAD, Issuer, authenticator, claims, key_set, token


def b64(data: bytes) -> str:
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def refused(door: JwtAuthenticator, bad: str) -> bool:
    """Ours and bad, or nobody's: AgentIdentities makes the same of both."""
    try:
        return await door.authenticate(head(f"Bearer {bad}")) is None
    except BadCredential:
        return True


async def test_a_good_token_is_its_agent() -> None:
    """Issuer and subject lead to the agent; credential and chain say what was proven."""
    clock = StillClock()
    given_claims = claims(clock)
    principal = await (await authenticator(clock)).authenticate(head(f"Bearer {token(given_claims)}"))
    assert principal is not None
    assert principal.agent == "publisher-1"
    assert (principal.credential.kind, principal.credential.issuer) == ("jwt", ISSUER)
    assert principal.credential.expires_ns == given_claims["exp"] * 1_000_000_000
    assert [(link.kind, link.id, link.verified) for link in principal.chain] == [("agent", "publisher-1", True)]


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "JOSE", "at+jwt", "application/at+jwt"], ids=str)
@pytest.mark.parametrize("aud", ["stagewarden", ["stagewarden"]], ids=["text", "list of one"])
async def test_the_usual_forms_are_accepted(typ: str | None, aud: Any) -> None:
    """RFC 9068, JWT-SVID and Kubernetes differ in `typ` and in the form of `aud`."""
    clock = StillClock()
    assert await (await authenticator(clock)).authenticate(head(f"Bearer {token(claims(clock, aud=aud), typ=typ)}"))


@pytest.mark.parametrize("key", [RSA, OKPKey.generate_key("Ed25519", {"kid": "okp"}, private=True)], ids=["RS256", "EdDSA"])
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_other_algorithms_of_the_list(key: Any) -> None:
    """The algorithm is the key's."""
    clock = StillClock()
    alg = "RS256" if key is RSA else "EdDSA"
    assert await (await authenticator(clock, Issuer(key))).authenticate(head(f"Bearer {token(claims(clock), key, alg=alg)}"))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": None}, id="audience missing, CVE-2026-55689"),
        pytest.param({"aud": "vault"}, id="audience of another, CVE-2024-5798"),
        pytest.param({"aud": ["stagewarden", "vault"]}, id="audience shared, CVE-2023-22482"),
        pytest.param({"aud": []}, id="audience empty"),
        pytest.param({"aud": "stagewarden "}, id="audience padded"),
        pytest.param({"aud": "Stagewarden"}, id="audience in other case"),
        pytest.param({"aud": {"stagewarden": True}}, id="audience an object"),
        pytest.param({"exp": None}, id="no expiry"),
        pytest.param({"exp": "4102444800"}, id="expiry as text"),
        pytest.param({"exp": True}, id="expiry a boolean"),
        pytest.param({"exp": 1e300}, id="expiry beyond time"),
        pytest.param({"exp": -1}, id="expiry negative"),
        pytest.param({"nbf": 4_102_444_800}, id="not yet"),
        pytest.param({"iat": 4_102_444_800}, id="issued in the future"),
        pytest.param({"nbf": "now"}, id="nbf unreadable"),
        pytest.param({"sub": None}, id="no subject"),
        pytest.param({"sub": ""}, id="empty subject"),
        pytest.param({"sub": 7}, id="subject a number"),
        pytest.param({"sub": "a\nb"}, id="subject with a line break, CVE-2024-45808"),
        pytest.param({"sub": "a\u202eb"}, id="subject turned around, CVE-2024-45808"),
        pytest.param({"sub": "drafter-7\u200b"}, id="subject with a character nobody sees"),
        pytest.param({"act": {"sub": "re\u00adlay"}}, id="actor with a character nobody sees"),
        pytest.param({"sub": "x" * 256}, id="subject too long"),
        pytest.param({"sub": "drafter-7"}, id="subject in the name of an agent with another identity"),
        pytest.param({"cnf": {"jkt": "x"}}, id="bound to a key"),
        pytest.param({"act": "relay"}, id="act as text"),
        pytest.param({"act": {}}, id="act of nobody"),
        pytest.param({"act": {"sub": "relay", "iss": "https://other.example"}}, id="act of another issuer"),
        pytest.param({"stagewarden_workflow": 7}, id="workflow a number"),
        pytest.param({"stagewarden_stage": "all"}, id="stage unknown"),
        pytest.param({"stagewarden_stage": ["edit"]}, id="stage a list"),
    ],
)
async def test_a_bad_claim_is_refused(changes: dict[str, Any]) -> None:
    """Ours and bad: final, and without a repetition of what was sent."""
    clock = StillClock()
    bad = token(claims(clock, **changes))
    with pytest.raises(BadCredential) as caught:
        await (await authenticator(clock)).authenticate(head(f"Bearer {bad}"))
    assert bad not in str(caught.value)


@pytest.mark.parametrize("typ", ["dpop+jwt", "logout+jwt", "secevent+jwt", "id_token+jwt", "", "JWTX"])
async def test_another_type_of_token_is_refused(typ: str) -> None:
    """A logout token or a proof is no credential (RFC 8725 section 3.11)."""
    clock = StillClock()
    with pytest.raises(BadCredential, match="another type"):
        await (await authenticator(clock)).authenticate(head(f"Bearer {token(claims(clock), typ=typ)}"))


async def test_alg_none_is_refused() -> None:
    """With or without a signature."""
    clock = StillClock()
    body = b64(json.dumps(claims(clock)).encode())
    for alg in ("none", "None", "NONE", "nOnE"):
        for signature in ("", b64(b"x" * 64)):
            forged = f"{b64(json.dumps({'alg': alg, 'kid': 'ec-1'}).encode())}.{body}.{signature}"
            assert await refused(await authenticator(clock), forged)


async def test_a_public_key_is_no_shared_secret() -> None:
    """HS256 over the public key's bytes, the classic confusion."""
    clock = StillClock()
    for secret in (RSA.as_pem(private=False), RSA.as_der(private=False), key_set(RSA), json.dumps(RSA.as_dict(private=False)).encode()):
        signed = f"{b64(json.dumps({'alg': 'HS256', 'kid': 'rsa-1'}).encode())}.{b64(json.dumps(claims(clock)).encode())}"
        forged = f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"
        with pytest.raises(BadCredential, match="not allowed"):
            await (await authenticator(clock)).authenticate(head(f"Bearer {forged}"))


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
async def test_a_key_brought_along_is_not_used(member: str) -> None:
    """The token cannot say with what it is to be verified."""
    clock = StillClock()
    mallory = ECKey.generate_key("P-256", {"kid": "ec-1"}, private=True)
    brought = {"jwk": mallory.as_dict(private=False), "jku": "https://evil.example", "x5u": "https://evil.example", "x5c": ["MIIB"]}[member]
    issuer = Issuer(EC)
    with pytest.raises(BadCredential, match="signature"):
        await (await authenticator(clock, issuer)).authenticate(head(f"Bearer {token(claims(clock), mallory, **{member: brought})}"))
    assert issuer.calls == 1


async def test_an_algorithm_outside_the_list_is_refused_though_the_key_fits() -> None:
    """The configuration decides."""
    clock = StillClock()
    with pytest.raises(BadCredential, match="not allowed"):
        await (await authenticator(clock)).authenticate(head(f"Bearer {token(claims(clock), RSA, alg='PS256')}"))


async def test_an_algorithm_other_than_the_keys_is_refused() -> None:
    """RS256 claimed over an EC key."""
    clock = StillClock()
    forged = token(claims(clock), RSA, alg="RS256", kid="ec-1")
    with pytest.raises(BadCredential, match="not that of its key"):
        await (await authenticator(clock)).authenticate(head(f"Bearer {forged}"))


async def test_a_token_that_fits_two_keys_is_refused() -> None:
    """Without `kid` the choice must be plain."""
    clock = StillClock()
    with pytest.raises(BadCredential, match="more than one"):
        await (await authenticator(clock, Issuer(EC, EC_NEXT))).authenticate(head(f"Bearer {token(claims(clock), kid=None)}"))
    assert await (await authenticator(clock, Issuer(EC))).authenticate(head(f"Bearer {token(claims(clock), kid=None)}"))


@pytest.mark.parametrize(
    "value",
    [None, "Basic YTpi", "Bearer sw_drafter-key_x", "Bearer opaque", "Bearer a.b.c", "Bearer a.b.c.d.e", "Bearer a.b.", "DPoP a.b.c"],
    ids=repr,
)
async def test_what_is_no_jwt_is_not_ours(value: str | None) -> None:
    """Opaque tokens and encrypted ones go on, and nobody claims them."""
    assert await (await authenticator(StillClock())).authenticate(head(value)) is None


async def test_another_issuers_token_is_not_ours() -> None:
    """It may be the next authenticator's."""
    clock = StillClock()
    door = await authenticator(clock)
    for issuer in ("https://issuer.example/", "https://ISSUER.example", "https://other.example"):
        assert await door.authenticate(head(f"Bearer {token(claims(clock, iss=issuer))}")) is None


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"https://issuer.example","iss":"https://issuer.example"}',
        b'{"iss":"https://issuer.example","a":{"b":1,"b":2}}',
        b'{"iss":"https://issuer.example","exp":NaN}',
        b"[" * 5000,
        b'"text"',
        b"\xff",
        b"",
    ],
    ids=["name twice", "inner name twice", "NaN", "deep", "text", "not UTF-8", "empty"],
)
async def test_claims_that_can_be_read_in_two_ways_are_nobodys(payload: bytes) -> None:
    """Strict JSON (RFC 7519 section 4), well signed or not."""
    clock = StillClock()
    assert await (await authenticator(clock)).authenticate(head(f"Bearer {token(payload)}")) is None


async def test_an_extension_we_do_not_know_is_refused() -> None:
    """`crit` names what must be understood; we understand nothing beyond RFC 7515."""
    clock = StillClock()
    good = token(claims(clock))
    header = {"alg": "ES256", "kid": "ec-1", "crit": ["exp"], "exp": 1}
    assert await (await authenticator(clock)).authenticate(head(f"Bearer {b64(json.dumps(header).encode())}.{good.split('.', 1)[1]}")) is None


async def test_a_token_too_long_is_refused() -> None:
    """Before anything is decoded."""
    clock = StillClock()
    with pytest.raises(BadCredential, match="too long"):
        await (await authenticator(clock)).authenticate(head(f"Bearer {token(claims(clock, filler='x' * 20_000))}"))


async def test_the_leeway_is_used_and_no_more() -> None:
    """30 seconds either way."""
    clock = StillClock()
    door = await authenticator(clock)
    now = clock.now_ns() // 1_000_000_000
    for good in ({"exp": now - 29}, {"nbf": now + 30}, {"iat": now + 30}):
        assert await door.authenticate(head(f"Bearer {token(claims(clock, **good))}"))
    for bad in ({"exp": now - 30}, {"nbf": now + 31}, {"iat": now + 31}):
        with pytest.raises(BadCredential):
            await door.authenticate(head(f"Bearer {token(claims(clock, **bad))}"))


@pytest.mark.parametrize("how", ["pass_", "jump"])
async def test_a_remembered_token_ends_in_time(how: str) -> None:
    """Verified once, refused when either clock says it is over."""
    clock = StillClock()
    door = await authenticator(clock)
    short = f"Bearer {token(claims(clock, exp=clock.now_ns() // 1_000_000_000 + 10))}"
    assert await door.authenticate(head(short))
    getattr(clock, how)(39)
    assert await door.authenticate(head(short))
    getattr(clock, how)(2)
    with pytest.raises(BadCredential, match="expired"):
        await door.authenticate(head(short))


async def test_a_wall_clock_set_back_does_not_lengthen_a_remembered_token() -> None:
    """The monotonic clock ends it (lifecycles.md: no jump lengthens anything)."""
    clock = StillClock()
    door = await authenticator(clock)
    short = f"Bearer {token(claims(clock, exp=clock.now_ns() // 1_000_000_000 + 10))}"
    assert await door.authenticate(head(short))
    assert len(door._verified) == 1
    clock.pass_(41)
    clock.jump(-41)
    assert len(door._verified) == 0


@given(st.lists(st.text("AB-_.", min_size=1, max_size=12), min_size=2, max_size=6, unique=True), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_distinct_tokens_never_share_an_entry_cve_2026_33729(tokens: list[str], generation: int) -> None:
    """The cache's key is the generation and the hash of the whole token: no delimiter, no part of it."""
    keys = {memory_key(each_generation, each) for each in tokens for each_generation in (generation, generation + 1)}
    assert len(keys) == 2 * len(tokens)


async def test_a_tampered_token_is_not_found_in_the_cache() -> None:
    """Every other character in any segment is another token, and a bad one."""
    clock = StillClock()
    door = await authenticator(clock)
    good = token(claims(clock))
    assert await door.authenticate(head(f"Bearer {good}"))
    for place in range(0, len(good), 7):
        if good[place] == ".":
            continue
        changed = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
        assert await refused(door, changed)


async def test_the_cache_is_bounded() -> None:
    """However many tokens come."""
    clock = StillClock()
    door = await authenticator(clock)
    assert door._verified.maxsize == 1024


US = ("agent", "publisher-1", True)


def chain(principal: Any) -> list[tuple[str, str, bool]]:
    """The chain as plain values."""
    return [(link.kind, link.id, link.verified) for link in principal.chain]


@pytest.mark.parametrize(
    ("changes", "expected", "initiator"),
    [
        pytest.param(
            {"sub": "idp-alice", "act": {"sub": WORKLOAD}},
            [("human", "alice", True), US],
            "alice",
            id="for a listed person",
        ),
        pytest.param(
            {"sub": "idp-stranger", "act": {"sub": WORKLOAD}},
            [("human", f"{ISSUER}#idp-stranger", False), US],
            None,
            id="for a stranger",
        ),
        pytest.param(
            {"sub": "alice", "act": {"sub": WORKLOAD}},
            [("human", f"{ISSUER}#alice", False), US],
            None,
            id="a subject in a person's name is not that person",
        ),
        pytest.param({"sub": "idp-zoe", "act": {"sub": WORKLOAD}}, [("human", "zoe", False), US], None, id="for somebody who left"),
        pytest.param({"sub": "relay", "act": {"sub": WORKLOAD}}, [("agent", "relay-1", True), US], None, id="for another agent"),
        pytest.param(
            {"sub": "idp-alice", "act": {"sub": WORKLOAD, "act": {"sub": "gateway", "act": {"sub": "relay"}}}},
            [("human", "alice", True), ("agent", "relay-1", True), ("service", f"{ISSUER}#gateway", True), US],
            "alice",
            id="with earlier actors, oldest first",
        ),
        pytest.param(
            {"sub": "somebody", "act": {"sub": WORKLOAD, "act": {"sub": "idp-alice"}}},
            [("human", f"{ISSUER}#somebody", False), ("human", "alice", False), US],
            None,
            id="an earlier actor never becomes the initiator",
        ),
    ],
)
async def test_the_chain(changes: dict[str, Any], expected: list[tuple[str, str, bool]], initiator: str | None) -> None:
    """RFC 8693: `sub` is whom it is for, the outer `act` the agent, inner ones history."""
    clock = StillClock()
    principal = await (await authenticator(clock)).authenticate(head(f"Bearer {token(claims(clock, **changes))}"))
    assert principal is not None
    assert principal.agent == "publisher-1"
    assert chain(principal) == expected
    assert principal.initiator == initiator


async def test_too_many_actors_are_refused() -> None:
    """The chain is bounded."""
    clock = StillClock()
    act: dict[str, Any] = {"sub": WORKLOAD}
    for _ in range(8):
        act = {"sub": WORKLOAD, "act": act}
    with pytest.raises(BadCredential, match="not understood"):
        await (await authenticator(clock)).authenticate(head(f"Bearer {token(claims(clock, act=act))}"))


async def test_a_token_can_be_bound_to_a_workflow() -> None:
    """The private claim `stagewarden_workflow` goes into the credential."""
    clock = StillClock()
    principal = await (await authenticator(clock)).authenticate(head(f"Bearer {token(claims(clock, stagewarden_workflow='newsletter'))}"))
    assert principal is not None
    assert principal.credential.workflow == "newsletter"


async def test_a_token_can_be_bound_to_a_stage() -> None:
    """The private claim `stagewarden_stage` goes into the credential; without it the agent's registered stages are the only bound."""
    clock = StillClock()
    narrow = await (await authenticator(clock)).authenticate(head(f"Bearer {token(claims(clock, stagewarden_stage='edit'))}"))
    wide = await (await authenticator(clock)).authenticate(head(f"Bearer {token(claims(clock))}"))
    assert narrow is not None
    assert wide is not None
    assert (narrow.credential.stage, wide.credential.stage) == ("edit", None)


async def test_an_unregistered_subject_is_a_principal_the_policy_can_refuse() -> None:
    """Well proven, and nobody we know."""
    clock = StillClock()
    principal = await (await authenticator(clock)).authenticate(head(f"Bearer {token(claims(clock, sub='spiffe://example.org/new'))}"))
    assert principal is not None
    assert principal.agent == "spiffe://example.org/new"
