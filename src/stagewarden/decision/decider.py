"""The one verb of judging: what the gate asks, whoever answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.model import Document, Question, Verdict


class Decider(Protocol):
    """Answers a question with a verdict, or raises PolicyUnavailable; nothing else."""

    revision: str

    async def decide(self, question: Question) -> Verdict:
        """The verdict; raises PolicyUnavailable."""

    async def load(self, document: Document) -> None:
        """Judge by this registry (`Registry.document()`) from now on; on ConfigError or PolicyUnavailable the last one stays."""

    async def prepare(self, document: Document) -> Callable[[], None]:
        """Make ready to judge by this registry; it comes into force when what is returned is called. For a worker: OPA is the house's to tell."""

    async def self_test(self) -> None:
        """After `load`, before the first request; raises PolicyUnavailable."""

    async def close(self) -> None:
        """Judge nothing more."""
