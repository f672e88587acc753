"""The Decider over an OPA server: one question, one strict reply, inside one deadline.

OPA gone, slow, or answering anything but a verdict of the expected bundle is PolicyUnavailable, never a verdict. Asks each
question once and keeps none waiting behind a dead OPA.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson

from stagewarden.decision.opa.breaker import Breaker
from stagewarden.decision.opa.connection import NoAnswer, Pool
from stagewarden.decision.opa.control import Control, Overtaken
from stagewarden.decision.opa.reply import BadReply
from stagewarden.decision.verdict import parse
from stagewarden.errors import Ambiguous, PolicyUnavailable
from stagewarden.model import QUESTION_VERSION, Deny, Question
from stagewarden.wire import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stagewarden.clock import Clock
    from stagewarden.decision.opa.connection import Address
    from stagewarden.model import JSON, Document, Verdict

QUERY = "/v1/data/stagewarden/main/verdict?provenance=true"
DEPTH = 32
_OK = 200
_PUSHES = 20  # tries of a registry while others push an earlier one
_MEMBERS = frozenset({"result", "provenance", "decision_id"})


class OpaDecider:
    """Judges by asking the server at `address`, which must have loaded the bundle of `revision`.

    `bundled` says whether a server without any bundle is refused (production).
    """

    def __init__(self, address: Address, revision: str, deadline: float, clock: Clock, *, token: str | None = None, bundled: bool = True) -> None:
        self.revision = revision
        self._deadline = deadline
        self._bundled = bundled
        self._pool = Pool(address)
        self._control = Control(address, token)
        self._breaker = Breaker(clock)
        self._document: Document | None = None
        self._mending: asyncio.Task[None] | None = None
        authorization = "" if token is None else f"Authorization: Bearer {token}\r\n"
        self._head = (
            f"POST {QUERY} HTTP/1.1\r\nHost: {address.authority}\r\n{authorization}Content-Type: application/json\r\nContent-Length: "
        ).encode()

    async def decide(self, question: Question) -> Verdict:
        """The verdict; raises PolicyUnavailable with cause undefined, timeout, error or breaker_open."""
        try:
            body = b'{"input":' + orjson.dumps(question.document) + b"}"
        except TypeError as error:
            raise PolicyUnavailable(f"the question is not JSON: {error}") from None
        verdict = parse(self._result(await self._ask(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))))
        if isinstance(verdict, Deny) and any(reason.code == "registry_stale" for reason in verdict.reasons):
            self._mend()  # OPA started anew and has lost the registry; this question stays denied
        return verdict

    async def load(self, document: Document) -> None:
        """Push the registry; raises PolicyUnavailable. Until OPA holds it, main denies `registry_stale`."""
        for left in reversed(range(_PUSHES)):
            try:
                await self._control.push(document)
                break
            except Overtaken:  # until all are told, a worker that meets the new registry mends it with the old one
                if not left:
                    raise
        self._document = document

    async def prepare(self, document: Document) -> Callable[[], None]:
        """The house tells OPA; this process only has to know what it would tell it again."""

        def commit() -> None:
            self._document = document

        return commit

    async def self_test(self) -> None:
        """OPA is healthy and its reply well-formed and of the expected revision, whatever its effect; raises PolicyUnavailable."""
        if not await self._control.healthy():
            raise PolicyUnavailable("OPA does not say it is healthy")
        await self.decide(Question({"version": QUESTION_VERSION}))

    async def close(self) -> None:
        """Close every connection; questions under way get no answer."""
        self._document = None
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.wait([self._mending])
        await self._pool.close()

    async def _ask(self, request: bytes) -> bytes:
        """The body of a well-framed 200.

        1. The breaker says whether to ask at all.
        2. One deadline over connecting, writing and reading.
        3. No answer counts against OPA; an answer, however unwelcome, does not.
        """
        if not self._breaker.may_ask():
            raise PolicyUnavailable("OPA did not answer lately", cause="breaker_open")
        answered: bool | None = None
        try:
            async with asyncio.timeout(self._deadline):
                reply = await self._pool.ask(request)
            answered = True
        except TimeoutError:
            answered = False
            raise PolicyUnavailable(f"OPA did not answer within {self._deadline} s", cause="timeout") from None
        except NoAnswer as error:
            answered = False
            raise PolicyUnavailable(str(error)) from None
        except BadReply as error:
            answered = True
            raise PolicyUnavailable(f"OPA's reply {error}") from None
        finally:
            self._count(answered)
        if reply.status != _OK:
            raise PolicyUnavailable(f"OPA answered {reply.status}")
        return reply.body

    def _count(self, answered: bool | None) -> None:  # noqa: FBT001  # three-valued: None is a cancelled question
        if answered is None:
            self._breaker.abandoned()
        elif not answered:
            self._breaker.failed()
        elif self._breaker.succeeded():
            self._mend()  # it may be another process than before

    def _result(self, body: bytes) -> JSON:
        try:
            reply = strict_json.loads(body, DEPTH)
        except Ambiguous as error:
            raise PolicyUnavailable(f"OPA's reply is not strict JSON: {error.detail}") from None
        if not isinstance(reply, dict) or not reply.keys() <= _MEMBERS:
            raise PolicyUnavailable("OPA's reply is not an object of result, provenance and decision_id")
        self._check_provenance(reply.get("provenance"))
        if "result" not in reply:
            raise PolicyUnavailable("the verdict is undefined", cause="undefined")
        return reply["result"]

    def _check_provenance(self, provenance: JSON) -> None:
        """Exactly one bundle, of the expected revision; a server without bundles is for sandboxes."""
        bundles = provenance.get("bundles") if isinstance(provenance, dict) else None
        if bundles is None:
            if self._bundled:
                raise PolicyUnavailable("OPA has not loaded a bundle")
            return
        revisions = [_revision(bundle) for bundle in bundles.values()] if isinstance(bundles, dict) else []
        if revisions != [self.revision]:
            raise PolicyUnavailable("OPA judges by another bundle than the expected one")

    def _mend(self) -> None:
        """Push the registry again, off the way of requests, one push at a time."""
        if self._document is not None and (self._mending is None or self._mending.done()):
            self._mending = asyncio.create_task(self._push_again(self._document), name="opa-registry")

    async def _push_again(self, document: Document) -> None:
        try:
            await self._control.push(document)
        except PolicyUnavailable:
            return  # every verdict until then is a deny, and the next one tries again


def _revision(bundle: JSON) -> JSON:
    entry: Mapping[str, JSON] = bundle if isinstance(bundle, dict) else {}
    return entry.get("revision")
