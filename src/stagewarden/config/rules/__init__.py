"""What may stand together in `stagewarden.yaml`, found without the registry, a secret or the network.

Each rule is a function from Config to findings. Errors are what cannot run or would be unsafe, and load() raises them; warnings are gaps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.config.rules import identity, listeners, notify, routes, upstreams, values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stagewarden.config.shapes import Config
    from stagewarden.errors import Problem

RULES: tuple[Callable[[Config], Iterator[Problem]], ...] = (
    values.names,
    values.durations,
    values.limits,
    values.people,
    values.policy,
    values.state,
    listeners.binds,
    listeners.tls,
    listeners.hosts,
    listeners.purposes,
    identity.agents,
    identity.certificates,
    identity.people,
    identity.adapters,
    upstreams.addresses,
    upstreams.authorities,
    upstreams.places,
    upstreams.contents,
    upstreams.credentials,
    routes.routes,
    routes.overlaps,
    notify.names,
    notify.receivers,
    notify.mail,
)


def problems(config: Config) -> tuple[Problem, ...]:
    """All findings in the order of the file."""
    found = [problem for rule in RULES for problem in rule(config)]
    return tuple(sorted(found, key=lambda problem: problem.line))
