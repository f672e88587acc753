"""What a harness is, and how inputs are made: grown from a grammar, or mutated from known ones.

A harness judges bytes: it returns the behaviour class they met, and fails when the product took what another reader reads differently.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

Judge: TypeAlias = "Callable[[bytes], str]"
ACCEPTED, REFUSED = "accepted", "refused"
LONGEST = 4096  # bytes of a mutated input
_ODD = bytes([0, 9, 10, 13, 32, 34, 35, 37, 38, 43, 44, 45, 46, 47, 58, 59, 61, 63, 64, 91, 92, 93, 95, 123, 124, 125, 127, 128, 0xC0, 0xED, 0xFF])
_WORD = re.compile(r"'[^']*'|\"[^\"]*\"|\b0x[0-9a-f]+\b|\d+|b'.*'")


@dataclass(frozen=True, slots=True)
class Harness:
    """`seeds` are known inputs, `tokens` what mutation inserts, `grown` whole inputs by grammar; `running` gives the judge while it is entered."""

    name: str
    seeds: tuple[bytes, ...]
    tokens: tuple[bytes, ...]
    grown: st.SearchStrategy[bytes]
    running: Callable[[], AbstractContextManager[Judge]]

    @classmethod
    def of(cls, name: str, judge: Judge, seeds: Sequence[bytes], tokens: Sequence[bytes], grown: st.SearchStrategy[bytes]) -> Harness:
        """A harness whose judge needs nothing to run."""
        return cls(name, tuple(dict.fromkeys(seeds)), tuple(tokens), grown, lambda: nullcontext(judge))

    def inputs(self, known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
        """Grown and mutated ones, shrinkable."""
        return st.one_of(self.grown, st.randoms(use_true_random=False).map(lambda random: mutated(random, known, self.tokens)))


def refused(why: str) -> str:
    """The class of a refusal: its reason without what was quoted."""
    return f"{REFUSED} {_WORD.sub('_', why)}"


def mutated(random: Random, known: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """A known input with a few edits."""
    data = random.choice(known)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5))):
        data = _edited(random, data, known, tokens)[:LONGEST]
    return data


def _edited(random: Random, data: bytes, known: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:  # noqa: PLR0911 - one line an edit
    at = random.randint(0, len(data))
    end = min(len(data), at + random.choice((1, 1, 2, 4, 16)))
    match random.randrange(9):
        case 0:
            return data[:at] + random.choice(tokens) + data[at:]
        case 1:
            return data[:at] + random.choice(tokens) + data[end:]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:end] + data[at:]
        case 4:
            return data[:at] + bytes([random.choice(_ODD)]) + data[end:]
        case 5:
            other = random.choice(known)
            return data[:at] + other[random.randint(0, len(other)) :]
        case 6:
            return data[:at] + data[at:end].swapcase() + data[end:]
        case 7:
            return data[:at] + b"".join(b"%%%02x" % byte for byte in data[at:end]) + data[end:]
        case _:
            return data[:at]
