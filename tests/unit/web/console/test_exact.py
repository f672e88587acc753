"""What cannot be seen is named; what can be seen stays as it is."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.holds.bodies import Kept
from stagewarden.web.console import exact


@pytest.mark.parametrize(
    ("character", "named"),
    [
        ("\u202e", "U+202E right-to-left override"),
        ("\u2066", "U+2066 left-to-right isolate"),
        ("\u200b", "U+200B zero width"),
        ("\ufeff", "U+FEFF byte order mark"),
        ("\u00ad", "U+00AD soft hyphen"),
        ("\x1b", "U+001B escape"),
        ("\x00", "U+0000 nul"),
        ("\x9b", "U+009B control"),
        ("\u2028", "U+2028 line separator"),
        ("\U000e0041", "U+E0041 tag"),
        ("\U000e0101", "U+E0101 variation selector-18"),
        ("\u3164", "U+3164 hangul filler"),
        ("\u2800", "U+2800 braille pattern blank"),
        ("\ue000", "U+E000 control"),
        ("\r", "U+000D carriage return"),
    ],
    ids=lambda value: value if value.isascii() and value.isprintable() else "",
)
def test_trojan_source(character: str, named: str) -> None:
    """CVE-2021-42574 and its kin: drawn as code points in place."""
    assert exact.reveal(f"a{character}b") == (exact.Run("a"), exact.Run(named, hidden=True), exact.Run("b"))
    assert exact.count(f"a{character}b") == 1


@pytest.mark.parametrize("text", ["plain", "é ü ß € “”", "日本語", "עברית", "a\tb\nc", "na\u00efve", "1\u00a0000", "❤\ufe0f", "👍🏽"], ids=str)
def test_what_can_be_seen(text: str) -> None:
    """Ordinary text of any script is one untouched run."""
    assert exact.reveal(text) == (exact.Run(text),)


@given(st.text())
def test_nothing_is_lost(text: str) -> None:
    """Runs put together again are the text, and no run of text holds a format or control character."""
    runs = exact.reveal(text)
    assert "".join(chr(int(run.text[2:].split()[0], 16)) if run.hidden else run.text for run in runs) == text
    shown = "".join(run.text for run in runs if not run.hidden)
    assert not any(unicodedata.category(char) in {"Cf", "Zl", "Zp", "Co"} for char in shown)
    assert not any(unicodedata.category(char) == "Cc" and char not in "\t\n" for char in shown)


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Hours” on internal. Nothing: “", "Hours\u2019 on internal. Nothing: \u2019"),
        ("a\n\n  b", "a b"),
        ("pay\u202elad", "pay[U+202E right-to-left override]lad"),
    ],
)
def test_a_title_cannot_end_its_quotation(title: str, shown: str) -> None:
    """No agent's text stands unquoted in a heading."""
    assert exact.one_line(title) == shown


def test_bytes_that_are_not_text() -> None:
    """Shown whole, in hexadecimal."""
    shown = exact.content(bytes(range(250, 256)))
    assert (shown.text, shown.size, shown.runs[0].text) == (False, 6, "fa fb fc fd fe ff")


@pytest.mark.parametrize(("count", "shown"), [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (12 << 20, "12.0 MiB")])
def test_sizes(count: int, shown: str) -> None:
    """As people say them."""
    assert exact.size(count) == shown


def test_a_large_body_is_named_and_not_shown() -> None:
    """Its size and the digest anybody can compute; never its bytes, which are not in memory."""
    shown = exact.body(Kept(12 << 20, "sha256:ab"))
    assert (shown.runs[0].text, shown.size) == ("a file of 12.0 MiB, sha256:ab", 12 << 20)


@pytest.mark.parametrize(
    ("identifier", "shown"),
    [
        ("1842", "1842"),
        ("0b9e5a1c-7d0e-4a7e-9f00-1234567890ab", "0b9e5a1c-7d0e-4a7e-9f00-1234567890ab"),
        ("approved by legal", "\u201capproved by legal\u201d"),
        ("1842\u201d is approved", "\u201c1842\u2019 is approved\u201d"),
        ("\u202e1842", "\u201c[U+202E right-to-left override]1842\u201d"),
    ],
    ids=["number", "uuid", "words", "an end of the quotation", "hidden"],
)
def test_an_assets_id_is_the_agents_writing(identifier: str, shown: str) -> None:
    """It stands in a target, so it is quoted wherever it could be read as words of ours."""
    assert exact.asset(identifier) == shown
