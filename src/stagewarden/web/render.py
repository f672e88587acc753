"""Ruling or error → status, headers, body. The only file with status codes; it decides nothing and reads nothing.

Problem bodies are RFC 9457 with `type` = `urn:stagewarden:problem:CODE` (contract section 3). A no is never 2xx or 3xx:
on nginx `auth_request` and Caddy `forward_auth` any 2xx is an allow, so a hold is 403.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from stagewarden.errors import AuditUnavailable, CannotTell, Conflict, Invalid, NotAllowed, NotFound, Refused, StagewardenError, UpstreamFailed
from stagewarden.model import Ask, Deny, HoldState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.model import Answer, Document, Headers, Hold, Ruling

OK = 200
SEE_OTHER = 303
_SERVER_ERROR = 500
_SECONDS_TO_RETRY = "1"

# Codes of the gate and of the doors; a policy's own codes are all 403 `denied`.
_STATUS = {
    "ambiguous_request": 400,
    "unauthenticated": 401,
    "killed": 403,
    "paused": 403,
    "revoked": 403,
    "not_allowed": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "body_too_large": 413,
    "target_too_long": 414,
    "unsupported_body": 415,
    "misdirected": 421,
    "invalid": 422,
    "overloaded": 429,
    "headers_too_large": 431,
    "internal": 500,
    "upstream_unavailable": 502,
    "outcome_unknown": 502,
    "cannot_tell": 503,
    "audit_unavailable": 503,
    "draining": 503,
    "upstream_timeout": 504,
}
_TITLES = {
    "ambiguous_request": "The request can be read in more than one way",
    "unauthenticated": "No acceptable credential",
    "killed": "Stopped by a person",
    "paused": "This agent is paused",
    "revoked": "This agent is revoked",
    "not_allowed": "Not yours to do",
    "not_found": "No such thing here",
    "method_not_allowed": "No such act here",
    "conflict": "It changed meanwhile",
    "body_too_large": "The body is over the limit",
    "target_too_long": "The target is over the limit",
    "unsupported_body": "The route does not take this body",
    "misdirected": "This listener does not answer to that name",
    "invalid": "The body is not acceptable",
    "overloaded": "Too much at once",
    "headers_too_large": "The headers are over the limit",
    "internal": "Our mistake",
    "upstream_unavailable": "The upstream could not be reached",
    "outcome_unknown": "The upstream left half-way; what happened there is not known",
    "cannot_tell": "Could not find out, so the answer is no",
    "audit_unavailable": "The record could not be made durable, so nothing happens",
    "draining": "Shutting down",
    "upstream_timeout": "The upstream did not answer in time",
    "denied": "Denied",
    "held": "Held for people",
}
_RETRY = frozenset({"cannot_tell", "audit_unavailable", "draining", "overloaded"})
# Hold states in which the agent is told no for good, with that state as the code.
_ENDED_WITH_NO = frozenset({HoldState.REJECTED, HoldState.STOPPED, HoldState.SUPERSEDED, HoldState.WITHDRAWN, HoldState.EXPIRED})


def code_of_parser(status: int) -> str:
    """Our code for what aiohttp's parser or server says by status alone."""
    known = {413: "headers_too_large", 414: "target_too_long", 431: "headers_too_large"}
    return known.get(status, "ambiguous_request" if status < _SERVER_ERROR else "internal")


