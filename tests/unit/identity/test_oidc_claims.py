"""The ID token and the logout token: one sound one of each, and every change that makes it another's, stale or a lie."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from stagewarden.errors import BadCredential, CannotTell
from stagewarden.identity.jwks import JwksSource
from stagewarden.identity.oidc.claims import LOGOUT_EVENT, Expected, Strength, groups_in, read_id_token, read_logout, signed
from stagewarden.identity.oidc.provider import Provider
from tests.unit.identity.people_and_agents import StillClock

ISSUER, CLIENT, ACCESS = "https://idp.example", "stagewarden", "an access token"
NOW = 1_795_251_600
GONE = object()
HASH = base64.urlsafe_b64encode(hashlib.sha256(ACCESS.encode()).digest()[:16]).rstrip(b"=").decode()
SOUND = {"iss": ISSUER, "aud": CLIENT, "sub": "00u-rita", "iat": NOW - 5, "exp": NOW + 300, "nonce": "n", "at_hash": HASH, "auth_time": NOW - 10}
LOGOUT = {"iss": ISSUER, "aud": CLIENT, "iat": NOW, "exp": NOW + 120, "jti": "j", "sub": "00u-rita", "events": {LOGOUT_EVENT: {}}}


def changed(base: dict, **said: object) -> dict:
    """The claims with others; GONE leaves one out."""
    return {name: value for name, value in (base | said).items() if value is not GONE}


def expected(**said: object) -> Expected:
    """Our question."""
    return Expected(**({"issuer": ISSUER, "client_id": CLIENT, "nonce": "n", "now_ns": NOW * 10**9} | said))


@pytest.mark.parametrize(
    "said",
    [{}, {"aud": [CLIENT]}, {"azp": CLIENT}, {"at_hash": GONE}, {"auth_time": GONE}, {"iat": NOW + 20}, {"exp": NOW - 20}, {"acr": "x", "sid": "s"}],
    ids=["sound", "list-of-one", "azp", "no-at_hash", "no-auth_time", "their-clock-is-ahead", "just-over", "acr-and-sid"],
)
def test_a_sound_id_token_is_read(said):
    """Subject, moment and session are what it says."""
    read = read_id_token(changed(SOUND, **said), expected(), ACCESS)
    assert (read.issuer, read.subject, read.sid, read.acr) == (ISSUER, "00u-rita", said.get("sid"), said.get("acr"))
    assert read.auth_time == (0 if "auth_time" in said else NOW - 10)


@pytest.mark.parametrize(
    "said",
    [
        {"iss": "https://evil.example"}, {"iss": f"{ISSUER}/"}, {"iss": GONE},
        {"aud": "other"}, {"aud": [CLIENT, "other"]}, {"aud": GONE}, {"azp": "other"},
        {"exp": NOW - 31}, {"exp": GONE}, {"exp": True}, {"exp": "1"}, {"iat": NOW + 31}, {"iat": GONE}, {"nbf": NOW + 31},
        {"nonce": "m"}, {"nonce": GONE}, {"nonce": ["n"]}, {"at_hash": "x"}, {"at_hash": None},
        {"sub": GONE}, {"sub": ""}, {"sub": "a\nb"}, {"sub": "x" * 256}, {"sub": 7},
    ],
    ids=str,
)  # fmt: skip
def test_an_id_token_that_is_not_the_answer_is_refused(said):
    """OpenID Connect Core 3.1.3.7, clause by clause."""
    with pytest.raises(BadCredential):
        read_id_token(changed(SOUND, **said), expected(), ACCESS)


@pytest.mark.parametrize(
    ("said", "acr", "holds"),
    [
        ({"auth_time": NOW}, None, True), ({"auth_time": NOW - 329}, None, True), ({"auth_time": NOW - 331}, None, False),
        ({"auth_time": GONE}, None, False),
        ({"auth_time": NOW + 31}, None, False), ({"auth_time": NOW, "acr": "strong"}, "strong", True),
        ({"auth_time": NOW, "acr": "weak"}, "strong", False),
        ({"auth_time": NOW}, "strong", False),
    ],
    ids=["now", "within", "too-old", "not-said", "of-tomorrow", "strong", "weak", "strength-not-said"],
)  # fmt: skip
def test_a_step_up_is_what_was_asked(said, acr, holds):
    """Fresh within max_age, and by the context that was wanted; what is not said is a no."""
    asked = expected(strength=Strength(300, acr))
    if holds:
        assert read_id_token(changed(SOUND, **said), asked, ACCESS).auth_time == said["auth_time"]
        return
    with pytest.raises(BadCredential):
        read_id_token(changed(SOUND, **said), asked, ACCESS)


@pytest.mark.parametrize(
    ("said", "found"), [({}, ("00u-rita", None)), ({"sub": GONE, "sid": "s"}, (None, "s")), ({"sid": "s"}, ("00u-rita", "s"))], ids=str
)
def test_a_logout_token_says_who(said, found):
    """Subject, session or both."""
    assert read_logout(changed(LOGOUT, **said), ISSUER, CLIENT, NOW * 10**9) == (*found, "j")


@pytest.mark.parametrize(
    "said",
    [
        {"events": GONE}, {"events": {}}, {"events": {LOGOUT_EVENT: None}}, {"nonce": "n"}, {"sub": GONE}, {"jti": GONE}, {"iss": "https://evil.example"},
        {"aud": "other"}, {"iat": NOW - 301}, {"iat": NOW + 31}, {"exp": NOW - 31},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_logout_token_signs_nobody_out(said):
    """Back-Channel Logout section 2.6: an ID token in its place has a nonce."""
    with pytest.raises(BadCredential):
        read_logout(changed(LOGOUT, **said), ISSUER, CLIENT, NOW * 10**9)


@pytest.mark.parametrize("listed", ["editors", {"a": 1}, [1], ["x"] * 1001], ids=["text", "object", "numbers", "too-many"])
def test_groups_are_a_list_of_names(listed):
    """Anything else is a no, not no groups."""
    with pytest.raises(BadCredential):
        groups_in({"groups": listed}, "groups")


KEY = RSAKey.generate_key(2048, parameters={"kid": "k"})


@pytest.fixture
async def keys():
    """What the provider publishes."""

    async def load() -> bytes:
        return json.dumps({"keys": [KEY.as_dict(private=False)]}).encode()

    source = JwksSource("idp", load, StillClock())
    await source.open(remote=True)
    return source


def token(header: dict | None = None, key: RSAKey = KEY) -> str:
    """Signed by somebody."""
    return jws.serialize_compact({"alg": "RS256", "kid": "k"} | (header or {}), json.dumps(SOUND), key)


async def test_a_token_of_the_providers_key_is_taken(keys):
    """Its claims, as signed."""
    assert await signed(token({"typ": "JWT"}), keys, frozenset({None, "jwt"})) == SOUND


@pytest.mark.parametrize(
    "given",
    [
        "", "a.b.c", "x" * 20_000, token({"typ": "at+jwt"}), token(key=RSAKey.generate_key(2048)), token()[:-2], token({"kid": "other"}),
        "eyJhbGciOiJub25lIn0." + token().split(".")[1] + ".",
        jws.serialize_compact({"alg": "HS256", "kid": "k"}, json.dumps(SOUND), OctKey.import_key("a shared secret that is long enough to be one")),
    ],
    ids=["empty", "garbage", "too-long", "another-type", "another-key", "cut", "unknown-key", "alg-none", "shared-secret"],
)  # fmt: skip
async def test_a_token_of_anybody_else_is_refused(keys, given):
    """RFC 8725: the type, the algorithm and the key are ours to choose."""
    with pytest.raises(BadCredential):
        await signed(given, keys, frozenset({None, "jwt"}))


METADATA = {
    "issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token", "jwks_uri": f"{ISSUER}/keys",
    "code_challenge_methods_supported": ["S256"],
}  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://evil.example"}, {"token_endpoint": "http://idp.example/token"}, {"authorization_endpoint": GONE}, {"jwks_uri": "file:///etc/passwd"},
        {"code_challenge_methods_supported": ["plain"]}, {"userinfo_endpoint": 7},
    ],
    ids=str,
)  # fmt: skip
async def test_metadata_of_somebody_else_is_refused(said):
    """OpenID Connect Discovery 4.3: the issuer is exactly the configured one, every endpoint https, PKCE with S256."""

    async def get(_: str) -> bytes:
        return json.dumps(changed(METADATA, **said)).encode()

    with pytest.raises(CannotTell):
        await Provider(ISSUER, get, StillClock()).metadata()
