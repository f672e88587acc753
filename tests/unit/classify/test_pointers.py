"""JSON pointers and conditions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.classify.pointers import Condition, Pointer

DOCUMENT = {"status": "draft", "n": 1, "t": True, "none": None, "list": [{"m": "GET"}, {"m": "POST"}], "a/b": 1, "~": 2, "0": "zero"}


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", [DOCUMENT]),
        ("/status", ["draft"]),
        ("/missing", []),
        ("/a~1b", [1]),
        ("/~0", [2]),
        ("/list/0/m", ["GET"]),
        ("/list/00/m", []),
        ("/list/9/m", []),
        ("/list/-/m", []),
        ("/list/*/m", ["GET", "POST"]),
        ("/status/0", []),
        ("/0", ["zero"]),
        ("/list/²/m", []),
    ],
)
def test_pointer_finds(pointer, found):
    """A pointer names exactly the values RFC 6901 says, `*` every element of a list."""
    assert list(Pointer.parse(pointer).find(DOCUMENT)) == found


def test_pointer_without_slash_is_refused():
    """A pointer that does not start with a slash is no pointer."""
    with pytest.raises(ValueError, match="starts with"):
        Pointer.parse("status")


@pytest.mark.parametrize(
    ("pointer", "value", "holds"),
    [
        ("/status", "draft", True),
        ("/status", ["pending", "draft"], True),
        ("/status", "Draft", False),
        ("/n", 1, True),
        ("/n", True, False),
        ("/n", 1.0, False),
        ("/t", True, True),
        ("/t", 1, False),
        ("/none", None, True),
        ("/missing", None, True),
        ("/missing", ["draft", None], True),
        ("/missing", "draft", False),
        ("/missing", {"exists": True}, False),
        ("/none", {"exists": True}, True),
        ("/missing", {"absent": True}, True),
        ("/none", {"absent": True}, False),
        ("/list/*/m", "POST", True),
        ("/list/*/m", "DELETE", False),
    ],
)
def test_condition_is_type_exact(pointer, value, holds):
    """Literals compare with their type; null stands for absent or null; presence is asked for by name."""
    assert Condition.parse(Pointer.parse(pointer), value).holds(DOCUMENT) is holds


@pytest.mark.parametrize("value", [None, ["draft", None], {"absent": True}], ids=["null", "or null", "absent"])
@pytest.mark.parametrize(
    ("pointer", "document", "holds"),
    [
        ("/status", {}, True),
        ("/status", None, True),
        ("/status", [{"status": "publish"}], False),
        ("/status", [], False),
        ("/status", "publish", False),
        ("/status", 1, False),
        ("/post/status", {}, True),
        ("/post/status", {"post": None}, True),
        ("/post/status", {"post": {}}, True),
        ("/post/status", {"post": [{"status": "publish"}]}, False),
        ("/post/status", {"post": "status=publish"}, False),
        ("/posts/*/status", {"posts": []}, True),
        ("/posts/*/status", {"posts": [{}, {"title": "x"}]}, True),
        ("/posts/*/status", {"posts": [{}, [{"status": "publish"}]]}, False),
        ("/posts/0/status", {"posts": []}, True),
        ("/posts/0/status", {"posts": [{}]}, True),
        ("/posts/0/status", {"posts": [[]]}, False),
    ],
)
def test_only_an_object_can_lack_a_member(pointer, document, holds, value):
    """A list or a literal in the place of an object is not an object without the member: some systems read a list as a batch."""
    assert Condition.parse(Pointer.parse(pointer), value).holds(document) is holds


@pytest.mark.parametrize("value", [[], {"equals": 1}, {"exists": False}, [["draft"]], [{"exists": True}]])
def test_condition_refuses_what_it_does_not_know(value):
    """A condition that is neither literal, list nor presence is refused, never ignored."""
    with pytest.raises(ValueError, match="expected"):
        Condition.parse(Pointer(()), value)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
    st.lists(st.text()),
)
def test_pointer_never_fails_on_any_document(document, tokens):
    """Finding is total: whatever the document, it finds or it does not."""
    list(Pointer(tuple(tokens)).find(document))
