"""The preview's markup: text and listed tags without attributes, whatever comes in."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.model import Seat
from stagewarden.web.console import inert, preview
from tests.e2e.payloads import PAYLOADS
from tests.fakes import held
from tests.unit.web.console.test_pages import get
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from tests.people_listener import Served

_TAGS = re.compile(r"<[^>]*>")
_WRITTEN = re.compile(r"</?[a-z0-9]{1,10}>")
_PIECES = st.sampled_from([*PAYLOADS, "<", ">", '"', "'", "<!--", "-->", "</", "<a href=x", "<p>", "</p>", "&lt;", "&#60;script&#62;", "\u202e", "x"])
FRAME = {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-origin"}


@given(st.lists(_PIECES | st.text(max_size=8), max_size=20).map("".join))
def test_nothing_but_listed_tags_without_attributes(markup: str) -> None:
    """Any input: every `<` of the answer begins a tag of the list, bare; nothing else could be read as markup."""
    drawn = inert.inert(markup)
    assert all(_WRITTEN.fullmatch(tag) for tag in _TAGS.findall(drawn))
    assert drawn.count("<") == len(_TAGS.findall(drawn))
    assert {tag.strip("</>") for tag in _TAGS.findall(drawn)} <= inert._DRAWN | inert._ALONE | {"samp"}


@given(st.lists(_PIECES, max_size=30).map("".join))
def test_tags_are_balanced(markup: str) -> None:
    """No tag of the content closes one of the page around it."""
    open_: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in inert._ALONE:
                open_.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_.pop() == tag

    reader = Reader()
    reader.feed(inert.inert(markup))
    reader.close()
    assert open_ == []


@pytest.mark.parametrize(
    ("markup", "drawn"),
    [
        ("<h2 class=x>Hours</h2><p>Until <b>Sunday</b>.", "<h2>Hours</h2><p>Until <b>Sunday</b>.</p>"),
        ("<a href='https://x.example/?a&amp;b'>all</a>", "<samp>link: https://x.example/?a&amp;b</samp><u>all</u>"),
        ("<img src=//t.example/p.gif alt=Shop>", "<samp>picture: //t.example/p.gif, Shop</samp>"),
        ("<script>alert(1)</script >x", "<samp>script</samp>x"),
        ("<style>p{}</style>a<!-- b -->c<!doctype html>", "ac"),
        ("1 < 2 &amp; &lt;b&gt;", "1 &lt; 2 &amp; &lt;b&gt;"),
        ("a\u202eb", "a<samp>U+202E right-to-left override</samp>b"),
        ("&#8238;x", "<samp>U+202E right-to-left override</samp>x"),
        (f"&#{'9' * 5000};", f"&amp;#{'9' * 5000};"),
        ("<script>never closed <b>x</b>", "<samp>script</samp>"),
        ("</p></div>x", "x"),
    ],
    ids=["ordinary", "link", "picture", "script", "style and comment", "text", "hidden", "hidden by reference", "a long reference", "raw", "closing"],
)
def test_what_is_drawn(markup: str, drawn: str) -> None:
    """As a browser would draw it, less what could act; what is left out and would be seen is named in its place."""
    assert inert.inert(markup) == drawn


@pytest.mark.parametrize("piece", ["<", "<!--", "<a ", "<a b='", "<script>", "</p>", "<p>", "<svg></svg>", "&#1;", "<b \t\n"], ids=repr)
def test_quadratic_markup(piece: str) -> None:
    """Four times as much takes about four times as long: a tokenizer that looks back would take sixteen (CVE-2025-6069)."""
    took = []
    for size in (60_000, 240_000):
        started = time.process_time()
        drawn = inert.inert(piece * (size // len(piece)))
        took.append(time.process_time() - started)
        assert len(drawn) < 100 * size
    assert took[1] < took[0] * 10 + 0.5


def test_too_much_is_counted() -> None:
    """The preview ends, and says how much it did not draw."""
    assert inert.inert("x" * (inert.MOST + 5)).endswith("<samp>5 more characters are not drawn here</samp>")


async def test_a_preview_is_for_a_frame_of_ours_alone(served: Served, http: ClientSession) -> None:
    """Opened as a page, or by a script, it is refused; in its frame it has a policy of its own, and is recorded as read."""
    hold = served.gate.add(held(time.time_ns(), {"content": "<p>new</p>\n<script>x</script>"}, before={"content": "<p>old</p>", "note": "<i>n</i>"}))
    await sign_in(http, served)
    path = f"{served.url}/holds/{hold.id}/preview"
    for asked in ({}, {"Sec-Fetch-Dest": "document"}, {"Sec-Fetch-Dest": "empty"}, {"Sec-Fetch-Dest": "image"}):
        async with http.get(f"{path}/f0/now", headers=asked) as answer:
            assert answer.status == 403
    assert served.gate.reads == []
    for place, text in (("f0/now", "<p>new</p>"), ("f0/before", "<p>old</p>"), ("a1/now", "<i>n</i>")):
        async with http.get(f"{path}/{place}", headers=FRAME) as answer:
            page = await answer.text()
            assert (answer.status, text in page, "<script>" in page) == (200, True, False)
            assert answer.headers["Content-Security-Policy"] == preview.HEADERS["Content-Security-Policy"]
            assert answer.headers["Content-Security-Policy"].endswith("; sandbox")
            assert (answer.headers["X-Frame-Options"], answer.headers["Cache-Control"]) == ("SAMEORIGIN", "no-store")
    assert len(served.gate.reads) == 3
    for place in ("f9/now", "f0/then", "f0/now/x", "a1/before", "x/now"):
        async with http.get(f"{path}/{place}", headers=FRAME) as answer:
            assert answer.status == 404


async def test_who_may_not_see_the_bytes_sees_no_preview(served: Served, http: ClientSession) -> None:
    """No frame on the page, and nothing at its address."""
    hold = served.gate.add(held(time.time_ns(), {"content": "<p>secret</p>\n"}, seats=(Seat(("legal",), 1),)))
    await sign_in(http, served, "nobody")
    _, page = await get(served, http, f"/holds/{hold.id}")
    async with http.get(f"{served.url}/holds/{hold.id}/preview/f0/now", headers=FRAME) as answer:
        assert (answer.status, "secret" in await answer.text(), "<iframe" in page, served.gate.reads) == (403, False, False, [])


@pytest.mark.parametrize(("content", "framed"), [("<p>a</p>\n<p>b</p>", True), ("1 < 2\nand no markup", False)], ids=["markup", "text"])
async def test_frames_are_allowed_where_there_is_one(served: Served, http: ClientSession, content: str, *, framed: bool) -> None:
    """The page's policy allows frames of ours on this page alone, and the frame is empty, sandboxed and unasked."""
    hold = served.gate.add(held(time.time_ns(), {"content": content}))
    await sign_in(http, served)
    async with http.get(f"{served.url}/holds/{hold.id}") as answer:
        page = await answer.text()
        assert ("frame-src 'self'" in answer.headers["Content-Security-Policy"]) is framed
        assert answer.headers["X-Frame-Options"] == "DENY"
    assert page.count("<iframe") == page.count('sandbox=""') == int(framed)
    assert not re.search(r"<iframe[^>]* src", page)
    async with http.get(f"{served.url}/") as answer:
        assert "frame-src" not in answer.headers["Content-Security-Policy"]
