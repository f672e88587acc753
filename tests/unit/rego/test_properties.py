"""What holds for every question (governance section 4, end), tried on the compiled policy for every no of `properties_test.rego`."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tests.unit.rego.policy import Compiled, evaluated

if TYPE_CHECKING:
    from collections.abc import Iterator

WRONG: tuple[Any, ...] = (None, True, 7, "x", ["x"], {"x": 1})
REMOVED = object()
# The request's own content and what the agent says are not fields of ours: other content is another question.
FREE = (("asserted",), ("facts", "recipients"), ("request", "body"))
ASSERTED: tuple[Any, ...] = ({}, {"confidence": 1}, {"claims": []}, {"claims": ["best"]}, {"approved": True, "effect": "allow", "tier": "low"})


def noes() -> dict[str, Any]:
    """Name → question and registry of each example that is not allowed."""
    query = "{name: [q, data.stagewarden.testing.registering(c)] | some name, [q, c] in data.stagewarden.main_test.noes}"
    found: dict[str, Any] = evaluated(query)
    return found


def fields(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all fields of ours."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in below:
        here = (*path, key)
        if isinstance(key, str):
            yield here
        if here not in FREE:
            yield from fields(inner, here)


def changed(question: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """The question with one field removed or replaced."""
    copy = deepcopy(question)
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    if value is REMOVED:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return copy


def test_these_are_noes_and_the_engines_agree() -> None:
    """OPA and the compiled policy give the same verdict for every example."""
    query = (
        "{name: v | some name, [q, c] in data.stagewarden.main_test.noes;"
        " v := data.stagewarden.main.verdict with input as q with data.registry as data.stagewarden.testing.registering(c)}"
    )
    compiled = {name: Compiled(registry).verdict(question) for name, (question, registry) in noes().items()}
    assert compiled == evaluated(query)
    assert {verdict["effect"] for verdict in compiled.values()} == {"hold", "deny"}


def test_no_field_missing_null_or_of_a_wrong_type_loosens() -> None:
    """Removing any one field, giving it a wrong type or null never turns a no into a yes."""
    loosened: list[Any] = []
    for name, (question, registry) in noes().items():
        policy = Compiled(registry)
        for path in fields(question):
            value: Any = question
            for key in path:
                value = value[key]
            wrongs = (REMOVED, *(each for each in WRONG if type(each) is not type(value)))
            loosened += [(name, path, wrong) for wrong in wrongs if policy.verdict(changed(question, path, wrong))["effect"] == "allow"]
    assert loosened == []


def test_nothing_asserted_loosens() -> None:
    """What the agent says about itself only makes things stricter (law 5)."""
    rank = {"allow": 0, "hold": 1, "deny": 2}
    for name, (question, registry) in noes().items():
        policy = Compiled(registry)
        before = policy.verdict({**question, "asserted": {}})["effect"]
        for asserted in ASSERTED:
            assert rank[policy.verdict({**question, "asserted": asserted})["effect"]] >= rank[before], (name, asserted)


def test_a_cacheable_verdict_is_the_same_at_any_time() -> None:
    """Whatever is marked cacheable did not read the clock: no other time changes one byte of it, in any example or with any one field changed."""
    drafts = {name: evaluated(f"data.stagewarden.testing.{name}({{}})") for name in ("drafting", "queueing", "sharing")}
    registry = evaluated("data.stagewarden.testing.registry")
    examples = {**noes(), **{name: (question, registry) for name, question in drafts.items()}}
    cacheable = 0
    for name, (question, registry) in examples.items():
        policy = Compiled(registry)
        for path in [(), *fields(question)]:
            asked = changed(question, path, "x") if path else question
            verdict = policy.verdict(asked)
            if verdict["cacheable"]:
                cacheable += 1
                assert (verdict["effect"], verdict["seats"]) == ("allow", []), (name, path)
                for time, time_ns in (("1970-01-01T00:00:00Z", 0), ("2027-12-31T23:59:59Z", 1 << 60), ("9999-12-31T23:59:59Z", 1 << 62)):
                    assert policy.verdict({**asked, "time": time, "time_ns": time_ns}) == verdict, (name, path)
    assert cacheable > len(drafts)


def test_an_agent_taken_out_of_the_registry_is_denied() -> None:
    """The compiled policy reads the registry it is given, not one it was built with."""
    question = evaluated("data.stagewarden.testing.drafting({})")
    registry = evaluated("data.stagewarden.testing.registry")
    assert Compiled(registry).verdict(question)["effect"] == "allow"
    assert Compiled({**registry, "agents": {}}).verdict(question)["effect"] == "deny"
    assert Compiled({"revision": registry["revision"]}).verdict(question)["effect"] == "deny"
