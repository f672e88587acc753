"""The files a request would send, described from their bytes: type, size, dimensions, digest. Nothing is decoded, scaled or shown.

A picture is never rendered here. Showing one safely means re-encoding it, re-encoding means an image library, and such a library
parses hostile bytes in the process that holds people's sessions: years of memory-safety advisories for a thumbnail. The file
itself is handed out as an attachment that no browser opens (`/holds/{id}/body`). Headers are read at fixed offsets, bounded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.holds.titles import described
from stagewarden.web.console.exact import Run, reveal, size

if TYPE_CHECKING:
    from stagewarden.model import JSON, Body, Hold, Request

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"), (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"), (b"PK\x03\x04", "application/zip"), (b"OggS", "audio/ogg"), (b"ID3", "audio/mpeg"),
)  # fmt: skip
_TOLD = ("image/", "audio/", "video/", "font/")
_DOCUMENTS = frozenset({"application/pdf", "application/zip", "application/octet-stream"})
_SEGMENTS = 64  # JPEG segments looked at on the way to the frame
_MANIFESTS = (b"c2pa", b"jumb")  # C2PA: a JUMBF box; its label stands in clear in every container
_LOOKED = 1 << 20  # bytes looked at for a manifest


@dataclass(frozen=True, slots=True)
class File:
    """One file. `found`: the type its first bytes say, where known; `wide`, `high` in pixels; `manifest` None: its bytes were not looked at."""

    name: tuple[Run, ...]
    declared: tuple[Run, ...]
    found: str | None
    size: str
    digest: str
    wide: int | None = None
    high: int | None = None
    manifest: bool | None = None

    @property
    def disagrees(self) -> bool:
        """Whether it is said to be of another type than its bytes say."""
        return self.found is not None and self.found != "".join(run.text for run in self.declared)


def files(hold: Hold) -> tuple[File, ...]:
    """Those of the request: the whole body where it is one file, or the parts of a form as they were described to the policy."""
    return of(hold.request, described(hold.question))


def of(request: Request, said: JSON = None) -> tuple[File, ...]:
    """Those of any request."""
    kind = _type(request)
    if kind == "multipart/form-data":
        parts = said.get("parts") if isinstance(said, dict) else None
        listed = [part for part in parts if isinstance(part, dict) and part.get("filename") is not None] if isinstance(parts, list) else []
        return tuple(
            File(reveal(str(part["filename"])), reveal(str(part["type"])), None, size(int(str(part["size"]))), str(part["digest"])) for part in listed
        )
    body = request.body
    found = sniffed(body) if isinstance(body, bytes) else None
    if not _is_file(kind, body, found):
        return ()
    if not isinstance(body, bytes):
        return (File(reveal(_name(request)), reveal(kind), None, size(body.size), body.digest),)
    wide, high = dimensions(body) or (None, None)
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    marked = any(mark in body[:_LOOKED] for mark in _MANIFESTS)
    return (File(reveal(_name(request)), reveal(kind), found, size(len(body)), digest, wide, high, marked),)


def sniffed(body: bytes) -> str | None:
    """The type the first bytes say; None for what has no such mark."""
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    if body[4:8] == b"ftyp":
        return "image/avif" if body[8:12] in {b"avif", b"avis"} else "video/mp4"
    return next((kind for mark, kind in _MAGIC if body.startswith(mark)), None)


def dimensions(body: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, as the header says; None where it is not at its place."""
    match sniffed(body):
        case "image/png" if body[12:16] == b"IHDR" and len(body) >= _PNG:
            return _big(body[16:20]), _big(body[20:24])
        case "image/gif" if len(body) >= _GIF:
            return _little(body[6:8]), _little(body[8:10])
        case "image/jpeg":
            return _jpeg(body)
        case "image/webp" if len(body) >= _WEBP:
            return _webp(body)
        case _:
            return None


_PNG, _GIF, _WEBP = 24, 10, 30
_FRAMES = frozenset({*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})  # SOF markers, ITU T.81 table B.1
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


def _jpeg(body: bytes) -> tuple[int, int] | None:
    at = 2
    for _ in range(_SEGMENTS):
        if at + 9 > len(body) or body[at] != 0xFF:  # noqa: PLR2004  # every marker begins so
            return None
        marker = body[at + 1]
        if marker in _FRAMES:
            return _big(body[at + 7 : at + 9]), _big(body[at + 5 : at + 7])
        at += 2 if marker in _ALONE else 2 + _big(body[at + 2 : at + 4])
    return None


def _webp(body: bytes) -> tuple[int, int] | None:
    match body[12:16]:
        case b"VP8X":
            return 1 + _little(body[24:27]), 1 + _little(body[27:30])
        case b"VP8L":
            bits = _little(body[21:25])
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            return _little(body[26:28]) & 0x3FFF, _little(body[28:30]) & 0x3FFF
        case _:
            return None


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _type(request: Request) -> str:
    return next((value for name, value in request.headers if name.lower() == "content-type"), "").partition(";")[0].strip().lower()


def _is_file(kind: str, body: Body, found: str | None) -> bool:
    if not isinstance(body, bytes):
        return True
    return bool(body) and (kind.startswith(_TOLD) or kind in _DOCUMENTS or found is not None)


def _name(request: Request) -> str:
    """What the request calls it, as it is written: never used as a name of ours."""
    said = next((value for name, value in request.headers if name.lower() == "content-disposition"), "")
    _, marked, rest = said.partition("filename=")
    return rest.strip().strip('"') if marked and rest.strip() else "the body"
