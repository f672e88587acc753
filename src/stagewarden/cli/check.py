"""`check`: every problem of configuration, registry, secrets and policy, with file, line and a way to mend it.

Starts nothing, writes nothing, asks nothing of the network but a shared state database. Exit 0: it can run (warnings are gaps), 1: it must not.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stagewarden import config as configuration
from stagewarden import notify
from stagewarden import registry as registries
from stagewarden.cli.examples import examples
from stagewarden.cli.problems import print_problems, problems_json
from stagewarden.clock import SystemClock
from stagewarden.config import KeyIdentity, Places, Secrets, certificates
from stagewarden.decision import WasmDecider, load_bundle, require_timeless
from stagewarden.decision.engine import BUILTIN
from stagewarden.errors import CannotTell, ConfigError, Problem
from stagewarden.holds.seats import fillable
from stagewarden.identity.keys import parse_keys
from stagewarden.identity.people import People
from stagewarden.model import Seat, Stage, Tier
from stagewarden.store import Store, locate
from stagewarden.wire.tls import ListenersTls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stagewarden.config import Config
    from stagewarden.registry import Registry, RegistryData


@dataclass(frozen=True, slots=True)
class House:
    """What is checked together."""

    config: Config
    registry: Registry
    secrets: Secrets


@click.command(epilog=examples("check --config stagewarden.yaml", "check --config stagewarden.yaml --json"))
@click.option("--config", "path", required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True), help="The configuration file.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead of a table.")
def check(path: Path, as_json: bool) -> None:  # noqa: FBT001  # click passes options by keyword
    """Check configuration, registry, secrets and policy.

    Names every problem with file, line and a way to mend it. Errors exit 1; warnings do not.
    """
    problems = findings(path)
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        click.echo(problems_json(problems))
    else:
        if problems:
            print_problems(problems, sys.stdout)
        click.echo(f"{path}: errors {len(errors)}, warnings {len(problems) - len(errors)}")
    sys.exit(1 if errors else 0)


def findings(path: Path) -> tuple[Problem, ...]:
    """Everything that is wrong. A file that cannot be read as what it is hides what comes after it."""
    problems: list[Problem] = []
    try:
        config = configuration.load(path)
    except ConfigError as error:
        return error.problems
    try:
        registry = registries.load(config.base / config.registry)
    except ConfigError as error:
        return error.problems
    house = House(config, registry, Secrets(config.base))
    for step in STEPS:
        problems += step(house)
    return tuple(dict.fromkeys(problems))


def _between(house: House) -> Iterator[Problem]:
    yield from registries.check(house.config, house.registry)


def _agents(house: House) -> Iterator[Problem]:
    """Key files that hold keys, of agents that are registered."""
    registered = {agent.identity.key for agent in house.registry.data.agents.values()}
    known: set[str] = set()
    for index, each in enumerate(house.config.identity.agents):
        if not isinstance(each, KeyIdentity) or not _readable(house, each.keys):
            continue
        try:
            keys = parse_keys(house.secrets.text(each.keys), each.keys.reference)
        except ConfigError as error:
            yield from error.problems
            return
        known |= keys.keys()
        for name in sorted(keys.keys() - registered):
            place = ("identity", "agents", index, "keys")
            remedy = "register it, or remove its line: a key nobody answers for is refused"
            yield house.config.source.problem(place, f"holds a key of `{name}`, which no agent of the registry has", remedy, severity="warning")
    if not known:
        return
    for name, agent in house.registry.data.agents.items():
        if agent.identity.key is not None and agent.identity.key not in known:
            file, line = house.registry.line(("agents", name, "identity", "key"))
            yield Problem(file, line, f"agents.{name}.identity.key", "has no key in the key file", "make one, and add its SHA-256 there", "warning")


def _people(house: House) -> Iterator[Problem]:
    """User and token files that can be read as such."""
    settings = house.config.identity.people
    files = (getattr(each, "tokens", None) or getattr(each, "users", None) or getattr(each, "client_secret", None) for each in settings)
    if not all(_readable(house, secret) for secret in files if secret is not None):
        return
    try:
        People(settings, house.secrets, house.registry, SystemClock(), house.config.people, sandbox=house.config.environment == "sandbox")
    except ConfigError as error:
        yield from error.problems


def _certificates(house: House) -> Iterator[Problem]:
    """Certificates, keys and authorities are what they should be, and a listener can be opened with them."""
    clock = SystemClock()
    ours = certificates.of_listeners(house.config, house.secrets, clock.now_ns())
    yield from (*ours, *certificates.of_upstreams(house.config, house.secrets, clock.now_ns()))
    if not any(problem.severity == "error" for problem in ours):
        try:
            ListenersTls(house.config, house.secrets, clock)
        except ConfigError as error:
            yield from error.problems


def _channels(house: House) -> Iterator[Problem]:
    """What each channel of notifications needs is there, and is of its kind."""
    yield from notify.problems(house.config, house.secrets)


def _readable(house: House, secret: configuration.Secret | None) -> bool:
    """Whether the file is there at all; why not is registry.check's finding."""
    try:
        return secret is not None and bool(house.secrets.text(secret))
    except ConfigError:
        return False


