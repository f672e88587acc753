"""From a matched route, its body and the looked-up asset to an Action and the facts. Pure; the strict answer stands where no case matches."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from stagewarden.errors import Ambiguous, Refused
from stagewarden.model import Action, Asset, Stage
from stagewarden.wire import form, multipart, strict_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stagewarden.classify.lookup import Looked
    from stagewarden.classify.routes import CompiledCase, Match
    from stagewarden.model import JSON, Document

_COUNTED = ("claims", "offers")  # facts that rules count


def parse_body(match: Match, content_type: str | None, body: bytes, depth: int) -> JSON:
    """The body as the route wants it; raises Refused (415) for another type, Ambiguous for what two parsers could read differently."""
    wanted = match.route.settings.body
    media, charset = _media_type(content_type)
    if charset not in {"", "utf-8"}:
        raise Refused("unsupported_body", "a body is read as UTF-8")
    if wanted == "none":
        if body:
            raise Refused("unsupported_body", "this route takes no body")
        return None
    if wanted == "json":
        if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
            raise Refused("unsupported_body", "this route takes application/json")
        document = strict_json.loads(body, depth)
        strict_json.refuse_case_variants(document, match.route.body_names)
        return document
    if wanted == "form":
        if media != "application/x-www-form-urlencoded":
            raise Refused("unsupported_body", "this route takes application/x-www-form-urlencoded")
        fields: Document = dict(form.loads(body))
        strict_json.refuse_case_variants(fields, match.route.body_names)
        return fields
    check_type(match, content_type)
    return None


def check_type(match: Match, content_type: str | None) -> None:
    """For a body that is not read here, or only in parts: whether the route takes its type, before a byte of it is read."""
    if match.route.settings.body == "multipart":
        multipart.boundary(content_type or "")
        return
    media, charset = _media_type(content_type)
    if media not in match.route.settings.types or charset not in {"", "utf-8"}:
        raise Refused("unsupported_body", f"this route takes {', '.join(match.route.settings.types) or 'no media type'}")


def parse_parts(match: Match, content_type: str | None, blocks: Iterable[bytes], text: int) -> Document:
    """A multipart body as its parts; raises Refused, or Ambiguous. `text`: how many bytes all fields may have together."""
    settings = match.route.settings
    taken = multipart.Taken(frozenset(settings.types), frozenset(settings.several), text)
    read = multipart.read(blocks, multipart.boundary(content_type or ""), taken)
    strict_json.refuse_case_variants(dict(read.fields), match.route.body_names)
    for part in read.parts:
        # Some readers put a file where the field of that name is looked for, others leave the field out.
        if part.filename is not None and (meant := match.route.body_names.folded.get(strict_json.fold(part.name))) is not None:
            raise Ambiguous("body", f"the file {part.name!a} could be read as the field {meant!a}")
    return read.document()


@lru_cache(maxsize=64)
def _media_type(content_type: str | None) -> tuple[str, str]:
    """Type and charset in lower case; any other parameter is none that this sidecar reads by."""
    media, *parameters = (part.strip() for part in (content_type or "").lower().split(";"))
    named = [value.strip().strip('"') for name, _, value in (part.partition("=") for part in parameters) if name.strip() == "charset"]
    return media, ",".join(named)


def classify(match: Match, body: JSON, looked: Looked | None, *, external: bool) -> Action:
    """The action: among matching cases the highest stage, then the first listed; else the route's own."""
    route = match.route
    query: Document = dict(match.target.query)
    matching = [case for case in route.cases if _holds(case, body, query, looked)]
    best = max(matching, key=lambda case: case.stage.rank, default=None)
    return Action(
        upstream=match.upstream.name,
        route=route.name,
        stage=best.stage if best else route.stage,
        kind=best.kind if best else route.settings.kind,
        asset=Asset(match.asset_id, looked.digest if looked else None, looked.state if looked else "untracked"),
        fields=tuple(sorted(body)) if isinstance(body, dict) else (),
        data_classes=route.settings.data_classes,
        destination=match.upstream.settings.destination,
        external=external,
        reversible=best.reversible if best else route.settings.reversible,
        loopback=match.upstream.loopback,
    )


def _holds(case: CompiledCase, body: JSON, query: Document, looked: Looked | None) -> bool:
    if case.lookup and looked is None:
        return False
    return (
        all(condition.holds(body) for condition in case.body)
        and all(condition.holds(query) for condition in case.query)
        and all(condition.holds(looked.document) for condition in case.lookup if looked)
    )


def facts(match: Match, action: Action, body: JSON, looked: Looked | None) -> Document:
    """What the rules count. `claims` and `offers` are always lists, of the body and of the content that would go out with it.

    `content` is the looked-up asset where this request would let it out: what is published by its id is never in the body.
    """
    content = looked.document if looked is not None and action.stage.rank >= Stage.QUEUE.rank else None
    found: Document = {"claims": [], "offers": [], "content": content}
    for name, pointer in match.route.facts.items():
        if name in _COUNTED:
            found[name] = [value for document in (body, content) if document is not None for value in _as_list(pointer.find(document))]
        else:
            found[name] = pointer.first(body)
    return found


def _as_list(values: Iterator[JSON]) -> list[JSON]:
    """Every value as elements: a lone value is a list of one, null is none."""
    return [each for value in values for each in (value if isinstance(value, list) else [value]) if each is not None]
