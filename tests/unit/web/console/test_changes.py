"""What changes: fields from the stored bytes against the asset before."""

from __future__ import annotations

import json
import time

import pytest

from stagewarden.holds.bodies import Kept
from stagewarden.model import Request
from stagewarden.web.console import found
from stagewarden.web.console.changes import FIELDS, changes


def request(body: bytes, kind: str = "application/json", target: str = "/posts") -> Request:
    """A request with this body."""
    return Request("cms", "POST", "https", "cms", target, (("Content-Type", kind),), body)


def plain(runs: object) -> str | None:
    """Runs as text."""
    return None if runs is None else "".join(run.text for run in runs)  # type: ignore[attr-defined]


def test_against_what_was_there() -> None:
    """Changed first; unchanged and untouched are told apart; {raw, rendered} is compared with what was written."""
    before = {"id": 7, "status": "draft", "title": {"raw": "Hours", "rendered": "Hours"}, "slug": "hours", "excerpt": {"raw": "x"}}
    seen = changes(request(json.dumps({"status": "publish", "title": "Hours", "slug": "hours", "new": 1}).encode()), json.dumps(before).encode())
    assert [(plain(field.name), plain(field.before), plain(field.after)) for field in seen.changed] == [
        ("status", "draft", "publish"),
        ("new", None, "1"),
    ]
    assert [plain(field.name) for field in seen.same] == ["title", "slug"]
    assert [plain(field.name) for field in seen.asset] == ["id", "excerpt.raw"]
    assert seen.known


@pytest.mark.parametrize(
    ("body", "kind", "target", "names"),
    [
        (b'{"a": {"b": "x"}, "c": [1, 2]}', "application/json", "/p", ["a.b", "c"]),
        (b"status=publish&title=A", "application/x-www-form-urlencoded", "/p", ["status", "title"]),
        (b"", "application/json", "/p?status=publish&x=", ["?status", "?x"]),
        (b"just text", "text/plain", "/p", ["body"]),
        (b'["a"]', "application/json", "/p", ["body"]),
        (b"\xff\xfe", "application/octet-stream", "/p", ["body"]),
    ],
    ids=["json", "form", "query", "text", "array", "binary"],
)
def test_fields_of_any_body(body: bytes, kind: str, target: str, names: list[str]) -> None:
    """Query and body alike; what is not understood is text, whole."""
    seen = changes(request(body, kind, target), None)
    assert [plain(field.name) for field in seen.changed] == names
    assert not seen.known


def test_content_that_lies_at_the_upstream() -> None:
    """A request without content (publish by id) is about the asset: shown whole, and its title is the sentence's."""
    before = b'{"title": {"raw": "Spring offer"}, "body": "a\\nb"}'
    seen = changes(request(b""), before)
    assert (seen.empty, [plain(field.name) for field in seen.asset]) == (True, ["title.raw", "body"])


def test_long_text_goes_line_by_line() -> None:
    """A text of several lines gets its own comparison, and its own list of what was found."""
    seen = changes(request(json.dumps({"content": "<p>a</p>\n<script>x</script>"}).encode()), json.dumps({"content": {"raw": "<p>a</p>"}}).encode())
    assert [(plain(text.name), text.lines.added, dict(text.found.kinds)["scripts"]) for text in seen.texts] == [("content", 1, 1)]


def test_many_fields() -> None:
    """Past the bound the page says how many more stand in the exact request."""
    seen = changes(request(json.dumps({f"f{number}": number for number in range(FIELDS + 5)}).encode()), None)
    assert (len(seen.changed), seen.more) == (FIELDS, 5)


def test_found() -> None:
    """Hosts, also in userinfo tricks and without scheme; scripts, frames, forms, handlers, script links."""
    text = '<a href="https://ours.example@evil.example/x">x</a> //cdn.example/y <iframe src=x> <FORM> <img onerror=alert(1)> javascript:alert(1)'
    seen = found.look([text])
    assert dict(seen.hosts) == {"evil.example": 1, "cdn.example": 1}
    assert dict(seen.kinds) == {"scripts": 0, "frames": 1, "forms": 1, "pictures": 1, "styles": 0, "handlers": 1, "script links": 1}


@pytest.mark.parametrize("text", ["<" * 200_000, "//" * 100_000, "<a " + "x" * 200_000, "on" * 100_000 + "<"], ids=["<", "//", "tag", "on"])
def test_regular_expression_denial_of_service(text: str) -> None:
    """Looking is linear."""
    started = time.process_time()
    found.look([text])
    assert time.process_time() - started < 5  # minutes if it were quadratic


IMAGE = {"name": "files", "filename": "a.png", "type": "image/png", "size": 2048, "digest": "sha256:ab"}


@pytest.mark.parametrize("body", [b"--B--", Kept(9 << 20, "sha256:cd")], ids=["small", "large"])
def test_a_form_in_parts_is_shown_as_it_was_described(body: bytes | Kept) -> None:
    """Fields as fields, files by name, type, size and digest, from what the policy saw."""
    request = Request("cms", "POST", "https", "cms.internal", "/forms", (("Content-Type", "multipart/form-data; boundary=B"),), body)
    said = {"fields": {"title": "Winter"}, "parts": [{"name": "title", "filename": None}, IMAGE, IMAGE | {"filename": "b.png"}]}
    fields = {field.name[0].text: "".join(run.text for run in field.after) for field in changes(request, None, said).changed}
    assert fields["title"] == "Winter"
    assert [text.name[0].text for text in changes(request, None, said).texts] == ["files"]


def test_a_large_body_is_one_line() -> None:
    """Type, size and digest."""
    request = Request("cms", "POST", "https", "cms.internal", "/media", (("Content-Type", "image/png"),), Kept(9 << 20, "sha256:cd"))
    (field,) = changes(request, None).changed
    assert "".join(run.text for run in field.after) == "image/png, 9.0 MiB, sha256:cd"
