"""A person at the console, in a real browser: signs in, reads, votes, watches; with script off; on a phone; against hostile content.

`console` says where the product is and who may sign in; the stories below use nothing else of it.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from playwright.async_api import expect

from stagewarden.model import Answer, HoldState
from tests.e2e.chromium import answer_all, enter, page_of
from tests.fakes import HOUR, TEN, FakeGate, held
from tests.people_listener import PASSWORD, people_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from stagewarden.model import Document

BEFORE: Document = {
    "status": "draft",
    "title": {"raw": "Winter opening hours"},
    "content": {"raw": "<p>Until March.</p>\n<p>See you.</p>"},
    "slug": "hours",
}
BODY: Document = {
    "status": "publish",
    "title": "Winter hours end",
    "content": "<p>Until Sunday.</p>\n<p>See you.</p>\n<script>x</script>",
    "slug": "hours",
}


@dataclass(frozen=True, slots=True)
class Console:
    """Where it is, who signs in, and one hold that waits for them."""

    url: str
    person: str
    password: str
    hold: str
    gate: FakeGate


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    """The people's listener with one waiting hold."""
    async with people_listener(tmp_path) as served:
        hold = served.gate.add(held(time.time_ns(), BODY, before=BEFORE, asserted={"rationale": "From the \u202eshop\u202c sheet."}))
        yield Console(served.url, "ines", PASSWORD, hold.id, served.gate)


async def sign_in(page: Page, console: Console, path: str = "/") -> None:
    """Through the door, from any address."""
    await enter(page, console.url + path, console.person, console.password)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize("width", [1440, 390], ids=["wide", "phone"])
async def test_signs_in_reads_and_approves(console: Console, browser: Browser, script: object, width: int) -> None:
    """The main story: a deep link, the door, the exact bytes, the answers, the vote, and what becomes of it."""
    async with page_of(browser, script=bool(script), width=width) as page:
        await sign_in(page, console, f"/holds/{console.hold}")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Publish the post “Winter hours end”")
        await expect(page.locator("#exact + details")).to_contain_text("POST cms /wp-json/wp/v2/posts/1842")
        await page.locator("#exact + details summary").click()
        await expect(page.locator("pre")).to_contain_text('"status": "publish"')
        await expect(page.get_by_text("unreviewed_external")).to_be_visible()
        await expect(page.locator(".agentsays")).to_contain_text("U+202E right-to-left override")
        assert not await page.get_by_role("radio", name=re.compile("^Approve")).is_checked()
        await answer_all(page)
        await page.get_by_role("radio", name=re.compile("^Approve")).check()
        await page.get_by_label("Note (optional)").fill("Checked against the shop sheet")
        await page.get_by_role("button", name="Cast vote: approve").click()
        await expect(page.get_by_text("Your approval is recorded")).to_be_visible()
        await page.get_by_role("link", name="See the record").click()
        await expect(page.get_by_text("Being sent.")).to_be_visible()
        hold = console.gate.holds[console.hold]
        assert (hold.state, [vote.person for vote in hold.votes]) == (HoldState.APPROVED, ["ines"])
        console.gate.add(replace(hold, state=HoldState.DONE, ended_at_ns=time.time_ns(), response=Answer(201, (), b"{}")))
        await expect(page.get_by_text("cms answered 201")).to_be_visible()  # the page looks again by itself


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
async def test_rejects_with_a_reason(console: Console, browser: Browser, script: object) -> None:
    """The reasons appear with the choice; one is needed; no answer is."""
    async with page_of(browser, script=bool(script)) as page:
        await sign_in(page, console, f"/holds/{console.hold}")
        await expect(page.get_by_label("Wrong facts")).to_be_hidden()
        await page.get_by_role("radio", name=re.compile("^Reject")).check()
        await page.get_by_role("button", name="Cast vote: reject").click()
        await expect(page.get_by_role("alert")).to_contain_text("Choose one reason")
        await page.get_by_label("Wrong facts").check()
        await page.get_by_role("button", name="Cast vote: reject").click()
        await page.get_by_role("link", name="See the record").click()
        await expect(page.locator(".standing .state")).to_contain_text("Rejected")
        assert console.gate.holds[console.hold].votes[0].reason == "wrong_facts"


async def test_an_open_answer_is_led_to(console: Console, browser: Browser) -> None:
    """An approval with an open answer is not cast; the summary leads to the answer, and what was filled in is still there."""
    async with page_of(browser) as page:
        await sign_in(page, console, f"/holds/{console.hold}")
        await page.locator("#answer-factual").check()
        await page.get_by_role("radio", name=re.compile("^Approve")).check()
        await page.get_by_label("Note (optional)").fill("kept")
        await page.get_by_role("button", name="Cast vote: approve").click()
        await page.get_by_role("link", name="Does it sound like us?").click()
        assert page.url.endswith("#answer-brand")
        assert await page.locator("#answer-factual").is_checked()
        await expect(page.get_by_label("Note (optional)")).to_have_value("kept")
        assert console.gate.holds[console.hold].votes == ()


async def test_by_keyboard_alone(console: Console, browser: Browser) -> None:
    """Skip link first; every control of the vote can be reached and used without a pointer."""
    async with page_of(browser) as page:
        await sign_in(page, console, f"/holds/{console.hold}")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Publish the post")  # the key is for this page, not for the door
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
        names = []
        for _ in range(60):
            await page.keyboard.press("Tab")
            names.append(await page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))
            if await page.evaluate("document.activeElement.name === 'decision'"):
                break
        assert names.index("answer-factual") < names.index("answer-approved_data") < names.index("decision")


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1440])
async def test_no_sideways_scrolling(console: Console, browser: Browser, width: int) -> None:
    """Nothing is wider than the window; on the phone every stand-alone target is at least 44 px high."""
    long = "x" * 400
    console.gate.add(
        held(time.time_ns(), {"title": long, long: long}, questions=TEN, asserted={long: long}, expires_at_ns=time.time_ns() + HOUR // 3)
    )
    async with page_of(browser, width=width) as page:
        await sign_in(page, console)
        for path in (
            "/",
            "/?tab=all",
            "/?tab=done",
            *(f"/holds/{hold}" for hold in console.gate.holds),
            "/agents",
            "/agents/drafter-7",
            "/stop",
            "/rulings",
        ):
            await page.goto(console.url + path)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
            small = await page.evaluate(
                """[...document.querySelectorAll('button, a.button, summary, .yesno label, .tile, .reasons label, input[type=text], select')]
                   .filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 43.5).map(one => one.outerHTML.slice(0, 80))"""
            )
            assert width > 820 or small == [], path
