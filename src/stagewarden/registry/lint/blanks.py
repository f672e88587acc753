"""Blanks: a required text that says nothing, a list that grants nothing, an owner nobody is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stagewarden.model import Tier
from stagewarden.registry.lint.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.config.yaml_source import Place
    from stagewarden.registry.registry import Registry

MAX_SUMMARY = 600  # governance #61: one page a person reads


def blanks(registry: Registry) -> Iterator[Finding]:
    """Required texts are not blank; an agent has stages and workflows, a workflow has actions and a summary one can read."""
    data = registry.data
    for section in ("people", "processes", "workflows", "agents", "destinations"):
        for name, entry in getattr(data, section).items():
            yield from _texts(entry, (section, name))
    for name, agent in data.agents.items():
        for key in ("stages", "workflows"):
            if not getattr(agent, key):
                yield Finding(("agents", name, key), "is blank", "an agent without it may do nothing: name at least one")
    for name, workflow in data.workflows.items():
        if not (workflow.actions.allowed or workflow.actions.restricted):
            yield Finding(("workflows", name, "actions"), "is blank: every kind would be prohibited", "list kinds under allowed or restricted")
        if len(workflow.summary) > MAX_SUMMARY:
            yield Finding(
                ("workflows", name, "summary"), f"is longer than {MAX_SUMMARY} characters", "say what it does and for whom; the rest stands elsewhere"
            )


def _texts(entry: msgspec.Struct, place: Place) -> Iterator[Finding]:
    """Every required text, at any depth; an optional one may be left out."""
    for field in msgspec.structs.fields(type(entry)):
        value = getattr(entry, field.name)
        inner = (*place, field.encode_name)
        if isinstance(value, msgspec.Struct):
            yield from _texts(value, inner)
        elif isinstance(value, str) and not value.strip() and (field.required or field.default is None):
            yield Finding(inner, "is blank", "fill it in")
        elif isinstance(value, tuple):
            for index, each in enumerate(value):
                if isinstance(each, msgspec.Struct):
                    yield from _texts(each, (*inner, index))
                elif isinstance(each, str) and not each.strip():
                    yield Finding((*inner, index), "is blank", "fill it in, or remove it")


def owners(registry: Registry) -> Iterator[Finding]:
    """A workflow has a business owner; a high one all three functions (#3), the others should have them."""
    for name, workflow in registry.data.workflows.items():
        high = workflow.risk.approval_level == Tier.HIGH
        for seat in ("business", "security", "privacy", "technical"):
            if getattr(workflow.owners, seat) is None:
                needed = seat == "business" or (high and seat != "technical")
                place: Place = ("workflows", name, "owners")
                yield Finding(place, f"names no {seat} owner", f"add `{seat}: PERSON`", "error" if needed else "warning")
        if not workflow.approved:
            remedy = "add `approved: [{function, person, at}]`"
            yield Finding(("workflows", name), "says nobody approved its scope; rulings record not_recorded", remedy, "warning")
