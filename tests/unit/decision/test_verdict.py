"""The verdict document is read strictly; what is not understood raises PolicyUnavailable."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.decision.verdict import FUNCTIONS, parse
from stagewarden.errors import PolicyUnavailable
from stagewarden.model import Allow, Ask, Deny, Obligations, Reason, Seat, Tier

REASON = {"code": "stage_granted", "rule": "stagewarden.rules.stages", "text": "The agent may"}
GOOD: dict[str, Any] = {"effect": "allow", "tier": "low", "cacheable": False, "reasons": [REASON], "seats": [], "obligations": {}}
HOLD = {**GOOD, "effect": "hold", "tier": "high", "seats": [{"functions": ["reviewer"], "count": 1}]}
SEAT = {"functions": ["legal"], "count": 1}


def test_an_allow_is_read() -> None:
    """Every member of an allow arrives."""
    verdict = parse({**GOOD, "cacheable": True, "obligations": {"response_fields": None, "review": "sampled", "settle": None}})
    assert verdict == Allow(Tier.LOW, (Reason(**REASON),), Obligations("sampled"), cacheable=True)


@pytest.mark.parametrize("fields", [[], ["title"], ["/author/name", "id", "/items/*/id"]], ids=str)
def test_a_bound_on_the_answer_is_read(fields: list[str]) -> None:
    """Names and pointers, on an allow and on a hold alike; an empty list is a bound too."""
    obligations = {"response_fields": fields, "review": "auto"}
    for document in (GOOD, HOLD):
        verdict = parse({**document, "obligations": obligations})
        assert isinstance(verdict, Allow | Ask)
        assert verdict.obligations == Obligations("auto", tuple(fields))


def test_a_hold_is_read_with_its_seats() -> None:
    """Seats arrive with sorted functions, so that equal seats are equal values."""
    seats = [{"functions": ["reviewer", "manager"], "count": 1}, {"functions": ["legal", "compliance"], "count": 2}]
    verdict = parse({**HOLD, "seats": seats, "obligations": {"review": "human", "settle": "0s"}})
    assert verdict == Ask(Tier.HIGH, (Reason(**REASON),), (Seat(("manager", "reviewer"), 1), Seat(("compliance", "legal"), 2)), Obligations("human"))


@pytest.mark.parametrize(("written", "seconds"), [("500ms", 0.5), ("5m", 300.0), ("7d", 604_800.0), (None, 0.0)], ids=str)
def test_a_time_to_settle_is_read(written: str | None, seconds: float) -> None:
    """In the units of the configuration, as seconds."""
    verdict = parse({**HOLD, "obligations": {"review": "human", "settle": written}})
    assert isinstance(verdict, Ask)
    assert verdict.obligations.settle == seconds


def test_a_deny_is_read_with_detail() -> None:
    """Machine-readable detail arrives."""
    reason = {**REASON, "detail": {"fields": ["a"]}}
    assert parse({**GOOD, "effect": "deny", "reasons": [reason]}) == Deny((Reason(**reason),))


def test_a_silent_deny_still_says_something() -> None:
    """Empty reasons are valid, and a Deny always has one."""
    verdict = parse({**GOOD, "effect": "deny", "reasons": []})
    assert isinstance(verdict, Deny)
    assert [reason.code for reason in verdict.reasons] == ["denied"]


NOT_UNDERSTOOD = {
    "null": None,
    "true": True,
    "list": [GOOD],
    "empty": {},
    "unknown member": {**GOOD, "allow": True},
    "missing cacheable": {key: value for key, value in GOOD.items() if key != "cacheable"},
    "missing seats": {key: value for key, value in GOOD.items() if key != "seats"},
    "effect in upper case": {**GOOD, "effect": "ALLOW"},
    "effect with space": {**GOOD, "effect": "allow "},
    "effect true": {**GOOD, "effect": True},
    "effect list": {**GOOD, "effect": ["allow"]},
    "effect null": {**GOOD, "effect": None},
    "tier unknown": {**GOOD, "tier": "none"},
    "tier number": {**GOOD, "tier": 0},
    "tier list": {**GOOD, "tier": []},
    "cacheable one": {**GOOD, "cacheable": 1},
    "cacheable text": {**GOOD, "cacheable": "false"},
    "reasons object": {**GOOD, "reasons": {}},
    "reason text": {**GOOD, "reasons": ["ok"]},
    "reason without rule": {**GOOD, "reasons": [{"code": "a", "text": "b"}]},
    "reason with more": {**GOOD, "reasons": [{**REASON, "severity": 1}]},
    "reason with code number": {**GOOD, "reasons": [{**REASON, "code": 1}]},
    "reason with odd code": {**GOOD, "reasons": [{**REASON, "code": "a b"}]},
    "reason with newline after its code": {**GOOD, "reasons": [{**REASON, "code": "a\n"}]},
    "reason with empty text": {**GOOD, "reasons": [{**REASON, "text": ""}]},
    "reason with detail list": {**GOOD, "reasons": [{**REASON, "detail": []}]},
    "too many reasons": {**GOOD, "reasons": [REASON] * 201},
    "allow with seats": {**GOOD, "seats": [SEAT]},
    "deny with seats": {**GOOD, "effect": "deny", "seats": [SEAT]},
    "hold without seats": {**HOLD, "seats": []},
    "seats object": {**HOLD, "seats": {}},
    "seat unknown function": {**HOLD, "seats": [{"functions": ["janitor"], "count": 1}]},
    "seat function number": {**HOLD, "seats": [{"functions": [1], "count": 1}]},
    "seat function list": {**HOLD, "seats": [{"functions": [["legal"]], "count": 1}]},
    "seat without functions": {**HOLD, "seats": [{"functions": [], "count": 1}]},
    "seat functions text": {**HOLD, "seats": [{"functions": "legal", "count": 1}]},
    "seat function twice": {**HOLD, "seats": [{"functions": ["legal", "legal"], "count": 1}]},
    "seat twice": {**HOLD, "seats": [{"functions": ["legal", "manager"], "count": 1}, {"functions": ["manager", "legal"], "count": 2}]},
    "seat count zero": {**HOLD, "seats": [{"functions": ["legal"], "count": 0}]},
    "seat count true": {**HOLD, "seats": [{"functions": ["legal"], "count": True}]},
    "seat count float": {**HOLD, "seats": [{"functions": ["legal"], "count": 1.0}]},
    "seat count text": {**HOLD, "seats": [{"functions": ["legal"], "count": "1"}]},
    "seat count beyond sense": {**HOLD, "seats": [{"functions": ["legal"], "count": 10**9}]},
    "seat with more": {**HOLD, "seats": [{**SEAT, "optional": True}]},
    "obligations list": {**GOOD, "obligations": ["log"]},
    "obligation unknown": {**GOOD, "obligations": {"encrypt": True}},
    "obligation to filter by a text": {**GOOD, "obligations": {"response_fields": "title"}},
    "obligation to filter by a number": {**GOOD, "obligations": {"response_fields": ["title", 7]}},
    "obligation to filter by an empty name": {**GOOD, "obligations": {"response_fields": [""]}},
    "obligation to filter by half a pointer": {**GOOD, "obligations": {"response_fields": ["author/name"]}},
    "obligation to filter by a wildcard name": {**GOOD, "obligations": {"response_fields": ["*"]}},
    "obligation to filter by too many": {**GOOD, "obligations": {"response_fields": [f"f{number}" for number in range(1001)]}},
    "obligation to settle some day": {**GOOD, "obligations": {"settle": "soon"}},
    "obligation to settle for ever": {**GOOD, "obligations": {"settle": "60d"}},
    "obligation to settle without a unit": {**GOOD, "obligations": {"settle": "5"}},
    "obligation to settle zero as a number": {**GOOD, "obligations": {"settle": 0}},
    "obligation review unknown": {**GOOD, "obligations": {"review": "later"}},
    "obligation review null": {**GOOD, "obligations": {"review": None}},
}


@pytest.mark.parametrize("raw", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_what_is_not_understood_is_no_verdict(raw: object) -> None:
    """No default is guessed and no member is dropped."""
    with pytest.raises(PolicyUnavailable) as caught:
        parse(raw)
    assert caught.value.cause == "error"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.sampled_from(["allow", "hold", "deny", "low"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "functions", "count", "code", "x"]), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(sorted(GOOD)), JSON, st.sampled_from([GOOD, HOLD]))
def test_any_value_anywhere_is_a_verdict_or_not_understood(member: str, value: object, base: dict[str, Any]) -> None:
    """Whatever stands in a member, the answer is a verdict of the stated effect or PolicyUnavailable, and no other error."""
    raw = {**base, member: value}
    try:
        verdict = parse(raw)
    except PolicyUnavailable:
        return
    assert verdict.effect == raw["effect"]
    assert isinstance(verdict, Ask) == bool(raw["seats"])
    if isinstance(verdict, Ask):
        assert all(FUNCTIONS.issuperset(seat.functions) and seat.count > 0 for seat in verdict.seats)
