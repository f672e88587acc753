"""What a body may hold under a grant: every leaf of it must be named by a bound, and be inside it. Pure.

A place nobody bounded is outside: what people did not think of was not approved. Whatever cannot be compared is outside.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from stagewarden.errors import Invalid
from stagewarden.grants.pattern import compiled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stagewarden.grants.grant import Bound, Terms
    from stagewarden.model import JSON

_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")
_LONGEST_STRING, _LONGEST_MATCHED = 4096, 512  # characters
# What may be sent beside a body that people approved as a template: nothing that could change what it means.
HARMLESS: Final = frozenset(
    {
        "accept", "accept-encoding", "accept-language", "content-type", "date", "idempotency-key", "user-agent", "traceparent", "tracestate",
        "baggage", "x-request-id",
    }
)  # fmt: skip


def outside(terms: Terms, body: JSON, headers: Iterable[str], query: Iterable[str]) -> tuple[str, ...]:
    """Places that are not inside the bounds, sorted: pointers into the body, `header:NAME`, `query:NAME`. Empty: all is inside."""
    if not terms.bounds:
        return ("",) if terms.template else ()
    named = {bound.pointer: bound for bound in terms.bounds}
    leaves = dict(_leaves(body, ""))
    found = {pointer for pointer in leaves if pointer not in named}
    found |= {
        pointer for pointer, bound in named.items() if (not bound.optional if pointer not in leaves else not _inside(bound, leaves[pointer]))
    }  # fmt: skip
    found |= {f"header:{name.lower()}" for name in headers if name.lower() not in HARMLESS}
    found |= {f"query:{name}" for name in query}
    return tuple(sorted(found))


def check(bounds: tuple[Bound, ...]) -> None:
    """Raises Invalid for a bound that bounds nothing or is not understood."""
    seen: set[str] = set()
    for at, bound in enumerate(bounds):
        where = f"bounds[{at}]"
        if _POINTER.fullmatch(bound.pointer) is None or bound.pointer in seen:
            raise Invalid(f"{where}.pointer: a JSON pointer such as /title, each once")
        seen.add(bound.pointer)
        _check_one(bound, where)


def _check_one(bound: Bound, where: str) -> None:
    texts = bound.max_length is not None or bound.pattern is not None
    numbers = bound.minimum is not None or bound.maximum is not None
    if sum((bound.const is not msgspec.UNSET, bool(bound.enum), texts, numbers)) != 1:
        raise Invalid(f"{where}: one of const, enum, max_length with or without pattern, minimum and maximum")
    if texts and (bound.max_length is None or not 0 <= bound.max_length <= _LONGEST_STRING):
        raise Invalid(f"{where}.max_length: a string needs one, at most {_LONGEST_STRING}")
    if numbers and (bound.minimum is None or bound.maximum is None or not bound.minimum <= bound.maximum):
        raise Invalid(f"{where}: a range needs minimum and maximum, in this order")
    if bound.pattern is not None:
        if bound.max_length is None or bound.max_length > _LONGEST_MATCHED:
            raise Invalid(f"{where}.max_length: at most {_LONGEST_MATCHED} where there is a pattern")
        try:
            compiled(bound.pattern)
        except ValueError as error:
            raise Invalid(f"{where}.pattern: {error}") from None


def _inside(bound: Bound, value: JSON) -> bool:
    if bound.const is not msgspec.UNSET:
        return _same(value, bound.const)
    if bound.enum is not None:
        return any(_same(value, each) for each in bound.enum)
    if bound.max_length is not None:
        return isinstance(value, str) and len(value) <= bound.max_length and (bound.pattern is None or compiled(bound.pattern).matches(value))
    if bound.minimum is None or bound.maximum is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    # A whole number is asked for by whole bounds: where people wrote 1 and 5, 1.5 is not between them.
    whole = isinstance(bound.minimum, int) and isinstance(bound.maximum, int)
    return (isinstance(value, int) or not whole) and bound.minimum <= value <= bound.maximum


def _same(value: object, literal: object) -> bool:
    """Type-exact: in Python True == 1 == 1.0, here they are three things."""
    return type(value) is type(literal) and value == literal


def _leaves(value: JSON, pointer: str) -> Iterator[tuple[str, JSON]]:
    """Every scalar and every empty container, by its pointer (RFC 6901 section 3).

    A number in a pointer is a list's: an object's member of that name gets a pointer that no bound can have.
    """
    if isinstance(value, dict) and value:
        for name, member in value.items():
            escaped = f"~{{{name}}}" if name.isdigit() else name.replace("~", "~0").replace("/", "~1")
            yield from _leaves(member, f"{pointer}/{escaped}")
    elif isinstance(value, list) and value:
        for at, element in enumerate(value):
            yield from _leaves(element, f"{pointer}/{at}")
    else:
        yield pointer, value
