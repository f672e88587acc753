"""The agents' door: a reverse proxy that reads strictly, calls the gate and relays what comes back.

Decides nothing. Everything about the request is read from the raw start line and headers, once, by `wire`: never from aiohttp's
`url`, `path` or `query`, which are three different views of one target.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, TypeVar

import structlog
from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.web_protocol import RequestHandler

from stagewarden.clock import new_id
from stagewarden.errors import Ambiguous, BadCredential, CannotTell, Conflict, NotFound, Refused, StagewardenError, UpstreamFailed
from stagewarden.holds.view import agent_view
from stagewarden.model import Allow, Ask, Head, HoldState
from stagewarden.web import render
from stagewarden.wire import headers as wire_headers
from stagewarden.wire.target import parse_target
from stagewarden.wire.tls import peer_certificate

if TYPE_CHECKING:
    from stagewarden.clock import Clock
    from stagewarden.config import Config
    from stagewarden.gate import Judge, Passage
    from stagewarden.model import Document, Hold, Ruling

Body = TypeVar("Body", bytes, bytearray)

OWN_PREFIX = "/.stagewarden/"
_METHOD = re.compile(r"[A-Z][A-Z0-9!#$%&'*+.^_`|~-]{0,31}")
_LONGEST_WAIT = 55.0  # seconds; below the minute at which many clients and proxies give up
_LINGER = 2.0  # seconds an unread body may take to arrive before the connection is cut
_RETRY_HELD = 10
_OPEN = frozenset({HoldState.PENDING, HoldState.APPROVED, HoldState.CLAIMED, HoldState.SENT})
_PARSER_MARGIN = 2  # aiohttp's own limits stand above ours, so that we are the one to say 414 and 431


class AgentsDoor:
    """Makes a Head of what arrives and the gate's answer of what leaves."""

    def __init__(self, config: Config, judge: Judge, clock: Clock, hosts: frozenset[str]) -> None:
        self._limits = config.limits
        self._wait = float(config.holds.wait)
        self._judge = judge
        self._clock = clock
        self._hosts = hosts
        self._draining = False
        self._waiting: set[asyncio.Timeout] = set()  # clients that wait for what people say
        self._logger = structlog.get_logger("stagewarden.agents")

    def drain(self) -> None:
        """From now on every request is told that we are shutting down; who waits for people is told where the hold stands."""
        self._draining = True
        for waiting in self._waiting:
            waiting.reschedule(0)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if self._draining:
            response = render.problem("draining", "Shutting down")
            response.force_close()
            return response
        peer = request.remote or ""
        try:
            head = self._head(request, peer)
            if head.target.path.startswith(OWN_PREFIX):
                return await self._own(head)
        except (Refused, NotFound, Conflict, CannotTell) as refused:
            return self._refused(refused, peer)
        return await self._proxy(request, head)

    def malformed(self, status: int, peer: str) -> web.Response:
        """What aiohttp's parser could not read: our problem instead of its page."""
        code = render.code_of_parser(status)
        self._judge.refuse(code, peer)
        response = render.problem(code, "the request could not be parsed" if code != "internal" else None)
        response.force_close()
        return response

    def _head(self, request: web.BaseRequest, peer: str) -> Head:
        if request.version not in (HttpVersion10, HttpVersion11):
            raise Ambiguous("version", "HTTP/1.0 and HTTP/1.1 are answered")
        if not _METHOD.fullmatch(request.method):
            raise Ambiguous("method", "a method is an upper-case token")
        target = parse_target(request.raw_path.encode("utf-8", "surrogateescape"), self._limits.target)
        headers = wire_headers.check(request.raw_headers, self._limits, http10=request.version == HttpVersion10)
        hosts = [value for name, value in headers if name.lower() == "host"]
        if not hosts:
            raise Ambiguous("host", "there is no Host header")
        host = wire_headers.parse_host(hosts[0])
        if host not in self._hosts:
            raise Ambiguous("host", "this listener does not answer to that name")
        now = self._clock.now_ns()
        certificate = getattr(request.protocol, "certificate", None)
        return Head(new_id("r", now), request.method, target, host, headers, peer, now, certificate)

    async def _proxy(self, request: web.BaseRequest, head: Head) -> web.StreamResponse:
        body = _Body(request, self._limits.body_deadline)
        with await self._judge.judge(head, body.read) as passage:
            ruling = passage.ruling
            if isinstance(ruling.verdict, Allow):
                return await self._relay(request, passage)
            if not isinstance(ruling.verdict, Ask):
                response = render.refused(ruling, self._judge.challenge)
                if not body.complete:
                    response.force_close()  # nobody unknown gets a body read
                return response
        return await self._held(request, ruling)

    async def _relay(self, request: web.BaseRequest, passage: Passage) -> web.StreamResponse:
        ruling = passage.ruling
        assert isinstance(ruling.verdict, Allow)
        response: render.Relayed | None = None
        extra = {"Stagewarden-Ruling": ruling.id, "Stagewarden-Review": ruling.verdict.obligations.review}
        try:
            async with passage.send() as relay:
                answer = relay.answer
                response = render.relayed(answer.status, answer.reason, wire_headers.response(answer.headers), extra, whole=answer.whole)
                await response.prepare(request)
                async for chunk in relay:
                    await response.write(chunk)
        except UpstreamFailed as failure:
            if response is None:
                return render.failed(ruling, failure)
            # The answer broke off half-way: the agent must see that, so the connection is cut without a clean end.
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write_eof()
        return response

    async def _held(self, request: web.BaseRequest, ruling: Ruling) -> web.StreamResponse:
        hold = ruling.hold
        assert hold is not None
        preference = wire_headers.preference(ruling.head.headers)
        wait = self._wait if preference.wait is None else preference.wait
        if hold.state in _OPEN and wait > 0 and not preference.respond_async:
            hold = await self._outcome(hold, min(wait, _LONGEST_WAIT))
        if hold.response is not None and hold.state in {HoldState.DONE, HoldState.FAILED}:
            headers = {"Stagewarden-Ruling": ruling.id, "Stagewarden-Review": "human", "Stagewarden-Hold": hold.id}
            response = render.stored(hold.response, wire_headers.response(hold.response.headers), headers)
            await response.prepare(request)
            await response.write_eof(hold.response.body)
            return response
        accepted = preference.respond_async and hold.state in _OPEN
        return render.held(ruling, hold, _view(hold), _status_url(hold), _RETRY_HELD, accepted=accepted)

    async def _outcome(self, hold: Hold, seconds: float) -> Hold:
        """The hold once it has ended, at the latest after `seconds`; as it was when it is we who end first."""
        try:
            async with asyncio.timeout(0 if self._draining else None) as waiting:
                self._waiting.add(waiting)
                try:
                    return await self._judge.outcome_of(hold.id, seconds)
                finally:
                    self._waiting.discard(waiting)
        except TimeoutError:
            return hold

    async def _own(self, head: Head) -> web.Response:
        """`/.stagewarden/holds/{id}` and its `withdraw`: own holds only; nothing else is here."""
        parts = head.target.segments[1:]
        if head.target.query:
            raise NotFound("nothing here takes a query")
        if head.method == "GET" and len(parts) == 2 and parts[0] == "holds":  # noqa: PLR2004 - holds/{id}
            return _hold_document(await self._judge.own_hold(head, parts[1]))
        if head.method == "POST" and len(parts) == 3 and parts[0] == "holds" and parts[2] == "withdraw":  # noqa: PLR2004 - holds/{id}/withdraw
            return _hold_document(await self._judge.withdraw(head, parts[1]))
        raise NotFound("holds/{id} and holds/{id}/withdraw are all there is")

    def _refused(self, refused: StagewardenError, peer: str) -> web.Response:
        self._judge.refuse(refused.code, peer)
        headers = {"WWW-Authenticate": self._judge.challenge} if isinstance(refused, BadCredential) else None
        response = render.error(refused, headers=headers)
        response.force_close()
        return response


