"""Bounds: whatever is not inside every bound is named, and a template with anything outside covers nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from msgspec.structs import replace

from stagewarden.errors import Invalid
from stagewarden.grants import Bound
from stagewarden.grants.bounds import check, outside
from stagewarden.grants.pattern import Pattern
from tests.unit.grants.bench import TERMS

BOUNDS = (
    Bound("/title", enum=("a", "b")),
    Bound("/count", const=1),
    Bound("/text", max_length=5, pattern="[a-c]+"),
    Bound("/share", minimum=0.5, maximum=1.5),
    Bound("/rank", minimum=1, maximum=5),
    Bound("/list/0", const="x"),
    Bound("/note", max_length=3, optional=True),
)
INSIDE = {"title": "a", "count": 1, "text": "abc", "share": 1.25, "rank": 2, "list": ["x"]}
TEMPLATE = replace(TERMS, template=True, bounds=BOUNDS)


def found(body: object) -> tuple[str, ...]:
    """What is outside, of a body alone."""
    return outside(TEMPLATE, body, (), ())


@pytest.mark.parametrize("more", [{}, {"note": "abc"}, {"title": "b"}, {"share": 1}, {"rank": 5}])
def test_inside(more: dict) -> None:
    """Every bound holds; what is optional may be absent."""
    assert found(INSIDE | more) == ()


@pytest.mark.parametrize(("body", "expected"), [
    (INSIDE | {"title": "c"}, ("/title",)),
    (INSIDE | {"count": True}, ("/count",)),
    (INSIDE | {"count": 1.0}, ("/count",)),
    (INSIDE | {"count": "1"}, ("/count",)),
    (INSIDE | {"text": "abcd"}, ("/text",)),
    (INSIDE | {"text": "abcabc"}, ("/text",)),
    (INSIDE | {"text": "abc\n"}, ("/text",)),
    (INSIDE | {"text": ["abc"]}, ("/text", "/text/0")),
    (INSIDE | {"share": 1.5000001}, ("/share",)),
    (INSIDE | {"share": True}, ("/share",)),
    (INSIDE | {"share": "1"}, ("/share",)),
    (INSIDE | {"rank": 1.5}, ("/rank",)),
    (INSIDE | {"rank": 0}, ("/rank",)),
    (INSIDE | {"list": ["x", "y"]}, ("/list/1",)),
    (INSIDE | {"list": {"0": "x"}}, ("/list/0", "/list/~{0}")),
    (INSIDE | {"list": []}, ("/list", "/list/0")),
    (INSIDE | {"more": 1}, ("/more",)),
    (INSIDE | {"more": {}}, ("/more",)),
    (INSIDE | {"note": None}, ("/note",)),
    ({name: value for name, value in INSIDE.items() if name != "title"}, ("/title",)),
    (None, ("", "/count", "/list/0", "/rank", "/share", "/text", "/title")),
], ids=lambda value: str(value)[:50])  # fmt: skip
def test_outside(body: object, expected: tuple[str, ...]) -> None:
    """One value, type, member or element that people did not approve is named."""
    assert tuple(sorted(found(body))) == tuple(sorted(expected))


def test_what_could_change_its_meaning_is_outside() -> None:
    """A header or parameter people did not see is not approved with the body."""
    assert outside(TEMPLATE, INSIDE, ("Content-Type", "X-Force"), ("draft",)) == ("header:x-force", "query:draft")
    assert outside(replace(TERMS, bounds=()), {"anything": 1}, ("X-Force",), ("draft",)) == ()
    assert outside(replace(TERMS, template=True), INSIDE, (), ()) == ("",)


_json = some.recursive(
    some.none() | some.booleans() | some.integers(-3, 7) | some.floats(allow_nan=False) | some.text("abcx1 \n", max_size=7),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from([*INSIDE, "note", "more", "0"]), inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(where=some.sampled_from([*INSIDE, "note", "more"]), value=_json)
def test_any_value_outside_any_bound_is_never_covered(where: str, value: object) -> None:
    """Whatever is put anywhere: covered only where it is, to the type, what the bound of that place says."""
    allowed = {
        "title": lambda v: type(v) is str and v in ("a", "b"),
        "count": lambda v: type(v) is int and v == 1,
        "text": lambda v: type(v) is str and re.fullmatch(r"[abc]{1,5}", v) is not None,
        "share": lambda v: type(v) in (int, float) and 0.5 <= v <= 1.5,
        "rank": lambda v: type(v) is int and 1 <= v <= 5,
        "list": lambda v: v == ["x"],
        "note": lambda v: type(v) is str and len(v) <= 3,
        "more": lambda _: False,
    }
    assert (found(INSIDE | {where: value}) == ()) is bool(allowed[where](value))


@settings(max_examples=300, deadline=None)
@given(
    pattern=some.sampled_from(["[a-c]+", "a*b*", "a{2,3}b?", "[^a]x", "\\d{2}-\\d+", "a.c", "ab", "a{2}", "a{1,}", "\\.\\w", "x?y?z?"]),
    text=some.text("abcxyz019.-_é\n", max_size=6),
)
def test_a_pattern_means_what_it_means_elsewhere(pattern: str, text: str) -> None:
    """Anchored at both ends, and the same as a full match of Python's; only without groups, and never slow."""
    assert Pattern(pattern).matches(text) is (re.fullmatch(pattern, text, re.ASCII) is not None)


@pytest.mark.parametrize("pattern", ["", "(a+)+", "a|b", "^a", "a$", "[a", "a**", "a{3,2}", "a{200}", "\\b", "\\Q", "*", "a" * 201])
def test_patterns_that_are_refused(pattern: str) -> None:
    """Groups, alternatives, anchors and what could be slow."""
    with pytest.raises(ValueError, match=r"."):
        Pattern(pattern)


def test_a_pattern_is_never_slow() -> None:
    """CWE-1333: what makes a backtracking matcher run for years ends at once, by counting the steps it takes."""
    pattern = Pattern("[a]*" * 40 + "b")
    steps = 0
    real = pattern._after

    def counted(*arguments):
        nonlocal steps
        steps += 1
        return real(*arguments)

    pattern._after = counted
    assert pattern.matches("a" * 512) is False
    assert steps <= 512 * 42


@pytest.mark.parametrize("bound", [
    Bound("title", const=1), Bound("", const=1), Bound("/a"), Bound("/a", enum=()), Bound("/a", pattern="a"), Bound("/a", max_length=-1),
    Bound("/a", max_length=9999), Bound("/a", max_length=600, pattern="a"), Bound("/a", minimum=1), Bound("/a", minimum=2, maximum=1),
    Bound("/a", const=1, max_length=1), Bound("/a", max_length=9, pattern="(a+)+"),
], ids=str)  # fmt: skip
def test_bounds_that_bound_nothing_are_refused(bound: Bound) -> None:
    """Said when it is asked for."""
    with pytest.raises(Invalid, match="bounds"):
        check((bound,))
    with pytest.raises(Invalid, match="each once"):
        check((Bound("/a", const=1), Bound("/a", const=2)))
