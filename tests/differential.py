"""Both engines on the same questions: they must agree. Free of pytest, so that scenarios, fuzzers and benches may call it.

`differences(wasm, opa, questions)` asks both deciders each question and returns those they answer differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from stagewarden.errors import PolicyUnavailable
from stagewarden.model import Question, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagewarden.decision import Decider
    from stagewarden.model import Document

Answer: TypeAlias = Verdict | str


@dataclass(frozen=True, slots=True)
class Difference:
    """A question the engines do not agree on. An answer that is a string is the cause of a PolicyUnavailable."""

    question: Document
    wasm: Answer
    opa: Answer


async def answer(decider: Decider, question: Document) -> Answer:
    """The verdict, or why there is none."""
    try:
        return await decider.decide(Question(question))
    except PolicyUnavailable as error:
        return error.cause


async def differences(wasm: Decider, opa: Decider, questions: Iterable[Document]) -> list[Difference]:
    """Empty where both agree on every question. Both must have loaded the same registry."""
    found = []
    for question in questions:
        one, other = await answer(wasm, question), await answer(opa, question)
        if one != other:
            found.append(Difference(question, one, other))
    return found
