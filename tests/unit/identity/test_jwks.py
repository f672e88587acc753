"""Key sets: rotation on an unknown `kid`, once per cool-down whatever comes; failures keep the last good keys."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from stagewarden.config.rules.identity import ALGORITHMS as CONFIGURABLE
from stagewarden.errors import BadCredential, CannotTell, ConfigError
from stagewarden.identity.jwks import COOL_DOWN, MAX_AGE, JwksSource
from stagewarden.identity.jws import ALGORITHMS, BadKeySet, parse_key_set
from tests.unit.identity.people_and_agents import StillClock, head
from tests.unit.identity.tokens_made_here import EC, EC_NEXT, RSA, Issuer, authenticator, claims, key_set, token


def public(key: Any, **changes: Any) -> dict[str, Any]:
    """The public JWK, changed; None removes a member."""
    return {name: value for name, value in {**key.as_dict(private=False), **changes}.items() if value is not None}


def as_set(*keys: dict[str, Any]) -> bytes:
    """A JWKS of these."""
    return json.dumps({"keys": list(keys)}).encode()


def test_what_can_be_configured_is_what_can_be_verified() -> None:
    """The configuration's list of algorithms is this room's."""
    assert set(CONFIGURABLE) == ALGORITHMS


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [], "keys": []}',
        b'{"keys": ["x"]}',
        as_set(public(EC, use="enc")),
        as_set(public(EC, key_ops=["sign"])),
        as_set(public(EC, x="AAAA")),
        as_set(OctKey.generate_key(256, {"kid": "s"}).as_dict(private=True)),
        as_set(public(ECKey.generate_key("secp256k1", private=True))),
        as_set(public(OKPKey.generate_key("X25519", private=True))),
        as_set(*[public(EC, kid=str(number)) for number in range(65)]),
    ],
    ids=[
        "empty",
        "no keys",
        "list",
        "keys an object",
        "no key",
        "keys twice",
        "text",
        "for encryption",
        "cannot verify",
        "broken",
        "symmetric",
        "k1",
        "x25519",
        "many",
    ],
)
def test_an_unusable_set_is_refused(data: bytes) -> None:
    """Nothing is left that may verify."""
    with pytest.raises(BadKeySet):
        parse_key_set(data)


def test_a_private_key_in_the_set_is_refused() -> None:
    """Whoever published it must make a new one; the message shows none of it."""
    with pytest.raises(BadKeySet, match="private") as caught:
        parse_key_set(as_set(EC.as_dict(private=True), public(RSA)))
    assert EC.as_dict(private=True)["d"] not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Key size should be")
def test_keys_we_do_not_use_are_left_out() -> None:
    """A short RSA key, an unknown type, another use: the rest stays (RFC 7517 section 5)."""
    short = RSAKey.generate_key(1024, {"kid": "short"}, private=True)
    found = parse_key_set(
        as_set(public(EC), public(short), {"kty": "AKP", "kid": "pq", "alg": "ML-DSA-44", "pub": "x"}, public(RSA, use="x509-svid"))
    )
    assert [key.kid for key in found.keys] == ["ec-1"]


def test_a_spiffe_bundle_is_read() -> None:
    """`use: jwt-svid` is a signature key."""
    assert [key.kid for key in parse_key_set(as_set(public(EC, use="jwt-svid"), public(RSA, use="x509-svid"))).keys] == ["ec-1"]


async def test_a_new_key_is_fetched_once_it_is_used() -> None:
    """Rotation: the unknown `kid` fetches, and the token passes."""
    clock, issuer = StillClock(), Issuer(EC)
    door = await authenticator(clock, issuer)
    clock.pass_(COOL_DOWN)
    issuer.reply = key_set(EC, EC_NEXT)
    assert await door.authenticate(head(f"Bearer {token(claims(clock), EC_NEXT)}"))
    assert issuer.calls == 2


async def test_unknown_kids_fetch_once_per_cool_down() -> None:
    """A flood of invented `kid`s makes one fetch, also when it comes all at once."""
    clock, issuer = StillClock(), Issuer(EC)
    door = await authenticator(clock, issuer)
    clock.pass_(COOL_DOWN)
    flood = [door.authenticate(head(f"Bearer {token(claims(clock), kid=f'invented-{number}')}")) for number in range(40)]
    answers = await asyncio.gather(*flood, return_exceptions=True)
    assert all(isinstance(answer, BadCredential) for answer in answers)
    assert issuer.calls == 2
    assert await door.authenticate(head(f"Bearer {token(claims(clock))}"))
    clock.pass_(COOL_DOWN)
    with pytest.raises(BadCredential):
        await door.authenticate(head(f"Bearer {token(claims(clock), kid='invented')}"))
    assert issuer.calls == 3


@pytest.mark.parametrize("reply", [CannotTell("down"), OSError("down"), TimeoutError(), b"nonsense", b'{"keys": []}'], ids=repr)
async def test_a_failed_fetch_keeps_the_last_good_keys(reply: bytes | Exception) -> None:
    """The old keys go on; what only new keys could tell is `could not tell`."""
    clock, issuer = StillClock(), Issuer(EC)
    door = await authenticator(clock, issuer)
    clock.pass_(MAX_AGE + 1)
    issuer.reply = reply
    assert await door.authenticate(head(f"Bearer {token(claims(clock))}"))
    with pytest.raises(CannotTell):
        await door.authenticate(head(f"Bearer {token(claims(clock), EC_NEXT)}"))
    assert issuer.calls == 2


async def test_a_withdrawn_key_stops_counting() -> None:
    """Keys are looked at again as they age, and what was verified with the old set is forgotten."""
    clock, issuer = StillClock(), Issuer(EC, EC_NEXT)
    door = await authenticator(clock, issuer)
    lasting = f"Bearer {token(claims(clock, exp=clock.now_ns() // 1_000_000_000 + 3600))}"
    assert await door.authenticate(head(lasting))
    issuer.reply = key_set(EC_NEXT)
    clock.pass_(MAX_AGE)
    with pytest.raises(BadCredential):
        await door.authenticate(head(lasting))


async def test_a_slow_address_holds_up_one_request_only() -> None:
    """While keys are looked at again for their age, others go on with those there are."""
    clock, issuer = StillClock(), Issuer(EC)
    release = asyncio.Event()
    calls = 0

    async def load() -> bytes:
        nonlocal calls
        calls += 1
        if calls > 1:
            await release.wait()
        return await issuer.load()

    source = JwksSource("url", load, clock)
    await source.open(remote=True)
    clock.pass_(MAX_AGE)
    first = asyncio.create_task(source.key("ec-1", "ES256"))
    await asyncio.sleep(0)
    assert (await source.key("ec-1", "ES256")).kid == "ec-1"
    release.set()
    assert (await first).kid == "ec-1"


async def test_a_client_that_left_does_not_break_the_next_fetch() -> None:
    """A cancelled attempt is nobody else's."""
    clock, issuer = StillClock(), Issuer(EC)
    source = JwksSource("url", issuer.load, clock)
    await source.open(remote=True)
    clock.pass_(COOL_DOWN)
    issuer.reply = key_set(EC_NEXT)
    gone = asyncio.create_task(source.key("ec-2", "ES256"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    clock.pass_(COOL_DOWN)
    assert (await source.key("ec-2", "ES256")).kid == "ec-2"


@pytest.mark.parametrize(
    ("reply", "remote", "starts"),
    [
        (b"nonsense", True, False),
        (b'{"keys": []}', True, False),
        (b"nonsense", False, False),
        (FileNotFoundError(2, "No such file or directory"), False, False),
        (CannotTell("down"), True, True),
    ],
    ids=["url nonsense", "url empty", "file nonsense", "file missing", "url down"],
)
async def test_what_starts_and_what_does_not(reply: bytes | Exception, *, remote: bool, starts: bool) -> None:
    """Unusable keys refuse to start; an issuer out of reach makes its tokens `could not tell` until it is back."""
    clock, issuer = StillClock(), Issuer(EC)
    good, issuer.reply = issuer.reply, reply
    source = JwksSource("the-keys", issuer.load, clock)
    if not starts:
        with pytest.raises(ConfigError, match="the-keys"):
            await source.open(remote=remote)
        return
    await source.open(remote=remote)
    with pytest.raises(CannotTell):
        await source.key("ec-1", "ES256")
    issuer.reply = good
    clock.pass_(COOL_DOWN)
    assert (await source.key("ec-1", "ES256")).kid == "ec-1"
