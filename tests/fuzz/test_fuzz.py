"""The kept inputs, and a moment of new ones, through every harness. `python -m tests.fuzz NAME --seconds N` looks longer."""

import random
import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz import form, headers, jwt, opa_reply, stream, strict_json, target, upstream_answer
from tests.fuzz.__main__ import NAMES
from tests.fuzz.corpus import expected, files, known
from tests.fuzz.harness import ACCEPTED, mutated
from tests.fuzz.readers import all_pairs, php_form, pick, whatwg_path

HARNESSES = [module.HARNESS for module in (target, headers, strict_json, form, opa_reply, upstream_answer, jwt, stream)]
EACH = pytest.mark.parametrize("harness", HARNESSES, ids=lambda harness: harness.name)
EXAMPLES = {"stream": 60}
MOST = 500


@EACH
def test_kept_inputs(harness):
    """Each is accepted or refused as it was when it was kept, and nobody reads it differently."""
    kept = files(harness)
    assert kept
    with harness.running() as judge:
        judged = {path.name: judge(path.read_bytes()).startswith(ACCEPTED) for path in kept}
    assert judged == {path.name: expected(path) for path in kept}
    assert set(judged.values()) == {True, False}


@EACH
def test_new_inputs(harness):
    """Grown and mutated ones."""
    with harness.running() as judge:

        @settings(max_examples=EXAMPLES.get(harness.name, MOST), deadline=None, suppress_health_check=list(HealthCheck))
        @given(harness.inputs(known(harness)))
        def look(data):
            judge(data)

        look()


@EACH
def test_a_mutation_is_bytes_of_bounded_size(harness):
    """Whatever the seed: what a long run draws is what Hypothesis draws."""
    for seed in range(50):
        data = mutated(random.Random(seed), known(harness), harness.tokens)
        assert isinstance(data, bytes)
        assert len(data) <= 4096


def test_the_manual_lists_every_harness():
    """tests/README.md, by name; and every one can be run by that name."""
    manual = (Path(__file__).parents[1] / "README.md").read_text().partition("## Fuzzing")[2].partition("## ")[0]
    names = {harness.name for harness in HARNESSES}
    assert set(re.findall(r"^\| `(\w+)` \|", manual, re.MULTILINE)) == names == set(NAMES)


@pytest.mark.parametrize("lying", [b'{"a":1,"a":2}', b'{"a":[{"b":1,"b":"1"}]}', b'{"a":{"b":1,"\\u0062":1.0}}'], ids=repr)
def test_readers_that_disagree_are_found_out(lying):
    """An oracle that cannot fail is none: those who keep the first and the last of a name do not read the same."""
    pairs = all_pairs(lying)
    assert not strict_json.same(pick(pairs, first=True), pick(pairs, first=False))


@pytest.mark.parametrize("path", ["/a/../b", "/a/./b", "/a/%2e%2E/b", "/a\\..\\b", "/a/.."], ids=repr)
def test_normalizers_normalize(path):
    """The browser's view of a path is another one where a path could be meant in two ways."""
    assert whatwg_path(path) != path


@pytest.mark.parametrize("data", [b"a[b]=1", b"a.b=1", b"a=1&a=2", b"a%00b=1"], ids=repr)
def test_php_reads_otherwise(data):
    """PHP's names are not urllib's where we refuse."""
    assert [*php_form(data).items()] != parse_qsl(data.decode(), keep_blank_values=True)
