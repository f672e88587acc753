"""Forms: whatever is accepted is what urllib, a reader that splits at `;` too, and PHP read."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from hypothesis import strategies as st
from yarl import URL

from stagewarden.errors import Ambiguous
from stagewarden.wire import form
from tests.fuzz.harness import ACCEPTED, Harness, refused
from tests.fuzz.readers import php_form

_BATTERY = Path(__file__).parents[1] / "conformance" / "request-battery"


def judge(data: bytes) -> str:
    """As a body is read, then as others read it."""
    try:
        fields = form.loads(data)
    except Ambiguous as no:
        return refused(no.detail)
    text = data.decode("ascii")
    # (1) Strictly, and as a URL's query.
    assert list(fields.items()) == (parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict") if data else [])
    assert list(fields.items()) == list(URL(f"http://x/?{text.replace('#', '%23')}").query.items())
    # (2) By whoever splits at `;` as well, and by PHP.
    assert re.split(r"[&;]", text) == text.split("&")
    assert php_form(data) == fields
    # (3) First or last of a name: there is one.
    assert len(fields) == (text.count("&") + 1 if data else 0)
    # (4) Written again, it means the same.
    assert form.loads(urlencode(fields).encode()) == fields
    return f"{ACCEPTED} {(min(len(fields), 2), '%' in text, '+' in text, '' in fields.values(), any(not each.isascii() for each in fields))}"


def _battery() -> list[bytes]:
    cases = [case for path in sorted(_BATTERY.glob("*.json")) for case in json.loads(path.read_text())["cases"] if "raw" in case]
    found = [raw.partition(b"\r\n\r\n")[2] for raw in (b64decode(case["raw"]) for case in cases) if b"x-www-form-urlencoded" in raw]
    return [each for each in found if len(each) <= 300]


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_GROWN = st.lists(st.tuples(_TEXT, _TEXT), max_size=4).map(lambda pairs: urlencode(pairs).encode())
_TOKENS = (
    b"&", b"=", b"+", b"%", b"%26", b"%3d", b"%3B", b";", b"[", b"]", b"%5b%5d", b".", b"%2e", b"%20", b"%00", b"%0d%0a", b"%09", b"%c3%a4",
    b"%ff", b"%c0%af", b"\xc3\xa4", b"status=publish", b"&status=", b"_", b"%EF%BB%BF", b"%e2%80%8b", b" ", b"\r\n",
    b"&" + b"&".join(b"f%d=" % each for each in range(40)),
)  # fmt: skip
HARNESS = Harness.of("form", judge, [b"", b"a=1", b"status=draft&title=a+b%2Bc", b"%C3%A4=%C3%BC&b=", *_battery()], _TOKENS, _GROWN)
