"""The JSON Schemas of `rego/schemas/` say what the product's own types say."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from jsonschema import Draft202012Validator

from stagewarden.model import Function, Stage, Tier
from stagewarden.registry import RegistryData
from tests.unit.rego.policy import REGO, Compiled, evaluated
from tests.unit.rego.test_properties import noes

SCHEMAS = {path.stem: json.loads(path.read_text()) for path in sorted((REGO / "schemas").glob("*.json"))}
# What Registry.document() adds to the written sections.
ADDED = {"RegistryData": "revision", "PatternTrigger": "needles"}


def plain(node: Any) -> Any:
    """A schema without prose and defaults, in one spelling."""
    if isinstance(node, list):
        return [plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: plain(value) for key, value in node.items() if key not in {"default", "title", "description"} and (key, value) != ("required", [])}
    if kept == {"anyOf": [{"type": "string"}, {"type": "null"}]}:
        return {"type": ["string", "null"]}
    return {"type": "string", **kept, "enum": sorted(kept["enum"])} if "enum" in kept else kept


def test_the_registry_is_the_registry() -> None:
    """registry.json is what msgspec reads, and the two members the document adds."""
    written = plain(SCHEMAS["registry"])
    definitions = written["$defs"]
    definitions.pop("Needles")
    for name, member in ADDED.items():
        definitions[name]["properties"].pop(member)
    assert written == plain(msgspec.json.schema(RegistryData))


@pytest.mark.parametrize(("name", "path", "expected"), [
    ("question", "$.properties.action.properties.stage.enum", [str(stage) for stage in Stage]),
    ("verdict", "$.allOf.0.properties.tier.enum", [str(tier) for tier in Tier]),
    ("verdict", "$.allOf.0.properties.seats.items.properties.functions.items.enum", sorted(get_args(Function))),
], ids=["stages", "tiers", "functions"])  # fmt: skip
def test_words_are_the_models(name: str, path: str, expected: list[str]) -> None:
    """Closed sets are the model's."""
    node: Any = SCHEMAS[name]
    for step in path.split(".")[1:]:
        node = node[int(step)] if isinstance(node, list) else node[step]
    assert node == expected


def test_every_example_fits() -> None:
    """Questions and verdicts of all examples are valid against their schemas; the registry too."""
    for question, registry in noes().values():
        Draft202012Validator(SCHEMAS["question"]).validate(question)
        Draft202012Validator(SCHEMAS["registry"]).validate(registry)
        Draft202012Validator(SCHEMAS["verdict"]).validate(Compiled(registry).verdict(question))


@pytest.mark.parametrize("verdict", [
    {"effect": "hold", "seats": []},
    {"effect": "allow", "seats": [{"functions": ["legal"], "count": 1}]},
    {"tier": "severe"},
    {"obligations": {"settle": "soon"}},
    {"more": 1},
], ids=["hold without seats", "allow with seats", "tier", "settle", "member"])  # fmt: skip
def test_the_verdict_schema_refuses(verdict: dict[str, Any]) -> None:
    """What `decision.verdict` does not understand is not valid either."""
    allowed = Compiled(evaluated("data.stagewarden.testing.registry")).verdict(evaluated("data.stagewarden.testing.drafting({})"))
    validator = Draft202012Validator(SCHEMAS["verdict"])
    assert validator.is_valid(allowed)
    assert not validator.is_valid({**allowed, **verdict})


def test_plain_opa_commands_can_read_the_folder() -> None:
    """`opa test rego` merges every JSON file it finds into one document: no keyword but an object may stand at two roots."""
    keys = [key for schema in SCHEMAS.values() for key, value in schema.items() if not isinstance(value, dict)]
    assert len(keys) == len(set(keys))
