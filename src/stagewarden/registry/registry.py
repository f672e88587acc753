"""The Registry: its data, its revision, and the few questions asked of it at every request. Frozen; a change is a new one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from stagewarden.config.load import revision
from stagewarden.registry.defaults import needles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.config.yaml_source import Place, Source
    from stagewarden.model import Document
    from stagewarden.registry.shapes import RegistryData


@dataclass(frozen=True, slots=True)
class Registry:
    """`data` as written with every default filled in; `revision` is 16 hex digits of the SHA-256 of its canonical JSON."""

    data: RegistryData
    revision: str
    sources: tuple[Source, ...] = field(default=(), repr=False)
    _by_key: Mapping[str, str] = field(default_factory=dict, repr=False)
    _by_subject: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)
    _by_spiffe: Mapping[str, str] = field(default_factory=dict, repr=False)
    _people: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)
    _humans: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, data: RegistryData, sources: tuple[Source, ...] = ()) -> Registry:
        """With its indexes; `load` has refused identities that two entries share."""
        agents = data.agents.items()
        return cls(
            data,
            revision(msgspec.json.decode(msgspec.json.encode(data))),
            sources,
            {agent.identity.key: name for name, agent in agents if agent.identity.key is not None},
            {(agent.identity.issuer, agent.identity.subject): name for name, agent in agents if agent.identity.issuer and agent.identity.subject},
            {agent.identity.spiffe: name for name, agent in agents if agent.identity.spiffe is not None},
            {(person.identity.issuer, person.identity.subject): name for name, person in data.people.items() if person.identity},
            _humans({name: person.aliases for name, person in data.people.items()}),
        )

    def digest(self) -> str:
        """The whole digest that `revision` begins: what a confirmation of this registry names."""
        plain = msgspec.json.decode(msgspec.json.encode(self.data))
        return "sha256:" + hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def document(self) -> Document:
        """What the policy sees as `data.registry`: a fresh, JSON-shaped copy with `revision`, and what speeds up the shipped patterns."""
        document = msgspec.json.decode(msgspec.json.encode(self.data), type=dict[str, Any])
        trigger = self.data.triggers.legal_or_price
        document["triggers"]["legal_or_price"]["needles"] = needles(trigger.patterns)
        return {**document, "revision": self.revision}

    def agent_by_key(self, key_id: str) -> str | None:
        """The agent registered with this key id."""
        return self._by_key.get(key_id)

    def agent_by_subject(self, issuer: str, subject: str) -> str | None:
        """The agent registered with this issuer's subject."""
        return self._by_subject.get((issuer, subject))

    def agent_by_spiffe(self, spiffe_id: str) -> str | None:
        """The agent registered with this SPIFFE ID."""
        return self._by_spiffe.get(spiffe_id)

    def person_by_identity(self, issuer: str, subject: str) -> str | None:
        """The person registered with this issuer's subject, whether active or left."""
        return self._people.get((issuer, subject))

    def same_human(self, one: str, other: str) -> bool:
        """Whether two ids are one human being, through any chain of aliases."""
        return self._humans.get(one, one) == self._humans.get(other, other)

    def ids_of(self, person: str) -> frozenset[str]:
        """Every id that means this human being."""
        return frozenset({person, *(name for name in self._humans if self.same_human(person, name))})

    def line(self, place: Place) -> tuple[str, int]:
        """File and line where this place is written; the first file, line 0, where it is a default."""
        for source in self.sources:
            if place in source.lines:
                return source.file, source.lines[place]
        return self.line(place[:-1]) if place else (self.sources[0].file if self.sources else "registry", 0)


def _humans(aliases: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Each id → one id for its human being: ids are joined along every alias, whichever side wrote it."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while (up := leader.setdefault(name, name)) != name:
            name = up
        return name

    for name, others in aliases.items():
        for other in others:
            leader[find(other)] = find(name)
    return {name: find(name) for name in tuple(leader)}
