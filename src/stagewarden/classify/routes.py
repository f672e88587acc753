"""The route table: which upstream a target belongs to, and which listed route it is. First match wins; nothing is normalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from stagewarden.classify.pointers import Condition, Pointer
from stagewarden.model import Deny, Stage, Target
from stagewarden.wire import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stagewarden import config
    from stagewarden.model import Head

_REST = "..."


@dataclass(frozen=True, slots=True)
class CompiledCase:
    """One case of a route: all conditions must hold."""

    stage: Stage
    kind: str
    reversible: str
    body: tuple[Condition, ...]
    query: tuple[Condition, ...]
    lookup: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """A route ready for matching. `template` holds literals, `{name}` for one segment, `{name...}` last for the rest."""

    name: str
    method: str
    template: tuple[str, ...]
    settings: config.Route
    stage: Stage
    cases: tuple[CompiledCase, ...]
    query: frozenset[str]
    facts: Mapping[str, Pointer]
    body_names: strict_json.Listed  # member names that facts and cases look at: a case-variant beside them is refused
    kinds: frozenset[str]  # every kind a request on this route can turn out to be

    @classmethod
    def compile(cls, route: config.Route) -> CompiledRoute:
        """From configuration that `check` has accepted; raises ValueError otherwise."""
        method, _, path = route.match.partition(" ")
        cases = tuple(_compile_case(case, route) for case in route.cases)
        facts = {name: Pointer.parse(pointer) for name, pointer in route.facts.items()}
        conditions = [condition for case in cases for condition in case.body]
        names = {token for pointer in [*facts.values(), *(c.pointer for c in conditions)] for token in pointer.tokens}
        template, kinds = tuple(path.split("/")[1:]), frozenset((route.kind, *(case.kind for case in cases)))
        looked_at = strict_json.Listed.of(names)
        return cls(route.match, method, template, route, Stage(route.stage), cases, frozenset(route.query), facts, looked_at, kinds)

    def match(self, segments: tuple[str, ...]) -> dict[str, int] | None:
        """Index of the segment each parameter stands for, or None. An empty segment never fills a parameter."""
        parameters: dict[str, int] = {}
        for index, part in enumerate(self.template):
            if part.startswith("{") and part.endswith(f"{_REST}}}"):
                return parameters if len(segments) > index and all(segments[index:]) else None
            if index >= len(segments):
                return None
            if part.startswith("{"):
                if not segments[index]:
                    return None
                parameters[part[1:-1]] = index
            elif part != segments[index]:
                return None
        return parameters if len(self.template) == len(segments) else None


def _compile_case(case: config.Case, route: config.Route) -> CompiledCase:
    sides: dict[str, list[Condition]] = {"body": [], "query": [], "lookup": []}
    for key, value in case.when.items():
        if key.startswith("query:"):
            sides["query"].append(Condition.parse(Pointer((key.removeprefix("query:"),)), value))
        elif key.startswith("lookup:"):
            sides["lookup"].append(Condition.parse(Pointer.parse(key.removeprefix("lookup:")), value))
        else:
            sides["body"].append(Condition.parse(Pointer.parse(key), value))
    return CompiledCase(
        Stage(case.stage), case.kind, case.reversible or route.reversible, tuple(sides["body"]), tuple(sides["query"]), tuple(sides["lookup"])
    )


@dataclass(frozen=True, slots=True)
class UpstreamRoutes:
    """One upstream with its compiled routes, by method and in order."""

    name: str
    settings: config.Upstream
    routes: Mapping[str, tuple[CompiledRoute, ...]]
    loopback: bool


def _by_method(routes: list[CompiledRoute]) -> dict[str, tuple[CompiledRoute, ...]]:
    return {method: tuple(route for route in routes if route.method == method) for method in {route.method for route in routes}}


class Match(msgspec.Struct, frozen=True):
    """A request that is listed: where it goes, as what, and its target as the upstream will see it."""

    upstream: UpstreamRoutes
    route: CompiledRoute
    target: Target
    parameters: Mapping[str, str]  # decoded
    raw_parameters: Mapping[str, str]  # as they stand in the target, for the look-up

    @property
    def asset_id(self) -> str | None:
        """The thing acted on: `{id}`, else the last parameter."""
        return (self.parameters.get("id") or [*self.parameters.values()][-1]) if self.parameters else None


class RouteTable:
    """Every upstream, found by Host or by mount."""

    def __init__(
        self,
        upstreams: Mapping[str, config.Upstream],
        expand: Callable[[config.Upstream], tuple[config.Route, ...]],
        is_loopback: Callable[[str], bool],
    ) -> None:
        compiled = [
            UpstreamRoutes(name, upstream, _by_method([CompiledRoute.compile(route) for route in expand(upstream)]), is_loopback(upstream.url))
            for name, upstream in upstreams.items()
        ]
        self._by_name = {upstream.name: upstream for upstream in compiled}
        self._by_host = {host.lower(): upstream for upstream in compiled for host in upstream.settings.hosts}
        # The longest mount wins, so that `/cms/media` may stand beside `/cms`.
        mounts = ((f"{each.settings.mount.rstrip('/')}/", each) for each in compiled if each.settings.mount)
        self._by_mount = sorted(mounts, key=lambda pair: -len(pair[0]))

    @property
    def hosts(self) -> frozenset[str]:
        """Host values that upstreams answer to."""
        return frozenset(self._by_host)

    @property
    def upstreams(self) -> Mapping[str, UpstreamRoutes]:
        """By name."""
        return self._by_name

    def find(self, head: Head) -> Match | Deny:
        """The listed route, or the gate's own no (`route_not_listed`, `query_not_listed`)."""
        located = self._locate(head)
        if located is None:
            return Deny.by_gate("route_not_listed", "No upstream is mounted there")
        upstream, target = located
        return self.match(upstream, head.method, target)

    def match(self, upstream: UpstreamRoutes, method: str, target: Target) -> Match | Deny:
        """The first route of the upstream that lists this method and path, with every query parameter listed."""
        for route in upstream.routes.get(method, ()):
            if (indexes := route.match(target.segments)) is None:
                continue
            for name, _ in target.query:
                if name not in route.query:
                    return Deny.by_gate(
                        "query_not_listed", "The route does not list this query parameter", {"route": route.name, "parameter": name[:64]}
                    )
            raw = target.path.split("/")[1:]
            decoded = {name: target.segments[at] for name, at in indexes.items()}
            return Match(upstream, route, target, decoded, {name: raw[at] for name, at in indexes.items()})
        return Deny.by_gate("route_not_listed", "No route lists this method and path", {"upstream": upstream.name})

    def _locate(self, head: Head) -> tuple[UpstreamRoutes, Target] | None:
        if upstream := self._by_host.get(head.host):
            return upstream, head.target
        whole = head.target
        for mount, upstream in self._by_mount:
            if whole.raw.startswith(mount):
                cut = len(mount) - 1  # its last slash is the target's first
                return upstream, Target(whole.raw[cut:], whole.path[cut:], whole.segments[mount.count("/") - 1 :], whole.query)
        return None
