"""nst/JSONTestSuite against the strict reader: refuse what must be refused, accept what must be accepted, decide the rest once."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest

from stagewarden.errors import Ambiguous
from stagewarden.wire import strict_json
from tests.ground import request

CASES = json.loads((Path(__file__).parent / "test_parsing.json").read_text())["cases"]
DEPTH = 64

# Well-formed, and refused by a rule of ours.
STRICTER = {
    "y_object_duplicated_key.json": "a name twice: two parsers keep different ones",
    "y_object_duplicated_key_and_value.json": "a name twice, although the values agree: not told apart from the above",
}
# Left open by RFC 8259; all refused, each for its reason. Never changes silently.
SURROGATE = "a lone surrogate: some readers replace it, some drop it"
ENCODING = "not UTF-8 (RFC 8259 section 8.1)"
DECIDED = {
    "i_number_double_huge_neg_exp.json": "read as zero by some, refused by others",
    "i_number_huge_exp.json": "beyond 1e308",
    "i_number_neg_int_huge_exp.json": "beyond 1e308",
    "i_number_pos_double_huge_exp.json": "beyond 1e308",
    "i_number_real_neg_overflow.json": "beyond 1e308",
    "i_number_real_pos_overflow.json": "beyond 1e308",
    "i_number_real_underflow.json": "read as zero by some, refused by others",
    "i_number_too_big_neg_int.json": "beyond 2^53",
    "i_number_too_big_pos_int.json": "beyond 2^53",
    "i_number_very_big_negative_int.json": "beyond 2^53",
    "i_object_key_lone_2nd_surrogate.json": SURROGATE,
    "i_string_1st_surrogate_but_2nd_missing.json": SURROGATE,
    "i_string_1st_valid_surrogate_2nd_invalid.json": SURROGATE,
    "i_string_UTF-16LE_with_BOM.json": ENCODING,
    "i_string_UTF-8_invalid_sequence.json": ENCODING,
    "i_string_UTF8_surrogate_U+D800.json": ENCODING,
    "i_string_incomplete_surrogate_and_escape_valid.json": SURROGATE,
    "i_string_incomplete_surrogate_pair.json": SURROGATE,
    "i_string_incomplete_surrogates_escape_valid.json": SURROGATE,
    "i_string_invalid_lonely_surrogate.json": SURROGATE,
    "i_string_invalid_surrogate.json": SURROGATE,
    "i_string_invalid_utf-8.json": ENCODING,
    "i_string_inverted_surrogates_U+1D11E.json": SURROGATE,
    "i_string_iso_latin_1.json": ENCODING,
    "i_string_lone_second_surrogate.json": SURROGATE,
    "i_string_lone_utf8_continuation_byte.json": ENCODING,
    "i_string_not_in_unicode_range.json": ENCODING,
    "i_string_overlong_sequence_2_bytes.json": ENCODING,
    "i_string_overlong_sequence_6_bytes.json": ENCODING,
    "i_string_overlong_sequence_6_bytes_null.json": ENCODING,
    "i_string_truncated-utf-8.json": ENCODING,
    "i_string_utf16BE_no_BOM.json": ENCODING,
    "i_string_utf16LE_no_BOM.json": ENCODING,
    "i_structure_500_nested_arrays.json": "deeper than 64",
    "i_structure_UTF-8_BOM_empty_object.json": "a byte order mark (RFC 8259 section 8.1 lets readers choose)",
}


def of(expect: str) -> list:
    """The cases with one expectation."""
    return [pytest.param(case["id"], b64decode(case["bytes"]), id=case["id"]) for case in CASES if case["expect"] == expect]


@pytest.mark.parametrize(("name", "data"), of("refuse"))
def test_refused(name, data):
    """Not JSON."""
    with pytest.raises(Ambiguous):
        strict_json.loads(data, DEPTH)


@pytest.mark.parametrize(("name", "data"), of("accept"))
def test_accepted(name, data):
    """JSON, and read as the standard library reads it; or refused by a rule named above."""
    if name in STRICTER:
        with pytest.raises(Ambiguous):
            strict_json.loads(data, DEPTH)
    else:
        assert strict_json.loads(data, DEPTH) == json.loads(data)


@pytest.mark.parametrize(("name", "data"), of("decide"))
def test_decided(name, data):
    """Left open by the standard; decided in the table above."""
    assert DECIDED[name]
    with pytest.raises(Ambiguous):
        strict_json.loads(data, DEPTH)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_over_the_listener(ground, case):
    """As a route's JSON body: 400 and nothing arrives, or exactly these bytes."""
    body = b64decode(case["bytes"])
    seen = ground.attack(request(b"POST", b"/items", b"Content-Type: application/json", body=body))
    if case["expect"] == "accept" and case["id"] not in STRICTER:
        assert seen.only.status == 200
        assert [received.body for received in seen.reached] == [body]
    else:
        assert (seen.only.status, seen.only.code, seen.reached) == (400, "ambiguous_request", ())
