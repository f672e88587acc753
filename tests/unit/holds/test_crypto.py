from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from stagewarden.errors import ConfigError, StateUnavailable
from stagewarden.holds.crypto import Vault, parse_key
from tests.unit.holds.bench import KEY

TEXT = base64.urlsafe_b64encode(bytes([251]) * 32).decode()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        pytest.param(KEY.hex(), KEY, id="hex"),
        pytest.param(KEY.hex().upper(), KEY, id="HEX"),
        pytest.param(TEXT, bytes([251]) * 32, id="base64url, padded"),
        pytest.param(TEXT.rstrip("="), bytes([251]) * 32, id="base64url"),
    ],
)
def test_a_key_is_read_in_both_spellings(text, key):
    """32 bytes as 64 hex digits or as base64url with or without its padding."""
    assert parse_key(text) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 32,
        KEY.hex()[:-1],
        KEY.hex() + "0",
        TEXT.replace("-", "+"),
        TEXT[:42],
        TEXT + "=",
        " " + KEY.hex(),
        KEY.hex() + "\n",
        "z" * 64,
        TEXT[:42] + "9",
    ],
    ids=[
        "empty",
        "32 letters",
        "63 hex",
        "65 hex",
        "base64 of the other alphabet",
        "42",
        "two paddings",
        "space",
        "newline",
        "64 others",
        "stray bits",
    ],
)
def test_anything_else_is_no_key_and_is_not_shown(text):
    """A key file that is not understood stops the start, and no message repeats it."""
    with pytest.raises(ConfigError) as caught:
        parse_key(text)
    assert not text or text not in str(caught.value)


@given(plain=some.binary(max_size=200), at=some.integers(min_value=0), bit=some.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_a_changed_ciphertext_does_not_open(plain, at, bit):
    """One flipped bit anywhere, format byte and nonce included, is noticed."""
    _, payload = Vault(KEY).mint("h_1")
    sealed = bytearray(payload.seal("request", plain))
    assert payload.open("request", bytes(sealed)) == plain
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(StateUnavailable):
        payload.open("request", bytes(sealed))


@pytest.mark.parametrize("cut", [0, 1, 12, 13, 28, -1])
def test_a_cut_ciphertext_does_not_open(cut):
    """No length of what is left opens."""
    _, payload = Vault(KEY).mint("h_1")
    with pytest.raises(StateUnavailable):
        payload.open("request", payload.seal("request", b"plain text")[:cut])


def test_a_ciphertext_opens_in_its_own_place_only():
    """Hold and column are bound in: a question cannot stand in for a request, nor one hold's for another's."""
    vault = Vault(KEY)
    wrapped, payload = vault.mint("h_1")
    with pytest.raises(StateUnavailable):
        payload.open("request", payload.seal("question", b"plain"))
    with pytest.raises(StateUnavailable):
        vault.unwrap("h_2", wrapped)
    _, other = vault.mint("h_2")
    with pytest.raises(StateUnavailable):
        other.open("request", payload.seal("request", b"plain"))


def test_another_key_opens_nothing():
    """Who has the database and not holds.key has nothing."""
    wrapped, _ = Vault(KEY).mint("h_1")
    with pytest.raises(StateUnavailable, match=r"holds\.key"):
        Vault(bytes(32)).unwrap("h_1", wrapped)


def test_no_two_sealings_are_alike():
    """Fresh nonces and a fresh data key each time: equal bodies do not look equal."""
    vault = Vault(KEY)
    (first, one), (second, _) = vault.mint("h_1"), vault.mint("h_1")
    assert first != second
    assert one.seal("request", b"x") != one.seal("request", b"x")


def test_a_key_of_another_length_is_refused():
    """AES-256 or nothing."""
    with pytest.raises(ValueError, match="32"):
        Vault(b"k" * 16)
