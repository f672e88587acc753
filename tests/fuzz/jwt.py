"""Agents' tokens: whoever is let in has a signature another library verifies and claims a second reading finds good.

An input is a compact token as it is; or three lines (header, claims, key) that are signed here, so that mutation gets behind the signature.
The keys are made from a word in this file and open nothing.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import math
import unicodedata
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import strategies as st

from stagewarden.errors import BadCredential, CannotTell
from stagewarden.identity.jwks import JwksSource
from stagewarden.identity.jwt import JwtAuthenticator, JwtSettings
from tests.fuzz.harness import ACCEPTED, REFUSED, Harness, refused
from tests.fuzz.readers import Pairs, all_pairs
from tests.unit.identity.people_and_agents import ISSUER, StillClock, head, registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.model import Principal
    from tests.fuzz.harness import Judge

AUDIENCE, LEEWAY = "stagewarden", 30
_WYCHEPROOF = Path(__file__).parents[1] / "conformance" / "wycheproof"
_NUMBER = int.from_bytes(hashlib.sha256(b"stagewarden fuzz").digest()) >> 8
_EC = ec.derive_private_key(_NUMBER, ec.SECP256R1())
_ED = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"stagewarden fuzz ed").digest())
_STRANGER = ec.derive_private_key(_NUMBER >> 1, ec.SECP256R1())
_SETTINGS = JwtSettings(ISSUER, AUDIENCE, frozenset({"ES256", "EdDSA"}), float(LEEWAY))
_NOW = StillClock().now_ns() // 1_000_000_000
_TYPES = {None, "jwt", "at+jwt", "jose", "application/jwt", "application/at+jwt", "application/jose"}


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _point(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _b64(numbers.x.to_bytes(32)), "y": _b64(numbers.y.to_bytes(32))}


_ED_PUBLIC = _ED.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
_KEY_SET = json.dumps(
    {"keys": [{**_point(_EC), "kid": "ec"}, {"kty": "OKP", "crv": "Ed25519", "x": _b64(_ED_PUBLIC), "kid": "ed", "alg": "EdDSA"}]}
).encode()


def _signature(key: bytes, signed: bytes) -> bytes:
    """By the named key: `ec`, `ed`, `stranger`, `public` (HMAC with the public key), `none`."""
    match key:
        case b"ec" | b"stranger":
            r, s = decode_dss_signature((_EC if key == b"ec" else _STRANGER).sign(signed, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32) + s.to_bytes(32)
        case b"ed":
            return _ED.sign(signed)
        case b"public":
            return hmac.digest(_ED_PUBLIC, signed, "sha256")
        case _:
            return b""


def token_of(data: bytes) -> str:
    """The token an input stands for."""
    lines = data.split(b"\n")
    if len(lines) != 3:
        return data.decode("latin-1")
    signed = f"{_b64(lines[0])}.{_b64(lines[1])}"
    return f"{signed}.{_b64(_signature(lines[2], signed.encode()))}"


@contextmanager
def running() -> Iterator[Judge]:
    """The judge, with an authenticator whose keys are loaded."""
    clock = StillClock()

    async def load() -> bytes:
        return _KEY_SET

    with asyncio.Runner() as runner:
        keys = JwksSource("https://issuer.example/keys", load, clock)
        runner.run(keys.open(remote=True))
        authenticator = JwtAuthenticator(_SETTINGS, keys, registry(), clock)

        def judge(data: bytes) -> str:
            token = token_of(data)
            try:
                principal = runner.run(authenticator.authenticate(head(f"Bearer {token}")))
            except BadCredential as no:
                return refused(no.detail)
            except CannotTell as no:
                return refused(f"cannot tell {no}")
            if principal is None:
                return f"{REFUSED} not ours"
            # Asked again, it is remembered, and says the same.
            assert runner.run(authenticator.authenticate(head(f"Bearer {token}"))) == principal
            return check(token, principal)

        yield judge


def check(token: str, principal: Principal) -> str:
    """A second reading, by other libraries; the shape of what was let in."""
    first, second, third = token.strip(" ").split(".")
    header, claims = (_object(_decoded(part)) for part in (first, second))
    # (1) Signed by the key it names, with the algorithm of that key, nothing critical.
    algorithm, kid = header["alg"], header.get("kid")
    assert (algorithm, kid) in {("ES256", "ec"), ("EdDSA", "ed"), ("ES256", None), ("EdDSA", None)}
    assert not {"crit", "b64"} & header.keys()
    assert header.get("typ") is None or header["typ"].lower() in _TYPES
    _verified(algorithm, _decoded(third), f"{first}.{second}".encode())
    # (2) From our issuer, for us alone, in time, as a mere bearer token.
    assert claims["iss"] == ISSUER
    assert claims["aud"] in (AUDIENCE, [AUDIENCE])
    assert _date(claims["exp"]) > _NOW - LEEWAY
    assert all(_date(claims[name]) <= _NOW + LEEWAY for name in ("nbf", "iat") if name in claims)
    assert "cnf" not in claims
    # (3) Who acts is the outermost actor, else the subject; a registered agent is led to by the registry only.
    actor = claims["act"]["sub"] if "act" in claims else claims["sub"]
    assert isinstance(actor, str)
    assert not {unicodedata.category(char) for char in actor} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    listed = registry().agent_by_subject(ISSUER, actor)
    assert principal.agent == (listed or actor)
    assert listed or actor not in registry().data.agents
    assert principal.chain[-1].id == principal.agent
    assert (principal.initiator is not None) <= ("act" in claims)
    assert principal.credential.expires_ns == int(claims["exp"] * 1_000_000_000)
    shape = (algorithm, kid is None, listed is not None, len(principal.chain), principal.workflow is not None, isinstance(claims["aud"], list))
    return f"{ACCEPTED} {shape}"


def _decoded(part: str) -> bytes:
    """Canonical base64url without padding."""
    data = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    assert _b64(data) == part
    return data


def _object(data: bytes) -> dict:
    """A JSON object without a name twice, all the way down."""

    def once(pairs: object) -> object:
        if isinstance(pairs, Pairs):
            assert len({name for name, _ in pairs}) == len(pairs)
            return {name: once(value) for name, value in pairs}
        return [once(each) for each in pairs] if isinstance(pairs, list) else pairs

    value = once(all_pairs(data))
    assert isinstance(value, dict)
    return value


def _verified(algorithm: str, signature: bytes, signed: bytes) -> None:
    try:
        if algorithm == "EdDSA":
            _ED.public_key().verify(signature, signed)
        else:
            assert len(signature) == 64
            r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
            _EC.public_key().verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise AssertionError("the signature does not hold") from None


def _date(value: object) -> float:
    assert isinstance(value, int | float)
    assert not isinstance(value, bool)
    assert math.isfinite(value)
    return value


_CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "system:serviceaccount:news:publisher", "exp": _NOW + 600, "iat": _NOW, "nbf": _NOW}
_HEADER = {"alg": "ES256", "typ": "JWT", "kid": "ec"}


def _input(header: dict, claims: dict, key: str = "ec") -> bytes:
    return "\n".join((json.dumps(header), json.dumps(claims), key)).encode()


def _wycheproof() -> list[bytes]:
    found = []
    for name in ("jws", "jwk", "jwc"):
        found += [
            case["jws"].encode() for case in json.loads((_WYCHEPROOF / f"{name}.json").read_text())["cases"] if isinstance(case.get("jws"), str)
        ]
    return [each for each in found if b"\n" not in each and len(each) < 800][::20]


_SEEDS = [
    _input(_HEADER, _CLAIMS), _input({"alg": "EdDSA", "kid": "ed"}, {**_CLAIMS, "aud": [AUDIENCE]}, "ed"), _input({"alg": "ES256"}, _CLAIMS),
    _input(_HEADER, {**_CLAIMS, "sub": "idp-alice", "act": {"sub": "relay", "act": {"sub": "before"}}, "stagewarden_workflow": "newsletter"}),
    _input({"alg": "none"}, _CLAIMS, "none"), _input({"alg": "HS256", "kid": "ed"}, _CLAIMS, "public"), _input(_HEADER, _CLAIMS, "stranger"),
    *_wycheproof(),
]  # fmt: skip
_TOKENS = (
    b"\n", b".", b"{", b"}", b",", b":", b'"alg":"none"', b'"alg":"HS256"', b'"alg":"EdDSA"', b'"alg":"ES256",', b'"ES384"', b'"kid":"ed"',
    b'"kid":"ec"', b'"crit":["exp"],', b'"b64":false,', b'"jwk":{},', b'"typ":"at+jwt"', b'"typ":"dpop+jwt"', b'"typ":"application/jwt"',
    b'"cnf":{},', b'"act":{"sub":"relay"},', b'"act":{', b'"sub":"relay"', b'"sub":"drafter-7"', b'"sub":"publisher-1"', b'"sub":""',
    b'"aud":["stagewarden","x"]', b'"aud":["stagewarden"]', b'"iss":"https://issuer.example"', b'"exp":0', b'"exp":1e300',
    b'"exp":' + str(_NOW - 29).encode(), b'"nbf":' + str(_NOW + 31).encode(), b'"iat":true', b"null", b"-1", b"1.5", b"e5", b"true",
    b'"stagewarden_workflow":"x"', b"\\u0000", b"\\u202e", b"\\u200b", b"\xe2\x80\x8b", b"ec", b"ed", b"stranger", b"public", b"none", b"=",
    b"-", b"_", b" ",
)  # fmt: skip
_ACTORS = st.recursive(
    st.fixed_dictionaries({"sub": st.sampled_from(["relay", "idp-olga", "x", 1])}),
    lambda inner: st.fixed_dictionaries({"sub": st.just("relay"), "act": inner}),
)
_CHANGED = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.sampled_from([ISSUER, f"{ISSUER}/", None]),
        "aud": st.sampled_from([AUDIENCE, [AUDIENCE], [AUDIENCE, AUDIENCE], [], "x", [[AUDIENCE]]]),
        "exp": st.sampled_from([_NOW - LEEWAY, _NOW - LEEWAY + 1, _NOW + 0.5, 1 << 41, "1", True, None, -1]),
        "nbf": st.sampled_from([_NOW + LEEWAY, _NOW + LEEWAY + 1, 0, None, "x"]),
        "sub": st.sampled_from(["relay", "drafter-7", "idp-alice", "idp-zoe", "", " x", 5, None, "a\u202eb", "x" * 256]),
        "act": _ACTORS,
        "cnf": st.just({}),
        "stagewarden_workflow": st.sampled_from(["newsletter", "", 1, None]),
    },
)  # fmt: skip
_HEADERS = st.sampled_from(
    [
        _HEADER,
        {"alg": "EdDSA", "kid": "ed"},
        {"alg": "ES256", "kid": "ed"},
        {"alg": "EdDSA", "kid": "ec"},
        {"alg": "ES256", "kid": "x"},
        {"alg": "ES256"},
    ]
)
_GROWN = st.tuples(_HEADERS, _CHANGED, st.sampled_from(["ec", "ed", "stranger", "public", "none"])).map(
    lambda parts: _input(parts[0], {**_CLAIMS, **parts[1]}, parts[2])
)
HARNESS = Harness("jwt", tuple(dict.fromkeys(_SEEDS)), _TOKENS, _GROWN, running)
