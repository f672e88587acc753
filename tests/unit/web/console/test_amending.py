"""A body as fields, and back: what was not changed stays byte for byte."""

from __future__ import annotations

import json

import pytest

from stagewarden.errors import Invalid
from stagewarden.model import Request
from stagewarden.web.console.amending import LONGEST, amended, blanks, unshowable

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def request(body: bytes, kind: str = JSON) -> Request:
    """A request with this body."""
    return Request("cms", "POST", "https", "cms.internal", "/x", (("Content-Type", kind),), body)


@pytest.mark.parametrize(
    ("body", "kind", "names"),
    [
        (b'{"a":"x","b":{"c":1,"d":{}},"e":[1,2]}', JSON, ["a", "b.c", "b.d", "e"]),
        (b' { "a" : "x" } ', "application/merge-patch+json", ["a"]),
        (b"a=1&b=x+y&c=%C3%A4", FORM, ["a", "b", "c"]),
        (b"[1,2]", JSON, ["body"]),
        (b"{}", JSON, ["body"]),
        (b'{"a":1} {"b":2}', JSON, ["body"]),
        (b'{"a":', JSON, ["body"]),
        (b"{" * 5000, JSON, ["body"]),
        (rb'{"a":"\u0000"}', JSON, ["body"]),
        (rb'{"a":"\ud800"}', JSON, ["body"]),
        (b"<p>x</p>", "text/html", ["body"]),
        (b"{" + b",".join(b'"f%d":1' % number for number in range(300)) + b"}", JSON, ["body"]),
    ],
    ids=["json", "spaced", "form", "array", "empty", "two", "broken", "deep", "nul", "surrogate", "html", "many"],
)
def test_fields(body: bytes, kind: str, names: list[str]) -> None:
    """The leaves of an object, the pairs of a form; whatever else it is, one text."""
    assert [one.name for one in blanks(request(body, kind))] == names


@pytest.mark.parametrize(
    ("body", "kind", "given", "result"),
    [
        (b'{ "a": "x",  "b": 1.50 }', JSON, {"f0": "y"}, b'{ "a": "y",  "b": 1.50 }'),
        (b'{"a":"x","b":1.50}', JSON, {"f1": "2"}, b'{"a":"x","b":2}'),
        ('{"a":"ä","b":"é"}'.encode(), JSON, {"f1": "ö"}, '{"a":"ä","b":"ö"}'.encode()),
        (rb'{"a":"\u00e4"}', JSON, {"f0": "\u00f6"}, rb'{"a":"\u00f6"}'),
        (b'{"a":{"b":"x"}}', JSON, {"f0": 'say "no"'}, b'{"a":{"b":"say \\"no\\""}}'),
        (b'{"a":"x\\ny"}', JSON, {"f0": "x\r\nz"}, b'{"a":"x\\nz"}'),
        (b'{"a":"x\\r\\ny"}', JSON, {"f0": "x\r\nz"}, b'{"a":"x\\r\\nz"}'),
        (b"a=1&b=x+y", FORM, {"f1": "x & y"}, b"a=1&b=x+%26+y"),
        (b"<p>\n</p>", "text/html", {"whole": "<b>\r\n</b>"}, b"<b>\n</b>"),
        (b'{"a":1}', JSON, {"f0": "1", "f9": "x", "whole": "x"}, b'{"a":1}'),
    ],
    ids=["text", "number", "beyond ascii", "escaped", "quoted", "line", "cr lf", "form", "whole", "no field"],
)
def test_only_what_was_changed_is_written(body: bytes, kind: str, given: dict[str, str], result: bytes) -> None:
    """Spaces, numbers' writing, escapes and line ends of the rest are as the agent wrote them."""
    assert amended(request(body, kind), given) == result


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b'{"a":"x\\r\\ny\\nz","b":"\\r"}', JSON), (b"a=x%0D%0Ay%0Az&b=%0D", FORM), (b"x\r\ny\nz\r", "text/plain")],
    ids=["json", "form", "text"],
)
def test_a_form_sent_back_as_it_was_changes_nothing(body: bytes, kind: str) -> None:
    """A browser writes every line end as CR LF: that alone is no edit."""
    given = {one.id: one.value.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n") for one in blanks(request(body, kind))}
    assert amended(request(body, kind), given) == body


def test_what_is_not_json_is_refused() -> None:
    """A number's field takes JSON; the name is said."""
    with pytest.raises(Invalid, match="a: is not JSON"):
        amended(request(b'{"a":1}'), {"f0": "many"})


@pytest.mark.parametrize("body", [b"\xff", b"a\0b", b"x" * (LONGEST + 1), None], ids=["bytes", "nul", "long", "file"])
def test_not_on_a_page(body: bytes | None) -> None:
    """What no form hands back is not edited in one."""
    assert unshowable(body)


def test_the_result_is_the_json_it_says() -> None:
    """Every leaf changed at once, in the middle of everything that JSON can hold."""
    before = {"t": "x", "n": -1.5e3, "b": True, "z": None, "l": [1, {"a": []}], "o": {"p": {"q": "r"}}}
    body = json.dumps(before, indent=2).encode()
    given = {one.id: "new" if one.kind == "text" else '["new"]' for one in blanks(request(body))}
    new = ["new"]
    assert json.loads(amended(request(body), given)) == {"t": "new", "n": new, "b": new, "z": new, "l": new, "o": {"p": {"q": "new"}}}
