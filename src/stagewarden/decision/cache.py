"""The decision cache: a yes that the policy marked cacheable, given again within seconds to exactly the same question.

Never keeps a no or a hold, a question with people's approval or grants, or a verdict that read the clock; never lets a verdict outlive a
stop, a registry or a policy. What it answers is a verdict like any other: the gate records a ruling of its own for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import orjson

from stagewarden.errors import ConfigError, Problem
from stagewarden.model import Allow

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.clock import Clock
    from stagewarden.config import Cache
    from stagewarden.decision.bundle import Bundle
    from stagewarden.decision.decider import Decider
    from stagewarden.model import Document, Question, Verdict

Result: TypeAlias = Literal["hit", "miss"]

_FORMAT = b"stagewarden/decision/1"
_CLOCK = frozenset({"time", "time_ns"})
_TOPICS = "stagewarden.rules."
_PACKAGE = re.compile(r"package\s+([A-Za-z0-9_.]+)\s*(?:#.*)?\Z")
_VOUCHED = re.compile(r"#\s+timeless:\s+true\s*\Z")


def key(question: Question, policy: str, registry: str, epoch: int) -> bytes | None:
    """What stands for this question and no other, or None where no answer may be kept.

    SHA-256 over the length-prefixed sequence of format, the whole question less the clock as canonical JSON, policy revision, registry
    revision and stop epoch. Nothing is picked from the question and nothing joined by a separator (CVE-2026-33729, CVE-2026-48096).
    """
    document = question.document
    if document.get("approval", ...) is not None or document.get("grants") != []:
        return None
    if type(document.get("time")) is not str or type(document.get("time_ns")) is not int:
        return None  # a malformed clock is the policy's to deny; left out of the key it would look like a sound one
    try:
        canonical = orjson.dumps({name: value for name, value in document.items() if name not in _CLOCK}, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return None  # no JSON: the engine says so
    digest = hashlib.sha256()
    for part in (_FORMAT, canonical, policy.encode(), registry.encode(), str(epoch).encode()):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class _Kept:
    verdict: Allow
    until: float  # monotonic seconds


class CachingDecider:
    """A Decider before another: `epoch` is the stops' (it grows with every act), `seen` is told of each hit and miss."""

    def __init__(self, inner: Decider, settings: Cache, clock: Clock, epoch: Callable[[], int], seen: Callable[[Result], None]) -> None:
        self.revision = inner.revision
        self._inner = inner
        self._settings = settings
        self._clock = clock
        self._epoch = epoch
        self._seen = seen
        self._registry = ""
        self._kept: dict[bytes, _Kept] = {}  # in the order they were kept, which is the order they end in
        self._flights: dict[bytes, asyncio.Future[Allow | None]] = {}

    async def decide(self, question: Question) -> Verdict:
        """The verdict; raises PolicyUnavailable, and CannotTell where the stops cannot be read.

        1. What may not be kept is asked every time.
        2. A kept verdict is given while it is fresh.
        3. The same question already under way is waited for, once: what it brings is ours only if it may be kept.
        4. Else the policy is asked.
        """
        name = key(question, self._inner.revision, self._registry, self._epoch())
        if name is None:
            return await self._inner.decide(question)
        kept = self._kept.get(name)
        if kept is not None and self._clock.monotonic() < kept.until:
            self._seen("hit")
            return kept.verdict
        flight = self._flights.get(name)
        if flight is not None:
            await asyncio.wait([flight])
            if (shared := flight.result()) is not None:
                self._seen("hit")
                return shared
        self._seen("miss")
        return await (self._inner.decide(question) if name in self._flights else self._ask(name, question))

    async def _ask(self, name: bytes, question: Question) -> Verdict:
        """Ask the policy for everybody who asks the same meanwhile; they ask for themselves where it fails or may not be kept."""
        flight = self._flights[name] = asyncio.get_running_loop().create_future()
        kept: Allow | None = None
        try:
            verdict = await self._inner.decide(question)
            if isinstance(verdict, Allow) and verdict.cacheable and self._flights.get(name) is flight:
                kept = verdict
                self._keep(name, verdict)
            return verdict
        finally:
            if self._flights.get(name) is flight:
                del self._flights[name]
            flight.set_result(kept)

    def _keep(self, name: bytes, verdict: Allow) -> None:
        self._kept.pop(name, None)
        while len(self._kept) >= self._settings.entries:
            del self._kept[next(iter(self._kept))]
        self._kept[name] = _Kept(verdict, self._clock.monotonic() + self._settings.age)

    async def load(self, document: Document) -> None:
        """Judge by this registry from now on. What was kept goes, and what is under way is not kept; also where loading fails."""
        self._forget()
        try:
            await self._inner.load(document)
            self._registry = str(document.get("revision"))
        finally:
            self.revision = self._inner.revision
            self._forget()

    async def prepare(self, document: Document) -> Callable[[], None]:
        """As the decider's own: nothing is in force, nor forgotten, before what is returned is called."""
        commit = await self._inner.prepare(document)

        def adopt() -> None:
            commit()
            self._registry = str(document.get("revision"))
            self.revision = self._inner.revision
            self._forget()

        return adopt

    async def self_test(self) -> None:
        """After `load`, before the first request; raises PolicyUnavailable."""
        await self._inner.self_test()

    async def close(self) -> None:
        """Judge nothing more."""
        self._forget()
        await self._inner.close()

    def _forget(self) -> None:
        self._kept.clear()
        self._flights.clear()


def require_timeless(bundle: Bundle) -> None:
    """Every topic must say that it never reads the clock where nothing leaves and nobody approved; raises ConfigError naming the others.

    A rule that compares `input.time_ns` looks like any other from outside, and its yes would be given again after its hour has passed. So
    the shipped topics say `timeless: true` in their metadata, and a topic that says nothing keeps the cache from being switched on.
    """
    topics: dict[str, bool] = {}
    for name, content in bundle.rego:
        package, vouched = _head(content.decode(errors="replace"))
        if package is None:
            topics[name] = False  # a spelling nobody needs: whatever it hides is not vouched for
        elif package.startswith(_TOPICS):
            topics[package] = topics.get(package, False) or vouched
    silent = sorted(topic for topic, vouched in topics.items() if not vouched)
    if silent or not topics:
        message = f"is set, but these topics do not say that they never read the clock: {', '.join(silent) or 'all'}"
        raise ConfigError((Problem("", 0, "policy.cache", message, "write `custom: {timeless: true}` into their metadata, or remove policy.cache"),))


def _head(source: str) -> tuple[str | None, bool]:
    """A file's package, None where it is written in an unusual way, and whether the metadata above it says `timeless: true`."""
    vouched = False
    for line in (line.strip() for line in source.splitlines()):
        if line.startswith("#"):
            vouched = vouched or _VOUCHED.match(line) is not None
        elif line:
            found = _PACKAGE.match(line)
            return (found[1], vouched) if found else (None, False)
    return None, False
