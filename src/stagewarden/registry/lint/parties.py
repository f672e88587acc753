"""People: everybody who is named exists and is still here, and those who must be different people are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.model import Tier
from stagewarden.registry.lint.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.config.yaml_source import Place
    from stagewarden.registry.registry import Registry
    from stagewarden.registry.shapes import AgentOwners, Owners, RegistryData, Rollback

THREE = ("business", "security", "privacy")


def known(registry: Registry) -> Iterator[Finding]:
    """Unknown people, and people who left: an owner who is not there answers for nothing (#2)."""
    people = registry.data.people
    for place, person, may_have_left in _named(registry.data):
        if person not in people:
            yield Finding(place, f"names `{person}`, who is not among the people", "add them to `people`, or name somebody who is there")
        elif not (people[person].active or may_have_left):
            yield Finding(place, f"names `{person}`, who has left", "name somebody who is here")
    for name, agent in registry.data.agents.items():
        for index, workflow in enumerate(agent.workflows):
            if workflow not in registry.data.workflows and "*" not in workflow:
                yield Finding(("agents", name, "workflows", index), f"names the unknown workflow `{workflow}`", "add it to `workflows`, or remove it")
    for name, workflow_entry in registry.data.workflows.items():
        if workflow_entry.process not in registry.data.processes:
            place = ("workflows", name, "process")
            yield Finding(
                place, f"names the unknown process `{workflow_entry.process}`", "add it to `processes`: the same one people follow without an agent"
            )


def delegates(registry: Registry) -> Iterator[Finding]:
    """A delegate stands by in the same function, which they hold themselves: declaring one gives nobody a right (C2.9, lifecycles "Who may vote")."""
    people = registry.data.people
    for name, person in people.items():
        if person.delegate is None or person.delegate not in people:
            continue
        place: Place = ("people", name, "delegate")
        lacking = sorted(set(person.functions) - set(people[person.delegate].functions))
        if registry.same_human(name, person.delegate):
            yield Finding(place, f"names `{person.delegate}`, who is the same human being", "name somebody else")
        elif len(lacking) == len(set(person.functions)):
            remedy = "name somebody who holds one: nobody votes in a function of another's"
            yield Finding(place, f"names `{person.delegate}`, who holds none of these functions", remedy)
        elif lacking:
            message = f"names `{person.delegate}`, who does not hold {', '.join(lacking)}: nobody stands by there"
            yield Finding(place, message, "name somebody who holds all of them", "warning")


def _named(data: RegistryData) -> Iterator[tuple[Place, str, bool]]:
    """(place, person, may have left) of every mention; who vouched or approved long ago may have left since."""
    for name, person in data.people.items():
        if person.delegate is not None:
            yield ("people", name, "delegate"), person.delegate, False
    for name, process in data.processes.items():
        yield ("processes", name, "control_owner"), process.control_owner, False
    for name, workflow in data.workflows.items():
        place: Place = ("workflows", name)
        yield from _seats(workflow.owners, ("business", "security", "privacy", "technical"), (*place, "owners"))
        yield from _seats(workflow.rollback, ("owner",), (*place, "rollback"))
        yield from (((*place, "initiators", index), initiator, False) for index, initiator in enumerate(workflow.initiators))
        yield from (((*place, "approved", index, "person"), approval.person, True) for index, approval in enumerate(workflow.approved))
    for name, agent in data.agents.items():
        yield from _seats(agent.owners, ("human", "business", "technical"), ("agents", name, "owners"))
    for name, destination in data.destinations.items():
        if destination.attested is not None:
            yield ("destinations", name, "attested", "by"), destination.attested.by, True


def _seats(entry: Owners | AgentOwners | Rollback, seats: tuple[str, ...], place: Place) -> Iterator[tuple[Place, str, bool]]:
    for seat in seats:
        person: str | None = getattr(entry, seat)
        if person is not None:
            yield (*place, seat), person, False


def distinct(registry: Registry) -> Iterator[Finding]:
    """Three functions, three people, where the risk is high (#3): drafting goes on, export is denied (`owners_not_distinct`)."""
    for name, workflow in registry.data.workflows.items():
        if workflow.risk.approval_level != Tier.HIGH:
            continue
        held = [(seat, getattr(workflow.owners, seat)) for seat in THREE if getattr(workflow.owners, seat) is not None]
        for index, (seat, person) in enumerate(held):
            other = next((earlier for earlier, somebody in held[:index] if registry.same_human(somebody, person)), None)
            if other is not None:
                message = f"is the {other} owner too: exports are denied (owners_not_distinct)"
                yield Finding(("workflows", name, "owners", seat), message, "name a different person; an outside adviser may be one", "warning")


def conflicts(registry: Registry) -> Iterator[Finding]:
    """A conflict names what it is with; a misspelt one would keep nobody from anything."""
    known = {"workflow": frozenset(registry.data.workflows), "agent": frozenset(registry.data.agents)}
    for name, person in registry.data.people.items():
        for index, mark in enumerate(person.conflicts):
            kind, _, subject = mark.partition(":")
            if subject not in known.get(kind, frozenset()):
                yield Finding(("people", name, "conflicts", index), f"`{mark}` names nothing here", "write workflow:ID or agent:ID of this registry")
