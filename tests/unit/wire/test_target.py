"""Request targets: what is refused, what is read, and that nothing is changed on the way."""

from __future__ import annotations

import contextlib
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stagewarden.errors import Ambiguous, Refused
from stagewarden.wire import target as targets
from stagewarden.wire.target import parse_target

LIMIT = 8192


@pytest.mark.parametrize(
    ("raw", "segments", "query"),
    [
        pytest.param(b"/", ("",), (), id="root"),
        pytest.param(b"/posts", ("posts",), (), id="one"),
        pytest.param(b"/posts/", ("posts", ""), (), id="a trailing slash is its own segment, so the template /posts does not match"),
        pytest.param(b"/a/b/c", ("a", "b", "c"), (), id="three"),
        pytest.param(b"/a%20b/%C3%A4", ("a b", "ä"), (), id="decoded once"),
        pytest.param(b"/100%25", ("100%",), (), id="a percent sign"),
        pytest.param(b"/..a/a../...", ("..a", "a..", "..."), (), id="dots that are names"),
        pytest.param(b"/a%2eb", ("a.b",), (), id="an encoded dot in a name"),
        pytest.param(b"/a:b@c!$&'()*+,=~", ("a:b@c!$&'()*+,=~",), (), id="pchar; + is a plus in a path"),
        pytest.param(b"/x?", ("x",), (), id="empty query"),
        pytest.param(b"/x?a", ("x",), (("a", ""),), id="name without value"),
        pytest.param(b"/x?a=1&b=a+b%2Bc&c=%C3%A4", ("x",), (("a", "1"), ("b", "a b+c"), ("c", "ä")), id="query"),
        pytest.param(b"/x?next=/a/../b?c=d", ("x",), (("next", "/a/../b?c=d"),), id="a path in a query is a value"),
        pytest.param(b"/x?_fields[]=id&f=a|b", ("x",), (("_fields[]", "id"), ("f", "a|b")), id="brackets and bars as clients send them"),
    ],
)
def test_read(raw, segments, query):
    """Segments and query decoded once; the raw bytes kept."""
    target = parse_target(raw, LIMIT)
    assert (target.segments, target.query) == (segments, query)
    assert target.raw.encode() == raw
    assert target.path.encode() == raw.partition(b"?")[0]


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"*", b"x", b"?x", b"http://app.test/x", b"HTTP://app.test/x", b"app.test:443", b"//", b"//admin", b"///a", b"/a//b", b"/a//",
        b"/..", b"/.", b"/a/../b", b"/a/./b", b"/%2e", b"/%2E%2e/b", b"/.%2e/b", b"/a/%2e/b", b"/a%2fb", b"/a%2Fb", b"/a%5cb", b"/a%5Cb",
        b"/a\\b", b"/a#b", b"/#", b"/a%00", b"/a%0a", b"/a%0D%0Ab", b"/a%7f", b"/a%1b", b"/a%c2%85", b"/a%e2%80%a8", b"/a;b", b"/;a/b",
        b"/a%3bb", b"/a b", b"/a\tb", b"/a\x00b", b"/a\x7f", b"/a\r\nX: 1", b"/\xc3\xa4", b"/a%", b"/a%2", b"/a%zz", b"/a%%20", b"/%c0%ae",
        b"/%c0%af", b"/%ff", b"/%ed%a0%80", b"/%e0%80%af", b"/%80", b"/a%252fb", b"/a%252e%252e%252fb", b"/a%2500", b"/a%25252fb", b"/%2561dmin",
        b"/a%25%32%66b", b"/a%252%66b", b"/a%25%32fb", b"/%25%32%65%25%32%65", b"/a%25u002fb", b'/a"b', b"/a<b>", b"/a^b", b"/a{b}", b"/a|b",
        b"/a[b]", b"/a`b",
    ],
    ids=repr,
)  # fmt: skip
def test_path_refused(raw):
    """CVE-2026-26205, CVE-2026-33494, CVE-2021-29492, CVE-2021-32779, CVE-2026-73553 and their variants: refused, not mended."""
    with pytest.raises(Ambiguous) as caught:
        parse_target(raw, LIMIT)
    assert (caught.value.part, caught.value.code) == ("target", "ambiguous_request")


