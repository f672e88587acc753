"""Issuers for identity's tests: keys, key sets and tokens made on the spot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from stagewarden.identity.jwks import JwksSource
from stagewarden.identity.jwt import JwtAuthenticator, JwtSettings
from tests.unit.identity.people_and_agents import ISSUER, StillClock, registry

if TYPE_CHECKING:
    from joserfc.jwk import Key

AUDIENCE = "stagewarden"
WORKLOAD = "system:serviceaccount:news:publisher"
EC = ECKey.generate_key("P-256", {"kid": "ec-1"}, private=True)
EC_NEXT = ECKey.generate_key("P-256", {"kid": "ec-2"}, private=True)
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"}, private=True)
SETTINGS = JwtSettings(ISSUER, AUDIENCE, frozenset({"RS256", "ES256", "EdDSA"}), 30.0)


def key_set(*keys: Key) -> bytes:
    """The public JWKS of these keys."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


def claims(clock: StillClock, **changes: Any) -> dict[str, Any]:
    """Good claims, changed; None removes one."""
    now = clock.now_ns() // 1_000_000_000
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": WORKLOAD, "exp": now + 600, "iat": now, "nbf": now}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(payload: dict[str, Any] | bytes, key: Key = EC, **header: Any) -> str:
    """A signed compact token; header members given as None are left out."""
    protected = {"alg": "ES256", "typ": "JWT", "kid": key.kid, **header}
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    algorithms = [protected["alg"]]
    return jws.serialize_compact({name: value for name, value in protected.items() if value is not None}, body, key, algorithms=algorithms)


class Issuer:
    """A key set that can change, fail and be counted."""

    def __init__(self, *keys: Key) -> None:
        self.reply: bytes | Exception = key_set(*keys)
        self.calls = 0

    async def load(self) -> bytes:
        """What the address answers."""
        self.calls += 1
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


async def authenticator(clock: StillClock, issuer: Issuer | None = None, settings: JwtSettings = SETTINGS) -> JwtAuthenticator:
    """An authenticator with its keys loaded."""
    source = JwksSource("https://issuer.example/keys", (issuer or Issuer(EC, RSA)).load, clock)
    await source.open(remote=True)
    return JwtAuthenticator(settings, source, registry(), clock)
