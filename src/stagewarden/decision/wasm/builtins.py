"""The built-in functions of Rego that the host supplies to OPA's Wasm, each equal to OPA's own (Go) or silent about it.

A function is here only if it is harmless (no clock, network, randomness or environment: a ruling must be repeatable) and
the same as OPA's; where it could differ it raises NotFaithful, and the answer is no. `UNDEFINED` is what OPA makes of a
built-in's error. Everything else is refused when the bundle is loaded, by name.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stagewarden.model import JSON


class NotFaithful(Exception):
    """These arguments would need more of Go's behaviour than is imitated here."""


class Undefined:
    """The result of a built-in that failed; Rego treats it as undefined."""


UNDEFINED: Final = Undefined()

_VERB = re.compile(r"%(.?)", re.DOTALL)
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))",
)
_EPOCH = date(1970, 1, 1).toordinal()
_INT64 = 1 << 63
_DAY = 86_400


def sprintf(template: JSON, values: JSON) -> JSON | Undefined:
    """`sprintf` for `%s %d %v %%` of strings, integers and booleans; other verbs, flags and mismatches are Go's to print."""
    if not isinstance(template, str) or not isinstance(values, list):
        return UNDEFINED
    left = iter(values)

    def one(match: re.Match[str]) -> str:
        verb = match[1]
        if verb == "%":
            return "%"
        value = next(left, None)
        if verb in {"s", "v"} and isinstance(value, str):
            return value
        if verb in {"d", "v"} and type(value) is int:
            return str(value)
        if verb in {"s", "v"} and type(value) is bool:  # OPA hands Go every other term as its text
            return "true" if value else "false"
        raise NotFaithful(f"sprintf: %{verb} of {type(value).__name__}")

    text = _VERB.sub(one, template)
    if next(left, left) is not left:
        raise NotFaithful("sprintf: more values than verbs")
    return text


def parse_rfc3339_ns(value: JSON) -> JSON | Undefined:
    """`time.parse_rfc3339_ns` with the leniencies of Go's time.Parse: one-digit hours, a comma, offsets up to 24:60."""
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return UNDEFINED
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    away = 0
    if match[8] is not None:
        hours, minutes = int(match[9]), int(match[10])
        if hours > 24 or minutes > 60:  # noqa: PLR2004  # Go's bounds: "some people do write offsets of 24 hours or 60 minutes"
            return UNDEFINED
        away = (hours * 3600 + minutes * 60) * (-1 if match[8] == "-" else 1)
    if hour > 23 or minute > 59 or second > 59:  # noqa: PLR2004  # no leap seconds in Go
        return UNDEFINED
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return UNDEFINED
    fraction = int((match[7] or "0")[:9].ljust(9, "0"))
    total = (days * _DAY + hour * 3600 + minute * 60 + second - away) * 1_000_000_000 + fraction
    return total if -_INT64 <= total < _INT64 else UNDEFINED


def sha256(value: JSON) -> JSON | Undefined:
    """`crypto.sha256`: lower-case hex of the string's UTF-8."""
    return hashlib.sha256(value.encode()).hexdigest() if isinstance(value, str) else UNDEFINED


def any_prefix_match(search: JSON, base: JSON) -> JSON | Undefined:
    """`strings.any_prefix_match`: a string or a collection of them, against a string or a collection of prefixes."""
    return _any_match(search, base, str.startswith)


def any_suffix_match(search: JSON, base: JSON) -> JSON | Undefined:
    """`strings.any_suffix_match`."""
    return _any_match(search, base, str.endswith)


def _any_match(search: JSON, base: JSON, test: Callable[[str, str], bool]) -> JSON | Undefined:
    words, affixes = ([value] if isinstance(value, str) else value for value in (search, base))
    if not isinstance(words, list) or not isinstance(affixes, list) or not all(isinstance(value, str) for value in (*words, *affixes)):
        return UNDEFINED
    return any(test(str(word), str(affix)) for word in words for affix in affixes)


HOST: Mapping[str, Callable[..., JSON | Undefined]] = MappingProxyType({
    "sprintf": sprintf,
    "time.parse_rfc3339_ns": parse_rfc3339_ns,
    "crypto.sha256": sha256,
    "strings.any_prefix_match": any_prefix_match,
    "strings.any_suffix_match": any_suffix_match,
})  # fmt: skip
