"""The whole product in a browser: a drafting agent asks, people decide in the console, the newsroom sees exactly what they approved, once."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession
from playwright.async_api import expect

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.cli.demo import house
from stagewarden.cli.demo.play import Agent
from stagewarden.cli.newsroom import Newsroom
from stagewarden.clock import SystemClock
from tests.e2e.chromium import answer_all, enter, page_of
from tests.product import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

# Set it to a folder to keep the pictures; they are looked at by people, not compared.
SCREENS = os.environ.get("STAGEWARDEN_SCREENS")


@dataclass(frozen=True, slots=True)
class Newsroomful:
    """Where the console is, what waits there, and what the newsroom saw."""

    url: str
    house: house.House
    newsroom: Newsroom
    ordinary: str
    priced: str

    async def sign_in(self, page: Page, person: str, path: str = "/") -> None:
        """Through the door, with the password `init` made."""
        await enter(page, self.url + path, person, self.house.password(person))

    @property
    def published(self) -> list[str]:
        """The publishes that arrived, in order."""
        return [arrival.path for arrival in self.newsroom.arrivals if arrival.path.endswith("/publish")]


@pytest.fixture
async def product(tmp_path: Path) -> AsyncIterator[Newsroomful]:
    """A sandbox of `init`, the example newsroom, and the agent's run: two holds wait."""
    written = house.write(tmp_path / "house", SystemClock())
    newsroom = Newsroom(written.upstream_token("drafter"), written.upstream_token("publisher"))
    async with serving(newsroom.application()) as upstream, ClientSession() as session:
        written.place(upstream)
        for port in (8080, 8081, 8082):  # tests never take fixed ports
            written.config.write_text(written.config.read_text().replace(f'127.0.0.1:{port}"', '127.0.0.1:0"'))
        written.config.write_text(written.config.read_text().replace('people: {url: "http://127.0.0.1:8081"}\n', ""))
        async with running(configuration.load(written.config)) as sidecar:
            agent = Agent(session, f"http://127.0.0.1:{sidecar.agents_address[1]}/newsroom", written.key)
            await agent.run()
            yield Newsroomful(f"http://127.0.0.1:{sidecar.people_address[1]}", written, newsroom, *agent.holds)


async def picture(page: Page, name: str) -> None:
    """Keep a picture where somebody asked for them."""
    if SCREENS:
        await page.screenshot(path=Path(SCREENS) / f"{name}.png", full_page=True)


async def approve(page: Page) -> None:
    """Answer every question and cast the vote."""
    await answer_all(page)
    await page.get_by_role("radio", name=re.compile("^Approve")).check()
    await page.get_by_role("button", name="Cast vote: approve").click()


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)], ids=["wide-light", "phone-dark"])
async def test_a_reviewer_reads_approves_and_watches_it_being_sent(product: Newsroomful, browser: Browser, width: int, dark: object) -> None:
    """From the inbox to the newsroom's answer, without any script."""
    async with page_of(browser, script=False, width=width, dark=bool(dark)) as page:
        await product.sign_in(page, "bob")
        await picture(page, f"inbox-{width}")
        await page.locator(f"a[href$='{product.ordinary}']").first.click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Winter opening hours end on Sunday")
        await expect(page.get_by_text("publish_not_granted")).to_be_visible()
        await picture(page, f"request-{width}")
        assert not product.published
        await approve(page)
        await page.get_by_role("link", name="See the record").click()
        await expect(page.get_by_text("newsroom answered 200")).to_be_visible()
        await picture(page, f"done-{width}")
    assert product.published == ["/articles/1/publish"]


async def test_a_price_takes_two_people(product: Newsroomful, browser: Browser) -> None:
    """The first vote is recorded and nothing is sent; the second, by somebody else, sends it once."""
    async with page_of(browser) as page:
        await product.sign_in(page, "carol", f"/holds/{product.priced}")
        await expect(page.get_by_text("legal_or_price")).to_be_visible()
        await picture(page, "request-high")
        await approve(page)
        await expect(page.get_by_text("Your approval is recorded")).to_be_visible()
        assert not product.published
    async with page_of(browser) as page:
        await product.sign_in(page, "dave", f"/holds/{product.priced}")
        await approve(page)
        await page.get_by_role("link", name="See the record").click()
        await expect(page.get_by_text("newsroom answered 200")).to_be_visible()
    assert product.published == ["/articles/2/publish"]


async def test_the_agents_owner_is_told_why_not(product: Newsroomful, browser: Browser) -> None:
    """Who answers for the agent sees the request and cannot approve it."""
    async with page_of(browser) as page:
        await product.sign_in(page, "alice", f"/holds/{product.ordinary}")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert (
            await page.get_by_role("radio", name=re.compile("^Approve")).count() == 0
            or await page.get_by_role("radio", name=re.compile("^Approve")).is_disabled()
        )
    assert not product.published
