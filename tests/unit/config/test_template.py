"""The grammar of `match`, and when one template leaves nothing for another."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagewarden.config import template
from stagewarden.config.units import Misfit


@pytest.mark.parametrize(
    ("match", "parameters"),
    [
        ("GET /", ()),
        ("POST /wp-json/wp/v2/posts", ()),
        ("PATCH /posts/{id}", ("id",)),
        ("DELETE /a/{x}/b/{y_2}", ("x", "y_2")),
        ("PUT /files/{path...}", ("path",)),
        ("GET /trailing/", ()),
        ("POST /v1/messages:batch", ()),
    ],
)
def test_a_template_is_method_and_segments(match, parameters):
    """With its parameters in order."""
    assert template.parse(match).parameters == parameters


@pytest.mark.parametrize(
    "match",
    [
        "",
        "GET",
        "get /a",
        "GET a",
        "GET  /a",
        "GET /a b",
        "CONNECT /a",
        "TRACE /a",
        "FOO /a",
        "GET /a?b=1",
        "GET /a#b",
        "GET /a//b",
        "GET /./a",
        "GET /a/../b",
        "GET /a%2fb",
        "GET /a;b",
        "GET /{a}{b}",
        "GET /x{a}",
        "GET /{}",
        "GET /{1a}",
        "GET /{a...}/b",
        "GET /{a}/{a}",
        "GET /{a..}",
        "GET /é",
        "GET http://h/a",
        "GET /a\n",
    ],
)
def test_what_no_strict_target_could_match_is_refused(match):
    """Such a route would stand there and never be reached."""
    with pytest.raises(Misfit):
        template.parse(match)


@pytest.mark.parametrize(
    ("first", "second", "covers"),
    [
        ("GET /a", "GET /a", True),
        ("GET /a", "POST /a", False),
        ("GET /{x}", "GET /a", True),
        ("GET /a", "GET /{x}", False),
        ("GET /{x}/b", "GET /a/{y}", False),
        ("GET /{x...}", "GET /a/b/c", True),
        ("GET /{x...}", "GET /a/{y...}", True),
        ("GET /a/{x}", "GET /a/{y...}", False),
        ("GET /a/{x...}", "GET /a", False),
        ("GET /a/b", "GET /a", False),
    ],
)
def test_covering(first, second, covers):
    """Everything the second matches, the first matched already."""
    assert template.parse(first).covers(template.parse(second)) is covers


SEGMENT = st.sampled_from(["a", "b", "{x}", "{y}"])
MATCH = st.lists(SEGMENT, min_size=1, max_size=3, unique=True).map(lambda parts: "GET /" + "/".join(parts))


@settings(max_examples=200, deadline=None)
@given(MATCH, MATCH, st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3))
def test_a_covered_template_matches_nothing_new(first, second, segments):
    """Over all small paths."""

    def matches(match: str) -> bool:
        parts = template.parse(match).segments
        return len(parts) == len(segments) and all(part.startswith("{") or part == segment for part, segment in zip(parts, segments, strict=True))

    if template.parse(first).covers(template.parse(second)) and matches(second):
        assert matches(first)
