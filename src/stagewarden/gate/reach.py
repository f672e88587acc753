"""How far an agent reaches, and what a workflow may do where: registry and route table held together. Pure; says no more than they do.

The policy may ask people, or refuse, where this says `may`; it never lets pass what this says `never` to, but under a grant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stagewarden.model import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stagewarden.classify import RouteTable
    from stagewarden.registry import Agent, Workflow

Grade = Literal["may", "held", "never"]
_RANK: tuple[Grade, ...] = ("never", "held", "may")


@dataclass(frozen=True, slots=True)
class Reach:
    """One system: what is possible there at each stage, in the stages' order; the fields that may be written (none named: not limited by name)."""

    upstream: str
    destination: str
    external: bool
    grades: tuple[tuple[Stage, Grade], ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """A kind of action at one system."""

    upstream: str
    stage: Stage
    destination: str
    external: bool


@dataclass(frozen=True, slots=True)
class _Listed:
    """One thing a route can turn out to be; `workflow`: the only one it serves, where it says so."""

    kind: str
    stage: Stage
    workflow: str | None


def reach(agent: Agent, workflows: Mapping[str, Workflow], routes: RouteTable, external: Callable[[str], bool]) -> tuple[Reach, ...]:
    """The systems that list anything this agent's workflows name."""
    found = []
    for name, upstream in sorted(routes.upstreams.items()):
        leaves = external(upstream.settings.destination)
        best: dict[Stage, Grade] = dict.fromkeys(Stage, "never")
        through: set[str] = set()
        for listed in _listed(routes, name):
            for workflow in agent.workflows if listed.workflow is None else {listed.workflow} & {*agent.workflows}:
                entry = workflows.get(workflow)
                if entry is None or listed.kind not in {*entry.actions.allowed, *entry.actions.restricted, *entry.actions.prohibited}:
                    continue
                through.add(workflow)
                best[listed.stage] = max(best[listed.stage], _grade(agent, entry, listed, leaves=leaves), key=_RANK.index)
        if through:
            found.append(
                Reach(name, upstream.settings.destination, leaves, tuple(best.items()), _fields(workflows[each] for each in sorted(through)))
            )
    return tuple(found)


def ways(workflow: str, kind: str, routes: RouteTable, external: Callable[[str], bool]) -> tuple[Way, ...]:
    """Where the route table lists this kind for this workflow."""
    found = []
    for name, upstream in sorted(routes.upstreams.items()):
        destination = upstream.settings.destination
        stages = {listed.stage for listed in _listed(routes, name) if listed.kind == kind and listed.workflow in {None, workflow}}
        found += [Way(name, stage, destination, external(destination)) for stage in Stage if stage in stages]
    return tuple(found)


def _listed(routes: RouteTable, upstream: str) -> Iterator[_Listed]:
    for of_method in routes.upstreams[upstream].routes.values():
        for route in of_method:
            yield _Listed(route.settings.kind, route.stage, route.settings.workflow)
            yield from (_Listed(case.kind, case.stage, route.settings.workflow) for case in route.cases)


def _grade(agent: Agent, workflow: Workflow, listed: _Listed, *, leaves: bool) -> Grade:
    """As the rules of the topic `stages` have it: prohibited wins; restricted is prepared for people; what leaves the house waits for them."""
    if listed.kind in workflow.actions.prohibited:
        return "never"
    if listed.kind in workflow.actions.restricted:
        return "held"
    if listed.stage not in agent.stages:
        return "never"
    return "held" if listed.stage is Stage.EXPORT and leaves else "may"


def _fields(through: Iterator[Workflow]) -> tuple[str, ...]:
    """The union; nothing where one of them limits none."""
    written = [workflow.scope.fields.write for workflow in through]
    return tuple(sorted({field for fields in written for field in fields})) if all(written) else ()
