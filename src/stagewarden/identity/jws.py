"""Signed tokens: the public keys of an issuer (RFC 7517) and the check of one compact JWS (RFC 7515) against one of them.

The key decides what may be verified with it; the token only names it. Never takes a key, an address or a certificate from the token
(`jwk`, `jku`, `x5u`, `x5c` are ignored), never accepts `none`, a symmetric algorithm or an extension (`crit`, `b64`).
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key
from joserfc.util import urlsafe_b64decode

from stagewarden.errors import Ambiguous, BadCredential
from stagewarden.wire import strict_json

if TYPE_CHECKING:
    from joserfc.jwa import JWSAlgModel

    from stagewarden.model import JSON, Document

# every asymmetric algorithm of RFC 7518 and RFC 8037 (Ed25519 is its name since RFC 9864); a configuration picks from these
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"})
MAX_TOKEN, MAX_HEADER, MAX_KEYS, MAX_DEPTH = 16_384, 4096, 64, 16
_MEMBERS = frozenset({"kty", "kid", "alg", "key_ops", "n", "e", "crv", "x", "y"})
_USES = (None, "sig", "jwt-svid")  # SPIFFE trust bundles say jwt-svid (JWT-SVID section 5)
_RSA_BITS = range(2048, 8193)  # RFC 7518 section 3.3; the upper bound keeps one verification cheap
_ROCA_PRIMES = tuple(p for p in range(3, 168, 2) if all(p % q for q in range(3, 13, 2) if q < p))
_CURVES = {"EC": {"P-256", "P-384", "P-521"}, "OKP": {"Ed25519"}}


class BadKeySet(ValueError):
    """The key set is not usable; the message says why and quotes nothing."""


class _Algorithms(jws.JWSRegistry):
    """joserfc's algorithms under our bounds; `EdDSA` stays allowed, as issuers still say it (RFC 9864 renames, it does not revoke)."""

    max_header_length = MAX_HEADER
    max_payload_length = MAX_TOKEN
    max_signature_length = 1400  # RSA of 8192 bits in base64url

    def get_alg(self, name: str) -> JWSAlgModel:
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError("not allowed")
        return self.algorithms[name]


_REGISTRY = _Algorithms(algorithms=ALGORITHMS, strict_check_header=False)


@dataclass(frozen=True, slots=True)
class Unverified:
    """A compact JWS taken apart, nothing proven: good for choosing a key, for nothing else."""

    token: str = field(repr=False)
    algorithm: str
    kid: str | None
    typ: str | None
    payload: bytes = field(repr=False)

    def claims(self) -> Document | None:
        """The payload as a JWT's claims; None where it is not a strict JSON object."""
        try:
            return json_object(self.payload)
        except ValueError:
            return None


def take_apart(token: str) -> Unverified | None:
    """A compact JWS; None where it is not one, or uses an extension."""
    segments = token.split(".")
    if len(segments) != 3 or not all(segments):  # noqa: PLR2004  # header, payload, signature
        return None
    try:
        head, payload, _ = (urlsafe_b64decode(segment.encode()) for segment in segments)  # canonical base64url only
        header = json_object(head)
    except (ValueError, binascii.Error):
        return None
    algorithm, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or not isinstance(kid, str | None) or not isinstance(typ, str | None) or {"crit", "b64"} & header.keys():
        return None
    return Unverified(token, algorithm, kid, typ, payload)


def verify(unverified: Unverified, key: Key) -> None:
    """Check the signature with this key; raises BadCredential."""
    try:
        jws.deserialize_compact(unverified.token, key, registry=_REGISTRY)
    except (JoseError, ValueError, binascii.Error):
        raise BadCredential("the token's signature does not hold") from None


@dataclass(frozen=True, slots=True)
class KeySet:
    """Public signature keys that are fit for use."""

    keys: tuple[Key, ...]

    def pick(self, kid: str | None, algorithm: str) -> Key | None:
        """The one key this token can mean; None where the issuer published none, BadCredential where it is not clear which or does not fit."""
        named = [key for key in self.keys if kid is None or key.kid == kid]
        fitting = [key for key in named if _fits(key, algorithm)]
        if len(fitting) > 1 or (kid is not None and len(named) > 1):
            raise BadCredential("the token fits more than one key of its issuer")
        if named and not fitting:
            raise BadCredential("the token's algorithm is not that of its key")
        return fitting[0] if fitting else None


def parse_key_set(data: bytes) -> KeySet:
    """A JWKS; keys of other kinds and uses are left out (RFC 7517 section 5), a private one or an empty rest is BadKeySet."""
    try:
        listed = json_object(data).get("keys")
    except ValueError:
        raise BadKeySet("is not a JSON object") from None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise BadKeySet(f"has no list `keys` of at most {MAX_KEYS}")
    if any(isinstance(key, dict) and "d" in key for key in listed):
        raise BadKeySet("holds a private key: its issuer must make a new one")
    found = tuple([key for entry in listed if isinstance(entry, dict) and (key := _import(entry)) is not None])
    if not found:
        raise BadKeySet("holds no public key that can verify a signature")
    return KeySet(found)


def _import(entry: dict[str, JSON]) -> Key | None:
    curves = _CURVES.get(str(entry.get("kty")))
    if entry.get("kty") == "oct" or entry.get("use") not in _USES or (curves is not None and entry.get("crv") not in curves):
        return None
    try:
        key = import_key({name: value for name, value in entry.items() if name in _MEMBERS})  # type: ignore[misc]  # joserfc checks each member's type
        key.check_key_op("verify")
    except (JoseError, ValueError, TypeError, binascii.Error):
        return None
    if isinstance(key, RSAKey):
        return key if key.public_key.key_size in _RSA_BITS and not _roca(key.public_key.public_numbers().n) else None
    return key if isinstance(key, ECKey | OKPKey) else None


def _roca(modulus: int) -> bool:
    """CVE-2017-15361: a modulus that is a power of 65537 modulo each of these primes has factors anybody can find."""
    return all(modulus % prime in {pow(65537, power, prime) for power in range(prime)} for prime in _ROCA_PRIMES)


def _fits(key: Key, algorithm: str) -> bool:
    try:
        _REGISTRY.get_alg(algorithm).check_key(key)
    except JoseError:
        return False
    return True


def json_object(data: bytes) -> Document:
    """A JSON object that every reader reads alike (RFC 7519 section 4: unique names); ValueError otherwise."""
    try:
        value = strict_json.loads(data, MAX_DEPTH)
    except Ambiguous:
        raise ValueError("not strict JSON") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004  # one error for whatever is not a strict JSON object
    return value
