"""Forms in parts: described exactly, refused wherever two readers could find other parts.

The rows marked `battery` are those of `body/multipart` in the request battery (docker/mcp-gateway PR 414, GHSA-4gph-2hhr-5mwg, CVE-2017-12635,
CVE-2026-34514), written by us.
"""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.errors import Ambiguous, Refused
from stagewarden.wire.multipart import MOST_HEAD, MOST_PARTS, Part, Taken, boundary, read

TAKEN = Taken(frozenset({"image/png", "text/plain", "application/octet-stream"}), frozenset({"files"}), 1 << 10)


def part(content: bytes, disposition: str = 'form-data; name="status"', *lines: str) -> bytes:
    """One part with its boundary line."""
    return "\r\n".join(["--B", f"Content-Disposition: {disposition}", *lines, "", ""]).encode() + content + b"\r\n"


def whole(*parts: bytes) -> bytes:
    """A body."""
    return b"".join(parts) + b"--B--\r\n"


def file(name: str = "image", filename: str = "a.png", media: str = "image/png", content: bytes = b"\x89PNG\r\n\0") -> bytes:
    """A part that is a file."""
    return part(content, f'form-data; name="{name}"; filename="{filename}"', f"Content-Type: {media}")


def digest(content: bytes) -> str:
    """As it stands in a description."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def test_fields_and_files_are_described():
    """A field by its text, a file by name, type, size and digest; both are parts, in order."""
    found = read([whole(part(b"draft"), file(content=b"xyz"), part("grüß".encode(), 'form-data; name="title"'))], b"B", TAKEN)
    assert found.fields == {"status": "draft", "title": "grüß"}
    assert found.parts == (
        Part("status", None, "text/plain", 5, digest(b"draft")),
        Part("image", "a.png", "image/png", 3, digest(b"xyz")),
        Part("title", None, "text/plain", 6, digest("grüß".encode())),
    )
    assert found.document()["parts"][1] == {"name": "image", "filename": "a.png", "type": "image/png", "size": 3, "digest": digest(b"xyz")}


ACCEPTED = {
    "no part": b"--B--",
    "no last line end": whole(part(b"x")).removesuffix(b"\r\n"),
    "empty field": whole(part(b"")),
    "line ends in a field": whole(part(b"a\r\n\r\n-- B\n--\r")),
    "charset": whole(part(b"x", 'form-data; name="status"', "Content-Type: text/plain; charset=utf-8")),
    "header names in lower case": whole(part(b"x").replace(b"Content-Disposition", b"content-disposition")),
    "no space after the semicolon": whole(part(b"x", 'form-data;name="status"')),
    "a file without a type is text": whole(part(b"\0", 'form-data; name="f"; filename="a.txt"')),
    "files of one name": whole(file("files"), file("files")),
    "file name with spaces and dots": whole(file(filename="my file.v2.png")),
    "most parts": whole(*[part(b"", f'form-data; name="n{number}"') for number in range(MOST_PARTS)]),
}


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED)
def test_what_every_reader_reads_alike(body):
    """Is taken."""
    read([body], b"B", TAKEN)


REFUSED = {
    "battery: dup": whole(part(b"draft"), part(b"publish")),
    "battery: name-twice": whole(part(b"publish", 'form-data; name="a"; name="status"')),
    "battery: filename": whole(part(b"hi", 'form-data; name="file"; filename="../x.php"')),
    "battery: no-end": part(b"publish"),
    "battery: lf": whole(part(b"publish")).replace(b"\r\n", b"\n"),
    "battery: preamble": b"x\r\n" + whole(part(b"publish")),
    "nothing": b"",
    "preamble of a line end": b"\r\n" + whole(part(b"x")),
    "epilogue": whole(part(b"x")) + b"x",
    "epilogue of a line end": whole(part(b"x")) + b"\r\n",
    "epilogue without line end": whole(part(b"x")).removesuffix(b"\r\n") + b"x",
    "cut boundary": whole(part(b"x")).removesuffix(b"--\r\n"),
    "boundary that goes on": part(b"x").replace(b"--B", b"--BB", 1) + b"--B--",
    "boundary that goes on in content": whole(part(b"a\r\n--Bx\r\nb")),
    "boundary after LF": whole(part(b"a\n--B\r\nb")),
    "boundary after CR": whole(part(b"a\r--B\r\nb")),
    "boundary in a line": whole(part(b"a--B")),
    "boundary right after a part's header": b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n--B--',
    "padded boundary": whole(part(b"x").replace(b"--B\r\n", b"--B \r\n")),
    "boundary ended by LF": whole(part(b"x").replace(b"--B\r\n", b"--B\n")),
    "bare LF in a part's header": whole(part(b"x", 'form-data; name="a"\nX: 1')),
    "bare CR in a part's header": whole(part(b"x", 'form-data; name="a"\rX: 1')),
    "folded header (CVE-2026-34514)": whole(part(b"x", 'form-data;\r\n name="a"')),
    "transfer encoding": whole(part(b"eA==", 'form-data; name="a"', "Content-Transfer-Encoding: base64")),
    "another header": whole(part(b"x", 'form-data; name="a"', "X-A: 1")),
    "disposition twice": whole(part(b"x", 'form-data; name="a"', 'Content-Disposition: form-data; name="b"')),
    "type twice": whole(part(b"x", 'form-data; name="a"', "Content-Type: text/plain", "content-type: image/png")),
    "no header": b"--B\r\n\r\nx\r\n--B--",
    "space before the colon": whole(part(b"x").replace(b"Disposition:", b"Disposition :")),
    "no disposition": whole(b"--B\r\nContent-Type: text/plain\r\n\r\nx\r\n"),
    "another disposition": whole(part(b"x", 'attachment; name="a"')),
    "no name": whole(part(b"x", "form-data")),
    "unquoted name": whole(part(b"x", "form-data; name=status")),
    "name in single quotes": whole(part(b"x", "form-data; name='status'")),
    "empty name": whole(part(b"x", 'form-data; name=""')),
    "escaped quote": whole(part(b"x", 'form-data; name="a\\"b"')),
    "escape in a name": whole(part(b"x", 'form-data; name="sta%74us"')),
    "nested name": whole(part(b"x", 'form-data; name="meta[status]"')),
    "dot in a name": whole(part(b"x", 'form-data; name="meta.status"')),
    "padded name": whole(part(b"x", 'form-data; name=" status"')),
    "hidden character in a name": whole(part(b"x", 'form-data; name="sta\u200btus"')),
    "filename*": whole(part(b"x", "form-data; name=\"a\"; filename*=UTF-8''x.png")),
    "filename and filename*": whole(part(b"x", 'form-data; name="a"; filename="x"; filename*=UTF-8\'\'y')),
    "filename twice": whole(part(b"x", 'form-data; name="a"; filename="x"; filename="y"')),
    "filename before the name": whole(part(b"x", 'form-data; filename="x"; name="a"')),
    "empty filename": whole(file(filename="")),
    "filename is the folder above": whole(file(filename="..")),
    "backslash in a filename": whole(file(filename="a\\b.png")),
    "escaped slash in a filename": whole(file(filename="..%2fx.png")),
    "NUL in a filename": whole(file(filename="a.php\0.png")),
    "control in a filename": whole(file(filename="a\x07.png")),
    "filename that reads backwards": whole(file(filename="a\u202egnp.exe")),
    "long filename": whole(file(filename="a" * 300)),
    "name that is not UTF-8": whole(part(b"x", 'form-data; name="a"').replace(b'"a"', b'"\xff"')),
    "field that is not UTF-8": whole(part(b"\xff")),
    "NUL in a field": whole(part(b"a\0b")),
    "parts in a part": whole(file(media="multipart/mixed; boundary=C")),
    "message in a part": whole(file(media="message/rfc822")),
    "another charset": whole(part(b"x", 'form-data; name="a"', "Content-Type: text/plain; charset=utf-7")),
    "file type the route does not take": whole(file(media="text/html")),
    "typed field": whole(part(b"{}", 'form-data; name="a"', "Content-Type: application/json")),
    "file and field of one name": whole(part(b"x", 'form-data; name="files"'), file("files")),
    "field and file of one name": whole(file("files"), part(b"x", 'form-data; name="files"')),
    "file twice": whole(file("image"), file("image")),
    "fields over the limit": whole(part(b"x" * 1000), part(b"x" * 25, 'form-data; name="b"')),
    "too many parts": whole(*[part(b"", f'form-data; name="n{number}"') for number in range(MOST_PARTS + 1)]),
    "endless header": whole(part(b"x", 'form-data; name="' + "a" * MOST_HEAD + '"')),
}


@pytest.mark.parametrize("cut", [1, 7, 1 << 20], ids=str)
@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(body, cut):
    """However the bytes are cut into blocks."""
    with pytest.raises(Refused):
        read([body[at : at + cut] for at in range(0, len(body), cut)], b"B", TAKEN)


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        ("multipart/form-data; boundary=B", b"B"),
        ("Multipart/Form-Data;boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW", b"----WebKitFormBoundary7MA4YWxkTrZu0gW"),
        ('multipart/form-data; boundary="a b"', Ambiguous),
        ('multipart/form-data; boundary="a(b)"', b"a(b)"),
        ("multipart/form-data; boundary=A; boundary=B", Ambiguous),
        ("multipart/form-data; boundary=A; charset=utf-8", Ambiguous),
        ("multipart/form-data; charset=utf-8; boundary=A", Ambiguous),
        ("multipart/form-data", Ambiguous),
        ("multipart/form-data; boundary=", Ambiguous),
        ('multipart/form-data; boundary=""', Ambiguous),
        ('multipart/form-data; boundary="a\\"b"', Ambiguous),
        ("multipart/form-data; boundary*=utf-8''A", Ambiguous),
        ("multipart/form-data; boundary = A", Ambiguous),
        (f"multipart/form-data; boundary={'a' * 71}", Ambiguous),
        ("multipart/form-data, multipart/form-data; boundary=A", Refused),
        ("multipart/mixed; boundary=A", Refused),
        ("application/x-www-form-urlencoded", Refused),
        ("", Refused),
    ],
)
def test_one_boundary_and_nothing_else(content_type, found):
    """`battery: boundary-twice` among them: of two, some readers take the first, others the last."""
    if isinstance(found, bytes):
        assert boundary(content_type) == found
    else:
        with pytest.raises(found):
            boundary(content_type)


CONTENTS = st.binary(max_size=200).filter(lambda content: b"--B" not in content)


@given(contents=st.lists(CONTENTS, max_size=5), cuts=st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_cve_2026_34514_every_byte_of_a_file_is_its_own(contents, cuts):
    """Whatever the files hold and however the blocks are cut: each part is exactly what was put into it."""
    body = whole(*[file(f"f{number}", content=content) for number, content in enumerate(contents)])
    blocks, at, turn = [], 0, 0
    while at < len(body):
        blocks.append(body[at : at + cuts[turn % len(cuts)]])
        at, turn = at + len(blocks[-1]), turn + 1
    found = read(blocks, b"B", TAKEN)
    assert [(each.name, each.size, each.digest) for each in found.parts] == [
        (f"f{number}", len(content), digest(content)) for number, content in enumerate(contents)
    ]


PIECES = st.sampled_from(
    [b"--B", b"--", b"\r\n", b"\n", b"Content-Disposition: form-data; name=", b'"a"', b'; filename="x"', b"Content-Type: image/png", b"x"]
)


@given(body=st.lists(PIECES | st.binary(max_size=8), max_size=30).map(b"".join))
def test_whatever_bytes_come_they_are_a_form_or_refused(body):
    """No other way out, and what is accepted begins and ends with its boundary."""
    try:
        read([body], b"B", TAKEN)
    except Refused:
        return
    assert body.startswith(b"--B")
    assert body.removesuffix(b"\r\n").endswith(b"--B--")
