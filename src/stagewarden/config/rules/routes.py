"""Routes: templates that can match, cases that can hold, look-ups that can answer. A case that never holds would only look like one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stagewarden.config import template
from stagewarden.config.units import Misfit
from stagewarden.model import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.config.shapes import Case, Config, Lookup, Route
    from stagewarden.config.template import Template
    from stagewarden.config.yaml_source import Place
    from stagewarden.errors import Problem

# Governance section 2: what a looked-up word may mean. `untracked` is what a route without look-up has, so no word maps to it
ASSET_STATES = ("none", "draft", "queued", "approved", "exported", "retracted")
KIND = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII)
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")  # RFC 6901 section 3
_FACT = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_TAKEN_FACTS = frozenset({"content"})  # the looked-up asset, put there by the sidecar
_QUERY_NAME = re.compile(r"[^\x00-\x20&=#+%\x7f-\uffff]+")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+", re.ASCII)
_PARAMETER = re.compile(r"\{([^{}]*?)(?:\.\.\.)?\}")
_READ = frozenset({"json", "form", "multipart"})
_PART = re.compile(r"/fields/(?:[^~/]|~[01])+|/parts/(?:\*|[0-9]+)/(?:name|filename|type|size|digest)")  # what wire/multipart.py describes
_PART_REMEDY = "write /fields/NAME, or /parts/*/filename (name, filename, type, size, digest)"
_WHEN_REMEDY = "a literal, a list of literals, {exists: true} or {absent: true}"


def routes(config: Config) -> Iterator[Problem]:
    """Every route an upstream lists itself; a built-in catalogue is held to the same by its test."""
    for name, upstream in config.upstreams.items():
        for index, route in enumerate(upstream.routes):
            for place, message, remedy in findings(route):
                yield config.source.problem(("upstreams", name, "routes", index, *place), message, remedy)


def overlaps(config: Config) -> Iterator[Problem]:
    """A route that an earlier one of the same upstream covers is never reached."""
    for name, upstream in config.upstreams.items():
        parsed: list[tuple[Template, str]] = []
        for index, route in enumerate(upstream.routes):
            try:
                here = template.parse(route.match)
            except Misfit:
                continue
            first = next((match for earlier, match in parsed if earlier.covers(here)), None)
            if first is not None:
                place: Place = ("upstreams", name, "routes", index, "match")
                yield config.source.problem(place, f"is never reached: `{first}` above matches first", "move it up, or remove it", severity="warning")
            parsed.append((here, route.match))


Finding = tuple["Place", str, str]


def findings(route: Route) -> Iterator[Finding]:
    """(place below the route, message, remedy) of everything wrong with one route."""
    try:
        parsed = template.parse(route.match)
    except Misfit as misfit:
        yield ("match",), misfit.message, misfit.remedy
        return
    yield from _names(route)
    yield from _body(route, parsed)
    for index, case in enumerate(route.cases):
        yield from _case(route, case, ("cases", index))
    if route.lookup is not None:
        yield from _lookup(route.lookup, parsed)
    yield from _content(route, parsed)
    yield from _idempotency(route, parsed)


def _names(route: Route) -> Iterator[Finding]:
    for place, kind in ((("kind",), route.kind), *((("cases", index, "kind"), case.kind) for index, case in enumerate(route.cases))):
        if not KIND.fullmatch(kind):
            yield place, f"`{kind}` is not a kind", "use words of a-z, 0-9 joined by `.`, `_` or `-`, as in post.publish"
    for index, name in enumerate(route.query):
        if not _QUERY_NAME.fullmatch(name):
            yield ("query", index), f"`{name}` is not a query parameter's name", "write it decoded"
        elif name in route.query[:index]:
            yield ("query", index), f"`{name}` is listed twice", "list it once"


def _body(route: Route, parsed: Template) -> Iterator[Finding]:
    if route.body == "opaque" and not route.types:
        yield ("types",), "is empty: no media type would be taken", "list them, as in [image/png]"
    if route.body not in {"opaque", "multipart"} and route.types:
        yield ("types",), "is for opaque bodies and for files of multipart ones", "remove it, or write `body: opaque`"
    if route.body != "multipart" and route.several:
        yield ("several",), "is for files of multipart bodies", "remove it, or write `body: multipart`"
    for index, media in enumerate(route.types):
        if not _MEDIA_TYPE.fullmatch(media):
            yield ("types", index), f"`{media}` is not a media type", "write it in lower case without parameters, as in image/png"
    if route.body != "none" and parsed.method in template.SAFE_METHODS:
        yield ("body",), f"{parsed.method} takes no body here", "remove `body`"
    yield from _facts(route)


def _facts(route: Route) -> Iterator[Finding]:
    if route.facts and route.body not in _READ and route.lookup is None:
        yield ("facts",), "are read from a body that this route does not read", "write `body: json` or `body: form`, or add a `lookup`"
    for name, pointer in route.facts.items():
        if not _FACT.fullmatch(name) or name in _TAKEN_FACTS:
            yield ("facts", name), "is not a name for a fact", "claims, offers, or a name of your own in a-z, 0-9, _"
        if not _POINTER.fullmatch(pointer):
            yield ("facts", name), "is not a JSON pointer", "write it as in /meta/claims"
        elif route.body == "multipart" and route.lookup is None and not _PART.fullmatch(pointer):
            yield ("facts", name), "looks at what a multipart body never has", _PART_REMEDY


def _case(route: Route, case: Case, place: Place) -> Iterator[Finding]:
    if not case.when:
        yield (*place, "when"), "is empty, so the case always holds", "give the route itself this stage and kind"
    for key, value in case.when.items():
        at = (*place, "when", key)
        yield from _key(route, key, at)
        if not _is_condition(value):
            yield at, "is not a value to compare with", _WHEN_REMEDY
        elif key.startswith("query:") and not _is_textual(value):
            yield at, "compares a query parameter with something that is not text", "quote it: a query parameter is always text"
        elif route.body == "multipart" and key.startswith("/fields/") and not _is_textual(value):
            yield at, "compares a field of a form with something that is not text", "quote it: a field is always text"


def _key(route: Route, key: str, at: Place) -> Iterator[Finding]:
    """The left side of a condition: its grammar, and that the route can answer it."""
    side, _, rest = key.partition(":")
    if key.startswith("/"):
        if route.body not in _READ:
            yield at, "looks at a body that this route does not read", "write `body: json` or `body: form`"
        if route.body == "multipart" and not _PART.fullmatch(key):
            yield at, "looks at what a multipart body never has", _PART_REMEDY
        if not _POINTER.fullmatch(key):
            yield at, "is not a JSON pointer", "write it as in /status"
    elif side == "lookup" and rest.startswith("/"):
        if route.lookup is None:
            yield at, "looks at a look-up that this route does not make", "add `lookup:`"
        if not _POINTER.fullmatch(rest):
            yield at, "is not a JSON pointer", "write it as in lookup:/status"
    elif side == "query" and rest:
        if rest not in route.query:
            yield at, f"looks at a query parameter that the route refuses: `{rest}` is not listed", "add it to `query`, or remove the condition"
    else:
        yield at, "is not a condition", "write /pointer, query:NAME or lookup:/pointer"


def _is_condition(value: object) -> bool:
    if isinstance(value, dict):
        return len(value) == 1 and (value.get("exists") is True or value.get("absent") is True)
    if isinstance(value, list):
        return bool(value) and not any(isinstance(each, dict | list) for each in value)
    return True


def _is_textual(value: object) -> bool:
    return isinstance(value, dict) or all(each is None or isinstance(each, str) for each in (value if isinstance(value, list) else [value]))


def _lookup(lookup: Lookup, parsed: Template) -> Iterator[Finding]:
    place: Place = ("lookup",)
    for name in _PARAMETER.findall(lookup.get):
        if name not in parsed.parameters:
            yield (*place, "get"), f"uses `{{{name}}}`, which the route's path does not have", "use the names of `match`"
    if not re.fullmatch(r"/(?!/)[!-~]*", _PARAMETER.sub("x", lookup.get)) or "#" in lookup.get:
        yield (*place, "get"), "is not a target", "write a path as it is sent, beginning with /"
    if lookup.state is not None and not lookup.states:
        yield (*place, "states"), "is missing: without it every state is a no", "map the upstream's words, as in {draft: draft, publish: exported}"
    if lookup.state is None and lookup.states:
        yield (*place, "state"), "is missing: nothing says where the state stands", "add `state: /status`"
    listed = (("ignore", lookup.ignore), ("authors", lookup.authors))
    for key, pointer in (("state", lookup.state or ""), *((key, each) for key, pointers in listed for each in pointers)):
        if not _POINTER.fullmatch(pointer):
            yield (*place, key), f"`{pointer}` is not a JSON pointer", "write it as in /status"
    for word, state in lookup.states.items():
        if state not in ASSET_STATES:
            yield (*place, "states", word), f"`{state}` is not a state", f"one of {', '.join(ASSET_STATES)}"


def _idempotency(route: Route, parsed: Template) -> Iterator[Finding]:
    """What may be sent again must be what people approved, whether or not it arrived the first time."""
    if not route.idempotency:
        return
    if parsed.method in template.SAFE_METHODS:
        yield ("idempotency",), f"is for what changes something, and {parsed.method} does not", "remove it"
    elif route.lookup is not None and route.lookup.digest:
        message = "stands beside `lookup.digest`: after a lost answer nobody can tell whether it was we who changed the asset"
        yield ("idempotency",), message, "remove it: a lost answer is unknown, and people look"


def _content(route: Route, parsed: Template) -> Iterator[Finding]:
    """What people approve must be what goes out: content that lies at the upstream is bound by the look-up's digest (lifecycles.md)."""
    written = parsed.method in template.WRITE_METHODS and bool(parsed.parameters)
    upstream = route.content == "upstream" or (route.content is None and written)
    can_export = Stage.EXPORT in {route.stage, *(case.stage for case in route.cases)}
    if upstream and can_export and not (route.lookup is not None and route.lookup.digest):
        remedy = "add `lookup: {get: …, digest: true}`, or `content: body` if the body is all that goes out"
        yield ("match",), "can let out what lies at the upstream, and nothing ties an approval to it", remedy
