"""A real Chromium for tests of pages: Debian's, driven by playwright, without any connection of its own to the outside.

What is looked for is waited for, far longer than a loaded machine needs; keys are pressed where the page's script is there to hear them.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright, expect

from tests.needs import needs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

PATIENCE = 60_000  # milliseconds
expect.set_options(timeout=PATIENCE)
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
    page.set_default_timeout(PATIENCE)
    yield page
    await context.close()


async def enter(page: Page, address: str, person: str, password: str) -> None:
    """Through the door that `address` shows, until the page behind it is there, its script included."""
    await page.goto(address)
    await page.get_by_label("Person").fill(person)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).not_to_contain_text("Sign in")
    await page.wait_for_load_state("domcontentloaded")


async def press(page: Page, *keys: str) -> None:
    """These keys, one after the other, on the page that is there now."""
    await page.wait_for_load_state("domcontentloaded")  # deferred scripts have run by then
    for key in keys:
        await page.keyboard.press(key)


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
