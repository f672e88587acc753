"""The built-ins the host gives are OPA's own, or refuse to answer."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.decision.wasm.builtins import HOST, UNDEFINED, NotFaithful
from stagewarden.decision.wasm.instance import Instance
from stagewarden.decision.wasm.program import Abilities, Program
from stagewarden.errors import PolicyUnavailable
from tests.needs import needs
from tests.unit.decision.policies import rego

CASES: dict[str, list[tuple[str, list[Any]]]] = {
    "sprintf": [
        ("plain", ["a", []]), ("strings", ["%s-%v", ["a", "b"]]), ("numbers", ["%d %v", [1, -7]]), ("percent", ["100%%", []]),
        ("booleans", ["%v %s", [True, False]]), ("large", ["%d", [9007199254740991]]), ("no list", ["%s", "a"]), ("no template", [1, []]),
    ],
    "time.parse_rfc3339_ns": [
        (text, [text]) for text in (
            "2026-11-21T09:00:00Z", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999999999Z", "2026-11-21T09:00:00.5+02:00", "2026-02-29T00:00:00Z",
            "2024-02-29T00:00:00Z", "2026-11-21T9:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T23:59:60Z", "2026-11-21T09:00:00,25Z",
            "2026-11-21T09:00:00.1234567891234Z", "2026-11-21t09:00:00z", "2026-11-21T09:00:00", "2026-11-21 09:00:00Z", "2026-11-21T09:00:00+24:00",
            "2026-11-21T09:00:00+25:00", "2026-11-21T09:00:00-00:60", "2026-11-21T09:00:00+00:61", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
            "1677-09-21T00:12:43Z", "1677-09-21T00:12:44Z", "2262-04-11T23:47:16Z", "2262-04-11T23:47:17Z", "2026-13-01T00:00:00Z",
            "2026-1-01T00:00:00Z",
            " 2026-11-21T09:00:00Z", "2026-11-21T09:00:00Z\n", "", "yesterday", "2026-11-21T09:00:00.Z",
        )
    ] + [("number", [1])],
    "crypto.sha256": [("empty", [""]), ("text", ["abc"]), ("beyond ascii", ["né€𝄞"]), ("number", [1])],
    "strings.any_prefix_match": [
        ("hit", ["abc", "ab"]), ("miss", ["abc", "b"]), ("lists", [["x", "abc"], ["q", "ab"]]), ("empty", [[], ["a"]]), ("none", ["a", []]),
        ("number", ["a", 1]), ("mixed", [["a", 1], ["a"]]),
    ],
    "strings.any_suffix_match": [("hit", ["abc", "bc"]), ("miss", ["abc", "ab"]), ("lists", [["x", "abc"], ["q", "bc"]])],
}  # fmt: skip
ROWS = [pytest.param(name, number, id=f"{name} {title}") for name, rows in CASES.items() for number, (title, _) in enumerate(rows)]


@pytest.fixture(scope="module")
def said_by_opa(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What OPA's own functions make of every case, in one run; what is undefined is missing."""
    folder = tmp_path_factory.mktemp("builtins")
    rules = [
        f'r["{name}"][number] := {name}({", ".join(f"arguments[{at}]" for at in range(len(rows[0][1])))})'
        f' if some number, arguments in input["{name}"]'
        for name, rows in CASES.items()
    ]
    (folder / "rules.rego").write_text("package p\n\n" + "\n\n".join(rules) + "\n")
    (folder / "input.json").write_text(json.dumps({name: {str(n): row[1] for n, row in enumerate(rows)} for name, rows in CASES.items()}))
    command = [needs("opa"), "eval", "--format", "json", "--data", folder / "rules.rego", "--input", folder / "input.json", "data.p.r"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, dict[str, Any]] = json.loads(done.stdout)["result"][0]["expressions"][0]["value"]
    return answer


@pytest.mark.parametrize(("name", "number"), ROWS)
def test_it_is_what_opa_says(name: str, number: int, said_by_opa: dict[str, dict[str, Any]]) -> None:
    """Equal to OPA's value, or undefined where OPA's is."""
    result = HOST[name](*CASES[name][number][1])
    assert result == said_by_opa[name].get(str(number), UNDEFINED)


def test_every_function_has_cases() -> None:
    """No built-in is given that was not compared with OPA's."""
    assert CASES.keys() == HOST.keys()


GOS = {
    "number as text": ["%s", [1]],
    "text as number": ["%d", ["a"]],
    "float": ["%v", [1.5]],
    "null": ["%v", [None]],
    "list": ["%v", [[1]]],
    "boolean as number": ["%d", [True]],
    "width": ["%5d", [1]],
    "too few": ["%s %s", ["a"]],
    "too many": ["%s", ["a", "b"]],
    "open end": ["100%", []],
}


@pytest.mark.parametrize("arguments", GOS.values(), ids=GOS)
def test_what_only_go_knows_to_print_is_not_guessed(arguments: list[Any]) -> None:
    """`sprintf` answers as OPA does, or not at all."""
    with pytest.raises(NotFaithful):
        HOST["sprintf"](*arguments)


ANY = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.lists(st.text(max_size=4) | st.integers(), max_size=3)


@given(st.sampled_from(sorted(set(HOST) - {"sprintf"})), ANY, ANY)
def test_no_argument_breaks_a_function(name: str, one: Any, other: Any) -> None:
    """Whatever a policy hands over, the result is a value or undefined."""
    arguments = [one, other][: len(CASES[name][0][1])]
    HOST[name](*arguments)


def test_a_policy_uses_them_from_inside() -> None:
    """A value goes out to the host and comes back, and a failing built-in is undefined."""
    source = """package stagewarden.main

verdict := {
	"text": sprintf("%s has %d", [input.name, input.count]),
	"at": time.parse_rfc3339_ns("2026-11-21T09:00:00Z"),
	"sum": crypto.sha256(input.name),
	"early": {text | some text in input.times; time.parse_rfc3339_ns(text) < 0},
	"bad": [text | some text in input.times; not time.parse_rfc3339_ns(text)],
	"prefix": strings.any_prefix_match(input.name, {"x", "né"}),
}
"""
    program = Program(rego(source).wasm, 64 << 20)
    abilities = Abilities.read(*Instance(program, Abilities(-1, {}), {}, 1 << 30).describe())
    instance = Instance(program, abilities, {}, 1 << 30)
    name = "né" * 50_000  # longer than any verdict may be
    question = {"name": name, "count": 3, "times": ["1960-01-01T00:00:00Z", "yesterday", "2026-01-01T00:00:00Z"]}
    with pytest.raises(PolicyUnavailable, match="cannot be read"):
        instance.evaluate(json.dumps(question).encode())
    answer = json.loads(instance.evaluate(json.dumps({**question, "name": "né"}, ensure_ascii=False).encode()))
    assert answer == [{
        "result": {
            "text": "né has 3", "at": 1795251600000000000, "sum": HOST["crypto.sha256"]("né"), "early": ["1960-01-01T00:00:00Z"],
            "bad": ["yesterday"],
            "prefix": True,
        }
    }]  # fmt: skip
