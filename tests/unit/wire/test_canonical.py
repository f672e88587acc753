"""The canonical form against the vectors of RFC 8785, its appendix B, and a reader."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stagewarden.wire.canonical import canonical

# RFC 8785 appendix B: IEEE 754 bits → ECMAScript number
NUMBERS = {
    "0000000000000000": "0", "8000000000000000": "0", "0000000000000001": "5e-324", "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308", "ffefffffffffffff": "-1.7976931348623157e+308", "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992", "4430000000000000": "295147905179352830000", "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23", "44b52d02c7e14af7": "1.0000000000000001e+23", "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000", "444b1ae4d6e2ef50": "1e+21", "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001", "41b3de4355555553": "333333333.3333332", "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333", "41b3de4355555556": "333333333.3333334", "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333", "43143ff3c1cb0959": "1424953923781206.2",
}  # fmt: skip


@pytest.mark.parametrize(("bits", "text"), NUMBERS.items(), ids=NUMBERS.values())
def test_numbers(bits: str, text: str) -> None:
    """Every finite row of appendix B."""
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(value).decode() == text


@pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000"], ids=["NaN", "Infinity"])
def test_what_is_no_number(bits: str) -> None:
    """Appendix B: an error must be reported."""
    with pytest.raises(ValueError, match="finite"):
        canonical(struct.unpack(">d", bytes.fromhex(bits))[0])


def test_the_example_of_section_3_2_2() -> None:
    """The RFC's own example, to the byte (section 3.2.4)."""
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001], "string": '\u20ac$\u000f\nA\'\u0042\u0022\u005c\\"/',
        "literals": [None, True, False],
    }  # fmt: skip
    expected = '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonical(value).decode() == expected


def test_names_are_sorted_by_utf_16_units() -> None:
    """The RFC's sorting example (section 3.2.3): an emoji stands before U+FB33, although its code point is larger."""
    names = {
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew", "1": "One", "\U0001f600": "Emoji", "\u0080": "Control", "\u00f6": "o",
    }  # fmt: skip
    assert [*json.loads(canonical(names)).values()] == ["Carriage Return", "One", "Control", "o", "Euro Sign", "Emoji", "Hebrew"]


@pytest.mark.parametrize("value", [(1 << 54) + 1, -(1 << 53) - 1, "\ud800", {"\udfff": 1}, {"a": object()}, (1,)], ids=repr)
def test_what_has_no_canonical_form(value: object) -> None:
    """Refused, never written in a way two readers could read differently."""
    with pytest.raises(ValueError, match=r"."):
        canonical(value)  # type: ignore[arg-type]  # that is the point


def test_a_large_integer_that_is_a_double() -> None:
    """A moment in nanoseconds is spelled as any other reader spells that double."""
    assert canonical([1_795_251_600_000_000_000, 1 << 70]) == b"[1795251600000000000,1.1805916207174113e+21]"


@given(some.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back(value: float) -> None:
    """Whatever is written is the same double again."""
    assert float(canonical(value)) == value


TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=6)
JSONS = some.recursive(
    some.none() | some.booleans() | some.integers(-(1 << 53), 1 << 53) | TEXTS,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(TEXTS, inner, max_size=4),
)


@given(JSONS)
def test_a_value_reads_back(value: object) -> None:
    """Nothing is lost, and writing what was read gives the same bytes."""
    written = canonical(value)  # type: ignore[arg-type]  # generated as JSON
    assert json.loads(written) == value
    assert canonical(json.loads(written)) == written