@pytest.mark.parametrize(
    "query",
    [
        b"a=1&a=2", b"a&a", b"a=1&%61=2", b"a=%", b"a=%zz", b"a=%ff", b"a=%00", b"a=%0a", b"a=%c2%9b", b"%0a=1", b"=1", b"&", b"a=1&", b"&a=1",
        b"a=1&&b=2",
        b"a=1;b=2", b'a="', b"a=<x>", b"a={x}", b"a=^", b"a=`",
    ],
    ids=repr,
)  # fmt: skip
def test_query_refused(query):
    """A name twice, however it is written, bad triples, bad UTF-8, controls, and separators only some readers know."""
    with pytest.raises(Ambiguous) as caught:
        parse_target(b"/x?" + query, LIMIT)
    assert caught.value.part == "query"


@pytest.mark.parametrize(("length", "fine"), [(LIMIT - 1, True), (LIMIT, True), (LIMIT + 1, False)])
def test_length(length, fine):
    """The limit counts the whole target, and over it the code says so."""
    raw = b"/" + b"a" * (length - 1)
    if fine:
        assert parse_target(raw, LIMIT).raw.encode() == raw
    else:
        with pytest.raises(Refused) as caught:
            parse_target(raw, LIMIT)
        assert caught.value.code == "target_too_long"


_PIECES = st.sampled_from(
    [b"/", b"a", b"..", b".", b"%2e", b"%2f", b"%25", b"%41", b"%c3%a4", b"?", b"&", b"=", b"a=1", b"+", b";", b"#", b"\\", b"//", b"%"]
)


@given(st.one_of(st.binary(max_size=40), st.lists(_PIECES, max_size=12).map(lambda parts: b"/" + b"".join(parts))))
@example(b"/a/%2e%2e/b")
@example(b"/a?b=c&b=d")
def test_what_is_accepted_reads_alike_everywhere(raw):
    """Whatever is accepted: raw as given, no segment can be a separator or dot segment however often it is decoded, the query as urllib reads it."""
    try:
        target = parse_target(raw, LIMIT)
    except Refused:
        return
    assert target.raw.encode() == raw
    assert target.path == target.raw.partition("?")[0]
    assert "/" + "/".join(target.segments) == unquote(target.path, errors="strict")
    for segment in target.segments:
        for decoded in (segment, unquote(segment), unquote(unquote(segment))):
            assert decoded not in {".", ".."}
            assert not set(decoded) & set("/\\;\0\r\n")
    assert "" not in target.segments[:-1]
    query = raw.partition(b"?")[2].decode()
    assert list(target.query) == parse_qsl(query, keep_blank_values=True, errors="strict")
    assert len({name for name, _ in target.query}) == len(target.query)


@given(st.binary(max_size=60))
def test_nothing_else_is_raised(raw):
    """Total: a Target, or a refusal."""
    with contextlib.suppress(Refused):
        parse_target(raw, 50)


@pytest.mark.parametrize("raw", [b"/a%25%32%66b", b"/a%252%66b", b"/..%25%30%30", b"/%25%36%31dmin"], ids=repr)
def test_cve_2025_66490_a_second_encoding_in_disguise_is_refused(raw):
    """Found by fuzzing: the digits after an encoded percent sign may be encoded themselves; decoded twice they are another path."""
    with pytest.raises(Ambiguous, match="second encoding"):
        parse_target(raw, LIMIT)


@given(st.from_regex(targets._PLAIN, fullmatch=True))
def test_the_short_way_and_the_long_way_agree(raw):
    """A target that is read at once is one in which the whole reading finds nothing to refuse, with the same segments."""
    assert parse_target(raw, len(raw)) == targets._read(raw)
