"""The shipped patterns: money and promises are found, ordinary sentences are not; their needles lose nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagewarden.registry import lint
from stagewarden.registry.defaults import LEGAL_OR_PRICE, needles
from tests.unit.registry.parts import changed, loaded

MONEY = [
    "€49",
    "€ 49",
    "49 €",
    "49,- €",
    "49.\u2013 €",
    "49\u00a0€",
    "49\u202f€",
    "49&nbsp;€",
    "&euro;49",
    "49 &euro;",
    "49 &#8364;",
    "<b>49</b> €",
    "$5",
    "US$ 5",
    "£1,200",
    "¥100",
    "EUR 49",
    "49 EUR",
    "eur49",
    "USD12",
    "12 usd",
    "costs 20 dollars",
    "20 Euro",
    "99 cents",
    "5 pounds",
    "3 bucks",
]
PROMISES = [
    "20% off",
    "20 % off",
    "20 percent off",
    "20 per cent off",
    "30% discount",
    "10% cheaper",
    "15% cash back",
    "20% <b>off</b>",
    "free",
    "Free!",
    "for free",
    "risk-free",
    "guarantee",
    "GUARANTEED",
    "guaranty",
    "we guarantee it",
]
ORDINARY = [
    "From December we open at ten.",
    "freedom of the press",
    "carefree days",
    "500 words",
    "3 pies",
    "try 3 recipes",
    "20% of readers",
    "100% cotton",
    "neuro 3",
    "the euro area",
    "dollar signs",
    "version 2.0",
    "percentage",
    "5 europeans",
    "guard rails",
    "set 5 in stone",
]


def hits(text: str) -> list[str]:
    """The patterns that find something."""
    return [pattern for pattern in LEGAL_OR_PRICE if re.search(pattern, text)]


@pytest.mark.parametrize("text", MONEY + PROMISES)
def test_money_and_promises_are_found(text):
    """Currency amounts, percent off, free, guarantee (governance section 2), however they are typeset."""
    assert hits(f"Now {text} only")
    assert hits(text)


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_sentences_are_not(text):
    """A trigger that always fires is one nobody reads."""
    assert hits(text) == []


def test_the_shipped_patterns_pass_our_own_lint(tmp_path):
    """What a person would be refused is not shipped either."""
    assert lint(loaded(tmp_path, changed(("triggers/legal_or_price/patterns", list(LEGAL_OR_PRICE))))) == ()


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from([*MONEY, *PROMISES, *ORDINARY, "€", "9", "EUR", "%", "off", "FREE", "&", ";", "<b>"]), min_size=1, max_size=4),
    st.sampled_from(["", " ", "\u00a0"]),
)
def test_a_text_without_a_needle_has_no_match(parts, joint):
    """The tables may only speed things up: every match holds a key of each need."""
    text = joint.join(parts)
    found = needles(LEGAL_OR_PRICE)
    assert len(found["needs"]) == len(LEGAL_OR_PRICE)
    for pattern, needs in zip(LEGAL_OR_PRICE, found["needs"], strict=True):
        if re.search(pattern, text):
            assert all(any(key in text.lower() for table in need for key in found["tables"][table]) for need in needs)


def test_patterns_of_ones_own_get_no_needles(tmp_path):
    """For them a table could be wrong, and a wrong one would silence the pattern."""
    registry = loaded(tmp_path, changed(("triggers/legal_or_price/patterns", ["(?i)cure", LEGAL_OR_PRICE[3]])))
    assert registry.document()["triggers"]["legal_or_price"]["needles"] == {"tables": [{"free": ""}], "needs": [[], [[0]]]}


def test_needles_cannot_be_written(tmp_path):
    """They are ours alone."""
    with pytest.raises(Exception, match="unknown key"):
        loaded(tmp_path, changed(("triggers/legal_or_price/needles", [])))
