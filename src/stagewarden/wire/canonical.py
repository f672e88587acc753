"""The canonical form of JSON (RFC 8785), for digests that somebody else must be able to compute. Pure.

Must never write a value that two readers could tell apart: what is no IEEE 754 double, and what is no Unicode text, has no canonical form.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stagewarden.model import JSON

_LARGEST = 1 << 53  # RFC 8785 section 3.2.2.3: numbers are doubles; beyond this not every integer is one
_FIXED_FROM, _FIXED_TO = -6, 21  # ECMA-262 Number::toString: where the digits stand without an exponent


def canonical(value: JSON) -> bytes:
    """The one spelling of this value. Raises ValueError where it has none."""
    return _text(value).encode("utf-8")


def _text(value: JSON) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return _string(value)
        case int() | float():
            return _number(value)
        case list():
            return f"[{','.join(map(_text, value))}]"
        case dict():
            # Section 3.2.3: by UTF-16 code units, which differ from code points beyond the Basic Multilingual Plane.
            names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
            return f"{{{','.join(f'{_string(name)}:{_text(value[name])}' for name in names)}}}"
    raise ValueError(f"{type(value).__name__} is not JSON")


def _string(text: str) -> str:
    """Section 3.2.2.2: the two-character escapes, the other controls by their number, and nothing else escaped."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("a lone surrogate is no text")
    return json.dumps(text, ensure_ascii=False)


def _number(value: float) -> str:
    """Section 3.2.2.3, as ECMA-262 spells a number: Python finds the same shortest digits and sets them otherwise."""
    if isinstance(value, int):
        if abs(value) <= _LARGEST:
            return str(value)
        if int(float(value)) != value:
            raise ValueError("an integer that is no double is not read alike by every reader")
        value = float(value)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))  # how many digits stand before the point
    digits = digits.rstrip("0")
    if len(digits) <= point <= _FIXED_TO:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= _FIXED_TO:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if _FIXED_FROM < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return sign + digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "") + power
