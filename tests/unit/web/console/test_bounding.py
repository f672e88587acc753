"""The form that asks for a grant: rows of fields as the bounds they mean, or every fault beside its field. Pure."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.errors import Invalid
from stagewarden.grants import Bound, bounds
from stagewarden.web.console import asking, bounding

ASKED = {"agent": "drafter-7", "workflow": "newsletter", "what": "post.queue|queue|cms", "ttl": "2h", "uses": "3", "evidence": "TICKET-7"}


def form(*typed: dict[str, str]) -> dict[str, str]:
    """Rows as a browser sends them."""
    return {f"bound-{number}-{name}": value for number, row in enumerate(typed, 1) for name, value in row.items()}


@pytest.mark.parametrize(
    ("typed", "bound"),
    [
        ({"rule": "text", "longest": " 80 "}, Bound(pointer="/title", max_length=80)),
        ({"rule": "text", "longest": "8", "pattern": "[A-Z]+"}, Bound(pointer="/title", max_length=8, pattern="[A-Z]+")),
        ({"rule": "number", "least": "-1", "most": "5"}, Bound(pointer="/title", minimum=-1, maximum=5)),
        ({"rule": "number", "least": "0.5", "most": "5"}, Bound(pointer="/title", minimum=0.5, maximum=5)),
        ({"rule": "values", "values": "draft"}, Bound(pointer="/title", const="draft")),
        ({"rule": "values", "values": "draft\r\npending\r\n"}, Bound(pointer="/title", enum=("draft", "pending"))),
        ({"rule": "values", "values": " a\u2028b "}, Bound(pointer="/title", const=" a\u2028b ")),
        ({"rule": "values", "kind": "numbers", "values": "1\n1.0"}, Bound(pointer="/title", enum=(1, 1.0))),
        ({"rule": "values", "kind": "json", "values": 'null\n"null"\ntrue\n1'}, Bound(pointer="/title", enum=(None, "null", True, 1))),
        ({"rule": "values", "kind": "json", "values": "null"}, Bound(pointer="/title", const=None)),
        ({"rule": "text", "longest": "80", "absent": "yes"}, Bound(pointer="/title", max_length=80, optional=True)),
        ({"rule": "text", "longest": "80", "values": "left over", "least": "7"}, Bound(pointer="/title", max_length=80)),
    ],
    ids=[
        "text", "pattern", "whole numbers", "a number with a point", "one value", "several", "a line is what the keyboard ends", "numbers",
        "JSON", "null", "may be absent", "what another choice left over",
    ],
)  # fmt: skip
def test_a_row_is_the_bound_it_means(typed: dict[str, str], bound: Bound) -> None:
    """Type-exact: what is written as a text is a text, and a whole number is one."""
    made, faults = bounding.read(bounding.filled(form({"place": " /title ", **typed})))
    assert (msgspec.json.encode(made), faults) == (msgspec.json.encode((bound,)), {})


@pytest.mark.parametrize(
    ("typed", "control", "text"),
    [
        ({"place": "title", "rule": "text", "longest": "80"}, "place", "JSON pointer"),
        ({"rule": "text", "longest": "80", "place": ""}, "place", "JSON pointer"),
        ({}, "rule", "Choose what may stand there"),
        ({"rule": "anything"}, "rule", "Choose what may stand there"),
        ({"rule": "text"}, "longest", "A whole number of characters"),
        ({"rule": "text", "longest": "eighty"}, "longest", "A whole number of characters"),
        ({"rule": "text", "longest": "5000"}, "longest", "at most 4096"),
        ({"rule": "text", "longest": "600", "pattern": "a+"}, "longest", "At most 512"),
        ({"rule": "text", "longest": "80", "pattern": "(?=a)"}, "pattern", ""),
        ({"rule": "number", "least": "1"}, "most", "A number"),
        ({"rule": "number", "most": "1"}, "least", "A number"),
        ({"rule": "number", "least": "1", "most": "inf"}, "most", "A number"),
        ({"rule": "number", "least": "5", "most": "1"}, "least", "in this order"),
        ({"rule": "values", "values": "\n \n"}, "values", "At least one value"),
        ({"rule": "values", "kind": "numbers", "values": "1\ntwo"}, "values", "this line is not: two"),
        ({"rule": "values", "kind": "json", "values": '{"a": 1}'}, "values", "A JSON value a line"),
        ({"rule": "values", "kind": "json", "values": "NaN"}, "values", "A JSON value a line"),
        ({"rule": "values", "kind": "json", "values": "\ud800"}, "values", "A JSON value a line"),
    ],
)  # fmt: skip
def test_a_fault_stands_beside_its_field(typed: dict[str, str], control: str, text: str) -> None:
    """In the row it is in, and nothing is asked for."""
    fine = {"place": "/fine", "rule": "text", "longest": "8"}
    wanted, faults = asking.read({**ASKED, **form(fine, {"place": "/title", **typed})})
    assert (wanted, [*faults]) == (None, [f"bound-2-{control}"])
    assert text in faults[f"bound-2-{control}"]


def test_every_fault_is_told_at_once() -> None:
    """Of the form and of each row; and each under the name of its field."""
    rows = form({"place": "x", "rule": "number"}, {"place": "/a", "rule": "values"})
    wanted, faults = asking.read({**ASKED, "what": "", "uses": "many", "evidence": " ", **rows})
    assert wanted is None
    assert [*faults] == ["what", "uses", "evidence", "bound-1-place", "bound-1-least", "bound-1-most", "bound-2-values"]
    assert [text.partition(":")[0] for _, text in asking.summary(faults)][2:5] == [
        "On what evidence",
        "Bound 1, place in the body",
        "Bound 1, at least",
    ]


def test_a_place_stands_once() -> None:
    """The second row with it is the one to mend; a row in which nothing was typed is none."""
    row = {"place": "/title", "rule": "text", "longest": "8"}
    rows = form(row, {"place": "", "kind": "texts", "rule": ""}, row)
    assert [*asking.read({**ASKED, **rows})[1]] == ["bound-2-place"]


def test_rows_are_added_and_taken_away() -> None:
    """In order; only the one named goes; past the most there is no more."""
    rows = bounding.rows(form(*({"place": f"/{name}"} for name in "abc")))
    assert [row.place for row in bounding.turned(rows, "add")] == ["/a", "/b", "/c", ""]
    assert [row.place for row in bounding.turned(rows, "remove-2")] == ["/a", "/c"]
    assert bounding.turned(rows, "remove-9") == bounding.turned(rows, "x") == rows
    full = (bounding.Row(),) * bounding.MOST
    assert bounding.turned(full, "add") == full


@pytest.mark.parametrize(
    ("said", "controls"),
    [
        ("ttl: at most 8h (registry: grants.max_ttl)", ["ttl"]),
        ("uses, digest: what leaves the house takes one use of one digest", ["uses", "digest"]),
        ("stage: an agent that generates never holds export", ["what"]),
        ("fields, bounds: at most 200", ["fields", "bounds"]),
        ("bounds[2].max_length: a string needs one, at most 4096", ["bound-3-longest"]),
        ("bounds[0]: one of const, enum", ["bound-1-place"]),
        ("agent: not registered", []),
        ("the policy allows this without a grant", []),
        ("no grant lifts this: prohibited", []),
    ],
)
def test_what_the_gate_refuses_stands_beside_what_it_names(said: str, controls: list[str]) -> None:
    """Every member that has a field; the rest is told above."""
    faults = asking.faults_of(Invalid(said))
    assert [*faults] == controls
    assert [control for control, _ in asking.summary(faults)] == controls


_TYPED = st.fixed_dictionaries(
    {},
    optional={  # few choices, so that they meet
        "place": st.sampled_from(["/a", "/b/0", "a", "", "/~2", "/\u2028", "/a "]),
        "rule": st.sampled_from(["text", "number", "values", "x"]),
        "kind": st.sampled_from(["texts", "numbers", "json", "x"]),
        "absent": st.sampled_from(["yes", "no"]),
        **dict.fromkeys(
            ("longest", "least", "most", "values", "pattern"), st.sampled_from(["1", "5", "0.5", "null", "", "1e5", "\x00", "a{9}", "\u0665"])
        ),
    },
)


@given(st.lists(_TYPED, max_size=4))
def test_whatever_is_typed_is_a_fault_or_a_bound_that_holds(typed: list[dict[str, str]]) -> None:
    """Nothing typed is passed over: as many bounds as rows with something in them, each of which the grants' own check takes."""
    rows = bounding.filled(form(*typed))
    made, faults = bounding.read(rows)
    assert len(made) == len(rows)
    if not faults:
        bounds.check(made)
