"""Ruling or error → status, headers, body. The only file with status codes; it decides nothing and reads nothing.

Problem bodies are RFC 9457 with `type` = `urn:stagewarden:problem:CODE` (contract section 3). A no is never 2xx or 3xx:
on nginx `auth_request` and Caddy `forward_auth` any 2xx is an allow, so a hold is 403.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from stagewarden.errors import (
    AnswerWithheld,
    AuditUnavailable,
    CannotTell,
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    Refused,
    StagewardenError,
    TooMuch,
    UpstreamFailed,
)
from stagewarden.model import Ask, Deny, HoldState
from stagewarden.modes import NotDurable
from stagewarden.wire.listener.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.model import Answer, Document, Headers, Hold, Ruling

OK = 200
_ACCEPTED = 202
_NO_CONTENT = 204
SEE_OTHER = 303

# Codes of the gate and of the doors; a policy's own codes are all 403 `denied`.
_STATUS = {
    "ambiguous_request": 400,
    "unauthenticated": 401,
    "killed": 403,
    "paused": 403,
    "revoked": 403,
    "not_allowed": 403,
    "not_a_person": 403,
    "step_up": 403,
    "invalid_logout": 400,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "body_too_large": 413,
    "target_too_long": 414,
    "unsupported_body": 415,
    "misdirected": 421,
    "invalid": 422,
    "overloaded": 429,
    "busy": 503,
    "headers_too_large": 431,
    "internal": 500,
    "upstream_unavailable": 502,
    "outcome_unknown": 502,
    "answer_withheld": 502,
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
    "not_a_person": "Not listed here",
    "step_up": "Sign in again for this",
    "invalid_logout": "Not a logout token for us",
    "not_found": "No such thing here",
    "method_not_allowed": "No such act here",
    "conflict": "It changed meanwhile",
    "body_too_large": "The body is over the limit",
    "target_too_long": "The target is over the limit",
    "unsupported_body": "The route does not take this body",
    "misdirected": "This listener does not answer to that name",
    "invalid": "The body is not acceptable",
    "overloaded": "Too much at once",
    "busy": "Too much of all together",
    "headers_too_large": "The headers are over the limit",
    "internal": "Our mistake",
    "upstream_unavailable": "The upstream could not be reached",
    "outcome_unknown": "The upstream left half-way; what happened there is not known",
    "answer_withheld": "The upstream answered; what it said cannot be reduced to what this agent may read",
    "cannot_tell": "Could not find out, so the answer is no",
    "audit_unavailable": "The record could not be made durable, so nothing happens",
    "draining": "Shutting down",
    "upstream_timeout": "The upstream did not answer in time",
    "denied": "Denied",
    "held": "Held for people",
}
_RETRY = frozenset({"cannot_tell", "audit_unavailable", "draining", "overloaded", "busy"})
# Hold states in which the agent is told no for good, with that state as the code.
_ENDED_WITH_NO = frozenset({HoldState.REJECTED, HoldState.SENT_BACK, HoldState.STOPPED, HoldState.SUPERSEDED, HoldState.WITHDRAWN, HoldState.EXPIRED})


def problem_reply(
    code: str, detail: str | None = None, *, members: Mapping[str, object] | None = None, headers: Headers = (), retry_after: int = 1
) -> Reply:
    """A problem body; `members` are the extension members of its type, `retry_after` seconds for those that may be tried again."""
    status = _STATUS.get(code, 403)
    document: dict[str, object] = {"type": f"urn:stagewarden:problem:{code}", "title": _TITLES.get(code, "Denied"), "status": status}
    if detail:
        document["detail"] = detail
    retry = (("Retry-After", str(retry_after)),) if code in _RETRY else ()
    return Reply(status, (("Content-Type", "application/problem+json"), *headers, *retry), orjson.dumps({**document, **(members or {})}))


def error_reply(failure: StagewardenError, *, headers: Headers = ()) -> Reply:
    """An error that has no ruling. What is ours to mend is not described to strangers."""
    match failure:
        case NotDurable():
            return problem_reply("cannot_tell", str(failure), headers=headers)  # the person has to know that the stop will not last
        case AuditUnavailable() | CannotTell():
            return problem_reply(failure.code if isinstance(failure, AuditUnavailable) else "cannot_tell", headers=headers)
        case Refused() | Conflict() | NotAllowed() | Invalid() | NotFound():
            return problem_reply(failure.code, getattr(failure, "detail", None) or str(failure), headers=headers)
        case TooMuch():
            return problem_reply(failure.code, str(failure), headers=headers, retry_after=failure.retry_after)
        case _:
            return problem_reply("internal", headers=headers)


def too_much(failure: TooMuch) -> Reply:
    """Over a limit, with the seconds after which there will be room again as far as we know."""
    return problem_reply(failure.code, str(failure), retry_after=failure.retry_after)


def json_reply(document: object, *, status: int = OK, headers: Headers = ()) -> Reply:
    """A JSON answer."""
    return Reply(status, (("Content-Type", "application/json"), *headers), orjson.dumps(document))


def with_fields(reply: Reply, *fields: tuple[str, str]) -> Reply:
    """The same answer with more header fields."""
    return Reply(reply.status, (*reply.headers, *fields), reply.body)


def refused(ruling: Ruling, challenge: str) -> Reply:
    """The answer to a request that was denied."""
    assert isinstance(ruling.verdict, Deny)
    first = ruling.verdict.reasons[0]
    code = first.code if first.code in _STATUS else "denied"
    members: Document = {"ruling": ruling.id}
    if code in {"denied", "killed", "paused", "revoked"}:
        members["reasons"] = [reason.document() for reason in ruling.verdict.reasons]
    headers: Headers = (("Stagewarden-Ruling", ruling.id),)
    if code == "unauthenticated":
        headers = (*headers, ("WWW-Authenticate", challenge))
    return problem_reply(code, first.text, members=members, headers=headers)


def failed(ruling: Ruling, failure: UpstreamFailed) -> Reply:
    """The answer to an allowed request whose upstream gave none."""
    members: dict[str, object] = {"ruling": ruling.id}
    headers: Headers = (("Stagewarden-Ruling", ruling.id),)
    if isinstance(failure, AnswerWithheld):
        members["upstream_status"] = failure.status
        if ruling.hold is not None:
            headers = (*headers, ("Stagewarden-Hold", ruling.hold.id))
    return problem_reply(failure.code, str(failure), members=members, headers=headers)


def held(ruling: Ruling, hold: Hold, view: Document, status_url: str, retry_after: int, *, accepted: bool) -> Reply:
    """Where a held request stands; 202 only when the client asked for it with `Prefer: respond-async`."""
    assert isinstance(ruling.verdict, Ask)
    headers: Headers = (("Stagewarden-Ruling", ruling.id), ("Stagewarden-Hold", hold.id), ("Link", f'<{status_url}>; rel="status"'))
    if hold.state is HoldState.UNKNOWN or (hold.sends and hold.state in _ENDED_WITH_NO):
        members: dict[str, object] = {"ruling": ruling.id, "hold": view}
        return problem_reply("outcome_unknown", "It was sent and no answer came back; people must look", members=members, headers=headers)
    if hold.state in {HoldState.DONE, HoldState.FAILED}:
        said = f"People looked it up: it is {hold.state}; no answer of the upstream is kept"
        return problem_reply("answer_withheld", said, members={"ruling": ruling.id, "hold": view}, headers=headers)
    if hold.state in _ENDED_WITH_NO:
        reason = {"code": str(hold.state), "rule": "gate", "text": f"The hold for this request is {hold.state}"}
        if hold.ended_by:
            reason["detail"] = hold.ended_by
        return problem_reply("denied", reason["text"], members={"ruling": ruling.id, "reasons": [reason], "hold": view}, headers=headers)
    members = {"ruling": ruling.id, "reasons": [reason.document() for reason in ruling.verdict.reasons], "hold": view}
    headers = (*headers, ("Retry-After", str(retry_after)))
    if not accepted:
        return problem_reply("held", "People decide; ask again at the status URL", members=members, headers=headers)
    headers = (*headers, ("Location", status_url), ("Preference-Applied", "respond-async"))
    waiting = problem_reply("held", "People decide; ask again at the status URL", members={**members, "status": _ACCEPTED}, headers=headers)
    return Reply(_ACCEPTED, waiting.headers, waiting.body)


def stored(answer: Answer, fields: Headers, extra: Headers) -> Reply:
    """The answer kept with a hold, as it came; its length is written anew."""
    return Reply(answer.status, (*((name, value) for name, value in fields if name.lower() != "content-length"), *extra), answer.body)


# -- the people's and operators' plane, on aiohttp -------------------------------------------------------------------------


def problem(
    code: str, detail: str | None = None, *, members: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A problem body as aiohttp sends it."""
    return _response(problem_reply(code, detail, members=members, headers=tuple((headers or {}).items())))


