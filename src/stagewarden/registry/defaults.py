"""What ships when a registry says nothing: the words that mean money or a promise.

Patterns are RE2 syntax that Rego's `regex.match` and Python's `re` read alike; they are searched, not anchored. They would rather ask
once too often ("5 pounds of flour") than let one price through.
"""

from __future__ import annotations

_SPACE = "[\\s\u00a0\u2009\u202f]*"  # typography puts a no-break or thin space between amount and currency
_SIGNS = "[€$£¥₹₩₽₺]"
_ENTITIES = "&(euro|pound|yen|cent|dollar|#8364|#x20ac|#163|#xa3|#165|#xa5|#36|#x24);"  # the same signs as HTML spells them
_CODES = "EUR|USD|GBP|CHF|JPY|CNY|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|INR|BRL|MXN|ZAR|KRW|SGD|HKD|ILS|AED|THB"  # TRY is also a verb
_WORDS = "euros?|dollars?|pounds?|cents?|pence|francs?|yen|bucks"

LEGAL_OR_PRICE = (
    f"(?i)({_SIGNS}|{_ENTITIES}|\\b({_CODES})){_SPACE}[0-9]",  # € 49 · EUR 49
    f"(?i)[0-9][.,]?[-\u2013]?{_SPACE}({_SIGNS}|{_ENTITIES}|({_CODES}|{_WORDS})\\b)",  # 49 € · 49 EUR · 49,- € · 49 euros
    f"(?i)[0-9]{_SPACE}(%|percent\\b|per cent\\b){_SPACE}(off|discount|cheaper|less|rebate|cash ?back)\\b",
    "(?i)\\bfree\\b",
    "(?i)\\bguarant(ee|ees|eed|eeing|y|ies)\\b",
)
