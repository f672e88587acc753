"""Strict forms."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.errors import Ambiguous
from stagewarden.wire import form


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b"", {}),
        (b"status=publish", {"status": "publish"}),
        (b"title=a+b%2Bc%20d&content=x%0D%0Ay%09z", {"title": "a b+c d", "content": "x\r\ny\tz"}),
        (b"a=&b=1", {"a": "", "b": "1"}),
        (b"a=b=c", {"a": "b=c"}),
        (b"%C3%A4=%C3%BC", {"ä": "ü"}),
        (b"a=%3B%26%3D", {"a": ";&="}),
        (b"a=*-._'()!~@:/?,$", {"a": "*-._'()!~@:/?,$"}),
    ],
)
def test_read(data, fields):
    """Decoded once, in order; prose may have lines and tabs."""
    assert form.loads(data) == fields


@pytest.mark.parametrize(
    "data",
    [
        b"a=1&a=2", b"a=1&%61=2", b"a", b"=1", b"&", b"a=1&", b"&a=1", b"a=1&&b=2", b"a=%", b"a=%2", b"a=%zz", b"a=%ff", b"a=%c0%af", b"a=%00",
        b"a=%1b", b"a=%c2%9b",
        b"a%0a=1", b"a=1;b=2", b"a;b=1", b"a[b]=1", b"a[]=1", b"a%5Bb%5D=1", b"a.b=1", b"a+b=1", b"a%20b=1", b"a=\xc3\xa4", b"a=x y", b"a=1\r\n",
        b"a=1\n", b"\xef\xbb\xbfa=1",
        b"&".join(b"f%d=1" % number for number in range(1001)),
    ],
    ids=lambda data: repr(data)[:30],
)  # fmt: skip
def test_refused(data):
    """What PHP, Rails or a browser's parser would read differently: twice, nested, renamed, cut off or mended."""
    with pytest.raises(Ambiguous) as caught:
        form.loads(data)
    assert caught.value.part == "body"


_NAME = st.text("abcAB_-09ä", min_size=1, max_size=5)
_VALUE = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12)


@given(st.dictionaries(_NAME, _VALUE, max_size=5))
def test_what_a_client_writes_is_read_back(fields):
    """The writer of urllib and this reader agree."""
    assert form.loads(urlencode(fields).encode()) == fields


@given(st.one_of(st.binary(max_size=30), st.text("ab=&%+[]2eE;0", max_size=30).map(str.encode)))
def test_nothing_else_is_raised(data):
    """Total, and what is accepted is what urllib reads."""
    try:
        fields = form.loads(data)
    except Ambiguous:
        return
    assert list(fields.items()) == parse_qsl(data.decode(), keep_blank_values=True, errors="strict")
