"""SPIFFE IDs: one spelling each (SPIFFE-ID sections 2.1 to 2.3)."""

from __future__ import annotations

import pytest

from stagewarden.config.spiffe import is_trust_domain, trust_domain_of

LONGEST = "spiffe://example.org/" + "a" * (2048 - len("spiffe://example.org/"))


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://example.org/drafter",
        "spiffe://example.org/ns/news/sa/drafter",
        "spiffe://example.org/9eebccd2-12bf-40a6-b262-65fe0487d453",
        "spiffe://example.org/A.b_c-9",
        "spiffe://example.org/...",
        "spiffe://example.org/.hidden",
        LONGEST,
    ],
    ids=lambda text: text[:60],
)
def test_a_workloads_id(text):
    """Its trust domain is the authority part."""
    assert trust_domain_of(text) == "example.org"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://",
        "spiffe:///drafter",
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org/drafter/",
        "spiffe://example.org//drafter",
        "spiffe://example.org/a//b",
        "spiffe://example.org/a/./b",
        "spiffe://example.org/../b",
        "spiffe://example.org/a/..",
        "spiffe://example.org/a%2fb",
        "spiffe://example.org/a?b",
        "spiffe://example.org/a#b",
        "spiffe://example.org/a b",
        "spiffe://example.org/\u0430",
        "spiffe://example.org/a\n",
        "spiffe://example.org/a\0",
        "spiffe://Example.org/a",
        "spiffe://example.org:443/a",
        "spiffe://user@example.org/a",
        "spiffe://[::1]/a",
        "spiffe://exa\u043cple.org/a",
        "SPIFFE://example.org/a",
        "https://example.org/a",
        "spiffe:/example.org/a",
        " spiffe://example.org/a",
        f"spiffe://{'a' * 256}/a",
        f"{LONGEST}a",
    ],
    ids=lambda text: repr(text[:60]),
)
def test_what_is_no_workloads_id(text):
    """No second spelling, no empty or dot segment, no port, no path-less ID, nothing too long; the refusal repeats none of it."""
    with pytest.raises(ValueError, match=r"^its? ") as caught:
        trust_domain_of(text)
    assert len(text) < 9 or text not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("example.org", True), ("a_b-c.9", True), ("", False), ("Example.org", False), ("a:1", False), ("spiffe://a", False), ("a/b", False)],
)
def test_a_trust_domain(name, is_one):
    """The name alone."""
    assert is_trust_domain(name) is is_one