def problem(
    code: str, detail: str | None = None, *, members: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A problem body; `members` are the extension members of its type."""
    status = _STATUS.get(code, 403)
    document = {"type": f"urn:stagewarden:problem:{code}", "title": _TITLES.get(code, "Denied"), "status": status}
    if detail:
        document["detail"] = detail
    response = web.Response(
        status=status, body=orjson.dumps({**document, **(members or {})}), content_type="application/problem+json", headers=headers
    )
    if code in _RETRY:
        response.headers["Retry-After"] = _SECONDS_TO_RETRY
    return response


def error(failure: StagewardenError, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """An error of the people's or operators' plane. What is ours to mend is not described to strangers."""
    match failure:
        case AuditUnavailable():
            return problem("audit_unavailable", headers=headers)
        case CannotTell():
            return problem("cannot_tell", headers=headers)
        case Refused() | Conflict() | NotAllowed() | Invalid() | NotFound():
            return problem(failure.code, getattr(failure, "detail", None) or str(failure), headers=headers)
        case _:
            return problem("internal", headers=headers)


def json(document: object, *, status: int = OK, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(status=status, body=orjson.dumps(document), content_type="application/json", headers=headers)


def health(*, ok: bool, document: Mapping[str, object]) -> web.Response:
    """Health of the process; 503 with the reasons when it is not well."""
    return json(document, status=OK if ok else 503)


def refused(ruling: Ruling, challenge: str) -> web.Response:
    """The answer to a request that was denied."""
    assert isinstance(ruling.verdict, Deny)
    first = ruling.verdict.reasons[0]
    code = first.code if first.code in _STATUS else "denied"
    members: Document = {"ruling": ruling.id}
    if code in {"denied", "killed", "paused", "revoked"}:
        members["reasons"] = [reason.document() for reason in ruling.verdict.reasons]
    headers = {"Stagewarden-Ruling": ruling.id}
    if code == "unauthenticated":
        headers["WWW-Authenticate"] = challenge
    return problem(code, first.text, members=members, headers=headers)


def failed(ruling: Ruling, failure: UpstreamFailed) -> web.Response:
    """The answer to an allowed request whose upstream gave none."""
    return problem(failure.code, str(failure), members={"ruling": ruling.id}, headers={"Stagewarden-Ruling": ruling.id})


def held(ruling: Ruling, hold: Hold, view: Document, status_url: str, retry_after: int, *, accepted: bool) -> web.Response:
    """Where a held request stands; 202 only when the client asked for it with `Prefer: respond-async`."""
    assert isinstance(ruling.verdict, Ask)
    headers = {"Stagewarden-Ruling": ruling.id, "Stagewarden-Hold": hold.id, "Link": f'<{status_url}>; rel="status"', "Retry-After": str(retry_after)}
    if hold.state in _ENDED_WITH_NO:
        reason = {"code": str(hold.state), "rule": "gate", "text": f"The hold for this request is {hold.state}"}
        if hold.ended_by:
            reason["detail"] = hold.ended_by
        del headers["Retry-After"]
        return problem("denied", reason["text"], members={"ruling": ruling.id, "reasons": [reason], "hold": view}, headers=headers)
    if hold.state is HoldState.UNKNOWN:
        del headers["Retry-After"]
        return problem(
            "outcome_unknown", "It was sent and no answer came back; people must look", members={"ruling": ruling.id, "hold": view}, headers=headers
        )
    members = {"ruling": ruling.id, "reasons": [reason.document() for reason in ruling.verdict.reasons], "hold": view}
    response = problem("held", "People decide; ask again at the status URL", members=members, headers=headers)
    if accepted:
        response.set_status(202)
        response.headers["Location"] = status_url
        response.headers["Preference-Applied"] = "respond-async"
        body = orjson.loads(response.body) if isinstance(response.body, bytes) else {}
        response.body = orjson.dumps({**body, "status": 202})
    return response


class Relayed(web.StreamResponse):
    """An upstream's answer on its way to the agent: its own headers, none of the server's defaults."""

    async def _prepare_headers(self) -> None:
        # aiohttp would add Content-Type, Date and Server; the agent gets the upstream's answer as it came (contract section 3).
        headers = self.headers
        absent = [name for name in ("Content-Type", "Date", "Server") if name not in headers]
        await super()._prepare_headers()
        for name in absent:
            headers.pop(name, None)


def relayed(status: int, reason: str | None, headers: Headers, extra: Mapping[str, str], *, whole: bool = False) -> Relayed:
    """The head of an upstream's answer plus ours. Where the body is `whole` already, the head leaves with its first piece."""
    response = Relayed(status=status, reason=reason, headers=(*headers, *extra.items()))
    response._send_headers_immediately = not whole  # noqa: SLF001 - what aiohttp's own Response does
    return response


def stored(answer: Answer, headers: Headers, extra: Mapping[str, str]) -> Relayed:
    """The head of the answer kept with a hold; its body follows."""
    response = relayed(answer.status, None, headers, extra)
    response.content_length = len(answer.body)
    return response


def code_of(failure: web.HTTPException) -> str:
    """The code of what the router or the reader of bodies refused."""
    return {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}.get(failure.status, "ambiguous_request")


def title_of(code: str) -> str:
    """What a code means, in a few words."""
    return _TITLES.get(code, "Denied")


def page(html: str, code: str | None = None) -> web.Response:
    """A page for people; with the status of the problem it tells of, if any."""
    return web.Response(status=OK if code is None else _STATUS.get(code, 403), text=html, content_type="text/html", charset="utf-8")


def see_other(location: str) -> web.Response:
    """After a form: a GET, so that going back or reloading does nothing twice."""
    return web.Response(status=SEE_OTHER, headers={"Location": location})


def asset(body: bytes, content_type: str) -> web.Response:
    """A file of ours, named by its digest, so it may be kept."""
    return web.Response(status=OK, body=body, content_type=content_type, headers={"Cache-Control": "public, max-age=31536000, immutable"})
