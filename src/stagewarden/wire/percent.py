"""Percent-decoding, once and strictly (RFC 3986 section 2.1), for targets, queries and forms. Must never mend a bad triple."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from stagewarden.errors import Ambiguous

_BAD_TRIPLE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# C0 controls and DEL, the C1 controls, and the line and paragraph separators some readers take for line ends.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def decode(raw: bytes, part: str, *, text: bool = False) -> str:
    """The decoded text of printable ASCII; raises Ambiguous(part, …) for a bad triple, bad UTF-8 or a control.

    `text` allows tab, CR and LF, which prose has.
    """
    if b"%" not in raw:
        return raw.decode("ascii")
    if _BAD_TRIPLE.search(raw):
        raise Ambiguous(part, "% not followed by two hexadecimal digits")
    try:
        decoded = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise Ambiguous(part, "what is percent-encoded is not UTF-8") from None
    if (_CONTROL_IN_TEXT if text else _CONTROL).search(decoded):
        raise Ambiguous(part, "a control character")
    return decoded


def decode_component(raw: bytes, part: str, *, text: bool = False) -> str:
    """One name or value of a query or form: `+` is a space (WHATWG URL section 5.1)."""
    return decode(raw.replace(b"+", b" "), part, text=text)
