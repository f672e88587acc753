"""What ships when a registry says nothing: the words that mean money or a promise.

Patterns are RE2 syntax that Rego's `regex.match` and Python's `re` read alike; they are searched, not anchored. They would rather ask
once too often ("5 pounds of flour") than let one price through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stagewarden.model import JSON

# What may stand between amount and currency: typography's no-break and thin spaces, as text or as HTML, and markup
_SPACE = "(?:[\\s\u00a0\u2009\u202f]|&(?:nbsp|thinsp|#160|#xa0|#8201|#8239);|<[^<>]*>)*"
_SIGNS = "€$£¥₹₩₽₺"
_ENTITIES = ("euro", "pound", "yen", "cent", "dollar", "#8364", "#x20ac", "#163", "#xa3", "#165", "#xa5", "#36", "#x24")  # the signs in HTML
_CODES = (
    "EUR", "USD", "GBP", "CHF", "JPY", "CNY", "CAD", "AUD", "NZD", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "INR", "BRL", "MXN", "ZAR", "KRW",
    "SGD", "HKD", "ILS", "AED", "THB",
)  # fmt: skip  # TRY is left out: it is also a verb
_WORDS = ("euro", "dollar", "pound", "cent", "pence", "franc", "yen", "buck")
_OFF = ("off", "discount", "cheaper", "less", "rebate", "cash")

_SIGN = f"[{_SIGNS}]|&(?:{'|'.join(_ENTITIES)});"
_CODE = "|".join(_CODES)
_WORD = "|".join(f"{word}s?" for word in _WORDS)

_BEFORE = f"(?i)(?:{_SIGN}|\\b(?:{_CODE})){_SPACE}[0-9]"  # € 49 · EUR 49
_AFTER = f"(?i)[0-9][.,]?[-\u2013]?{_SPACE}(?:{_SIGN}|(?:{_CODE}|{_WORD})\\b)"  # 49 € · 49 EUR · 49,- € · 49 euros
_PERCENT = f"(?i)[0-9]{_SPACE}(?:%|per ?cent\\b){_SPACE}(?:off|discount|cheaper|less|rebate|cash ?back)\\b"
_FREE = "(?i)\\bfree\\b"
_GUARANTEE = "(?i)\\bguarant(?:ee|ees|eed|eeing|y|ies)\\b"

LEGAL_OR_PRICE = (_BEFORE, _AFTER, _PERCENT, _FREE, _GUARANTEE)

_TABLES = {
    "digit": tuple("0123456789"),
    "money": (*_SIGNS, *(f"&{entity};" for entity in _ENTITIES), *(code.lower() for code in _CODES)),
    "word": _WORDS,
    "percent": ("%", "percent", "per cent"),
    "off": _OFF,
    "free": ("free",),
    "guarantee": ("guarant",),
}
_NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {  # a key of one of the tables of each need
    _BEFORE: (("digit",), ("money",)),
    _AFTER: (("digit",), ("money", "word")),
    _PERCENT: (("digit",), ("percent",), ("off",)),
    _FREE: (("free",),),
    _GUARANTEE: (("guarantee",),),
}


def needles(patterns: tuple[str, ...]) -> JSON:
    """Tables of lower-case texts, and for each pattern its needs: every match holds a key of one of the tables of each need.

    The policy looks for these first, because compiling a pattern costs more than all other rules. Only for patterns of this file: for
    any other, a table could be wrong, and a wrong one would silence it.
    """
    wanted = sorted({name for pattern in patterns for need in _NEEDS.get(pattern, ()) for name in need})
    return {
        "tables": [dict.fromkeys(_TABLES[name], "") for name in wanted],
        "needs": [[[wanted.index(name) for name in need] for need in _NEEDS.get(pattern, ())] for pattern in patterns],
    }
