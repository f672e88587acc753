"""`registry.yaml`, or a folder of YAML files, → Registry. Raises ConfigError with every problem of shape, id and identity.

A section may be spread over files; an id may not. What is well-formed but must not run is for lint() to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stagewarden.config import reading, yaml_source
from stagewarden.config.rules.notify import ADDRESS
from stagewarden.config.rules.values import ID, ID_REMEDY
from stagewarden.config.spiffe import trust_domain_of
from stagewarden.errors import ConfigError, Problem
from stagewarden.model import Tier
from stagewarden.registry import shapes
from stagewarden.registry.later import REGISTRY
from stagewarden.registry.registry import Registry
from stagewarden.registry.shapes import RegistryData, TierRule, TierSeat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stagewarden.config.yaml_source import Source

SECTIONS = ("people", "processes", "workflows", "agents", "destinations", "tiers")
WHOLE = ("triggers", "grants", "signals")  # written in one file

# Governance section 3
DEFAULT_TIERS = {
    Tier.LOW: TierRule(),
    Tier.MEDIUM: TierRule(seats=(TierSeat(functions=("reviewer",)),)),
    Tier.HIGH: TierRule(seats=(TierSeat(functions=("manager", "reviewer")), TierSeat(functions=("compliance", "legal", "reviewer")))),
}


def load(path: Path) -> Registry:
    """Read, merge and freeze; raises ConfigError with all problems."""
    sources = _sources(path)
    parts: list[RegistryData] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            parts.append(reading.build(source, RegistryData, REGISTRY))
        except ConfigError as error:
            problems += error.problems
    problems += _twice(sources)
    if not problems and not any(getattr(part, section) for part in parts for section in SECTIONS):
        problems.append(sources[0].problem((), "is blank: nobody and nothing is registered", "start from `stagewarden init DIR`"))
    if problems:
        raise ConfigError(tuple(problems))
    registry = Registry.of(_merge(parts, sources), sources)
    problems += [*_ids(registry), *_identities(registry)]
    if problems:
        raise ConfigError(tuple(problems))
    return registry


def _sources(path: Path) -> tuple[Source, ...]:
    if not path.is_dir():
        return (yaml_source.read(path),)
    files = sorted(each for each in path.iterdir() if each.suffix in {".yaml", ".yml"} and not each.name.startswith("."))
    if not files:
        raise ConfigError((Problem(str(path), 0, "", "is a folder without YAML files", "put at least one .yaml file there"),))
    return tuple([yaml_source.read(each) for each in files])


def _twice(sources: tuple[Source, ...]) -> Iterator[Problem]:
    """An id, or one of the sections without ids, written in two files."""
    seen: dict[yaml_source.Place, Source] = {}
    for source in sources:
        document = source.document if isinstance(source.document, dict) else {}
        for section, entries in document.items():
            names = [section] if section in WHOLE else [*entries] if section in SECTIONS and isinstance(entries, dict) else []
            for name in names:
                place = (section,) if section in WHOLE else (section, name)
                first = seen.setdefault(place, source)
                if first is not source:
                    where = f"{first.file}:{first.line(place)}"
                    yield source.problem(place, f"is already written in {where}", "keep one of the two")


def _merge(parts: list[RegistryData], sources: tuple[Source, ...]) -> RegistryData:
    sections = {name: {key: value for part in parts for key, value in getattr(part, name).items()} for name in SECTIONS}
    triggers = next((part.triggers for part, source in zip(parts, sources, strict=True) if ("triggers",) in source.lines), shapes.Triggers())
    grants = next((part.grants for part, source in zip(parts, sources, strict=True) if ("grants",) in source.lines), shapes.GrantRule())
    signals = next((part.signals for part, source in zip(parts, sources, strict=True) if ("signals",) in source.lines), shapes.SignalRule())
    merged = RegistryData(**sections, triggers=triggers, grants=grants, signals=signals)
    return msgspec.structs.replace(merged, tiers={tier: _tier(merged.tiers.get(tier), rule, tier, sources) for tier, rule in DEFAULT_TIERS.items()})


def _tier(written: TierRule | None, shipped: TierRule, tier: Tier, sources: tuple[Source, ...]) -> TierRule:
    """A tier that does not say who is asked asks for whom it ships with."""
    if written is None or any(("tiers", tier.value, "seats") in source.lines for source in sources):
        return written or shipped
    return msgspec.structs.replace(written, seats=shipped.seats)


def _problem(registry: Registry, place: yaml_source.Place, message: str, remedy: str) -> Problem:
    file, line = registry.line(place)
    return Problem(file, line, yaml_source.dotted(place), message, remedy)


def _ids(registry: Registry) -> Iterator[Problem]:
    for section in SECTIONS[:-1]:
        for name in getattr(registry.data, section):
            if not ID.fullmatch(name):
                yield _problem(registry, (section, name), "is not an id", ID_REMEDY)


def _identities(registry: Registry) -> Iterator[Problem]:
    """Each agent has exactly one kind of identity, and no two entries share one: a sign-in means one entry or nobody."""
    seen: dict[tuple[str, ...], str] = {}
    for name, agent in registry.data.agents.items():
        identity, place = agent.identity, ("agents", name, "identity")
        mark = _mark(identity)
        if mark is None:
            yield _problem(registry, place, "is neither `{key: ID}`, `{issuer, subject}` nor `{spiffe: ID}`", "write exactly one of the three")
            continue
        if identity.spiffe is not None:
            try:
                trust_domain_of(identity.spiffe)
            except ValueError as error:
                yield _problem(registry, (*place, "spiffe"), f"is not a SPIFFE ID: {error}", "write spiffe://TRUST_DOMAIN/PATH")
        if mark in seen:
            yield _problem(registry, place, f"is the identity of agent `{seen[mark]}` too", "give each agent an identity of its own")
        seen.setdefault(mark, name)
    yield from _people(registry)


def _mark(identity: shapes.AgentIdentity) -> tuple[str, ...] | None:
    """What no other agent may have; None where it is not exactly one kind of identity, or half of one."""
    kinds = {"key": (identity.key,), "subject": (identity.issuer, identity.subject), "spiffe": (identity.spiffe,)}
    said = {kind: parts for kind, parts in kinds.items() if any(part is not None for part in parts)}
    if len(said) != 1:
        return None
    ((kind, parts),) = said.items()
    whole = [part for part in parts if part is not None]
    return (kind, *whole) if len(whole) == len(parts) else None


def _people(registry: Registry) -> Iterator[Problem]:
    people: dict[tuple[str, str], str] = {}
    for name, person in registry.data.people.items():
        if person.email is not None and not ADDRESS.fullmatch(person.email):
            yield _problem(registry, ("people", name, "email"), "is not an e-mail address", "write the address alone, as in rita@example.org")
        if person.identity is None:
            continue
        pair_of = (person.identity.issuer, person.identity.subject)
        if pair_of in people:
            remedy = "one sign-in is one person; other ids of the same human being are `aliases`"
            yield _problem(registry, ("people", name, "identity"), f"is the identity of person `{people[pair_of]}` too", remedy)
        people.setdefault(pair_of, name)
