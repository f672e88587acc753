"""`Idempotency-Key`: a write sent again with the same key gets the first answer and does nothing (draft-ietf-httpapi-idempotency-key-header).

Kept in the state database, so that every replica knows, and after a restart too: whose and which key as a keyed digest, what was asked
as a digest, the answer sealed; a day long, so many for each caller. Where the state cannot be asked nothing is done, but for what stops
or signs out: that waits for no memory. Must never answer one caller with another's.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
import structlog
from sqlalchemy import and_, delete, insert, or_, select, update

from stagewarden.clock import NANOSECONDS, new_id
from stagewarden.errors import Conflict, Invalid, StagewardenError, StateUnavailable
from stagewarden.store import Clash
from stagewarden.store.tables import repeats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.engine import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from stagewarden.clock import Clock
    from stagewarden.holds import Vault
    from stagewarden.store import Store

KEPT = 4096  # answers of one caller; the oldest give way
DAY = 24 * 3600 * NANOSECONDS
CLAIM = 60 * NANOSECONDS  # longer than any act takes; whoever has not ended by then was killed
STOP_WAITS = 0.5  # seconds that a stop gives a busy database
_BARE = re.compile(r"[\x21-\x7e]{1,128}")
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,128})"')  # RFC 8941, section 3.3.3
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Write:
    """A write that may come twice: who asks, with which key, exactly what. `stops`: it is done also where nothing can be remembered."""

    caller: str
    key: str
    request: bytes
    stops: bool = False


@dataclass(frozen=True, slots=True)
class _Claim:
    """A write under way: ours to do, or to forget."""

    key: str
    attempt: str


@dataclass(frozen=True, slots=True)
class _Answered:
    """The first answer."""

    answer: object


class Repeats:
    """Answers by caller and key, over restarts and replicas."""

    def __init__(self, store: Store, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._secret = vault.derived("repeats/1")

    async def once(self, write: Write, act: Callable[[], Awaitable[object]]) -> object:
        """(1) Answered before: that answer. (2) Claim it, durably. (3) Do it. (4) Keep the answer, sealed.

        Conflict while the first is under way; Invalid for a malformed key or one used with another request; StateUnavailable where
        nothing can be remembered, and then nothing is done. An act that was refused leaves no trace, so that it can be tried again;
        one that was cut off keeps its claim until that is over: nobody knows how far it came.
        """
        try:
            async with asyncio.timeout(STOP_WAITS if write.stops else None):
                found = await self._claim(write)
        except Clash:
            raise Conflict("Idempotency-Key: the first request with it is still running") from None
        except (StateUnavailable, TimeoutError):
            if not write.stops:
                raise
            return await act()
        if isinstance(found, _Answered):
            return found.answer
        try:
            answer = await act()
        except StagewardenError:
            with suppress(StateUnavailable):
                await self._forget(found)
            raise
        await self._keep(found, answer)
        return answer

    async def _claim(self, write: Write) -> _Claim | _Answered:
        key = self._digest(write.caller, _parsed(write.key))
        request, now = hashlib.sha256(write.request).hexdigest(), self._clock.now_ns()
        claim = _Claim(key, new_id("a", now))
        terms = {"attempt": claim.attempt, "until_ns": now + CLAIM}
        async with self._store.writing() as connection:
            caller = self._digest(write.caller)
            await _make_room(connection, caller, now)
            row = (await connection.execute(select(repeats).where(repeats.c.key == key))).mappings().one_or_none()
            if row is None:
                await connection.execute(insert(repeats).values(key=key, caller=caller, request=request, expires_at_ns=now + DAY, **terms))
                return claim
            if row["request"] != request:
                raise Invalid("Idempotency-Key: used before with another request")
            if row["data_key"] is not None:
                return _Answered(self._opened(row))
            unchanged = (repeats.c.key == key, repeats.c.attempt == row["attempt"], repeats.c.until_ns <= now)
            taken = await connection.execute(update(repeats).where(*unchanged).values(**terms))
            if taken.rowcount != 1:
                raise Conflict("Idempotency-Key: the first request with it is still running")
            return claim

    async def _keep(self, claim: _Claim, answer: object) -> None:
        """The act is done and recorded: that its answer cannot be kept is no reason to tell anything else."""
        data_key, payload = self._vault.mint(claim.key)
        sealed = payload.seal("answer", orjson.dumps(answer))
        try:
            async with self._store.writing() as connection:
                ours = (repeats.c.key == claim.key, repeats.c.attempt == claim.attempt)
                await connection.execute(update(repeats).where(*ours).values(data_key=data_key, answer=sealed))
        except StateUnavailable as failure:
            _LOG.warning("answer_not_kept", cause=str(failure))

    async def _forget(self, claim: _Claim) -> None:
        async with self._store.writing() as connection:
            await connection.execute(delete(repeats).where(repeats.c.key == claim.key, repeats.c.attempt == claim.attempt))

    def _opened(self, row: RowMapping) -> object:
        return orjson.loads(self._vault.unwrap(row["key"], row["data_key"]).open("answer", row["answer"]))

    def _digest(self, *parts: str) -> str:
        """Of whom and of which key: without the secret nobody can try out whose or which it was."""
        return hmac.new(self._secret, orjson.dumps(parts), hashlib.sha256).hexdigest()


async def _make_room(connection: AsyncConnection, caller: str, now: int) -> None:
    """What is a day old goes, and of one caller's all but the newest."""
    oldest = select(repeats.c.number).where(repeats.c.caller == caller).order_by(repeats.c.number.desc()).offset(KEPT).limit(1).scalar_subquery()
    too_many = and_(repeats.c.caller == caller, repeats.c.number <= oldest)
    await connection.execute(delete(repeats).where(or_(repeats.c.expires_at_ns <= now, too_many)))


def _parsed(key: str) -> str:
    """The key's value: a string as the draft writes it, in quotes, or the same bare; Invalid for any other text."""
    if key.startswith('"'):
        quoted = _QUOTED.fullmatch(key)
        if quoted is None:
            raise Invalid("Idempotency-Key: not a string (RFC 8941)")
        return re.sub(r"\\(.)", r"\1", quoted[1])
    if not _BARE.fullmatch(key):
        raise Invalid("Idempotency-Key: 1 to 128 visible ASCII characters, or a string in quotes")
    return key
