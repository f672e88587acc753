"""Patterns of bounds: characters and classes, each with an optional repeat, anchored at both ends. Matched in linear time.

No groups and no alternatives (`enum` lists those): what people write in a grant must never be able to keep a request busy, as a
backtracking matcher can be kept (CWE-1333).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_LONGEST, _MOST = 200, 128  # characters of a pattern; all counted repeats of it together, which are its states
_ATOM = re.compile(r"\\[dws.\\+*?()\[\]{}^$|/-]|\[\^?(?:\\.|[^\]\\])+\]|[^\\\[\](){}*+?|^$]")
_REPEAT = re.compile(r"[*+?]|\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\}")


@dataclass(frozen=True, slots=True)
class _Atom:
    one: re.Pattern[str]
    least: int
    most: int | None  # None: without end


class Pattern:
    """A parsed pattern."""

    def __init__(self, text: str) -> None:
        """Raises ValueError naming what is not understood."""
        if not text or len(text) > _LONGEST:
            raise ValueError(f"1 to {_LONGEST} characters")
        self._atoms: list[_Atom] = []
        at = 0
        while at < len(text):
            found = _ATOM.match(text, at)
            if found is None:
                raise ValueError(f"{text[at : at + 10]!r}: expected a character, an escaped one or a class such as [a-z]")
            repeat = _REPEAT.match(text, found.end())
            self._atoms.append(_Atom(_single(found[0]), *_bounds(repeat)))
            at = repeat.end() if repeat else found.end()
        if sum(atom.most if atom.most is not None else atom.least for atom in self._atoms) > _MOST:
            raise ValueError(f"repeats of more than {_MOST} characters together")

    def matches(self, text: str) -> bool:
        """Whether the whole text fits. States are (atom, how often so far), all followed at once."""
        states = self._closed({(0, 0)})
        for character in text:
            states = self._closed({after for state in states for after in self._after(state, character)})
            if not states:
                return False
        return (len(self._atoms), 0) in states

    def _after(self, state: tuple[int, int], character: str) -> list[tuple[int, int]]:
        at, count = state
        if at == len(self._atoms):
            return []
        atom = self._atoms[at]
        if (atom.most is not None and count >= atom.most) or atom.one.fullmatch(character) is None:
            return []
        return [(at, count + 1 if atom.most is not None else min(count + 1, atom.least))]

    def _closed(self, states: set[tuple[int, int]]) -> set[tuple[int, int]]:
        """With every state that is reached without a character."""
        waiting = list(states)
        while waiting:
            at, count = waiting.pop()
            if at < len(self._atoms) and count >= self._atoms[at].least and (at + 1, 0) not in states:
                states.add((at + 1, 0))
                waiting.append((at + 1, 0))
        return states


@lru_cache(maxsize=256)
def compiled(text: str) -> Pattern:
    """The same pattern once."""
    return Pattern(text)


def _single(atom: str) -> re.Pattern[str]:
    try:
        return re.compile(re.escape(atom) if len(atom) == 1 and atom != "." else atom, re.ASCII)
    except re.error as error:
        raise ValueError(f"{atom}: {error}") from None


def _bounds(repeat: re.Match[str] | None) -> tuple[int, int | None]:
    if repeat is None:
        return 1, 1
    if repeat[1] is None:
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[repeat[0]]
    least = int(repeat[1])
    most = least if repeat[2] is None else None if repeat[3] is None else int(repeat[3])
    if most is not None and least > most:
        raise ValueError(f"{repeat[0]}: a repeat goes from the smaller to the larger number")
    return least, most
