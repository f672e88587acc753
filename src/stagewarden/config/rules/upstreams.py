"""Upstreams: where they are, how agents reach them, and which credential each stage gets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stagewarden.config import catalogue
from stagewarden.config import state as states
from stagewarden.config.rules.addresses import is_loopback
from stagewarden.config.rules.listeners import started
from stagewarden.model import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.config.shapes import Config, Route, Upstream
    from stagewarden.config.yaml_source import Place
    from stagewarden.errors import Problem

RESERVED = "/.stagewarden"
_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+", re.ASCII)  # RFC 9110 token, without `_`: some servers read it as `-`
_MOUNT = re.compile(r"(?:/[A-Za-z0-9.~-]+)+|/", re.ASCII)
# Framing and routing are the sidecar's own
_NOT_A_CREDENTIAL = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type", "expect", "upgrade", "te", "trailer"})


def addresses(config: Config) -> Iterator[Problem]:
    """An origin: scheme, host, port. Plain http across a network is a gap; our own listener would be a loop."""
    own = {(each.bind.host, each.bind.port) for _, each in started(config) if each.bind.port}
    for name, upstream in config.upstreams.items():
        place: Place = ("upstreams", name, "url")
        try:
            url = urlsplit(upstream.url)
            port = url.port or _PORTS.get(url.scheme, 0)
        except ValueError:
            yield config.source.problem(place, "is not a URL", "write https://HOST or https://HOST:PORT")
            continue
        if url.scheme not in _PORTS or not url.hostname:
            yield config.source.problem(place, "is neither an https nor an http URL", "write https://HOST or https://HOST:PORT")
            continue
        if "@" in url.netloc:
            remedy = "put the credential in a file and name it under `credentials`"
            yield config.source.problem(place, "carries a credential (not repeated here)", remedy)
            continue
        if url.path not in {"", "/"} or url.query or url.fragment:
            yield config.source.problem(place, "is more than an origin", "write scheme, host and port only; the path belongs into routes")
        if _is_own(url.hostname, port, own):
            yield config.source.problem(place, "is one of our own listeners", "name the system behind the sidecar")
        if url.scheme == "http" and not is_loopback(url.hostname):
            remedy = "use https, or keep the whole way to it inside one trusted host"
            yield config.source.problem(place, "is plain http: content and credentials cross the network readable", remedy, severity="warning")


def authorities(config: Config) -> Iterator[Problem]:
    """Authorities are for https."""
    for name, upstream in config.upstreams.items():
        if upstream.ca is not None and not upstream.url.startswith("https://"):
            yield config.source.problem(("upstreams", name, "ca"), "stands at an upstream without TLS", "use https, or remove it")


def _is_own(host: str, port: int, own: set[tuple[str, int]]) -> bool:
    here = is_loopback(host)
    return any(port == bound and (host == at or (here and (is_loopback(at) or at in {"0.0.0.0", "::"}))) for at, bound in own)  # noqa: S104  # compared, not bound


def places(config: Config) -> Iterator[Problem]:
    """By mount or by Host, never both, and no place twice: what an agent calls means one upstream."""
    mounts: dict[str, str] = {}
    names: dict[str, str] = dict.fromkeys(config.listen.agents.hosts if config.listen.agents is not None else (), "")
    for name, upstream in config.upstreams.items():
        place: Place = ("upstreams", name)
        if (upstream.mount is None) == (not upstream.hosts):
            yield config.source.problem(place, "has not exactly one of `mount` and `hosts`", "write `mount: /NAME`, or `hosts: [HOST]`")
        if upstream.mount is not None:
            yield from _mount(config, upstream.mount, (*place, "mount"))
            other = mounts.setdefault(upstream.mount.rstrip("/") or "/", name)
            if other != name:
                yield config.source.problem((*place, "mount"), f"is the mount of upstream `{other}` too", "give each upstream a mount of its own")
        for index, host in enumerate(upstream.hosts):
            other = names.setdefault(host, name)
            if other != name:
                whose = f"upstream `{other}`" if other else "listen.agents"
                yield config.source.problem((*place, "hosts", index), f"`{host}` is a Host of {whose} too", "a Host leads to one place")


def contents(config: Config) -> Iterator[Problem]:
    """A catalogue we ship, routes that let something pass, header names that are names."""
    for name, upstream in config.upstreams.items():
        place: Place = ("upstreams", name)
        known = upstream.catalogue is None or upstream.catalogue in catalogue.NAMES
        if not known:
            later = upstream.catalogue in catalogue.LATER
            message = f"`{upstream.catalogue}` is not in this release" if later else "is not a built-in catalogue"
            yield config.source.problem((*place, "catalogue"), message, f"one of {', '.join(catalogue.NAMES)}; or list the routes here")
        elif not catalogue.expand_routes(upstream):
            yield config.source.problem(place, "lists no route, so nothing can pass", "add `routes:` or a `catalogue:`")
        for index, header in enumerate(upstream.repeat_ignores):
            if not _TOKEN.fullmatch(header):
                yield config.source.problem((*place, "repeat_ignores", index), "is not a header name", "write a name such as x-attempt")


def _mount(config: Config, mount: str, place: Place) -> Iterator[Problem]:
    if not _MOUNT.fullmatch(mount) or {".", ".."} & set(mount.split("/")):
        yield config.source.problem(place, "is not a mount", "write /NAME: it begins with / and does not end with one")
    elif mount == RESERVED or mount.startswith(f"{RESERVED}/"):
        yield config.source.problem(place, f"is reserved: `{RESERVED}/` is the sidecar's own", "choose another mount")


def credentials(config: Config) -> Iterator[Problem]:
    """Each stage that can be sent has a credential of its own or of a lower stage; a higher one's is never lent.

    An instance that shares its state and serves no agents sends nothing (gate/release.py), and needs none.
    """
    sends = config.listen.agents is not None or states.is_sqlite(config.state)
    for name, upstream in config.upstreams.items():
        for stage, credential in upstream.credentials.items():
            if not _TOKEN.fullmatch(credential.header) or credential.header.lower() in _NOT_A_CREDENTIAL:
                place: Place = ("upstreams", name, "credentials", stage.value, "header")
                yield config.source.problem(place, "is not a header that can carry a credential", "Authorization, or a name such as X-Api-Key")
        if upstream.catalogue is not None and upstream.catalogue not in catalogue.NAMES:
            continue
        lowest = min((stage.rank for stage in upstream.credentials), default=len(Stage))
        lacking = sorted(
            {stage for route in catalogue.expand_routes(upstream) for stage in _stages(route) if stage.rank < lowest}, key=lambda stage: stage.rank
        )
        if lacking and sends:
            which = ", ".join(lacking)
            remedy = f"add `{lacking[0]}: {{header: Authorization, value: file:secrets/NAME}}`; a stage takes its own or the nearest lower one's"
            yield config.source.problem(_credentials_place(name, upstream), f"has no credential for {which}", remedy)


def _credentials_place(name: str, upstream: Upstream) -> Place:
    return ("upstreams", name, "credentials") if upstream.credentials else ("upstreams", name)


def _stages(route: Route) -> Iterator[Stage]:
    yield route.stage
    yield from (case.stage for case in route.cases)
    if route.lookup is not None:
        yield route.lookup.as_
