"""A real Chromium for tests of pages: Debian's, driven by playwright, without any connection of its own to the outside."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright

from tests.needs import needs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser, running; skips (in CI: fails) where there is none."""
    binary = needs("chromium")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=str(binary), args=ARGUMENTS)
        yield running
        await running.close()


@asynccontextmanager
async def page_of(browser: Browser, *, script: bool = True, width: int = 1440, bypass: bool = False, dark: bool = False) -> AsyncIterator[Page]:
    """A page of its own context; `bypass` takes the policy away, so that only escaping protects."""
    context = await browser.new_context(
        java_script_enabled=script, viewport={"width": width, "height": 900}, bypass_csp=bypass, color_scheme="dark" if dark else "light"
    )
    page = await context.new_page()
    page.set_default_timeout(20_000)
    yield page
    await context.close()


async def answer_all(page: Page) -> None:
    """Every section read, yes to every question, by its visible name, and where they are asked for the first seat and the channel."""
    for box in await page.locator("[data-readbox]").all():
        await box.check()
    for group in await page.locator(".ask").all():
        await group.get_by_label("Yes").check()
    seat = page.locator("select#function")
    if await seat.count():
        await seat.select_option(index=1)
    channel = page.get_by_label("To approve, type the channel")
    if await channel.count():
        await channel.fill((await page.locator("label[for=typed]").inner_text()).rpartition(": ")[2])
