"""The three listeners: nobody is reachable by accident, and every one has somebody to serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.config.rules.addresses import is_address
from stagewarden.config.units import is_host_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.config.shapes import Config, Listener
    from stagewarden.errors import Problem

NAMES = ("agents", "people", "operations")


def started(config: Config) -> Iterator[tuple[str, Listener]]:
    """The listeners that are written, by name."""
    for name in NAMES:
        listener: Listener | None = getattr(config.listen, name)
        if listener is not None:
            yield name, listener


def binds(config: Config) -> Iterator[Problem]:
    """A bind others can reach says so; a wildcard says which Hosts it answers to; no two share one (law 9)."""
    if not any(started(config)):
        yield config.source.problem(("listen",), "starts nothing", "name at least one of agents, people, operations")
    seen: dict[tuple[str, int], str] = {}
    for name, listener in started(config):
        place, bind = ("listen", name), listener.bind
        if not bind.loopback and not listener.insecure and listener.tls is None:
            remedy = "bind to 127.0.0.1, add `tls:`, or terminate TLS in front of it and write `insecure: true`"
            yield config.source.problem((*place, "bind"), f"`{bind}` is reachable from other machines, without TLS", remedy)
        if bind.wildcard and not listener.hosts:
            yield config.source.problem(
                (*place, "bind"), f"`{bind}` listens everywhere and names no hosts", "add `hosts: [HOST]`: the Host values it answers to"
            )
        other = seen.setdefault((bind.host, bind.port), name)
        if other != name and bind.port:
            yield config.source.problem((*place, "bind"), f"`{bind}` is the bind of listen.{other} too", "give each listener a port of its own")


def tls(config: Config) -> Iterator[Problem]:
    """The key is a file, where TLS libraries read it from; a console over TLS knows that it is one (secure cookies, Origin)."""
    for name, listener in started(config):
        if listener.tls is not None and not listener.tls.key.reference.startswith("file:"):
            yield config.source.problem(("listen", name, "tls", "key"), "is not a file", "write file:PATH, mode 0600")
    served = config.listen.people
    if served is not None and served.tls is not None and not (config.people.url or "").startswith("https://"):
        yield config.source.problem(
            ("listen", "people", "tls"), "is there, and `people.url` is not https", "add `people: {url: https://HOST}`: where people reach it"
        )


def hosts(config: Config) -> Iterator[Problem]:
    """Host values are names or addresses, without port: that is how they are compared."""
    lists = [(("listen", name, "hosts"), listener.hosts) for name, listener in started(config)]
    lists += [(("upstreams", name, "hosts"), upstream.hosts) for name, upstream in config.upstreams.items()]
    for place, values in lists:
        for index, host in enumerate(values):
            if not (is_host_name(host) or is_address(host.strip("[]"))):
                yield config.source.problem(
                    (*place, index), f"`{host}` is not a Host value", "write the name in lower case, without port and trailing dot"
                )


def purposes(config: Config) -> Iterator[Problem]:
    """A listener without anybody who could sign in, or anything to reach, only looks as if it worked."""
    if config.listen.agents is not None:
        if not config.identity.agents:
            yield config.source.problem(
                ("listen", "agents"), "can authenticate nobody", "add `identity: {agents: [{kind: key, keys: file:agent-keys.yaml}]}`"
            )
        if not config.upstreams:
            yield config.source.problem(("upstreams",), "is empty", "add the system the agent writes to")
    if config.listen.people is not None and not config.identity.people:
        yield config.source.problem(
            ("listen", "people"), "can authenticate nobody", "add `identity: {people: [{kind: token, tokens: file:people-tokens.yaml}]}`"
        )