class _Body:
    """Reads one request's body once, bounded in size and time; `100 Continue` only when somebody really reads."""

    def __init__(self, request: web.BaseRequest, deadline: float) -> None:
        self._request = request
        self._deadline = deadline

    @property
    def complete(self) -> bool:
        """Whether nothing of the body is left unread on the connection."""
        return self._request.content.at_eof() or not self._request.body_exists

    async def read(self, limit: int) -> bytes:
        """The whole body; Refused `body_too_large` over the limit, before reading where the length says so."""
        request = self._request
        if not request.body_exists:
            return b""
        length = request.headers.get("Content-Length")
        if limit == 0 and length != "0":
            raise Refused("unsupported_body", "this route takes no body")
        if length is not None and int(length) > limit:
            raise Refused("body_too_large", f"the body is over {limit} bytes")
        if request.headers.get("Expect"):
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        try:
            if request.content.is_eof():  # it came with the head, as small bodies do: nothing to wait for
                return _bounded(request.content.read_nowait(), limit)
            async with asyncio.timeout(self._deadline):
                return await self._collect(limit)
        except TimeoutError:
            raise Refused("ambiguous_request", "body: it did not arrive inside the deadline") from None
        except (ConnectionError, web.HTTPException, OSError) as gone:
            raise Refused("ambiguous_request", "body: the client left before its end") from gone

    async def _collect(self, limit: int) -> bytes:
        body = bytearray()
        async for chunk in self._request.content.iter_any():
            body += chunk
            _bounded(body, limit)
        return bytes(body)


