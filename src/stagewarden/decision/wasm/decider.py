"""The Decider in process: one instance judges, one spare waits, new registries are loaded off the loop.

`decide` never waits: it is plain in-process work between two lines of the gate. A failed evaluation is no answer, and the
next question is asked of a fresh store.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson

from stagewarden.decision.verdict import parse
from stagewarden.decision.wasm.instance import Instance
from stagewarden.decision.wasm.program import Abilities, Program
from stagewarden.errors import ConfigError, PolicyUnavailable
from stagewarden.model import QUESTION_VERSION, Deny, Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.decision.bundle import Bundle
    from stagewarden.decision.wasm.calls import Maker
    from stagewarden.model import Document, Verdict

# Our policy burns some 0.4 M units in 32 µs. So much a second leaves a slow machine inside the deadline, and hundreds of times to spare.
FUEL_PER_SECOND = 1_000_000_000
KEPT, KEPT_BYTES = 256, 1024  # answers already read: so many, of at most so many bytes


class WasmDecider:
    """Judges with the bundle's Wasm. `deadline` (seconds) becomes fuel; `memory` (bytes) caps one instance."""

    def __init__(self, bundle: Bundle, deadline: float, memory: int, maker: Maker | None = None) -> None:
        """Compiles (some 0.5 s, the first time in a process); raises ConfigError. Answers nothing before `load`."""
        self.revision = bundle.revision
        self._fuel = int(deadline * FUEL_PER_SECOND)
        self._maker = maker
        self._program = Program(bundle.wasm, memory)
        self._abilities = Abilities.read(*Instance(self._program, Abilities(-1, {}), {}, self._fuel, maker).describe())
        self._document: Document | None = None
        self._current: Instance | None = None
        self._spare: Instance | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._readings: dict[bytes, Verdict] = {}

    async def decide(self, question: Question) -> Verdict:
        """The verdict; raises PolicyUnavailable."""
        instance = self._current or self._fresh()
        try:
            text = orjson.dumps(question.document)
        except TypeError as error:
            raise PolicyUnavailable(f"the question is not JSON: {error}") from None
        try:
            answer = instance.evaluate(text)
        finally:
            if instance.spent:
                self._replace(instance)
        known = self._readings.get(answer)
        return self._read(answer) if known is None else known

    async def load(self, document: Document) -> None:
        """Judge by this registry from now on; raises ConfigError and keeps the last one. Questions meanwhile see the last one."""
        commit = await self.prepare(document)
        commit()

    async def prepare(self, document: Document) -> Callable[[], None]:
        """`load` in two steps: the second one cannot fail."""
        pair = await asyncio.to_thread(self._pair, document)

        def commit() -> None:
            self._document = document
            self._current, self._spare = pair

        return commit

    async def self_test(self) -> None:
        """A question without an agent must be denied; raises PolicyUnavailable."""
        if not isinstance(await self.decide(Question({"version": QUESTION_VERSION})), Deny):
            raise PolicyUnavailable("self-test: a question without an agent was not denied")

    async def close(self) -> None:
        """Judge nothing more; free the memory."""
        self._document = self._current = self._spare = None
        if self._renewal is not None:
            await asyncio.wait([self._renewal])
            self._current = self._spare = None

    def _read(self, answer: bytes) -> Verdict:
        """The answer, read strictly. Its bytes are all that is read and the verdict is frozen, so an equal answer need not be read again."""
        try:
            results = orjson.loads(answer)
        except orjson.JSONDecodeError:
            raise PolicyUnavailable("the policy's answer is not JSON") from None
        verdict = parse(_only(results))
        if len(answer) <= KEPT_BYTES:
            if len(self._readings) >= KEPT:
                self._readings.clear()
            self._readings[answer] = verdict
        return verdict

    def _instance(self, document: Document) -> Instance:
        return Instance(self._program, self._abilities, {"registry": document}, self._fuel, self._maker)

    def _pair(self, document: Document) -> tuple[Instance, Instance]:
        return self._instance(document), self._instance(document)

    def _fresh(self) -> Instance:
        """A store for now, where a second failure came before the spare was made."""
        if self._document is None:
            raise PolicyUnavailable("no registry is loaded")
        try:
            self._current = self._instance(self._document)
        except ConfigError as error:  # it fitted when it was loaded
            raise PolicyUnavailable(f"no store could be made: {error}") from None
        return self._current

    def _replace(self, spent: Instance) -> None:
        """Swap the spare in, and make a new one off the loop."""
        if self._current is spent:
            self._current, self._spare = self._spare, None
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew(), name="wasm-spare")

    async def _renew(self) -> None:
        document = self._document
        if document is None:
            return
        try:
            spare = await asyncio.to_thread(self._instance, document)
        except ConfigError:
            return  # the next question after a trap makes its own store, or says why it cannot
        if document is self._document:  # a registry loaded meanwhile brought its own spare
            self._spare = spare


def _only(results: object) -> object:
    """The one result of the one entrypoint."""
    if results == []:
        raise PolicyUnavailable("the verdict is undefined", cause="undefined")
    if type(results) is not list or len(results) != 1 or type(results[0]) is not dict or results[0].keys() != {"result"}:
        raise PolicyUnavailable("the policy's answer is not one result")
    return results[0]["result"]
