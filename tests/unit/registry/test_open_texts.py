"""Where a registry takes markup: in the texts that the battery of hostile pages (tests/e2e/hostile.py) poisons, and nowhere else.

Agents, workflows, people, upstreams and destinations are ids of a-z, 0-9, `.`, `_` and `-`: no character of them means anything to HTML, a URL's
path or a script. Found by trying: the same hostile text in every place of a registry that has everything.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from stagewarden.config.rules.values import ID
from stagewarden.registry.lint import lint
from tests.e2e.hostile import OPEN
from tests.unit.registry.parts import SMALL, changed, loaded, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = '<img src=x onerror="hit()">'
DRAFTER = SMALL["agents"]["drafter"]
WHOLE = changed(
    ("people/bob", {"functions": ["reviewer"], "name": "Bob", "aliases": ["b"], "group": "g", "delegate": "carol", "email": "b@example.org"}),
    ("people/bob/conflicts", ["agent:drafter"]),
    ("processes/editorial/review_cycle", "yearly"),
    ("workflows/newsletter/rollback/rto", "10m"),
    ("workflows/newsletter/initiators", ["alice"]),
    ("workflows/newsletter/scope", {"fields": {"read": ["title"], "write": ["title"]}, "classes": {"read": ["contact"], "write": ["contact"]}}),
    ("workflows/newsletter/approved/0/evidence", "CRM-1"),
    ("workflows/newsletter/second_person", ["fast"]),
    ("agents/drafter/owners/service_account", "svc"),
    ("agents/second", DRAFTER | {"identity": {"issuer": "https://issuer.example", "subject": "second"}}),
    ("agents/third", DRAFTER | {"identity": {"spiffe": "spiffe://example.org/third"}}),
    ("tiers", {"high": {"seats": [{"functions": ["legal"], "count": 2}], "settle": "5m"}}),
    ("triggers", {"legal_or_price": {"patterns": ["price"], "tier": "high"}}),
    ("grants", {"max_ttl": "8h"}),
    ("signals", {"window": "30d"}),
)
MAPS = {"people", "processes", "workflows", "agents", "destinations"}


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Every name and every text, by its path; whether it is a name."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield (*at, name), True
            yield from places(each, (*at, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from places(each, (*at, index))
    elif isinstance(value, str):
        yield at, False


def hostile(at: tuple[Any, ...], *, name: bool) -> Any:
    """WHOLE with it in one place."""
    document = copy.deepcopy(WHOLE)
    *parents, last = at
    within: Any = document
    for part in parents:
        within = within[part]
    within[HOSTILE if name else last] = within.pop(last) if name else HOSTILE
    return document


def admitted(folder: Path, document: object) -> bool:
    """Whether a house starts with it."""
    return not refusals(folder, document) and not [found for found in lint(loaded(folder, document)) if found.severity == "error"]


def starred(at: tuple[Any, ...]) -> str:
    """A path as OPEN has it."""
    return "/".join("*" if isinstance(part, int) or (index == 1 and at[0] in MAPS) else part for index, part in enumerate(at))


def test_the_battery_poisons_every_text_of_a_registry_that_may_say_anything(tmp_path):
    """No more and no less: a place that is opened later is found here before it is shown unpoisoned."""
    assert admitted(tmp_path, WHOLE)
    found = {(starred(at), name) for at, name in places(WHOLE) if admitted(tmp_path, hostile(at, name=name))}
    assert found == {(place, False) for place in OPEN}


@pytest.mark.parametrize("char", "<>&\"'`=/\\ %#?:;(){}[]$\u202e\u200b\u00e9\n\0")
def test_no_id_carries_what_means_something_elsewhere(char):
    """At its beginning, inside it, at its end."""
    assert [text for text in (f"{char}a", f"a{char}b", f"a{char}") if ID.fullmatch(text)] == []
