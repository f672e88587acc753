"""The inbox in a real browser: what is new is said and moves nothing; filters, search and pages without script."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from playwright.async_api import expect

from stagewarden.model import Tier
from tests.e2e.chromium import chromium, enter, page_of
from tests.fakes import HOUR, held
from tests.people_listener import PASSWORD, people_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Page

    from tests.people_listener import Served

ROWS = "main [data-row]"


@asynccontextmanager
async def at_the_inbox(folder: Path, *, script: bool = True) -> AsyncIterator[tuple[Served, Page]]:
    """Two holds, and ines looking at them."""
    async with people_listener(folder) as served, chromium() as browser, page_of(browser, script=script) as page:
        for tier in (Tier.HIGH, Tier.LOW):
            served.gate.add(held(time.time_ns(), tier=tier))
        await enter(page, f"{served.url}/sign-in", "ines", PASSWORD)
        await expect(page.get_by_role("heading", name="Waiting for you")).to_be_visible()
        yield served, page


async def test_new_holds_announce_themselves(tmp_path: Path) -> None:
    """In a polite line, for the list that is shown; no row moves until its reader asks for it."""
    async with at_the_inbox(tmp_path) as (served, page):
        await page.get_by_text("Tier", exact=True).click()
        await page.get_by_role("link", name="high 1").click()
        await expect(page.locator(ROWS)).to_have_count(1)
        for tier in (Tier.LOW, Tier.HIGH):  # the first is of no interest to this list
            hold = served.gate.add(held(time.time_ns() + 2 * HOUR, tier=tier))
            served.gate.feed.tell("hold", {"hold": hold.id, "state": "pending", "tier": str(tier)})
        await expect(page.get_by_role("status").filter(has_text="1 new hold.")).to_be_visible()
        assert await page.locator(ROWS).count() == 1
        await page.get_by_role("link", name="Show it").click()
        await expect(page.locator(ROWS)).to_have_count(2)
        assert "tier=high" in page.url


async def test_filters_and_search_without_script(tmp_path: Path) -> None:
    """A filter is a link, the search a form; both stay in the address, and there is a way back."""
    async with at_the_inbox(tmp_path, script=False) as (_, page):
        await page.get_by_text("Tier", exact=True).click()
        await page.get_by_role("link", name="low 1").click()
        await page.get_by_role("searchbox").fill("nothing like it")
        await page.get_by_role("button", name="Search").click()
        await expect(page.get_by_role("heading", name="No hold is like this")).to_be_visible()
        assert ("tier=low" in page.url, "q=nothing+like+it" in page.url) == (True, True)
        await page.get_by_role("link", name="Remove all filters").click()
        await expect(page.locator(ROWS)).to_have_count(2)
