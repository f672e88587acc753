"""The OpenAPI 3.1 document of the people's API, made of the route table, the bodies it reads and the shapes it answers with. Pure.

Nothing is written by hand that the routes already say; what a route does not say is missing here, and a test misses it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import orjson

from stagewarden import __version__
from stagewarden.grants import GrantState
from stagewarden.grants import lifecycle as grants
from stagewarden.holds.lifecycle import OPEN
from stagewarden.model import HoldState, Stage
from stagewarden.notify.ledger import STATES
from stagewarden.web import render
from stagewarden.web.people import cursors, narrowing
from stagewarden.web.people.answers import Event, Problem
from stagewarden.web.people.routes import DOCUMENT, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stagewarden.model import Document
    from stagewarden.web.people.routes import Route

_REF = "#/components/schemas/{name}"
_PROBLEM: Document = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
_LONGEST = 200

# Each query parameter there is: what it means, and its schema; one that means something of its own on a path is named with it.
_MOMENT: Document = {"type": "string", "format": "date-time", "maxLength": _LONGEST}
QUERY: dict[str, tuple[str, Document]] = {
    "cursor": ("The `next` of the page before, with the same filters.", {"type": "string", "maxLength": _LONGEST}),
    "limit": ("How many at most.", {"type": "integer", "minimum": 1, "maximum": cursors.MOST, "default": cursors.USUAL}),
    "/holds?state": (
        f"`open` ({', '.join(sorted(OPEN))}), `ended`, or one state.",
        {"type": "string", "enum": ["open", "ended", *map(str, HoldState)]},
    ),
    "/deliveries?state": (
        "In this state.",
        {"type": "string", "enum": [*STATES]},
    ),
    "/grants?state": (
        f"`open` ({', '.join(sorted(grants.OPEN))}), `ended`, or one state.",
        {"type": "string", "enum": ["open", "ended", *map(str, GrantState)]},
    ),
    "asked": ("True: only those people are asked about. False: only proposals nobody has taken up.", {"type": "boolean"}),
    "tier": ("Of one tier.", {"type": "string", "enum": [*narrowing.TIERS]}),
    "channel": (
        "For one channel: the destination by its registered name, else the upstream.",
        {"type": "string", "minLength": 1, "maxLength": _LONGEST},
    ),
    "why": ("Held for a reason of this code.", {"type": "string", "minLength": 1, "maxLength": _LONGEST}),
    "due": ("Only those that wait and are due within the hour.", {"type": "string", "enum": [narrowing.HOUR]}),
    "q": ("With this in the id, asset, agent or workflow.", {"type": "string", "minLength": 1, "maxLength": _LONGEST}),
    "/holds?workflow": ("Of one workflow.", {"type": "string", "minLength": 1, "maxLength": _LONGEST}),
    "wider": ("Only those that ended and allowed more than was used.", {"type": "boolean", "default": False}),
    "mine": ("Only those the caller can approve.", {"type": "boolean", "default": False}),
    "agent": ("Of one agent.", {"type": "string", "maxLength": _LONGEST}),
    "everywhere": ("True: every session of the caller, terminals too.", {"type": "boolean", "default": False}),
    "effect": ("With this effect.", {"type": "string", "enum": ["allow", "hold", "deny"]}),
    "workflow": ("Of one workflow.", {"type": "string", "maxLength": _LONGEST}),
    "stage": ("Of one stage.", {"type": "string", "enum": [*map(str, Stage)]}),
    "code": ("With a reason of this code.", {"type": "string", "maxLength": _LONGEST}),
    "upstream": ("For one upstream.", {"type": "string", "maxLength": _LONGEST}),
    "since": ("Recorded then or later.", _MOMENT),
    "until": ("Recorded earlier.", _MOMENT),
}
_HEADERS: dict[str, tuple[str, Document]] = {
    "Idempotency-Key": (
        (
            "A write sent again with the same key and content gets the first answer, for 24 hours, from whichever replica, and does nothing. "
            "409 while the first is under way, 422 with other content. Refusals are not kept: the same key may be tried again."
        ),
        {"type": "string", "pattern": r'^([!-~]{1,128}|"[ !#-\[\]-~]{1,128}")$'},
    ),
    "Last-Event-ID": ("The id of the last event seen: what came after it is told first.", {"type": "string", "maxLength": 64}),
}
_TOLD_WITH: dict[str, dict[str, Document]] = {
    "unauthenticated": {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}},
    "overloaded": {"Retry-After": {"schema": {"type": "integer"}}},
    "cannot_tell": {"Retry-After": {"schema": {"type": "integer"}}},
}


def document(routes: Sequence[Route], name: str) -> Document:
    """All of the API that `routes` make. Raises KeyError for a query parameter nobody described."""
    shapes = [shape for route in routes for shape in (route.body, route.gives) if shape is not None]
    _, schemas = msgspec.json.schema_components([Problem, Event, *shapes], ref_template=_REF, schema_hook=_anything)
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    made: Document = {
        "openapi": "3.1.1",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": f"Stagewarden: the people's API of {name}",
            "version": __version__,
            "description": (
                "Holds, votes, grants, agents, stops, registries and rulings. Every error is `application/problem+json`; "
                "every list is paged by cursor."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": PREFIX}],
        "security": [{"bearer": []}],
        "paths": paths,  # type: ignore[dict-item]  # JSON by construction
        "components": {
            "schemas": orjson.loads(orjson.dumps(schemas)),  # a default that is a tuple is an array, as on the wire
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A program's token (`swp_…`), a person's, or that of a session (`POST sessions`). Cookies count for nothing here.",
                },
                "own": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The person's own token, issued for votes here and for nothing else, at most five minutes ago; good once.",
                },
            },
        },
    }
    return made


def _operation(route: Route) -> Document:
    made: Document = {"operationId": _name(route), "summary": route.says, "parameters": [*_parameters(route)], "responses": _responses(route)}
    if route.needs != "caller":
        made["security"] = [] if route.needs == "nobody" else [{"own": []}]
    if route.body is not None:
        required = any(field.required for field in msgspec.structs.fields(route.body))
        made["requestBody"] = {"required": required, "content": {DOCUMENT: {"schema": {"$ref": _REF.format(name=route.body.__name__)}}}}
    return made


def _parameters(route: Route) -> Iterable[Document]:
    for name in re.findall(r"\{(\w+)\}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    for name in route.query:
        own = f"{route.path}?{name}"
        yield _parameter(name, "query", *QUERY[own if own in QUERY else name])
    names = ("Idempotency-Key",) if route.once else ("Last-Event-ID",) if route.media != DOCUMENT else ()
    for name in names:
        yield _parameter(name, "header", *_HEADERS[name])


def _parameter(name: str, place: str, description: str, schema: Document) -> Document:
    return {"name": name, "in": place, "required": False, "description": description, "schema": schema}


def _responses(route: Route) -> Document:
    """The answer, and each problem under its status with the codes it can have."""
    given = "" if route.gives is None else route.gives.__name__
    schema: Document = {"$ref": _REF.format(name=given)} if route.media == DOCUMENT else {"type": "string"}
    said = (route.gives.__doc__ or "").split("\n")[0] if route.gives is not None else ""
    responses: Document = {str(render.OK): {"description": said, "content": {route.media: {"schema": schema}}}}
    by_status: dict[int, list[str]] = {}
    for code in route.codes():
        by_status.setdefault(render.status_of(code), []).append(code)
    for status, codes in sorted(by_status.items()):
        told: Document = {"description": "; ".join(f"`{code}`: {render.title_of(code)}" for code in codes), "content": _PROBLEM}
        headers = {name: value for code in codes for name, value in _TOLD_WITH.get(code, {}).items()}
        responses[str(status)] = {**told, "headers": headers} if headers else told  # type: ignore[dict-item]  # JSON by construction
    return responses


def _anything(kind: type) -> dict[str, object]:
    """`object`: any JSON. For any other kind a schema hook says so by this exception, and msgspec names the member that has no schema."""
    if kind is object:
        return {"description": "any JSON"}
    raise NotImplementedError


def _name(route: Route) -> str:
    parts = re.findall(r"\w+", route.path)
    return route.method.lower() + "".join(re.sub(r"[^0-9A-Za-z]", "", part).capitalize() for part in parts)
