"""The preview in a real browser, against markup that tries to reach a server by every way there is: it counts 0 requests.

Each of the three walls is tried alone as well: the policy and the sandbox with markup that nothing has made inert, and the inert
markup in a browser that ignores policies.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from playwright.async_api import expect

from stagewarden.web.console import preview
from tests.e2e.chromium import enter, page_of
from tests.e2e.payloads import PAYLOADS
from tests.fakes import held
from tests.people_listener import PASSWORD, people_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.people_listener import Served

REACHING = """
<base href="@/base/"><meta http-equiv="refresh" content="0; url=@/refresh"><link rel=stylesheet href="@/sheet.css">
<link rel=preload as=image href="@/pre">
<link rel=prefetch href="@/fetch"><link rel=dns-prefetch href="@"><link rel=preconnect href="@"><link rel=icon href="@/icon">
<link rel=manifest href="@/man">
<style>@import url("@/import.css"); body { background: url("@/background") }
@font-face { font-family: x; src: url("@/font") } p { font-family: x }</style>
<script src="@/script.js"></script><script>fetch("@/fetched"); new Image().src = "@/made"; location = "@/moved"; top.location = "@/top"</script>
<img src="@/img" srcset="@/set 2x" onerror="fetch('@/onerror')"><picture><source srcset="@/source"><img src="@/inner"></picture>
<iframe src="@/frame"></iframe><iframe srcdoc="<img src='@/srcdoc'>"></iframe><object data="@/object"></object><embed src="@/embed">
<video src="@/video" poster="@/poster" autoplay></video><audio src="@/audio" autoplay></audio><input type=image src="@/image">
<body background="@/body"><table background="@/table"><tr><td background="@/cell" style="background: url(@/style)">x</td></tr></table>
<svg><image href="@/svg"/><use href="@/use#x"/></svg><form action="@/form" id=f><input name=a><button>Go</button></form><script>f.submit()</script>
<a href="@/link" ping="@/ping" target=_top>all shops</a><a href="@/blank" target=_blank>new</a>
<p onclick="fetch('@/click')"><a href="@/plain" ping="@/ping">Text of it</a></p>
"""


@dataclass
class Counting:
    """A server that counts what reaches it."""

    url: str
    reached: list[str] = field(default_factory=list)


@pytest.fixture
async def counting() -> AsyncIterator[Counting]:
    """On loopback."""
    counted = Counting("")

    async def count(request: web.Request) -> web.Response:
        counted.reached.append(request.path)
        return web.Response(text="x", headers={"Access-Control-Allow-Origin": "*"})

    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", count)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    counted.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield counted
    await runner.cleanup()


@asynccontextmanager
async def opened(served: Served, browser: Browser, content: str, **how: bool) -> AsyncIterator[Page]:
    """The hold's page, signed in, the preview not asked for."""
    hold = served.gate.add(held(time.time_ns(), {"status": "publish", "content": f"{content}\n"}))
    async with page_of(browser, **how) as page:
        await enter(page, f"{served.url}/holds/{hold.id}", "ines", PASSWORD)
        yield page


async def show(page: Page) -> None:
    """Ask for the preview, then click on everything in it."""
    await page.get_by_text("Preview, as a browser might show it").click()
    await page.locator(".preview a").click()
    frame = page.frame_locator("iframe")
    await expect(frame.locator("body")).to_contain_text("Text of it")
    for text in ("all shops", "new", "Text of it"):
        await frame.get_by_text(text, exact=True).first.click(force=True)
    await page.wait_for_load_state("networkidle")


@pytest.mark.parametrize(
    ("walls", "how"),
    [("all", {}), ("all", {"script": False}), ("policy and sandbox", {}), ("inert markup", {"bypass": True})],
    ids=["all three", "all three, no script", "policy and sandbox alone", "inert markup alone"],
)
async def test_the_preview_reaches_nothing(
    tmp_path: Path, browser: Browser, counting: Counting, monkeypatch: pytest.MonkeyPatch, walls: str, how: dict[str, bool]
) -> None:
    """0 requests, the page still there, and nothing ran in it; a picture beside it shows that the server does count."""
    if walls == "policy and sandbox":
        monkeypatch.setattr(preview, "inert", lambda text: text)
    async with people_listener(tmp_path) as served, opened(served, browser, REACHING.replace("@", counting.url), **how) as page:
        before = page.url
        await show(page)
        assert counting.reached == []
        assert page.url == before
        assert len(page.context.pages) == 1
        if how.get("script", True):
            assert await page.evaluate("window.hit") is None
        await page.goto(f"{counting.url}/control")
    assert counting.reached[0] == "/control"


async def test_nothing_is_drawn_before_it_is_asked_for(tmp_path: Path, browser: Browser) -> None:
    """Off by default: the frame is empty and nothing was read for it."""
    async with people_listener(tmp_path) as served, opened(served, browser, "<p>Text of it</p>") as page:
        reads = len(served.gate.reads)
        await page.get_by_text("Preview, as a browser might show it").click()
        assert await page.frames[1].content() == "<html><head></head><body></body></html>"
        assert len(served.gate.reads) == reads
        await page.locator(".preview a").click()
        await expect(page.frame_locator("iframe").locator("p")).to_have_text("Text of it")
        assert len(served.gate.reads) == reads + 1


async def test_sixty_payloads_run_nowhere(tmp_path: Path, browser: Browser) -> None:
    """Cross-site scripting: all of them at once in the preview, in a browser that ignores policies."""
    content = "<p>Text of it</p>" + "".join(PAYLOADS)
    async with people_listener(tmp_path) as served, opened(served, browser, content, bypass=True) as page:
        await page.get_by_text("Preview, as a browser might show it").click()
        await page.locator(".preview a").click()
        await expect(page.frame_locator("iframe").locator("body")).to_contain_text("Text of it")
        assert await page.evaluate("window.hit") is None
        assert await page.frames[1].evaluate("document.scripts.length + document.querySelectorAll('[src],[href],[style],iframe,form').length") == 0
