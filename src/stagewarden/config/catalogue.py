"""Built-in route catalogues: `catalogue: wordpress` → Routes, behind the routes an upstream lists itself.

The data is src/stagewarden/catalogue/NAME.json. Rows of one method and path become one route whose rows are its cases; without a row
for every request the base stage is export. A look-up that a row depends on is the route's, so that a change of something live is an export.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING, Literal

import msgspec

from stagewarden.config.shapes import Case, Lookup, Route, Struct
from stagewarden.model import Stage

if TYPE_CHECKING:
    from stagewarden.config.shapes import Upstream

NAMES = ("wordpress",)
LATER = ("directus", "ghost", "hubspot", "mailchimp", "openai", "slack")

_PARAMETER = re.compile(r"\{([a-z_]+)\}")


class Row(Struct, frozen=True, kw_only=True):
    """One way to use one request; `while` lists the words the looked-up state must be one of."""

    id: str
    method: str
    path: str
    when: dict[str, object]
    stage: Stage
    kind: str
    source: str
    also: tuple[str, ...] = ()  # sibling paths with the same row
    aliases: tuple[str, ...] = ()  # methods with the same meaning
    while_: tuple[str, ...] = msgspec.field(name="while", default=())
    reversible: Literal["restore", "compensate", "none"] | None = None
    body: Literal["json", "form", "opaque", "none"] = "json"
    types: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    note: str = ""


class LookupFor(Struct, frozen=True, kw_only=True):
    """The look-up of some paths; `{path}` in its `get` stands for the path itself."""

    paths: tuple[str, ...]
    lookup: Lookup


class Reads(Struct, frozen=True, kw_only=True):
    """GETs that change nothing."""

    stage: Stage
    kind: str
    paths: tuple[str, ...]
    query: tuple[str, ...]


class Catalogue(Struct, frozen=True, kw_only=True):
    """One system. `otherwise` names, by row method and path, the kind of the strict answer; `not_listed` says what is refused, and why."""

    system: str
    base: str
    read: str
    sources: tuple[str, ...]
    not_listed: dict[str, str]
    otherwise: dict[str, str]
    lookups: tuple[LookupFor, ...]
    reads: Reads
    rows: tuple[Row, ...]
    facts: dict[str, str] = {}
    # The kind of a body that names a path parameter again: in WordPress the body wins over the path, so that what
    # was looked up would not be what is changed. No workflow lists it.
    misdirected: str | None = None


def load(name: str) -> Catalogue:
    """The catalogue as shipped; raises KeyError for a name outside NAMES."""
    if name not in NAMES:
        raise KeyError(name)
    data = resources.files("stagewarden").joinpath("catalogue", f"{name}.json").read_bytes()
    return msgspec.json.decode(data, type=Catalogue)


def expand_routes(upstream: Upstream) -> tuple[Route, ...]:
    """Every route of an upstream, in the order of matching: its own first, then its catalogue's."""
    return upstream.routes if upstream.catalogue is None else (*upstream.routes, *expand(load(upstream.catalogue)))


def expand(catalogue: Catalogue) -> tuple[Route, ...]:
    """The catalogue's rows as routes."""
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in catalogue.rows:
        for path in (row.path, *row.also):
            for method in (row.method, *row.aliases):
                grouped.setdefault((method, path), []).append(row)
    reads = catalogue.reads
    return (
        *(_route(catalogue, method, path, rows) for (method, path), rows in grouped.items()),
        *(Route(match=f"GET {catalogue.base}{path}", stage=reads.stage, kind=reads.kind, query=reads.query) for path in reads.paths),
    )


def _route(catalogue: Catalogue, method: str, path: str, rows: list[Row]) -> Route:
    lookup = next((_absolute(each.lookup, catalogue.base, path) for each in catalogue.lookups if path in each.paths), None)
    always = next((row for row in rows if not row.when and not row.while_), None)
    first = rows[0]
    return Route(
        match=f"{method} {catalogue.base}{path}",
        stage=always.stage if always else Stage.EXPORT,
        kind=always.kind if always else catalogue.otherwise.get(f"{first.method} {path}", first.kind),
        reversible=(always.reversible if always else None) or ("none" if method == "DELETE" else "compensate"),
        query=first.query,
        body=first.body,
        types=first.types,
        facts=catalogue.facts if first.body == "json" else {},
        cases=(*_misdirected(catalogue, path, first), *(_case(row, lookup) for row in rows if row is not always)),
        lookup=lookup,
    )


def _absolute(lookup: Lookup, base: str, path: str) -> Lookup:
    return msgspec.structs.replace(lookup, get=base + lookup.get.replace("{path}", path))


def _case(row: Row, lookup: Lookup | None) -> Case:
    when = dict(row.when)
    if row.while_ and lookup is not None and lookup.state is not None:
        when[f"lookup:{lookup.state}"] = list(row.while_)
    elif row.while_:
        raise ValueError(f"{row.id} depends on a state that nothing looks up")  # a fault of the shipped data, found by its test
    return Case(when=when, stage=row.stage, kind=row.kind, reversible=row.reversible)


def _misdirected(catalogue: Catalogue, path: str, row: Row) -> tuple[Case, ...]:
    if catalogue.misdirected is None or row.body != "json":
        return ()
    return tuple([Case(when={f"/{name}": {"exists": True}}, stage=Stage.EXPORT, kind=catalogue.misdirected) for name in _PARAMETER.findall(path)])
