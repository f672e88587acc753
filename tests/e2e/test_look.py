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
# GET routes that are no page: bytes, streams, and the ways to and from an identity provider
NO_PAGES = re.compile(r"/static/|/body$|^/events$|^/sign-in/.+|^/api/")


async def violations(page: Page) -> list[str]:
    """What axe-core finds on the page as it is."""
    found = await page.evaluate("tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", TAGS)
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:200]} {node['failureSummary'][:300]}" for one in found["violations"] for node in one["nodes"]
    ]


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


async def test_no_page_is_left_out(tmp_path: Path) -> None:
    """Every GET route of the console is a page of the gallery, or is known to be none."""
    async with gallery(tmp_path) as filled:
        pages = {path for path in filled.served.gets if not NO_PAGES.search(path)}
        shown = [page.path.partition("?")[0] for page in filled.pages]
        assert {path for path in pages if not any(re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)), one) for one in shown)} == set()
