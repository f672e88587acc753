"""Passwords: scrypt in PHC form, strict to read, as costly for nobody as for somebody."""

from __future__ import annotations

import pytest

from stagewarden.identity import passwords

GOOD = passwords.hash_password("correct horse battery")


def test_a_password_is_verified_and_another_is_not() -> None:
    """The hash is salted, and opens for its own password alone."""
    stored = passwords.parse(GOOD)
    assert stored is not None
    assert str(stored) == GOOD
    assert passwords.verify("correct horse battery", stored)
    assert not passwords.verify("correct horse batterz", stored)
    assert passwords.hash_password("correct horse battery") != GOOD


def test_forms_of_the_same_letters_are_one_password() -> None:
    """NFKC: an `é` typed as two code points is the same password (NIST SP 800-63B)."""
    stored = passwords.parse(passwords.hash_password("caf\u00e9 au lait"))
    assert stored is not None
    assert passwords.verify("cafe\u0301 au lait", stored)


@pytest.mark.parametrize("password", ["", "short", "x" * 1025, "lone \ud800 surrogate"], ids=["empty", "short", "long", "surrogate"])
def test_an_unacceptable_password_is_neither_set_nor_accepted(password: str) -> None:
    """Too short, too long and what is not text."""
    with pytest.raises(passwords.WeakPassword):
        passwords.hash_password(password)
    assert not passwords.verify(password, passwords.decoy())


SALT, HASH = GOOD.split("$")[3:]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "correct horse battery",
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA",
        f"$scrypt$ln=13,r=8,p=5${SALT}${HASH}",
        f"$scrypt$ln=14,r=8,p=1${SALT}${HASH}",
        f"$scrypt$ln=14,r=4,p=10${SALT}${HASH}",
        f"$scrypt$ln=17,r=8,p=1${SALT}${HASH}",
        f"$scrypt$ln=14,r=8,p=99${SALT}${HASH}",
        f"$scrypt$ln=14,r=8,p=5${SALT[:10]}${HASH}",
        f"$scrypt$ln=14,r=8,p=5${SALT}${HASH[:-1]}",
        f"$scrypt$ln=14,r=8,p=5${SALT}${HASH}=",
        GOOD + "\n",
        " " + GOOD,
    ],
)
def test_a_hash_that_is_not_ours_or_too_cheap_or_too_dear_is_not_read(text: str) -> None:
    """Cost between ours and what a sign-in may take; one way to write it."""
    assert passwords.parse(text) is None


def test_a_stronger_hash_is_read() -> None:
    """A file may raise the cost."""
    assert passwords.parse(f"$scrypt$ln=16,r=8,p=2${SALT}${HASH}") is not None


def test_a_decoy_costs_the_same_and_shows_nothing() -> None:
    """What an unknown person is checked against has the cost of the others and no password."""
    stored = passwords.parse(GOOD)
    assert stored is not None
    decoy = passwords.decoy(stored)
    assert (decoy.log_cost, decoy.parallel) == (stored.log_cost, stored.parallel)
    assert (len(decoy.salt), len(decoy.digest)) == (len(stored.salt), len(stored.digest))
    assert decoy.digest != stored.digest
    assert repr(stored.digest) not in repr(stored)
    assert repr(stored.salt) not in repr(stored)
