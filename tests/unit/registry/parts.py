"""A small registry that loads without a finding, as plain values."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import yaml

from stagewarden import registry as registries
from stagewarden.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from stagewarden.errors import Problem
    from stagewarden.registry import Registry

RISK = {
    "data_sensitivity": "low",
    "external_impact": "medium",
    "regulatory_exposure": "low",
    "rollback_difficulty": "low",
    "approval_level": "medium",
}
SMALL: dict[str, Any] = {
    "people": {
        "alice": {"functions": ["business"]},
        "bob": {"functions": ["reviewer"]},
        "carol": {"functions": ["manager", "reviewer"], "identity": {"issuer": "https://idp.example", "subject": "c-1"}},
        "dave": {"functions": ["legal"]},
        "erin": {"functions": ["security", "technical"]},
        "frank": {"functions": ["privacy"]},
        "greta": {"functions": ["legal"], "active": False},
    },
    "processes": {"editorial": {"summary": "Articles", "control_owner": "alice"}},
    "workflows": {
        "newsletter": {
            "summary": "An agent drafts.",
            "process": "editorial",
            "owners": {"business": "alice", "security": "erin", "privacy": "frank", "technical": "erin"},
            "risk": RISK,
            "purpose": "inform readers",
            "actions": {"allowed": ["post.draft", "post.edit"], "restricted": ["post.publish", "post.change"], "prohibited": ["post.delete"]},
            "rollback": {"kind": "restore", "steps": "back to draft", "owner": "erin", "tested_at": "2026-11-01"},
            "approved": [{"function": "business", "person": "greta", "at": "2026-01-31"}],
        }
    },
    "agents": {
        "drafter": {
            "identity": {"key": "drafter"},
            "owners": {"human": "alice", "business": "alice", "technical": "erin"},
            "stages": ["generate", "edit"],
            "workflows": ["newsletter"],
        }
    },
    "destinations": {
        "site": {
            "channel": "public",
            "capabilities": {"retention": True, "approval": True, "revoke": True, "rollback": True},
            "attested": {"at": "2026-11-01", "by": "erin"},
        }
    },
}
REMOVED = object()


def changed(*changes: tuple[str, object]) -> dict[str, Any]:
    """SMALL with values set (or REMOVED) at `/`-separated paths."""
    document = copy.deepcopy(SMALL)
    for path, value in changes:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
        place: Any = document
        for part in parents:
            place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
        if value is REMOVED:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = copy.deepcopy(value)
    return document


def loaded(folder: Path, document: object = SMALL) -> Registry:
    """The registry."""
    path = folder / "registry.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return registries.load(path)


def refusals(folder: Path, document: object) -> tuple[Problem, ...]:
    """Why it does not load; () where it does."""
    try:
        loaded(folder, document)
    except ConfigError as error:
        return error.problems
    return ()