def error(failure: StagewardenError, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """An error of the people's or operators' plane."""
    return _response(error_reply(failure, headers=tuple((headers or {}).items())))


def json(document: object, *, status: int = OK, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer as aiohttp sends it."""
    return _response(json_reply(document, status=status, headers=tuple((headers or {}).items())))


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers=reply.headers)


def health(*, ok: bool, document: Mapping[str, object]) -> web.Response:
    """Health of the process; 503 with the reasons when it is not well."""
    return json(document, status=OK if ok else 503)


def code_of(failure: web.HTTPException) -> str:
    """The code of what the router or the reader of bodies refused."""
    return {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}.get(failure.status, "ambiguous_request")


def status_of(code: str) -> int:
    """The status a code is told with."""
    return _STATUS.get(code, 403)


def title_of(code: str) -> str:
    """What a code means, in a few words."""
    return _TITLES.get(code, "Denied")


def page(html: str, code: str | None = None) -> web.Response:
    """A page for people; with the status of the problem it tells of, if any."""
    return web.Response(status=OK if code is None else _STATUS.get(code, 403), text=html, content_type="text/html", charset="utf-8")


def options(methods: str) -> web.Response:
    """What can be done here."""
    return web.Response(status=_NO_CONTENT, headers={"Allow": methods})


def events() -> web.StreamResponse:
    """The head of a stream of server-sent events; no proxy is to keep any of it back."""
    response = web.StreamResponse(status=OK, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    return response


def download(size: int, name: str) -> web.StreamResponse:
    """The head of a file that an agent wrote: saved, never shown, never guessed at (`nosniff` is on every answer)."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size), "Cache-Control": "no-store"}
    response = web.StreamResponse(status=OK, headers=headers)
    response.content_type = "application/octet-stream"
    return response


def see_other(location: str) -> web.Response:
    """After a form: a GET, so that going back or reloading does nothing twice."""
    return web.Response(status=SEE_OTHER, headers={"Location": location})


def asset(body: bytes, content_type: str) -> web.Response:
    """A file of ours, named by its digest, so it may be kept."""
    return web.Response(status=OK, body=body, content_type=content_type, headers={"Cache-Control": "public, max-age=31536000, immutable"})
