"""A small configuration that loads, as plain values, and ways to change one thing in it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import yaml

from stagewarden.config import load
from stagewarden.config.rules import problems as rule_problems
from stagewarden.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from stagewarden.config import Config
    from stagewarden.errors import Problem

SMALL: dict[str, Any] = {
    "version": 1,
    "name": "newsroom",
    "environment": "sandbox",
    "listen": {"agents": {"bind": "127.0.0.1:8080"}, "people": {"bind": "127.0.0.1:8081"}},
    "identity": {"agents": [{"kind": "key", "keys": "file:agent-keys.yaml"}], "people": [{"kind": "password", "users": "file:people.yaml"}]},
    "registry": "registry.yaml",
    "upstreams": {
        "cms": {
            "url": "http://127.0.0.1:9000",
            "mount": "/cms",
            "destination": "site",
            "credentials": {"generate": {"header": "Authorization", "value": "file:secrets/drafter"}},
            "routes": [
                {
                    "match": "POST /posts",
                    "stage": "export",
                    "kind": "post.publish",
                    "body": "json",
                    "facts": {"claims": "/claims"},
                    "cases": [{"when": {"/status": ["draft", None]}, "stage": "generate", "kind": "post.draft"}],
                },
                {
                    "match": "PATCH /posts/{id}",
                    "stage": "export",
                    "kind": "post.change",
                    "body": "json",
                    "lookup": {"get": "/posts/{id}", "state": "/status", "states": {"draft": "draft", "live": "exported"}, "digest": True},
                    "cases": [{"when": {"lookup:/status": "draft"}, "stage": "edit", "kind": "post.edit"}],
                },
            ],
        }
    },
}
REMOVED = object()


def changed(path: str, value: object) -> dict[str, Any]:
    """SMALL with one value set (or REMOVED) at a dotted path; numbers index lists, and a list's length appends."""
    document = copy.deepcopy(SMALL)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = document
    for part in parents:
        place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
    if value is REMOVED:
        del place[last]
    elif isinstance(place, list) and last == len(place):
        place.append(value)
    else:
        place[last] = value
    return document


def written(folder: Path, document: object) -> Path:
    """The document as a file."""
    path = folder / "stagewarden.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def refusals(folder: Path, document: object) -> tuple[Problem, ...]:
    """Why it does not load; () where it does."""
    try:
        load(written(folder, document))
    except ConfigError as error:
        return error.problems
    return ()


def warnings(folder: Path, document: object) -> tuple[Problem, ...]:
    """What loads and should still be read."""
    return rule_problems(load(written(folder, document)))


def loaded(folder: Path, document: object = SMALL) -> Config:
    """The configuration."""
    return load(written(folder, document))
