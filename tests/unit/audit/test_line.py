"""The canonical bytes of a line, its time, and what `bounded` makes of anything."""

from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.audit.line import MAX_LINE, Stamp, bounded, canonical, text
from stagewarden.clock import NANOSECONDS


def rfc8785(value: object) -> str:
    """RFC 8785 written down a second time, from the text: for everything but floats, which never get into the log."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        assert abs(value) <= 2**53
        return str(value)
    if isinstance(value, str):
        return f'"{"".join(map(_letter, value))}"'
    if isinstance(value, list):
        return f"[{','.join(map(rfc8785, value))}]"
    assert isinstance(value, dict)
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return f"{{{','.join(f'{rfc8785(name)}:{rfc8785(value[name])}' for name in names)}}}"


def _letter(letter: str) -> str:
    short = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    return short.get(letter) or (f"\\u{ord(letter):04x}" if letter < " " else letter)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary(max_size=5)
    | st.text(st.characters(categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner) | st.tuples(inner) | st.dictionaries(st.integers(), inner),
    max_leaves=25,
)


@given(st.dictionaries(st.text(), anything))
def test_whatever_is_bounded_has_the_canonical_form_of_rfc_8785(value) -> None:
    """An independent canonicalizer gives the same bytes for everything `bounded` lets through."""
    plain = bounded(value)
    assert canonical(plain) == rfc8785(plain).encode()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=100))
def test_field_values_round_trip_on_one_line(value) -> None:
    """Log forging: a newline, an escape sequence or JSON in a value stays inside it."""
    line = canonical({"peer": bounded(value)})
    assert b"\n" not in line
    assert orjson.loads(line) == {"peer": value}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(0.91, "0.91", id="a float is its text"),
        pytest.param(math.nan, "nan", id="not a number"),
        pytest.param(2**53, "9007199254740992", id="an integer beyond the safe range"),
        pytest.param(2**53 - 1, 2**53 - 1, id="the largest safe integer"),
        pytest.param("\ud800", "?", id="a lone surrogate"),
        pytest.param({"\U00010000": 1}, {"\ufffd": 1}, id="a member name where the sort orders differ"),
        pytest.param("x" * 2000, "x" * 1024 + "… (cut 976)", id="a long string says what was cut"),
        pytest.param([1] * 1002, [1] * 1000 + ["cut 2"], id="a long list says what was cut"),
    ],
)
def test_what_has_no_canonical_form_is_made_readable(value, expected) -> None:
    """Nothing is dropped silently."""
    assert bounded(value) == expected


def test_nesting_is_bounded() -> None:
    """A body nested a thousand deep does not become a line."""
    value: object = "deep"
    for _ in range(1000):
        value = {"a": [value]}
    assert len(canonical(bounded(value))) < 200  # type: ignore[arg-type]


def test_text_is_cut_by_characters() -> None:
    """The limit is one of characters, whatever they take in UTF-8."""
    assert text("é" * 10, 4) == "éééé… (cut 6)"


def test_the_time_has_six_decimals_and_follows_the_clock_back() -> None:
    """Wall time is written down as the clock had it; order is that of `seq`."""
    stamp = Stamp()
    moments = [
        1_795_251_600 * NANOSECONDS + 1000,
        1_795_251_600 * NANOSECONDS + 999_999_999,
        1_795_251_601 * NANOSECONDS,
        1_795_251_600 * NANOSECONDS,
    ]
    assert [stamp(moment) for moment in moments] == [
        "2026-11-21T09:00:00.000001Z", "2026-11-21T09:00:00.999999Z", "2026-11-21T09:00:01.000000Z", "2026-11-21T09:00:00.000000Z",
    ]  # fmt: skip


def test_a_line_stays_below_what_a_reader_takes() -> None:
    """The longest string in a bounded value is far from the longest line."""
    assert len(canonical({"a": bounded("x" * (MAX_LINE * 2))})) < MAX_LINE
