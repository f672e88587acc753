"""Who would get it: the sum as the request says it, checked; nobody is named."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stagewarden.web.console.audience import Audience, audience, counted
from tests.fakes import held

EXCLUDED = [{"name": "no consent", "count": 318}, {"name": "bounced", "count": 41}]


def seen(recipients: object) -> Audience | None:
    """Of a hold whose facts say this."""
    hold = held(time.time_ns())
    return audience(replace(hold, question={**hold.question, "facts": {"recipients": recipients}}))


@pytest.mark.parametrize(
    ("recipients", "total", "gap"),
    [
        ({"segment": "s", "size": 4571, "exclusions": EXCLUDED, "count": 4212}, 4212, 0),
        ({"segment": "s", "size": 4571, "exclusions": EXCLUDED, "count": 4300}, 4300, -88),
        ({"segment": "s", "size": 4571, "exclusions": {"no consent": 318, "bounced": 41}, "count": 4212}, 4212, 0),
        ({"count": 12, "tier": None}, 12, None),
        ({"count": "12"}, None, None),
        ({"count": True}, None, None),
        ({"count": -1, "size": 3}, None, None),
        ({}, None, None),
    ],
    ids=["adds up", "does not", "as an object", "a count alone", "a text", "a truth value", "negative", "empty"],
)
def test_the_sum(recipients: object, total: int | None, gap: int | None) -> None:
    """Checked where there is one; a count that is no number is not known."""
    found = seen(recipients)
    assert found is not None
    assert (found.total, found.gap) == (total, gap)


@pytest.mark.parametrize("recipients", [None, 12, "all", ["a"]], ids=repr)
def test_no_facts(recipients: object) -> None:
    """Nothing is made up."""
    assert seen(recipients) is None


def test_the_sample_is_drawn_by_us_and_names_nobody() -> None:
    """Three, other ones for another hold, and never an address."""
    people = [f"person{number}@example.org" for number in range(50)]
    one, two = seen({"count": 50, "sample": people}), seen({"count": 50, "sample": people})
    assert one is not None
    assert two is not None
    assert (len(one.sample), one.sampled_of) == (3, 50)
    assert one.sample != two.sample
    assert not any("person" in each or "@" in each for each in one.sample)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(_JSON | st.fixed_dictionaries({"count": _JSON, "exclusions": _JSON, "segment": _JSON, "sample": _JSON, "size": _JSON}))
def test_whatever_the_facts_say(recipients: object) -> None:
    """Facts are read from an agent's bytes: nothing in them breaks the page, and a total is a number or not known."""
    found = seen(recipients)
    assert found is None or found.total is None or found.total >= 0
    assert counted({"facts": {"recipients": recipients}}) == (None if found is None else found.total)  # type: ignore[dict-item]
