"""Every rule that gives a reason says its code, owner and controls, and is tested; every file keeps the house's measures."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.rego.policy import REGO, opa

if TYPE_CHECKING:
    from pathlib import Path

DECISIONS = {"allow", "hold", "deny", "broken", "silence", "hurried"}
FRAMEWORKS = {"csf", "airmf", "asi", "nhi", "maestro", "aisvs"}
OWNERS = {"business", "security", "privacy", "technical", "legal"}
EXPORTED = {"allow", "hold", "deny", "seats", "tier"}
FILES = sorted(REGO.rglob("*.rego"))
RULES = [path for path in FILES if not path.name.endswith("_test.rego")]
TOPICS = [path for path in RULES if "rules" in path.parts]


@cache
def parsed(path: Path) -> Any:
    """A module as OPA's parser sees it."""
    return {"rules": [], **opa("parse", "--format", "json", "--json-include", "locations", str(path.relative_to(REGO)))}


def package(module: Any) -> list[str]:
    """`["stagewarden", "rules", …]`."""
    return [part["value"] for part in module["package"]["path"][1:]]


def reasons(module: Any) -> dict[str, Any]:
    """The rules of a module that word a reason, by name: those whose metadata has a code."""
    return {rule["head"]["name"]: rule for rule in module["rules"] if "code" in rule.get("annotations", [{}])[0].get("custom", {})}


def names(term: Any) -> set[str]:
    """Every variable in a term."""
    if isinstance(term, list):
        return {name for each in term for name in names(each)}
    if not isinstance(term, dict):
        return set()
    return ({term["value"]} if term.get("type") == "var" else set()) | names(list(term.values()))


def decisions(path: Path) -> list[tuple[Any, Any]]:
    """Each rule of a file that decides, with the rule that words its reason."""
    module = parsed(path)
    worded = reasons(module)
    deciding = [rule for rule in module["rules"] if rule["head"]["name"] in DECISIONS and rule["head"].get("key")]
    return [(rule, worded.get(next(iter(names(rule["head"]["key"]) & worded.keys()), ""))) for rule in deciding]


def gathers(path: Path) -> bool:
    """`stagewarden.topics` hands on what topics say and words nothing itself."""
    return path.parent.name == "topics"


@pytest.mark.parametrize("path", RULES, ids=lambda path: str(path.relative_to(REGO)))
def test_a_rule_that_gives_a_reason_is_complete(path: Path) -> None:
    """Title, description, code, owner and controls stand above its reason, and a test beside it names the code; no reason goes unused."""
    said = {reason["head"]["name"] for _, reason in decisions(path) if reason is not None}
    assert said == reasons(parsed(path)).keys()
    tests = "".join(test.read_text() for test in path.parent.glob("*_test.rego"))
    for rule, reason in [] if gathers(path) else decisions(path):
        where = f"{path.name}:{rule['location']['row']}"
        assert reason is not None, f"{where} gives a reason that no rule words"
        (notes,) = reason["annotations"]
        assert notes.get("title"), f"{where} has no title"
        assert notes.get("description"), f"{where} has no description"
        custom = notes.get("custom", {})
        assert re.fullmatch(r"[a-z][a-z0-9_]*", custom.get("code", "")), f"{where} has no code"
        assert custom.get("owner") in OWNERS, f"{where} has no owner"
        assert custom.get("controls"), f"{where} names no control"
        assert {control.partition(":")[0] for control in custom["controls"]} <= FRAMEWORKS, f"{where} names an unknown framework"
        assert f'"{custom["code"]}"' in tests, f"{where}: no test beside it names {custom['code']}"


@pytest.mark.parametrize("path", TOPICS, ids=lambda path: str(path.relative_to(REGO)))
def test_a_topic_exports_only_the_five_sets(path: Path) -> None:
    """`allow`, `hold`, `deny`, `seats`, `tier`, each a set; everything else begins with `_`."""
    for rule in parsed(path)["rules"]:
        head = rule["head"]
        name = head["ref"][0]["value"]
        assert name in EXPORTED or name.startswith("_"), name
        assert name.startswith("_") or head.get("key"), f"{name} is not a set"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REGO)))
def test_a_file_keeps_the_measures(path: Path) -> None:
    """Its package is its folder; at most 150 lines, 30 a rule; it opens with what it is for."""
    module = parsed(path)
    name = [re.sub(r"_test$", "", part) for part in package(module)]
    assert name == list(path.parent.relative_to(REGO).parts)
    lines = path.read_text().splitlines()
    assert len(lines) <= 150
    assert lines[0].startswith("# ")
    if path in RULES:
        for start in (rule["location"]["row"] for rule in module["rules"]):
            text = "\n".join(lines[start - 1 :]).partition("\n\n")[0]  # opa fmt keeps rules apart by one blank line
            assert text.count("\n") < 30, f"the rule at {path.name}:{start} is too long"


def test_the_manual_lists_every_code() -> None:
    """The table of codes in the manual is the rules' own: topic, code, effect and title."""
    rows = [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in (REGO / "README.md").read_text().splitlines()]
    said = {tuple(row) for row in rows if len(row) == 4 and row[2] in {"allow", "hold", "deny"}}
    effects = {"broken": "deny", "silence": "deny", "hurried": "hold"}
    written = {
        (package(module)[-1], notes["custom"]["code"], effects.get(name, name), notes["title"])
        for path in RULES
        for module in [parsed(path)]
        for name, notes in [(rule["head"]["name"], reason["annotations"][0]) for rule, reason in decisions(path) if reason]
    }
    assert said == written


def test_one_entrypoint() -> None:
    """`stagewarden/main/verdict` alone."""
    annotations = opa("inspect", "--annotations", "--format", "json", ".")["annotations"]
    marked = [[part["value"] for part in note["path"]] for note in annotations if note["annotations"].get("entrypoint")]
    assert marked == [["data", "stagewarden", "main", "verdict"]]