def _state(house: House) -> Iterator[Problem]:
    """A shared database: its secrets and authorities can be read; that it does not answer, or not as it should, is a gap that may be mended later."""
    try:
        url = locate(house.config.state, house.config.base, house.secrets)
        if url.get_backend_name() == "sqlite":
            return
        remarks = asyncio.run(Store(url).look())
    except ConfigError as error:
        for problem in error.problems:
            yield house.config.source.problem(("state",), problem.message, problem.remedy)
    except CannotTell as error:
        yield house.config.source.problem(("state",), f"cannot be used now: {error}", "it must answer when the sidecar starts", severity="warning")
    else:
        for remark in remarks:
            yield house.config.source.problem(("state",), remark, "have its administrator change it", severity="warning")


def _policy(house: House) -> Iterator[Problem]:
    """The bundle loads, its revision is what its files say, and every built-in it needs is ours to give."""
    place, policy = ("policy", "bundle"), house.config.policy
    if policy.bundle != BUILTIN and not house.secrets.path(policy.bundle).exists():
        return
    try:
        bundle = load_bundle(policy.bundle, house.config.base, Places.of())
        if policy.engine == "wasm":
            WasmDecider(bundle, policy.deadline, policy.memory)
        if policy.cache is not None:
            place = ("policy", "cache")
            require_timeless(bundle)
    except ConfigError as error:
        for problem in error.problems:
            yield problem if problem.file else house.config.source.problem(place, problem.message, problem.remedy)
    except CannotTell as error:
        yield house.config.source.problem(place, f"cannot be loaded: {error}", "build it again with `stagewarden policy build`")


def _seats(house: House) -> Iterator[Problem]:
    """Workflows whose holds nobody could answer: they are denied at once (`seats_unfillable`)."""
    data = house.registry.data
    exports = _exports(house.config)
    for name, workflow in data.workflows.items():
        if not (workflow.actions.restricted or exports & {*workflow.actions.allowed}):
            continue
        kept = {(entry.owners.human, _conflicted(data, name, agent)) for agent, entry in data.agents.items() if name in entry.workflows}
        for owner, conflicted in sorted(kept):
            for tier in (Tier.MEDIUM, Tier.HIGH):
                if missing := _missing(house.registry, tier, (owner, *conflicted)):
                    file, line = house.registry.line(("workflows", name))
                    message = f"holds of tier {tier} cannot be answered: nobody different is left for {', '.join(missing)}"
                    remedy = f"give the function to one more active person; `{owner}` answers for the agent and cannot vote on its work"
                    yield Problem(file, line, f"workflows.{name}", message, remedy, "warning")


def _conflicted(data: RegistryData, workflow: str, agent: str) -> tuple[str, ...]:
    """Whom the registry marks as having a conflict with either."""
    marks = {f"workflow:{workflow}", f"agent:{agent}"}
    return tuple(sorted(name for name, person in data.people.items() if not marks.isdisjoint(person.conflicts)))


def _missing(registry: Registry, tier: Tier, without: tuple[str, ...]) -> tuple[str, ...]:
    """The seats of a tier that different people, without these human beings, cannot fill."""
    people: dict[str, frozenset[str]] = {}
    for name, person in registry.data.people.items():
        if not person.active or any(registry.same_human(name, other) for other in without):
            continue
        human = next((other for other in people if registry.same_human(other, name)), name)
        people[human] = people.get(human, frozenset()) | frozenset(person.functions)
    return fillable([Seat(tuple(sorted(seat.functions)), seat.count) for seat in registry.data.tiers[tier].seats], people)


def _exports(config: Config) -> set[str]:
    """Kinds that can let something out."""
    routes = [route for upstream in config.upstreams.values() for route in configuration.expand_routes(upstream)]
    cases = [case for route in routes for case in route.cases]
    return {route.kind for route in routes if route.stage == Stage.EXPORT} | {case.kind for case in cases if case.stage == Stage.EXPORT}


STEPS: tuple[Callable[[House], Iterator[Problem]], ...] = (_between, _agents, _people, _certificates, _channels, _state, _policy, _seats)
