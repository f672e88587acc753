"""Documents reduced to listed fields: what is listed stays, and never anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.errors import Ambiguous
from stagewarden.wire.reduced import FIELD, reduce, tree

PROFILE = {
    "id": 7, "name": "Ada", "email": "ada@example.org",
    "contact": {"city": "Bern", "phone": "1", "tags": [{"k": "a", "v": 1}, {"k": "b"}, "loose", [{"k": "deep", "v": 2}]]},
    "orders": [{"id": 1, "total": 9}, {"id": 2, "total": 8}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "document", "kept"),
    [
        (["name"], PROFILE, {"name": "Ada"}),
        (["/name", "id"], PROFILE, {"id": 7, "name": "Ada"}),
        ([], PROFILE, {}),
        (["nothing"], PROFILE, {}),
        (["/contact/city"], PROFILE, {"contact": {"city": "Bern"}}),
        (["/orders/*/id"], PROFILE, {"orders": [{"id": 1}, {"id": 2}]}),
        (["/orders/*"], PROFILE, {"orders": PROFILE["orders"]}),
        (["/orders/id"], PROFILE, {}),
        (["/orders/0/id"], PROFILE, {}),
        (["/name/first"], PROFILE, {}),
        (["/contact/tags/*/k"], PROFILE, {"contact": {"tags": [{"k": "a"}, {"k": "b"}]}}),
        (["/contact/tags/*/*/k"], PROFILE, {"contact": {"tags": [{}, {}, [{"k": "deep"}]]}}),
        (["contact", "/contact/city"], PROFILE, {"contact": PROFILE["contact"]}),
        (["/contact/city", "contact"], PROFILE, {"contact": PROFILE["contact"]}),
        (["Name", "NAME"], PROFILE, {}),
        (["id"], [{"id": 1, "x": 2}, {"x": 3}], [{"id": 1}, {}]),
        (["id"], [], []),
        (["/a~1b/c~0d"], {"a/b": {"c~d": 1, "e": 2}}, {"a/b": {"c~d": 1}}),
    ],
    ids=["name", "pointer", "none-listed", "absent", "nested", "each", "each-whole", "list-without-star", "index", "below-a-text", "mixed-list",
         "list-in-list", "whole-then-part", "part-then-whole", "other-case", "list", "empty-list", "escaped"],
)  # fmt: skip
def test_what_is_listed_stays(fields, document, kept):
    """In the document's own order; a list is reduced element by element; a path that meets something else keeps nothing."""
    assert reduce(document, tree(fields)) == kept


@pytest.mark.parametrize("document", ["secret", 7, None, True, ["secret"], [{"name": "a"}, "secret"], [[{"name": "a"}]]], ids=repr)
def test_what_has_no_fields_is_refused(document):
    """A text or a number cannot be reduced, so it is not passed."""
    with pytest.raises(Ambiguous):
        reduce(document, tree(["name"]))


@pytest.mark.parametrize("field", ["", "/", "a/b", "a*", "*", "/a/", "//a", "/a~2", "a\n", "/a\0", "~"], ids=repr)
def test_a_field_that_is_neither_name_nor_pointer(field):
    """Is no field: the verdict that lists it is not understood."""
    assert not FIELD.fullmatch(field)


NAMES = st.sampled_from(["a", "b", "c", "A", "a/b", "~", "*", "0"])
DOCUMENTS = st.recursive(
    st.integers(0, 9) | st.text("xy", max_size=2) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)


def leaves(value, path=()):
    """(path, value) of everything below, lists as `*`; an empty object or list is a leaf too."""
    inner = value.items() if isinstance(value, dict) else (("*", each) for each in value) if isinstance(value, list) else ()
    found = [leaf for name, each in inner for leaf in leaves(each, (*path, name))]
    return found or [(path, value)]


@given(
    document=st.dictionaries(NAMES, DOCUMENTS, max_size=4) | st.lists(st.dictionaries(NAMES, DOCUMENTS, max_size=3), max_size=3), paths=st.sets(PATHS)
)
def test_never_a_field_that_is_not_listed(document, paths):
    """Every value that is kept is below a listed path and stood there before; what is listed of objects is there."""
    kept = reduce(document, tree("".join("/" + token.replace("~", "~0").replace("/", "~1") for token in path) for path in sorted(paths)))
    top = ("*",) if isinstance(document, list) else ()
    before = leaves(document)
    for path, value in leaves(kept):
        own = path[len(top) :]
        if value in ({}, []):
            continue  # an object or list on the way to something that is not there
        assert any(own[: len(listed)] == listed for listed in paths)
        assert (path, value) in before
    if isinstance(document, dict):
        for name in document.keys() & {path[0] for path in paths if len(path) == 1}:
            assert kept[name] == document[name]
