"""What agents and workflows may touch: named one by one, never everything, never both ends of a publish."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stagewarden.config.rules.routes import KIND
from stagewarden.model import Stage, Tier
from stagewarden.registry.lint.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.config.yaml_source import Place
    from stagewarden.registry.registry import Registry

_FIELD = re.compile(r"[^/~*\x00-\x1f]{1,200}|(?:/(?:[^/~\x00-\x1f]|~[01]){1,200}){1,20}")  # as wire/reduced.py takes it
_FIELD_REMEDY = "write a member's name, as in title, or a pointer, as in /author/name"
CLASSES = ("allowed", "restricted", "prohibited")


def stars(registry: Registry) -> Iterator[Finding]:
    """`*` grants what nobody has thought of (#31)."""
    lists: list[tuple[Place, tuple[str, ...]]] = []
    for name, workflow in registry.data.workflows.items():
        place: Place = ("workflows", name)
        lists += [
            ((*place, "scope", "fields", "read"), workflow.scope.fields.read),
            ((*place, "scope", "fields", "write"), workflow.scope.fields.write),
        ]
        lists += [((*place, "actions", key), getattr(workflow.actions, key)) for key in CLASSES] + [((*place, "initiators"), workflow.initiators)]
    for name, agent in registry.data.agents.items():
        lists += [(("agents", name, key), getattr(agent, key)) for key in ("workflows", "connectors")]
    for place, values in lists:
        for index, value in enumerate(values):
            if "*" in value:
                yield Finding((*place, index), f"`{value}` is a wildcard", "list what is meant, one by one")


def fields(registry: Registry) -> Iterator[Finding]:
    """What may be read of an answer is a member's name or a JSON pointer; anything else would be a bound that nobody understands."""
    for name, workflow in registry.data.workflows.items():
        for index, field in enumerate(workflow.scope.fields.read):
            if field.strip() and "*" not in field and not _FIELD.fullmatch(field):
                yield Finding(("workflows", name, "scope", "fields", "read", index), f"`{field}` is neither a name nor a JSON pointer", _FIELD_REMEDY)


def stages(registry: Registry) -> Iterator[Finding]:
    """Who writes never holds the authority to publish (#18); the sidecar sends what people approved."""
    for name, agent in registry.data.agents.items():
        if {Stage.GENERATE, Stage.EXPORT} <= set(agent.stages):
            remedy = "remove export: what this agent asks to publish is held, and sent by the sidecar once people approve"
            yield Finding(("agents", name, "stages"), "holds both generate and export", remedy)


def actions(registry: Registry) -> Iterator[Finding]:
    """A kind has one class, and is written as routes write it."""
    for name, workflow in registry.data.workflows.items():
        seen: dict[str, str] = {}
        for key in CLASSES:
            for index, kind in enumerate(getattr(workflow.actions, key)):
                place: Place = ("workflows", name, "actions", key, index)
                if "*" not in kind and kind.strip() and not KIND.fullmatch(kind):
                    yield Finding(place, f"`{kind}` is not a kind", "use words of a-z, 0-9 joined by `.`, `_` or `-`, as in post.publish")
                if kind in seen:
                    yield Finding(place, f"`{kind}` is already {seen[kind]}", "keep it in one class")
                seen.setdefault(kind, key)


def delegation(registry: Registry) -> Iterator[Finding]:
    """Whoever acts with a person's rights may only read (#12)."""
    for name, workflow in registry.data.workflows.items():
        if workflow.delegation == "inherit" and (workflow.scope.fields.write or workflow.scope.classes.write):
            yield Finding(("workflows", name, "delegation"), "is inherit, and the scope writes", "use service_account or jit, or remove the writes")


def rollback(registry: Registry) -> Iterator[Finding]:
    """What cannot be undone and reaches outsiders is high; what can be undone says how, and by whom (#109)."""
    for name, workflow in registry.data.workflows.items():
        place: Place = ("workflows", name, "rollback")
        if workflow.rollback.kind == "none":
            if workflow.risk.external_impact != "low" and workflow.risk.approval_level != Tier.HIGH:
                yield Finding(
                    (*place, "kind"), "is none on an external workflow below tier high", "set risk.approval_level: high, or find a way back"
                )
            continue
        if not workflow.rollback.steps.strip():
            yield Finding(place, "says no steps", "add `steps:`: what somebody does at three in the morning", "warning")
        if workflow.rollback.owner is None:
            yield Finding(place, "names no owner", "add `owner: PERSON`", "warning")


def connectors(registry: Registry) -> Iterator[Finding]:
    """Rights = agent ∩ connector ∩ workflow; without connectors the middle would be ignored."""
    for name, agent in registry.data.agents.items():
        if agent.connectors:
            yield Finding(("agents", name, "connectors"), "is not in this release: connectors", "remove the key; its workflows say what it may do")
