"""Reads `application/x-www-form-urlencoded` so that no two parsers can read it differently: refused, never repaired.

Must never hand out a field of which PHP, Rails or a browser could see another one: names twice, brackets, dots that PHP
turns into `_`, bytes that are not UTF-8.
"""

from __future__ import annotations

import re

from stagewarden.errors import Ambiguous
from stagewarden.wire.percent import decode_component

_METHODS = frozenset({"_method", "_http_method", "x-http-method-override"})  # what frameworks read as the method of a form
MOST_FIELDS = 1000  # PHP's max_input_vars: beyond it the upstream would silently drop what we judged
# Printable ASCII without `;`, at which some readers separate fields (WHATWG dropped it, others did not).
_NOT_FORM = re.compile(rb"[^\x21-\x3a\x3c-\x7e]")
_NESTING = "[]. \t\0"  # PHP builds arrays from brackets and turns dots and spaces in names into `_`


def loads(data: bytes) -> dict[str, str]:
    """The fields in order, each name once. Raises Ambiguous("body", …). An empty body has no fields."""
    fields: dict[str, str] = {}
    if not data:
        return fields
    if _NOT_FORM.search(data):
        raise Ambiguous("body", "a byte that has to be percent-encoded in a form")
    parts = data.split(b"&")
    if len(parts) > MOST_FIELDS:
        raise Ambiguous("body", f"more than {MOST_FIELDS} form fields")
    for part in parts:
        raw_name, equals, raw_value = part.partition(b"=")
        if not raw_name or not equals:
            raise Ambiguous("body", "a form field is name=value")
        name = decode_component(raw_name, "body")
        value = decode_component(raw_value, "body", text=True)
        refuse_nesting(name)
        if name in fields:
            raise Ambiguous("body", f"the form field {name!a} stands twice")
        if name.lower() in _METHODS:
            raise Ambiguous("body", f"the form field {name!a} would change the request judged")
        fields[name] = value
    return fields


def refuse_nesting(name: str) -> None:
    """Raises Ambiguous for a field's name that somebody would take apart."""
    if any(char in _NESTING for char in name):
        raise Ambiguous("body", f"the form field {name!a} could be read as a nested one")
