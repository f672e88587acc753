"""Keys and tokens: made from 256 random bits, whole or not at all, stored as a hash."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagewarden.errors import BadCredential, ConfigError
from stagewarden.identity.keys import KeyAuthenticator, key_id, new_key, parse_keys
from stagewarden.identity.tokens import is_token, new_token
from tests.unit.identity.people_and_agents import head, registry

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)


def authenticator(**keys: str) -> KeyAuthenticator:
    """Keys by id; `_` stands for `-`."""
    return KeyAuthenticator({name.replace("_", "-"): value for name, value in keys.items()}, registry())


def test_a_new_key_names_its_agent_and_stores_a_hash() -> None:
    """A key is `sw_ID_` and 43 characters; what is stored is the SHA-256 of all of it."""
    key, stored = new_key("drafter-7")
    assert key.startswith("sw_drafter-7_")
    assert len(key) == len("sw_drafter-7_") + 43
    assert stored == hashlib.sha256(key.encode()).hexdigest()
    assert new_key("drafter-7")[0] != key


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "ä", "a" * 65, "a\n"], ids=repr)
def test_an_id_that_cannot_stand_in_a_key_is_refused(name: str) -> None:
    """Ids in keys are short ASCII."""
    with pytest.raises(ValueError, match="1 to 64"):
        new_key(name)


@given(IDS)
@settings(max_examples=200, deadline=None)
def test_the_id_of_any_key_is_read_back(name: str) -> None:
    """The fixed length of the secret makes the id unambiguous, underscores included."""
    assert key_id(new_key(name)[0]) == name


async def test_a_known_key_is_its_agent() -> None:
    """The registry's `{key: ID}` leads to the agent; the chain holds the agent alone."""
    key, stored = new_key("drafter-key")
    principal = await authenticator(drafter_key=stored).authenticate(head(f"Bearer {key}"))
    assert principal is not None
    assert (principal.agent, principal.credential.kind, principal.credential.expires_ns) == ("drafter-7", "key", 0)
    assert [(link.kind, link.id, link.verified) for link in principal.chain] == [("agent", "drafter-7", True)]
    assert principal.initiator is None


async def test_every_truncation_is_refused_cve_2026_27840() -> None:
    """No prefix, suffix or extension of a key is accepted."""
    key, stored = new_key("drafter-key")
    door = authenticator(drafter_key=stored)
    cuts = [key[:end] for end in range(3, len(key))] + [f"sw_{key[start:]}" for start in range(4, len(key))]
    broken = [*cuts, key + "A", key + "=", key[:-1] + "~"]
    for token in broken:
        with pytest.raises(BadCredential) as caught:
            await door.authenticate(head(f"Bearer {token}"))
        assert token not in str(caught.value)


async def test_another_ids_secret_is_refused() -> None:
    """The stored hash covers the id: a secret under another name is another key."""
    first, stored = new_key("drafter-key")
    _, other = new_key("other")
    swapped = "sw_other_" + first[-43:]
    with pytest.raises(BadCredential):
        await authenticator(drafter_key=stored, other=other).authenticate(head(f"Bearer {swapped}"))


async def test_an_unknown_id_is_refused_like_a_wrong_key() -> None:
    """Nobody learns from the answer which ids exist."""
    _, stored = new_key("drafter-key")
    answers = []
    for name in ("drafter-key", "nobody"):
        with pytest.raises(BadCredential) as caught:
            await authenticator(drafter_key=stored).authenticate(head(f"Bearer {new_key(name)[0]}"))
        answers.append(str(caught.value))
    assert answers[0] == answers[1]


async def test_a_key_of_nobody_cannot_take_a_registered_name() -> None:
    """A key whose id equals the name of an agent with another identity is refused, not taken for that agent."""
    key, stored = new_key("publisher-1")
    with pytest.raises(BadCredential, match="not the one registered"):
        await KeyAuthenticator({"publisher-1": stored}, registry()).authenticate(head(f"Bearer {key}"))


async def test_a_key_not_in_the_registry_is_a_principal_the_policy_can_refuse() -> None:
    """An unregistered id is kept as seen."""
    key, stored = new_key("stranger")
    principal = await authenticator(stranger=stored).authenticate(head(f"Bearer {key}"))
    assert principal is not None
    assert principal.agent == "stranger"


@pytest.mark.parametrize("value", [None, "Basic c3dfYTpi", "Bearer eyJ.a.b", "Bearer swp_x", "Bearer Sw_x"], ids=repr)
async def test_other_credentials_are_not_ours(value: str | None) -> None:
    """Another scheme or another prefix goes on to the next authenticator."""
    assert await authenticator().authenticate(head(value)) is None


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer a b", "Bearer sw_ä", "Bearer sw_a\tb"], ids=repr)
async def test_a_malformed_bearer_is_bad_not_foreign(value: str) -> None:
    """What is no token68 is refused."""
    with pytest.raises(BadCredential):
        await authenticator().authenticate(head(value))


async def test_two_authorization_headers_are_refused() -> None:
    """Nobody chooses between two credentials."""
    with pytest.raises(BadCredential):
        await authenticator().authenticate(head("Bearer sw_a", "Bearer sw_b"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no keys"),
        ("[]", "holds no keys"),
        ("a: canary-secret", "is not a SHA-256"),
        (f"a: {'A' * 64}", "is not a SHA-256"),
        (f"'a b': '{'0' * 64}'", "something that is not an id"),
        (f"sw_a_{'canary-secret'.ljust(43, 'x')}: '{'a' * 64}'", "something that is not an id"),
        (f"a: '{'a' * 64}'\na: '{'b' * 64}'", "written twice"),
    ],
)
def test_a_broken_keys_file_names_the_place_and_repeats_nothing(text: str, says: str) -> None:
    """A finding has file and line and never what was written: it may be a key."""
    with pytest.raises(ConfigError, match=says) as caught:
        parse_keys(text, "agent-keys.yaml")
    assert "agent-keys.yaml" in str(caught.value)
    assert "canary-secret" not in str(caught.value)


def test_no_secret_in_a_repr() -> None:
    """Not even hashes are shown."""
    key, stored = new_key("drafter-key")
    shown = repr(authenticator(drafter_key=stored))
    assert stored not in shown
    assert key not in shown


def test_a_new_token_is_whole_or_nothing_cve_2026_27840() -> None:
    """`swp_` and 43 characters; any cut or addition is not of our form."""
    token, stored = new_token()
    assert is_token(token)
    assert stored == hashlib.sha256(token.encode()).hexdigest()
    cuts = [token[:end] for end in range(len(token))] + [token[start:] for start in range(1, len(token))]
    assert not any(is_token(broken) for broken in [*cuts, token + "A", token + "\n"])