def _bounded(body: Body, limit: int) -> Body:
    if len(body) > limit:
        raise Refused("body_too_large", f"the body is over {limit} bytes")
    return body


def _status_url(hold: Hold) -> str:
    return f"{OWN_PREFIX}holds/{hold.id}"


def _view(hold: Hold) -> Document:
    return {**agent_view(hold), "status_url": _status_url(hold)}


def _hold_document(hold: Hold) -> web.Response:
    return render.json(_view(hold), headers={"Stagewarden-Hold": hold.id, "Cache-Control": "no-store"})


class _Protocol(RequestHandler):
    """aiohttp's connection with our answer to what its parser refuses."""

    __slots__ = ("_door", "certificate")

    def __init__(self, door: AgentsDoor, manager: web.Server, **options: object) -> None:
        super().__init__(manager, **options)  # type: ignore[arg-type]  # aiohttp's own keyword options
        self._door = door
        self.certificate: bytes | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, TLS done: who the client has proved to be is read once."""
        super().connection_made(transport)
        self.certificate = peer_certificate(transport)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature
    ) -> web.StreamResponse:
        """Answer in our form. Nothing of the exception reaches the client."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun") from exc
        if render.code_of_parser(status) == "internal":
            self.log_exception("Error handling request", exc_info=exc)
        return self._door.malformed(status, request.remote or "")


class AgentsServer(web.Server):
    """The low-level server of the agents' listener: no routing, no middlewares, no decompression, no access log."""

    def __init__(self, door: AgentsDoor, config: Config) -> None:
        self._options: dict[str, object] = {
            "access_log": None,
            "auto_decompress": False,
            # The header deadline: from accept, and between requests, to a complete head.
            "keepalive_timeout": float(config.limits.header_deadline),
            "lingering_time": _LINGER,
            "logger": logging.getLogger("stagewarden.agents"),
            "max_field_size": _PARSER_MARGIN * config.limits.header_bytes,
            "max_headers": _PARSER_MARGIN * config.limits.headers,
            "max_line_size": _PARSER_MARGIN * config.limits.target,
        }
        super().__init__(door.handle)
        self._door = door

    def __call__(self) -> RequestHandler:
        """One connection."""
        return _Protocol(self._door, self, loop=self._loop, **self._options)
