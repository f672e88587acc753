"""The last steps before an upstream: the stage's credential is attached, the stop is checked again, the bytes leave once.

Never retries, never changes what was judged: the head is serialized from the frozen Request plus the credential and our own headers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.config.certificates import authorities
from stagewarden.errors import Ambiguous, CannotTell, OutcomeUnknown, UpstreamFailed
from stagewarden.model import Stage
from stagewarden.wire import spool
from stagewarden.wire.upstream import Phase, endpoint, serialize

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from stagewarden import config
    from stagewarden.model import Answer, Given, Headers, Request, Result
    from stagewarden.wire.upstream import Connection, Endpoint, Lease, UpstreamAnswer, Upstreams

_CLIENT_ERROR, _SERVER_ERROR = 400, 500


@dataclass(frozen=True, slots=True)
class _Destination:
    """One upstream as the sender needs it. `credentials` holds the header for every stage that has one, lower stages' filled in."""

    endpoint: Endpoint
    config: config.Upstream
    credentials: Mapping[Stage, tuple[str, str]]
    withheld: frozenset[str]  # lower-case names of credential headers: whatever the agent put there stays here


class Sender:
    """Sends judged requests. The only holder of the upstreams' credentials."""

    def __init__(self, upstreams: Mapping[str, config.Upstream], secrets: config.Secrets, pool: Upstreams) -> None:
        self._pool = pool
        self._destinations = {name: _destination(upstream, secrets) for name, upstream in upstreams.items()}
        for destination in self._destinations.values():
            pool.trust(destination.endpoint)

    def address(self, upstream: str) -> Endpoint:
        """Scheme and authority as they will be sent."""
        return self._destinations[upstream].endpoint

    def withheld(self, upstream: str) -> frozenset[str]:
        """Header names that never pass from the agent to this upstream."""
        return self._destinations[upstream].withheld

    def head(self, request: Request, stage: Stage, ours: Headers, key: Headers = ()) -> bytes:
        """The request head as it will be written; `ours` goes along where the upstream is told of us, `key` always."""
        destination = self._destinations[request.upstream]
        credential = destination.credentials.get(stage)
        if credential is None:
            raise CannotTell(f"upstream {request.upstream} has no credential for stage {stage}")
        announced = ours if destination.config.announce else ()
        return serialize(request.method, request.target, request.authority, (*request.headers, credential, *key, *announced), request.size)

    def connected(self, agent: str, request: Request, stage: Stage, *, fresh: bool = False) -> Lease:
        """A connection nobody else uses: pooled per (agent, upstream, credential). Raises UpstreamUnavailable when entered."""
        destination = self._destinations[request.upstream]
        key = (agent, request.upstream, str(stage))
        return self._pool.lease(key, destination.endpoint, destination.config.connect_deadline, fresh=fresh)

    async def exchange(self, connection: Connection, request: Request, head: bytes) -> UpstreamAnswer:
        """Write head and body once and read the answer's head."""
        deadline = self._destinations[request.upstream].config.answer_deadline
        if isinstance(request.body, bytes):
            return await connection.exchange(head, request.body, deadline)
        try:
            return await connection.exchange_pieces(head, spool.pieces(request.body), deadline)
        except CannotTell as error:
            raise OutcomeUnknown(f"its body could not be read to the end: {error}") from error


def _destination(upstream: config.Upstream, secrets: config.Secrets) -> _Destination:
    credentials: dict[Stage, tuple[str, str]] = {}
    nearest: tuple[str, str] | None = None
    # A stage without a credential of its own takes the nearest lower stage's, never a higher one.
    for stage in Stage:
        if own := upstream.credentials.get(stage):
            nearest = (own.header, secrets.text(own.value))
        if nearest is not None:
            credentials[stage] = nearest
    withheld = frozenset(credential.header.lower() for credential in upstream.credentials.values())
    ca = None if upstream.ca is None else authorities(secrets, upstream.ca)
    return _Destination(endpoint(upstream.url, ca), upstream, credentials, withheld)


def result_of(status: int) -> Result:
    """An answer below 400 is done, 4xx failed, 5xx unknown (lifecycles.md, "A hold")."""
    return "done" if status < _CLIENT_ERROR else "failed" if status < _SERVER_ERROR else "unknown"


class Relay:
    """An upstream's answer on its way to the agent, counted and digested as it passes. `given`: what the agent gets in its place."""

    __slots__ = ("_digest", "_on_cut", "_unread", "answer", "failure", "given", "given_as", "size")

    def __init__(self, answer: UpstreamAnswer) -> None:
        self.answer = answer
        self.size = 0
        self.failure: UpstreamFailed | None = None
        self.given: Answer | None = None
        self.given_as: Given = "whole"
        self._unread = False
        self._digest = hashlib.sha256()
        self._on_cut: Callable[[], None] | None = None

    @property
    def open(self) -> bool:
        """Whether more of the answer is to come."""
        return self.answer.phase is not Phase.WHOLE

    def whole(self) -> bytes | None:
        """The body at once, where all of it is here already."""
        body = self.answer.take()
        if body is not None:
            self.size += len(body)
            self._digest.update(body)
        return body

    def cut(self, failure: UpstreamFailed) -> None:
        """End it here: the upstream is let go of, and what it had sent already goes nowhere."""
        if self.failure is None:
            self.failure = failure
            self.answer.fail(failure)
            if self._on_cut is not None:
                self._on_cut()

    def when_cut(self, act: Callable[[], None]) -> None:
        """What else to do then, at once where it is cut already."""
        self._on_cut = act
        if self.failure is not None:
            act()

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises Ambiguous over the limit, what is left of it unread; UpstreamFailed where it is cut short."""
        pieces: list[bytes] = []
        async for piece in self:
            pieces.append(piece)
            if self.size > limit:
                raise Ambiguous("answer", f"it is over {limit} bytes")
        self._unread = False
        return b"".join(pieces)

    async def read_whole(self, limit: int) -> bytes:
        """The same, where nothing is kept back: OutcomeUnknown over the limit."""
        try:
            return await self.read(limit)
        except Ambiguous as refused:
            self.failure = OutcomeUnknown(refused.detail)
            self.answer.fail(self.failure)
            raise self.failure from refused

    def keep_back(self) -> None:
        """Nothing passes from here on: only what is given counts, and what is not read whole has no digest."""
        self._unread = True

    def give(self, given: Answer, given_as: Given) -> None:
        """The agent gets this and nothing else of the answer."""
        self.given, self.given_as = given, given_as

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next piece of the body; raises OutcomeUnknown where it is cut short."""
        if self.failure is not None:
            raise self.failure
        try:
            chunk = await anext(self.answer.chunks)
        except UpstreamFailed as failure:
            self.failure = failure
            raise
        self.size += len(chunk)
        self._digest.update(chunk)
        return chunk

    @property
    def remark(self) -> str | None:
        """What the record says of an answer that came before the whole request had left; None of any other."""
        return "answered_early" if self.answer.early else None

    @property
    def digest(self) -> str | None:
        """SHA-256 of what has passed so far; None where the answer was kept back and not read whole."""
        return None if self._unread else f"sha256:{self._digest.hexdigest()}"
