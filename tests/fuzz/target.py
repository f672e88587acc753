"""Request targets: whatever is accepted is what a splitter, a normalizer, a browser and a chain of decoders see too."""

from __future__ import annotations

import json
import posixpath
from base64 import b64decode
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from hypothesis import strategies as st
from yarl import URL

from stagewarden.errors import Refused
from stagewarden.wire.target import parse_target
from tests.fuzz.harness import ACCEPTED, Harness, refused
from tests.fuzz.readers import unquoted, whatwg_path

LIMIT = 8192
_BATTERY = Path(__file__).parents[1] / "conformance" / "request-battery"


def judge(data: bytes) -> str:
    """As the listener reads it, then as others do."""
    try:
        target = parse_target(data, LIMIT)
    except Refused as no:
        return refused(no.detail)
    path, _, query = data.decode("ascii").partition("?")
    # (1) Kept as it is, read again as the same.
    assert (target.raw.encode(), target.path) == (data, path)
    assert parse_target(target.raw.encode(), LIMIT) == target
    # (2) Nothing that normalizes changes the path.
    assert whatwg_path(path) == path
    assert posixpath.normpath(path) == (path.rstrip("/") or "/")
    split = urlsplit(f"http://upstream.test{target.raw}")
    assert (split.netloc, split.path, split.query) == ("upstream.test", path, query)
    # (3) However often it is decoded, a segment stays one segment.
    assert len(target.segments) == path.count("/")
    for segment, raw in zip(target.segments, path[1:].split("/"), strict=True):
        assert segment == URL(f"http://x/{raw}").path[1:] == unquoted(raw)
        assert not set(segment) & set("/\\;\0\r\n")
        assert segment not in {".", ".."}
    # (4) Written again in the one canonical way, it means the same.
    assert parse_target(("/" + "/".join(quote(segment, safe="") for segment in target.segments)).encode(), 4 * LIMIT).segments == target.segments
    # (5) The query, as two others read it.
    assert list(target.query) == parse_qsl(query, keep_blank_values=True, errors="strict")
    assert list(target.query) == list(URL(f"http://x/?{query}").query.items())
    assert len({name for name, _ in target.query}) == len(target.query)
    shape = (
        min(len(target.segments), 3),
        target.segments[-1] == "",
        "%" in path,
        min(len(target.query), 2),
        "%" in query,
        "+" in query,
        "?" in data.decode(),
    )
    return f"{ACCEPTED} {shape}"


def _battery() -> list[bytes]:
    found = []
    for case in json.loads((_BATTERY / "path.json").read_text())["cases"]:
        if "raw" in case:
            words = b64decode(case["raw"]).split(b"\r\n", 1)[0].split(b" ", 1)
            found.append(words[-1].rpartition(b" HTTP/")[0])
    return [each for each in found if each]


_SEGMENTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cc"]), max_size=6).map(
    lambda text: quote(text, safe="!$&'()*+,=:@~-._")
)
_PAIRS = st.tuples(_SEGMENTS, _SEGMENTS).map("=".join)
_GROWN = st.tuples(st.lists(_SEGMENTS, min_size=1, max_size=4), st.lists(_PAIRS, max_size=3)).map(
    lambda parts: ("/" + "/".join(parts[0]) + ("?" + "&".join(parts[1]) if parts[1] else "")).encode()
)
_TOKENS = (
    b"/", b"//", b"..", b"/../", b"/./", b"%2e", b"%2E%2e", b"%2f", b"%5c", b"%252e", b"%25", b"%00", b"%0a", b"%", b"%c0%ae", b"%c3%a4",
    b"%ef%bc%8f", b"%e2%80%a8", b"?", b"&", b"=", b"+", b";", b"%3b", b"#", b"\\", b"@", b":", b"http://", b"[", b"]", b"|", b"a[]=1", b"%u002e",
    b"\xc3\xa4", b"%EF%BB%BF",
)  # fmt: skip
HARNESS = Harness.of("target", judge, [b"/", b"/a/b?c=d", b"/a%20b/", b"/a?b&c=+", *_battery()], _TOKENS, _GROWN)
