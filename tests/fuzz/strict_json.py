"""JSON bodies: whatever is accepted has one reading, for readers that keep the first or the last of a name, fold case, or count digits."""

from __future__ import annotations

import json
import math
from base64 import b64decode
from decimal import Decimal
from pathlib import Path

import msgspec
import orjson
from hypothesis import strategies as st

from stagewarden.errors import Ambiguous
from stagewarden.wire import strict_json
from tests.fuzz.harness import ACCEPTED, Harness, refused
from tests.fuzz.readers import all_pairs, c_like, go_like, pick

DEPTH = 16
LISTED = frozenset({"status", "kind", "id"})
_SUITE = Path(__file__).parents[1] / "conformance" / "json" / "test_parsing.json"
_BATTERY = Path(__file__).parents[1] / "conformance" / "request-battery" / "json.json"


def judge(data: bytes) -> str:
    """As a body is read, then as others read it."""
    try:
        value = strict_json.loads(data, DEPTH)
    except Ambiguous as no:
        return refused(no.detail.partition(": line")[0])
    # (1) Four readers, one value.
    assert same(json.loads(data), value)
    assert same(orjson.loads(data), value)
    assert same(msgspec.json.decode(data), value)
    # (2) Whichever of two equal names is kept.
    pairs = all_pairs(data)
    assert same(pick(pairs, first=True), value)
    assert same(pick(pairs, first=False), value)
    # (3) Numbers that doubles hold: integers exactly, others not as zero or infinity.
    for number in numbers(json.loads(data, parse_int=exact, parse_float=exact)):
        assert not number or float(number)
        assert abs(number) <= Decimal("1e308")
    assert all(abs(each) < 2**53 for each in numbers(value) if isinstance(each, int))
    # (4) Strings every encoder can write, and depth.
    json.dumps(value, ensure_ascii=False).encode()
    assert depth_of(value) <= DEPTH
    # (5) Listed facts, as a reader that folds case finds them.
    try:
        strict_json.refuse_case_variants(value, strict_json.Listed.of(LISTED))
    except Ambiguous as no:
        return refused(no.detail)
    for node in objects(value):
        for name in LISTED & node.keys():
            assert same(go_like(node, name), node[name])
            assert same(c_like(node, name), node[name])
        for name in LISTED - node.keys():
            assert go_like(node, name) is None
            assert c_like(node, name) is None
    return f"{ACCEPTED} {type(value).__name__} {(min(depth_of(value), 3), bool(LISTED & {key for node in objects(value) for key in node}))}"


def exact(text: str) -> Decimal:
    """The number as written; nought to whatever power is nought."""
    return Decimal(text) if set(text.lower().partition("e")[0]) & set("123456789") else Decimal(0)


def same(one: object, other: object) -> bool:
    """Equal, and of equal types all the way down: True is not 1, 1 is not 1.0, 0.0 is not -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return one == other


def numbers(value: object) -> list:
    """Every number in it."""
    if isinstance(value, dict):
        return [found for each in value.values() for found in numbers(each)]
    if isinstance(value, list):
        return [found for each in value for found in numbers(each)]
    return [value] if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else []


def objects(value: object) -> list[dict[str, object]]:
    """Every object in it."""
    if isinstance(value, dict):
        return [value, *(found for each in value.values() for found in objects(each))]
    return [found for each in value for found in objects(each)] if isinstance(value, list) else []


def depth_of(value: object) -> int:
    """How many arrays and objects stand inside each other."""
    if isinstance(value, dict | list):
        return 1 + max(map(depth_of, value.values() if isinstance(value, dict) else value), default=0)
    return 0


def _known() -> list[bytes]:
    suite = [b64decode(case["bytes"]) for case in json.loads(_SUITE.read_text())["cases"]]
    battery = [b64decode(case["raw"]).partition(b"\r\n\r\n")[2] for case in json.loads(_BATTERY.read_text())["cases"] if "raw" in case]
    return [each for each in (*suite, *battery) if len(each) <= 300]


_NAMES = st.sampled_from(["status", "kind", "id", "a", "b", "", "Status", "\u017ftatus", "a:b", "\\u003a"])
_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(2**55), 2**55), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5))
_TREES = st.recursive(_LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=4)), max_leaves=8)
_GROWN = st.tuples(_TREES, st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (",\n", " :\t")])).map(
    lambda parts: json.dumps(parts[0], ensure_ascii=parts[1], separators=parts[2]).encode()
)
_TOKENS = (
    b"{", b"}", b"[", b"]", b":", b",", b'"', b'"status":1,', b'"status"', b'"Status":2', b'"\\u0073tatus":3,', b'"status\\u0000":4,',
    b"\\u0000", b"\\u003a", b"\\u", b"\\ud800", b"\\udc00", b"1e308", b"1e309", b"1e-400", b"9007199254740993", b"0.1", b"-0", b"-0.0", b"0e0",
    b"1E+5", b"null", b"true", b"NaN", b"Infinity", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc3\xa4", b"\x00", b"/**/", b"'", b"0x1", b"01", b"1.",
    b".5", b"[" * 17, b"99999999999999999", b"\xe2\x84\xaa" + b"ind",
)  # fmt: skip
_SEEDS = [b'{"status":"draft","kind":["x",{"id":1}]}', b'{"a":{"b":[1,2.5,null,true]}}', b'["\\u003a"]', b'{"a:b":":","c":"\\u003a"}', *_known()]
HARNESS = Harness.of("strict_json", judge, _SEEDS, _TOKENS, _GROWN)
