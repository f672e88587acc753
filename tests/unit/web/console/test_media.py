"""Files are described from their bytes, at fixed offsets; nothing is decoded."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.holds.bodies import Kept
from stagewarden.model import Request
from stagewarden.web.console import media

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 1200, 630) + b"\x08\x06\0\0\0"
GIF = b"GIF89a" + struct.pack("<HH", 320, 200) + b"\0" * 10
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0" + b"\xff\xc0\0\x11\x08" + struct.pack(">HH", 480, 640) + b"\x03" * 10
VP8X = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (799).to_bytes(3, "little") + (599).to_bytes(3, "little")
VP8L = b"RIFF\0\0\0\0WEBPVP8L\x05\0\0\0\x2f" + ((63) | (31 << 14)).to_bytes(4, "little") + b"\0" * 10
VP8 = b"RIFF\0\0\0\0WEBPVP8 \x20\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 100, 50) + b"\0" * 8


def request(body: bytes | Kept, kind: str, disposition: str = "") -> Request:
    """With this body."""
    more = (("Content-Disposition", disposition),) if disposition else ()
    return Request("cms", "POST", "https", "cms", "/media", (("Content-Type", kind), *more), body)


@pytest.mark.parametrize(
    ("body", "found", "pixels"),
    [
        (PNG, "image/png", (1200, 630)), (GIF, "image/gif", (320, 200)), (JPEG, "image/jpeg", (640, 480)), (VP8X, "image/webp", (800, 600)),
        (VP8L, "image/webp", (64, 32)), (VP8, "image/webp", (100, 50)), (b"%PDF-1.7", "application/pdf", None), (PNG[:20], "image/png", None),
        (b"\xff\xd8\xff" + b"\xff\xd8" * 500, "image/jpeg", None), (b"", None, None), (b"hello", None, None),
    ],
    ids=["png", "gif", "jpeg", "webp x", "webp l", "webp", "pdf", "cut off", "no frame", "empty", "text"],
)  # fmt: skip
def test_type_and_dimensions(body: bytes, found: str | None, pixels: tuple[int, int] | None) -> None:
    """As the header says, where it stands where it belongs."""
    assert (media.sniffed(body), media.dimensions(body)) == (found, pixels)


@given(st.sampled_from([b"", PNG[:12], b"GIF89a", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"RIFF\0\0\0\0WEBPVP8X"]), st.binary(max_size=200))
def test_hostile_headers(start: bytes, rest: bytes) -> None:
    """Any bytes: described or not, never an error, never a negative number."""
    assert all(number >= 0 for number in media.dimensions(start + rest) or ())


def test_a_file_that_is_said_to_be_another() -> None:
    """What the first bytes say stands beside what the request says, and the name it is given is only shown."""
    (file,) = media.of(request(PNG + b"...c2pa...", "image/jpeg", 'attachment; filename="../../a\u202egnp.exe"'))
    assert (file.found, file.disagrees, file.wide, file.high, file.manifest) == ("image/png", True, 1200, 630, True)
    assert [run.hidden for run in file.name] == [False, True, False]
    assert not media.of(request(PNG, "image/png"))[0].disagrees


@pytest.mark.parametrize("body", [b'{"a": 1}', b"", b"text"], ids=["json", "empty", "text"])
def test_what_is_no_file(body: bytes) -> None:
    """Ordinary bodies are told of elsewhere."""
    assert media.of(request(body, "application/json")) == ()


def test_a_large_file_and_the_parts_of_a_form() -> None:
    """By what was counted and hashed when it came: their bytes are not in memory."""
    (large,) = media.of(request(Kept(9 << 20, "sha256:cd"), "video/mp4"))
    assert (large.size, large.digest, large.manifest, large.found) == ("9.0 MiB", "sha256:cd", None, None)
    said = {"fields": {}, "parts": [{"name": "f", "filename": "a.png", "type": "image/png", "size": 2048, "digest": "sha256:ab"}, {"filename": None}]}
    (part,) = media.of(request(b"--B--", "multipart/form-data; boundary=B"), said)
    assert (part.size, part.digest, part.manifest) == ("2.0 KiB", "sha256:ab", None)
