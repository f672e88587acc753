"""Bodies in odd but legal spellings: JSON with escapes, white space, any order and number format; forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

_SPACE = ("", "", "", " ", "\n", "\t", "\r\n  ")
_SCALARS = (
    "null", "true", "false", "0", "-0", "0.5", "1e5", "1E+2", "-1.25e-3", "12345", "9007199254740991", "-9007199254740991", "1.0", "0e0",
    '""', '"a"', '"\\u0041"', '"\\n\\t\\r\\b\\f"', '"\\/\\\\\\""', '"é"', '"😀"', '"\\ud83d\\ude00"', '"\\u2028"', '"[[[{{{"', '"publish"',
)  # fmt: skip
_NAMES = ("k", "\\u006b", "ké", "k/", "k~1", "k.status", "k\\u0020", "k😀")


def json_text(rng: random.Random, fact: str | None = None) -> bytes:
    """One document; with `fact`, an object that says it, once and as it is spelled."""
    if fact is None and rng.random() < 0.1:
        return _padded(rng, rng.choice(_SCALARS)).encode()
    members = _members(rng, 2)
    if fact is not None:
        spelled = rng.choice((fact, f"\\u{ord(fact[0]):04x}{fact[1:]}"))
        members.insert(rng.randint(0, len(members)), f'"{spelled}"{_padded(rng, ":")}{rng.choice(_SCALARS)}')
    return _padded(rng, "{" + ",".join(members) + "}").encode()


def form_text(rng: random.Random) -> bytes:
    """Pairs, each name once."""
    values = ("=", "=1", "=a+b", "=%61", "=%C3%A4", "=publish", "=%26%3D", "=a.b-c_d*")
    return "&".join(f"{rng.choice(('k', '%6b', 'k-', 'k~', '%C3%A4'))}{index}{rng.choice(values)}" for index in range(rng.randint(1, 5))).encode()


def _padded(rng: random.Random, text: str) -> str:
    return f"{rng.choice(_SPACE)}{text}{rng.choice(_SPACE)}"


def _members(rng: random.Random, depth: int) -> list[str]:
    return [f'"{rng.choice(_NAMES)}{index}"{_padded(rng, ":")}{_value(rng, depth)}' for index in range(rng.randrange(5))]


def _value(rng: random.Random, depth: int) -> str:
    which = rng.random()
    if depth == 0 or which < 0.7:
        return _padded(rng, rng.choice(_SCALARS))
    if which < 0.85:
        return "[" + ",".join(_value(rng, depth - 1) for _ in range(rng.randrange(4))) + "]"
    return "{" + ",".join(_members(rng, depth - 1)) + "}"
