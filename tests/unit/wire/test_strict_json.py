"""Strict JSON: what two parsers could read differently is refused; the quick and the slow reading agree."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stagewarden.errors import Ambiguous
from stagewarden.wire import strict_json

DEPTH = 64


@pytest.mark.parametrize(
    "text",
    [
        "{}", "[]", "null", "true", "1", '"x"', ' {"a" : [1, 2.5, -3e2, "\\u00e4", null]} ', "9007199254740991", "-9007199254740991", "1e99",
        "1e308", "-0", "0.0", "0e999",
        "1e-300", '{"a":{"b":1},"c":{"b":1}}', '{"a:b":":","c":"\\u003a"}', '"\\ud83d\\ude00"', '{"\\u0061":1,"b":2}',
        '"1e999 and 99999999999999999999"',
        "[" * 64 + "]" * 64, '{"a":"' + "[" * 100 + '"}', "[" + "[]," * 200 + "[]]", "123456789012345.678901234567890",
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_accepted(text):
    """Read as the standard library reads it."""
    assert strict_json.loads(text.encode(), DEPTH) == json.loads(text)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"status":"draft","status":"publish"}', "'status' stands twice"),
        (b'{"status":"draft","\\u0073tatus":"publish"}', "'status' stands twice"),
        (b'{"a":{"b":[{"c":1,"c":1}]}}', "'c' stands twice"),
        (b'{"a" :1, "a":"\\u003a"}', "'a' stands twice"),
        (b'{"a":":", "a":"\\u003a\\u003a"}', "'a' stands twice"),
        (b'{"\\ud83d\\ude00":1,"\xf0\x9f\x98\x80":2}', "stands twice"),
        (b'{"":1,"":2}', "stands twice"),
        (b'{"a":NaN}', "not strict JSON"),
        (b"[Infinity]", "not strict JSON"),
        (b"[-Infinity]", "not strict JSON"),
        (b"9007199254740992", "beyond 2^53"),
        (b"-9007199254740992", "beyond 2^53"),
        (b"[18446744073709551616]", "beyond 2^53"),
        (b"[" + b"9" * 400 + b"]", "not strict JSON"),
        (b"[" + b"9" * 5000 + b"]", "not strict JSON"),
        (b"[" + b"9" * 300 + b"]", "beyond 2^53"),
        (b"[1.5e308]", "beyond 1e308"),
        (b"[-1.5E+308]", "beyond 1e308"),
        (b"[1e0309]", "not strict JSON"),
        (b"[1e-400]", "zero"),
        (b"[0.00001e-4000]", "zero"),
        (b"\xef\xbb\xbf{}", "not strict JSON"),
        (b'{"a":1} x', "not strict JSON"),
        (b'{"a":1}{"a":1}', "not strict JSON"),
        (b"", "not strict JSON"),
        (b'["\\ud800"]', "not strict JSON"),
        (b'{"\\ud800":1}', "not strict JSON"),
        (b'["\xed\xa0\x80"]', "not strict JSON"),
        (b'["\xff"]', "not strict JSON"),
        (b'{"a":1,}', "not strict JSON"),
        (b"{'a':1}", "not strict JSON"),
        (b"[01]", "not strict JSON"),
        (b'{"a":1/**/}', "not strict JSON"),
        (b"[" * 65 + b"]" * 65, "more than 64"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "more than 64"),
        (b'[{"a":' * 500, "not strict JSON"),
        (b"[" * 1_000_000, "not strict JSON"),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_refused(data, says):
    """GHSA-4gph-2hhr-5mwg, CVE-2017-12635, CVE-2025-6203 and kin, with what the agent is told."""
    with pytest.raises(Ambiguous) as caught:
        strict_json.loads(data, DEPTH)
    assert (caught.value.code, caught.value.part) == ("ambiguous_request", "body")
    assert says in caught.value.detail


def test_the_place_is_told():
    """The reader's own message carries the byte."""
    with pytest.raises(Ambiguous, match="column 6"):
        strict_json.loads(b'{"a":nil}', DEPTH)


def test_a_depth_beyond_the_slow_reader_is_a_refusal():
    """A configuration may allow more nesting than the standard library can do; that is no crash."""
    data = b'{"a":1,"a":2}'
    for _ in range(1000):
        data = b"[" + data + b"]"
    with pytest.raises(Ambiguous):
        strict_json.loads(data, 5000)


