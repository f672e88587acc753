"""How the console looks, measured: axe-core finds nothing in either theme and at either width, nothing scrolls sideways, no route is left out."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.e2e.chromium import chromium, page_of
from tests.e2e.gallery import gallery
from tests.needs import needs

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
WIDTHS = {"wide": 1440, "phone": 390}
# GET routes that are no page: bytes, streams, the document in a preview's frame, and the ways to and from an identity provider
NO_PAGES = re.compile(r"/static/|/body$|/preview/|/now$|^/events$|^/inbox/new$|^/rulings/live$|^/sign-in/.+|^/api/")


async def violations(page: Page) -> list[str]:
    """What axe-core finds on the page as it is."""
    found = await page.evaluate("tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", TAGS)
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:200]} {node['failureSummary'][:300]}" for one in found["violations"] for node in one["nodes"]
    ]


@pytest.mark.timeout(300)  # axe takes a second for each page and width
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_no_violation_on_any_page(tmp_path: Path, dark: object) -> None:
    """WCAG 2.2 AA and best practice: 0 violations on every page, at both widths."""
    axe = needs("axe-core").read_text()
    wrong: dict[str, list[str]] = defaultdict(list)
    async with gallery(tmp_path) as filled, chromium() as browser, page_of(browser, dark=bool(dark)) as page:
        for shown in filled.pages:
            await filled.open(page, shown)
            await page.evaluate(axe)
            for name, width in WIDTHS.items():
                await page.set_viewport_size({"width": width, "height": 900})
                for violation in await violations(page):
                    wrong[violation].append(f"{shown.name} {name}")
    assert not wrong, "\n\n".join(f"{violation}\non {', '.join(where)}" for violation, where in wrong.items())


async def test_nothing_is_wider_than_the_window(tmp_path: Path) -> None:
    """No sideways scrolling from 320 to 1440 px, on any page."""
    wide = []
    async with gallery(tmp_path) as filled, chromium() as browser, page_of(browser) as page:
        for shown in filled.pages:
            await filled.open(page, shown)
            for width in (320, 390, 768, 1024, 1440):
                await page.set_viewport_size({"width": width, "height": 900})
                if await page.evaluate("document.documentElement.scrollWidth") > width:
                    wide.append(f"{shown.name} at {width}")
    assert wide == []


SPACED = "* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-bottom: 2em !important }"
LARGE = "html { font-size: 200% !important }"
# Text that its own box cuts off; what scrolls, and what is there for screen readers alone, is none
CUT = """[...document.querySelectorAll('main *, header *')].filter(one => one.checkVisibility()
    && !one.matches('.away, thead, thead *, svg, svg *, pre, textarea')
    && getComputedStyle(one).overflow === 'hidden' && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1))
    .map(one => one.outerHTML.slice(0, 120))"""
# what can be reached by Tab, in the document's order, by where it begins; what stands beside it on the same line is no step back
BACK = """(() => { const places = [...document.querySelectorAll('main a, main button, main input, main select, main textarea, main summary')]
    .filter(one => one.checkVisibility() && one.tabIndex >= 0 && one.getBoundingClientRect().height > 1);
    const high = one => one.getBoundingClientRect(); const back = [];
    for (let at = 1; at < places.length; at++) if (high(places[at]).bottom < high(places[at - 1]).top) back.push(places[at].outerHTML.slice(0, 120));
    return back })()"""
PRINTED = """(() => ({
    controls: [...document.querySelectorAll('button, nav, input, select, textarea, .skip')].filter(one => one.checkVisibility())
        .map(one => one.outerHTML.slice(0, 120)),
    folded: [...document.querySelectorAll('main details')]
        .filter(one => one.checkVisibility() && [...one.children].slice(1).some(part => part.getBoundingClientRect().height === 0))
        .map(one => one.outerHTML.slice(0, 120)),
}))()"""


async def test_larger_text_and_wider_spacing_cut_nothing(tmp_path: Path) -> None:
    """At 200 % text (WCAG 1.4.4) and with the spacing of WCAG 1.4.12 every page keeps its text whole, and inside the window."""
    wrong = []
    async with gallery(tmp_path) as filled, chromium() as browser, page_of(browser, bypass=True) as page:
        for shown in filled.pages:
            for name, style, width in (("large", LARGE, 1440), ("large", LARGE, 1024), ("spaced", SPACED, 390)):
                await page.set_viewport_size({"width": width, "height": 900})
                await filled.open(page, shown)
                await page.add_style_tag(content=style)
                if (cut := await page.evaluate(CUT)) or await page.evaluate("document.documentElement.scrollWidth") > width:
                    wrong.append((shown.name, name, width, cut))
    assert wrong == []


async def test_the_documents_order_is_the_order_on_the_phone(tmp_path: Path) -> None:
    """Tab never jumps up the page on the phone; nothing has a place of its own in the order; each page has one h1 and a title of its own."""
    titles: dict[str, str] = {}
    async with gallery(tmp_path) as filled, chromium() as browser, page_of(browser, width=390) as page:
        for shown in filled.pages:
            await filled.open(page, shown)
            assert await page.evaluate(BACK) == [], shown.name
            assert await page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count() == 0, shown.name
            assert await page.locator("h1").count() == 1, shown.name
            titles[shown.path.partition("?")[0]] = await page.title()
    assert len(set(titles.values())) >= len(titles) - 1, titles  # two gallery agents may differ in name alone, but no two pages are one


async def test_on_paper_nothing_is_folded_and_nothing_can_be_pressed(tmp_path: Path) -> None:
    """Print: bar, buttons and vote form vanish, folds open, and a hold's page says its digest whole, when it was printed and by whom."""
    wrong = {}
    async with gallery(tmp_path) as filled, chromium() as browser, page_of(browser) as page:
        for shown in filled.pages[1:]:  # nobody prints the door
            await filled.open(page, shown)
            await page.emulate_media(media="print")
            printed = await page.evaluate(PRINTED)
            if printed != {"controls": [], "folded": []}:
                wrong[shown.name] = printed
            if shown.name.startswith("hold-"):
                assert re.search(r"digest sha256:[0-9a-f]{64} · shown \S+ UTC to \w+", await page.locator(".pagefoot").inner_text()), shown.name
            await page.emulate_media(media="screen")
    assert not wrong


async def test_no_page_is_left_out(tmp_path: Path) -> None:
    """Every GET route of the console is a page of the gallery, or is known to be none."""
    async with gallery(tmp_path) as filled:
        pages = {path for path in filled.served.gets if not NO_PAGES.search(path)}
        shown = [page.path.partition("?")[0] for page in filled.pages]
        assert {path for path in pages if not any(re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)), one) for one in shown)} == set()
