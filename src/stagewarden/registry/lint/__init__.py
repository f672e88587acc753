"""What a registry may not say, although it is well-formed (governance section 1). Errors must not run; warnings should be read.

Each rule is a function from RegistryData to findings without line; the place is turned into file and line here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.config.yaml_source import dotted
from stagewarden.errors import Problem
from stagewarden.registry.lint import blanks, parties, places, scopes, tiers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stagewarden.registry.lint.finding import Finding
    from stagewarden.registry.registry import Registry

RULES: tuple[Callable[[Registry], Iterator[Finding]], ...] = (
    blanks.blanks,
    blanks.owners,
    parties.known,
    parties.distinct,
    parties.conflicts,
    parties.delegates,
    scopes.stars,
    scopes.fields,
    scopes.stages,
    scopes.actions,
    scopes.delegation,
    scopes.rollback,
    scopes.connectors,
    tiers.seats,
    tiers.settling,
    tiers.triggers,
    tiers.grants,
    tiers.signals,
    places.destinations,
    places.dates,
)


def lint(registry: Registry) -> tuple[Problem, ...]:
    """All findings, in the order of the file."""
    found = []
    for rule in RULES:
        for finding in rule(registry):
            file, line = registry.line(finding.place)
            found.append(Problem(file, line, dotted(finding.place), finding.message, finding.remedy, finding.severity))
    return tuple(sorted(found, key=lambda problem: (problem.file, problem.line)))
