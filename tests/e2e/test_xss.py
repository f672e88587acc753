"""Cross-site scripting and lies, on every page: 0 executed, 0 markup, 0 requests to elsewhere, 0 violations of our own policy.

The pages are the gallery's, which no route of the console may miss. Payloads stand together in each text, so that a page tries all of them in
every field at once; in turns another of them stands first, where an earlier one might have spoiled the place for it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Error

from tests.e2e.chromium import chromium, enter, page_of
from tests.e2e.gallery import gallery
from tests.e2e.hostile import SIGN, poison
from tests.e2e.payloads import PAYLOADS
from tests.people_listener import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import ConsoleMessage, Page

FOREIGN = (
    "script:not([src^='/static/console.js?']), iframe:not([sandbox='']), iframe[src], iframe[srcdoc], object, embed, base, portal, style, img, "
    "video, audio, math, template, marquee, animate, form:not([action^='/']):not([method='dialog']), [formaction]:not([formaction^='/']), [style], "
    "[srcdoc], [ping], link:not([href^='/static/']), meta[http-equiv]:not([content^='5'])"
)
FOREIGN_IN_A_PREVIEW = "script, [src], [href], [style], [srcdoc], [action], iframe, form, object, embed, base, link, svg, math, img, body style"
HANDLERS = "[...document.querySelectorAll('*')].flatMap(one => [...one.attributes].map(each => each.name)).filter(name => /^on/i.test(name))"
SCHEMES = "[...document.querySelectorAll('a[href], area[href]')].map(one => one.protocol).filter(each => !/^https?:$/.test(each))"
AT_ONCE = 24  # payloads in one text


@dataclass
class Watch:
    """What a page did that it must not."""

    url: str
    found: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        """From now on."""
        page.on("request", lambda request: self._requested(request.url))
        page.on("dialog", lambda dialog: self.found.append(f"dialog {dialog.message}"))
        page.on("console", self._said)
        page.on("popup", lambda popup: self.found.append(f"popup {popup.url}"))

    async def look(self, page: Page, name: str) -> None:
        """At the page as it stands."""
        if await page.evaluate("window.hit") is not None:
            self.found.append(f"{name}: executed")
        if count := await page.locator(FOREIGN).count():
            self.found.append(f"{name}: {count} elements, first {await page.locator(FOREIGN).first.evaluate('one => one.outerHTML.slice(0, 200)')}")
        for what in (*await page.evaluate(HANDLERS), *await page.evaluate(SCHEMES)):
            self.found.append(f"{name}: {what}")

    async def preview(self, page: Page, name: str) -> int:
        """Every preview the page offers, asked for; in its frame nothing runs, loads or leads away either. How many there were."""
        seen = 0
        await page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        for preview in await page.locator(".preview").all():
            for link in await preview.locator("a").all():
                frame = page.frame(name=await link.get_attribute("target") or "")
                assert frame is not None
                await link.click()
                await frame.wait_for_url("**/preview/**")
                seen += 1
                if await frame.evaluate("window.hit") is not None:
                    self.found.append(f"{name}: executed in its preview")
                if count := await frame.evaluate(f"document.querySelectorAll({FOREIGN_IN_A_PREVIEW!r}).length"):
                    self.found.append(f"{name}: {count} elements in its preview")
        return seen

    def _requested(self, url: str) -> None:
        if not url.startswith((self.url, "about:")):
            self.found.append(f"request {url[:200]}")

    def _said(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or "Refused to" in message.text:
            self.found.append(f"policy {message.text[:200]}")


@pytest.mark.parametrize("bypass", [True, False], ids=["escaping-alone", "with-the-policy"])
async def test_nothing_hostile_does_anything_on_any_page(tmp_path: Path, bypass: object) -> None:
    """Escaping alone protects, the browser's policy taken away; and with it, no page of ours breaks it."""
    shows: Counter[str] = Counter()
    previews = 0
    async with gallery(tmp_path) as filled, chromium() as browser, page_of(browser, bypass=bool(bypass)) as page:
        watch = Watch(filled.served.url)
        watch.follow(page)
        for start in range(0, len(PAYLOADS), AT_ONCE):
            poison(filled.served.gate, PAYLOADS[start : start + AT_ONCE])
            who: str | None = None
            for shown in sorted(filled.pages, key=lambda one: (one.person or "", one.name)):
                await (page.goto(filled.served.url + shown.path) if shown.person == who is not None else filled.open(page, shown))
                who = shown.person
                await watch.look(page, f"{shown.name} from {start}")
                shows[shown.name] += SIGN in await page.content()
                previews += await watch.preview(page, f"{shown.name} from {start}")
    assert watch.found == []
    assert previews > 0
    assert sum(1 for times in shows.values() if times) >= len(shows) // 2, shows


async def test_the_battery_would_notice(tmp_path: Path) -> None:
    """Written into a page as they are, nearly all payloads are found: by what they do or by what they make."""
    async with gallery(tmp_path) as filled, chromium() as browser, page_of(browser, bypass=True) as first:
        unseen = []
        for payload in PAYLOADS:
            watch = Watch(filled.served.url)
            page = await first.context.new_page()  # one payload may lead its page away while the next is tried
            await page.goto(f"{filled.served.url}/sign-in")
            try:
                await page.evaluate("payload => document.body.insertAdjacentHTML('beforeend', payload)", payload)
                await watch.look(page, "raw")
            except Error as left:
                if "context was destroyed" not in left.message:
                    raise
                watch.found.append("led away")
            await page.close()
            if not watch.found:
                unseen.append(payload)
    # What is no markup as it stands: entities, templates, other encodings, attributes that close what is not open.
    assert len(unseen) <= len(PAYLOADS) // 3, unseen


REDIRECTS = (
    "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "/%2f/evil.example", "javascript:alert(1)", "/holds/../../x",
    "h_01JRS8AAAAAAAAAAAAAAAAAAAA@evil.example", "https:evil.example", "/\t/evil.example", ".evil.example", "data:text/html,x",
)  # fmt: skip


async def test_no_redirect_leaves_the_house(tmp_path: Path) -> None:
    """Whatever `then` says, before or after signing in (CWE-601): the way leads to a page of ours."""
    async with gallery(tmp_path) as filled, chromium() as browser, page_of(browser) as page:
        elsewhere: list[str] = []
        page.on("request", lambda request: None if request.url.startswith(filled.served.url) else elsewhere.append(request.url))
        for number, then in enumerate(REDIRECTS):
            await page.context.clear_cookies()
            query = await page.evaluate("then => new URLSearchParams({then}).toString()", then)
            door = f"{filled.served.url}/sign-in?{query}"
            if number < 2:  # the form carries it on; the rest is refused by the same reader
                await enter(page, door, "ines", PASSWORD)
            else:
                await page.goto(door)
            assert not re.search(r"evil|javascript|data:", urlsplit(page.url).netloc), then
        assert elsewhere == []