_KEYS = st.sampled_from(["a", "b", "A", ":", "a:b", "\u00e4", '"', "\\", "\\u003a"])
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**54), 2**54),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
    st.sampled_from([":", "\\u003a"]),
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.lists(st.tuples(_KEYS, inner), max_size=4).map(lambda pairs: ("object", pairs))),
    max_leaves=12,
)


def _write(tree, *, ascii_only: bool, colon: str) -> str:
    """JSON text that may hold a name twice, in the ways clients write it."""
    if isinstance(tree, tuple):
        return (
            "{"
            + ",".join(json.dumps(key, ensure_ascii=ascii_only) + colon + _write(value, ascii_only=ascii_only, colon=colon) for key, value in tree[1])
            + "}"
        )
    if isinstance(tree, list):
        return "[" + ", ".join(_write(each, ascii_only=ascii_only, colon=colon) for each in tree) + "]"
    return json.dumps(tree, ensure_ascii=ascii_only)


def _acceptable(tree) -> bool:
    """The rules, said once more and slowly."""
    if isinstance(tree, tuple):
        names = [key for key, _ in tree[1]]
        return len(set(names)) == len(names) and all(_acceptable(value) for _, value in tree[1])
    if isinstance(tree, list):
        return all(map(_acceptable, tree))
    if isinstance(tree, bool) or not isinstance(tree, int | float):
        return True
    return abs(tree) <= (2**53 - 1 if isinstance(tree, int) else 1e308)


@given(_TREES, st.booleans(), st.sampled_from([":", " : ", ": "]))
@example(tree=("object", [("a", ":"), ("a", "x")]), ascii_only=True, colon=":")
def test_exactly_what_the_rules_say(tree, ascii_only, colon):
    """Both readings together accept a document if and only if no name stands twice in an object and every number is exact."""
    text = _write(tree, ascii_only=ascii_only, colon=colon)
    if _acceptable(tree):
        assert strict_json.loads(text.encode(), DEPTH) == json.loads(text)
    else:
        with pytest.raises(Ambiguous):
            strict_json.loads(text.encode(), DEPTH)


@given(st.one_of(st.binary(max_size=30), st.text('{}[]",:\\u0013aeE+-. \n', max_size=30).map(str.encode)))
def test_nothing_else_is_raised(data):
    """Total, and never more lenient than the standard library."""
    try:
        value = strict_json.loads(data, DEPTH)
    except Ambiguous:
        return
    assert json.loads(data) == value


@pytest.mark.parametrize(
    ("document", "refused"),
    [
        ({"status": "draft"}, False),
        ({"Status": "publish"}, True),
        ({"status": "draft", "STATUS": "publish"}, True),
        ({"post": [{"kind": 1}, {"Kind": 1}]}, True),
        ({"\u017ftatus": 1}, True),  # long s: Go's encoding/json takes it for s
        ({"\u212aind": 1}, True),  # Kelvin sign
        ({"\uff53tatus": 1}, True),  # fullwidth
        ({"status\u200b": 1}, True),  # zero width space
        ({"sta\u00adtus": 1}, True),  # soft hyphen
        ({"status\0": 1}, True),  # a C string ends here
        ({"Kind\0of": 1}, True),
        ({"\0status": 1}, False),
        ({"statuses": 1, "stat": 1, "kinds": [{"x": 1}]}, False),
        (["Status"], False),
        ("Status", False),
    ],
)
def test_case_variants(document, refused):
    """A member a lenient reader would take for a listed one is refused, wherever it stands; values are free."""
    names = strict_json.Listed.of({"status", "kind"})
    if refused:
        with pytest.raises(Ambiguous, match="could be read as"):
            strict_json.refuse_case_variants(document, names)
    else:
        strict_json.refuse_case_variants(document, names)
    strict_json.refuse_case_variants(document, strict_json.Listed.of(()))


def test_both_spellings_listed_are_both_fine():
    """A route that names both tells them apart."""
    strict_json.refuse_case_variants({"id": 1, "ID": 2}, strict_json.Listed.of({"id", "ID"}))
