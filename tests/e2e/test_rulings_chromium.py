"""Somebody watches rulings as they happen in a real browser: new ones come to the top, never under their pointer; without script; on a phone."""

from __future__ import annotations

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
from tests.e2e.chromium import enter, page_of
from tests.product import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from playwright.async_api import Browser, Page


class Watched:
    """Where the console is, and an agent that can be let loose."""

    def __init__(self, url: str, written: house.House, agents: str, session: ClientSession) -> None:
        self.url = url
        self._house = written
        self._agents = agents
        self._session = session

    async def sign_in(self, page: Page, path: str) -> None:
        """Through the door, and then there."""
        await enter(page, f"{self.url}/sign-in", "alice", self._house.password("alice"))
        await page.goto(self.url + path)

    async def ask(self, times: int = 1) -> None:
        """The agent asks for what no route lists, so often."""
        for _ in range(times):
            headers = {"Authorization": f"Bearer {self._house.key}"}
            async with self._session.get(f"{self._agents}/newsroom/nothing-here", headers=headers) as answer:
                assert answer.status == 403


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """A sandbox of `init`, the example newsroom, and the agent's run behind it."""
    written = house.write(tmp_path / "house", SystemClock())
    newsroom = Newsroom(written.upstream_token("drafter"), written.upstream_token("publisher"))
    async with serving(newsroom.application()) as upstream, ClientSession() as session:
        written.place(upstream)
        text = written.config.read_text().replace('people: {url: "http://127.0.0.1:8081"}\n', "")
        for port in (8080, 8081, 8082):  # tests never take fixed ports
            text = text.replace(f'127.0.0.1:{port}"', '127.0.0.1:0"')
        written.config.write_text(text)
        async with running(configuration.load(written.config)) as sidecar:
            agents = f"http://127.0.0.1:{sidecar.agents_address[1]}"
            await Agent(session, f"{agents}/newsroom", written.key).run()
            yield Watched(f"http://127.0.0.1:{sidecar.people_address[1]}", written, agents, session)


async def rows(page: Page) -> int:
    """How many rulings the list shows."""
    return await page.locator("main [data-row]").count()


async def settled(page: Page, act: Callable[[], Awaitable[None]]) -> int:
    """Act, wait until the page was told of it, and give it the time it takes to read again; how many rows there are then."""
    await page.evaluate(
        "() => { window.told = new Promise(done => ['ruling', 'ready'].forEach("
        "name => happens.addEventListener(name, () => setTimeout(done, 1500), {once: true}))); }"
    )
    await act()
    await page.evaluate("window.told")
    return await rows(page)


async def test_new_rulings_come_to_the_top_and_never_under_a_pointer(watched: Watched, browser: Browser) -> None:
    """Told within seconds, said politely; paused by the button and `p`, by pointing and by focus, and made good after; no error in the console."""
    async with page_of(browser) as page:
        wrong: list[str] = []
        page.on("console", lambda said: wrong.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda failure: wrong.append(str(failure)))
        await watched.sign_in(page, "/rulings")
        await page.mouse.move(1400, 5)
        before = await rows(page)
        await watched.ask(2)
        await expect(page.locator("main [data-row]")).to_have_count(before + 2)
        await expect(page.locator("main [data-row]").first).to_contain_text("Denied")
        await expect(page.locator("[data-live-says]")).to_have_text("2 new rulings")
        assert await page.locator("[data-live-says]").get_attribute("role") == "status"
        assert await page.locator("[data-live] [aria-live], [data-live][aria-live], [data-live] [role=status]").count() == 0

        await page.get_by_role("button", name="Pause the list").click()
        assert await settled(page, watched.ask) == before + 2
        await page.keyboard.press("Escape")
        await page.locator("body").press("p")
        await expect(page.locator("main [data-row]")).to_have_count(before + 3)

        await page.locator("main [data-row]").first.hover()
        assert await settled(page, watched.ask) == before + 3
        await page.mouse.move(1400, 5)
        await expect(page.locator("main [data-row]")).to_have_count(before + 4)

        await page.locator("main [data-row] a").first.focus()
        assert await settled(page, watched.ask) == before + 4
        await page.locator("main [data-row] a").first.blur()
        await expect(page.locator("main [data-row]")).to_have_count(before + 5)
        assert wrong == []


async def test_a_filtered_list_gets_only_what_it_asks_for(watched: Watched, browser: Browser) -> None:
    """The filter holds for what comes, too; the numbers at the top are of everything."""
    async with page_of(browser) as page:
        await watched.sign_in(page, "/rulings?effect=hold")
        await page.mouse.move(1400, 5)
        before, denied = await rows(page), int(await page.locator("[data-count=deny]").inner_text())
        assert await settled(page, watched.ask) == before
        await expect(page.locator("[data-count=deny]")).to_have_text(str(denied + 1))


@pytest.mark.parametrize("width", [1440, 390], ids=["wide", "phone"])
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
async def test_from_the_list_to_why_to_the_record_to_the_timeline(watched: Watched, browser: Browser, width: int, script: object) -> None:
    """Links all the way; filters as a form; nothing is wider than the window."""
    async with page_of(browser, script=bool(script), width=width) as page:
        await watched.sign_in(page, "/rulings")
        assert await page.get_by_role("button", name="Pause the list").count() == (1 if script else 0)
        await page.locator("summary", has_text="Filter").click()
        await page.get_by_label("Stage").select_option("export")
        await page.get_by_role("button", name="Show").click()
        await page.get_by_role("link", name="Held", exact=True).click()
        shown = page.locator("main [data-row]")
        assert {("Held" in text, "export" in text) for text in await shown.all_inner_texts()} == {(True, True)}
        await shown.last.get_by_role("link").click()
        await expect(page.get_by_role("heading", name="Why it was held")).to_be_in_viewport()
        await expect(page.locator("#why").get_by_text("publish_not_granted").first).to_be_visible()
        if width > 820:
            await expect(shown.last).to_be_visible()
        await page.get_by_role("link", name="Open the ruling").click()
        await expect(page.get_by_role("heading", name="Four digests that must be one")).to_be_visible()
        await expect(page.get_by_text("Not signed")).to_be_visible()
        await page.get_by_role("link", name="From first draft to last answer").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("from first draft to last answer")
        await expect(page.locator(".steps > li").first).to_contain_text("Held")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width if script else True


async def test_the_stream_closes_while_nobody_looks_and_its_place_is_free(watched: Watched, browser: Browser) -> None:
    """Walking from page to page, twenty times, never runs out of places."""
    async with page_of(browser) as page:
        refused: list[int] = []
        page.on("response", lambda answer: refused.append(answer.status) if answer.url.endswith("/events") and answer.status != 200 else None)
        await watched.sign_in(page, "/rulings")
        for number in range(20):
            await page.goto(f"{watched.url}/{'rulings' if number % 2 else ''}")
            await page.wait_for_timeout(150)
        assert refused == []
