"""Strict YAML: what is written is what is meant, and every finding knows its line."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stagewarden.config import yaml_source
from stagewarden.errors import ConfigError

REFUSED = {
    "duplicate_key": ("a: 1\nb: 2\na: 3\n", 3, "a", "twice"),
    "duplicate_key_quoted": ('a: 1\n"a": 2\n', 2, "a", "twice"),
    "duplicate_key_deep": ("a:\n  - {x: 1, x: 2}\n", 2, "a[0].x", "twice"),
    "anchor": ("a: &x 1\n", 1, "a", "anchor"),
    "anchor_on_mapping": ("a: &x {b: 1}\n", 1, "a", "anchor"),
    "anchor_on_key": ("&x a: 1\n", 1, "a", "anchor"),
    "alias": ("a: &x 1\nb: *x\n", 2, "b", "alias"),
    "billion_laughs": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", 3, "c[0]", "alias"),
    "merge_key": ("a:\n  <<: {b: 1}\n", 2, 'a["<<"]', "merge key"),
    "standard_tag": ("a: !!str 1\n", 1, "a", "tag"),
    "python_tag": ("a: !!python/object/apply:os.system ['true']\n", 1, "a", "tag"),
    "local_tag": ("a: !secret x\n", 1, "a", "tag"),
    "non_specific_tag": ("a: ! x\n", 1, "a", "tag"),
    "second_document": ("a: 1\n---\nb: 2\n", 2, "", "second document"),
    "list_as_key": ("? [1, 2]\n: 3\n", 1, "", "plain text"),
    "alias_as_key": ("a: &x b\n*x : 1\n", 2, "", "plain text"),
    "unclosed": ("a: [1\n", 2, "", "not YAML"),
    "tab_indent": ("a:\n\tb: 1\n", 2, "", "not YAML"),
}


def refused(text: str | bytes) -> tuple[yaml_source.Problem, ...]:
    """The problems of a text that must not load."""
    with pytest.raises(ConfigError) as caught:
        yaml_source.parse(text.encode() if isinstance(text, str) else text, "f.yaml")
    return caught.value.problems


@pytest.mark.parametrize(("text", "line", "key", "message"), REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_refused_with_its_line(text, line, key, message):
    """Each refusal names the file, the line, the key and what is wrong."""
    assert any(found.file == "f.yaml" and found.line == line and found.key == key and message in found.message for found in refused(text))


@pytest.mark.parametrize(
    "data",
    [b"a: \xff\n", b"a: \x01\n", b'a: "\\ud800"\n' + b"x" * yaml_source.MAX_BYTES, b"[" * 100 + b"]" * 100],
    ids=["not_utf8", "control", "too_large", "too_deep"],
)
def test_what_is_no_text_too_large_or_too_deep_is_refused(data):
    """Limits hold before anything is built."""
    assert refused(data)


def test_all_problems_are_reported():
    """Not only the first."""
    assert len(refused("a: &x 1\na: *x\nb: !y 1\n")) == 4


def test_no_message_quotes_the_file():
    """A broken file may hold a secret."""
    assert "hunter2" not in str(refused("password: hunter2\nb: [hunter2\n"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("NO", "NO"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("2026-11-21", "2026-11-21"),
        ("0600", 600),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("127.0.0.1", "127.0.0.1"),
        ("1.5", 1.5),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("9" * 19, "9" * 19),
        ("1" * 60 + "e123", "1" * 60 + "e123"),
        ("1e3", 1000.0),
        ("|\n  1\n", "1\n"),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text, value):
    """No sexagesimals, octals, dates or Norwegian surprises; a quoted scalar is text."""
    source = yaml_source.parse(f"a: {text}\n".encode(), "f")
    assert source.document == {"a": value}
    assert type(source.document["a"]) is type(value)


def test_every_place_has_its_line():
    """Of keys, of list elements, and of the nearest ancestor where nothing is written."""
    source = yaml_source.parse(b"a:\n  b:\n    - 1\n    - c: 2\n", "f")
    assert [source.line(place) for place in [("a",), ("a", "b"), ("a", "b", 0), ("a", "b", 1, "c"), ("a", "b", 1, "missing"), ("x",)]] == [
        1,
        2,
        3,
        4,
        4,
        1,
    ]


def test_a_place_reads_as_people_write_it():
    """Dots for keys, brackets for numbers and for keys that hold a dot or a slash."""
    assert yaml_source.dotted(("upstreams", "cms", "routes", 2, "cases", 0, "when", "/status")) == 'upstreams.cms.routes[2].cases[0].when["/status"]'


def test_a_missing_file_is_named(tmp_path):
    """The message names the path and what the system said."""
    with pytest.raises(ConfigError) as caught:
        yaml_source.read(tmp_path / "nothing.yaml")
    assert "nothing.yaml" in str(caught.value)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(PLAIN)
@example("0E0")
def test_what_was_written_is_what_is_read(value):
    """Whatever PyYAML writes without aliases is read back; strings in quotes, for it writes YAML 1.1, in which `0E0` needs none."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    Plain.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))
    text = yaml.dump(value, Dumper=Plain, allow_unicode=True)
    assert yaml_source.parse(text.encode(), "f").document == value


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.text("ab:-&*!<>[]{}?'\"| \n", max_size=40))
def test_any_text_is_read_or_refused(text):
    """Nothing but ConfigError comes out."""
    with contextlib.suppress(ConfigError):
        yaml_source.parse(text.encode("utf-8", "surrogatepass"), "f")
