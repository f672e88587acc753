"""Votes in a real browser: what opens the approve tile, what ticks itself, what is said when something changes, and all of it without script."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from playwright.async_api import expect

from stagewarden.model import HoldState, Seat, Tier
from tests.e2e.chromium import answer_all, enter, page_of, press
from tests.fakes import TEN, held
from tests.people_listener import PASSWORD, people_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from stagewarden.model import Hold
    from tests.people_listener import Served

SECONDS = 10**9  # ns
SCRIPT = pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
APPROVE = re.compile("^Approve")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """The people's listener."""
    async with people_listener(tmp_path) as listening:
        yield listening


def high(served: Served, **changes: object) -> Hold:
    """A hold of high tier that reaches 4,212 people, longer than a window."""
    text = "\n".join(f"Line {number}" for number in range(80))
    hold = held(time.time_ns(), {"subject": "Spring", "text": text}, tier=Tier.HIGH, questions=TEN, **changes)
    return served.gate.add(replace(hold, question={**hold.question, "facts": {"recipients": {"count": 4212, "tier": None}}}))


async def sign_in(page: Page, served: Served, path: str) -> None:
    """Through the door, as a reviewer."""
    await enter(page, served.url + path, "ines", PASSWORD)


async def test_a_section_is_read_once_its_end_was_in_view(served: Served, browser: Browser) -> None:
    """What was not scrolled to stays unread, however long one waits on top; scrolled through, every box has ticked itself."""
    hold = high(served)
    async with page_of(browser) as page:
        await sign_in(page, served, f"/holds/{hold.id}")
        await expect(page.locator("#read-changes")).to_be_checked()
        assert not await page.locator("#read-text1").is_checked()
        await expect(page.locator(".tile.approve .open")).to_contain_text("sections unread, 6 checks, 4 questions, what you type")
        for section in await page.locator("section[data-read]").all():
            await section.locator("> :last-child").scroll_into_view_if_needed()
        for box in await page.locator("[data-readbox]").all():
            await expect(box).to_be_checked()


@SCRIPT
async def test_the_tile_opens_once_all_is_answered(served: Served, browser: Browser, script: object) -> None:
    """Locked and dashed until everything is read, answered yes and typed; a no locks it again; then the vote counts."""
    hold = high(served)
    async with page_of(browser, script=bool(script)) as page:
        await sign_in(page, served, f"/holds/{hold.id}")
        opened, ready = page.locator(".tile.approve .open"), page.locator(".tile.approve .ready")
        await expect(opened).to_be_visible()
        await answer_all(page)
        await expect(opened).to_be_visible()
        await page.get_by_label("To approve, type the number of recipients").fill("4,212 recipients")
        await expect(ready).to_be_visible()
        await expect(opened).to_be_hidden()
        await page.locator(".ask").last.get_by_label("No").check()
        await expect(opened).to_be_visible()
        await page.locator(".ask").last.get_by_label("Yes").check()
        await page.get_by_role("radio", name=APPROVE).check()
        await page.get_by_role("button", name="Cast vote: approve").click()
        await expect(page.get_by_text("Your approval is recorded")).to_be_visible()
        assert [vote.person for vote in served.gate.holds[hold.id].votes] == ["ines"]


@SCRIPT
async def test_a_refused_vote_leads_to_each_open_answer(served: Served, browser: Browser, script: object) -> None:
    """The summary has the focus; its first link goes to the first box that is not ticked."""
    hold = high(served)
    async with page_of(browser, script=bool(script), width=390) as page:
        await sign_in(page, served, f"/holds/{hold.id}")
        await page.locator(".tile.approve").click()
        await page.get_by_role("button", name="Cast vote: approve").click()
        await expect(page.locator("#errors")).to_be_focused()
        link = page.locator("#errors a").first
        target = str(await link.get_attribute("href"))
        await link.click()
        await expect(page.locator(target)).to_be_in_viewport()
        assert served.gate.holds[hold.id] == hold


@SCRIPT
async def test_the_next_hold_has_the_focus(served: Served, browser: Browser, script: object) -> None:
    """After a vote the next hold's heading, with what was recorded; the link goes back to the record."""
    now = time.time_ns()
    first, second = (served.gate.add(held(now + number, {"title": f"Title {number}"})) for number in range(2))
    async with page_of(browser, script=bool(script)) as page:
        await sign_in(page, served, f"/holds/{first.id}")
        await page.get_by_role("radio", name=re.compile("^Reject")).check()
        await page.get_by_label("Timing").check()
        await page.get_by_role("button", name="Cast vote: reject").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Title 1")
        await expect(page.get_by_role("heading", level=1)).to_be_focused()
        assert f"/holds/{second.id}" in page.url
        await page.get_by_role("link", name="See the record").click()
        await expect(page.get_by_role("heading", name="How the seats voted")).to_be_visible()


async def test_changed_while_somebody_looks(served: Served, browser: Browser) -> None:
    """Told by the stream: amber, the vote off; what changed is shown row by row, with the note kept and nothing cast."""
    hold = high(served)
    async with page_of(browser) as page:
        await sign_in(page, served, f"/holds/{hold.id}")
        await page.get_by_label("Note (optional)").fill("kept")
        async with page.expect_response(f"{served.url}/holds/{hold.id}/now"):  # the first look, once the stream is there
            await page.reload()
        await page.get_by_label("Note (optional)").fill("kept")
        await expect(page.locator("[data-changed]")).to_be_hidden()
        served.gate.add(replace(hold, view_digest="sha256:" + "11" * 32, seats=(*hold.seats, Seat(("legal",), 1))))
        served.gate.feed.tell("hold", {"hold": hold.id, "state": "pending"})
        await expect(page.locator("[data-changed]")).to_contain_text("This request changed while you looked.")
        assert await page.locator(".cast button").is_disabled()
        assert await page.locator("[name=decision]").first.is_disabled()
        await page.get_by_role("button", name="Show what changed").click()
        await expect(page.get_by_role("row", name=re.compile("^Seats"))).to_contain_text("differs")
        await expect(page.get_by_role("row", name=re.compile("^Exact bytes"))).to_contain_text("same")
        await expect(page.get_by_label("Note (optional)")).to_have_value("kept")
        assert served.gate.holds[hold.id].votes == ()


async def test_a_vote_of_another_changes_nothing_for_the_reader(served: Served, browser: Browser) -> None:
    """The stream tells of every move; what was shown still stands, so nothing is said and the vote stays."""
    hold = high(served)
    async with page_of(browser) as page:
        await sign_in(page, served, "/")
        async with page.expect_response(f"{served.url}/holds/{hold.id}/now"):
            await page.goto(f"{served.url}/holds/{hold.id}")
        async with page.expect_response(f"{served.url}/holds/{hold.id}/now"):
            served.gate.feed.tell("hold", {"hold": hold.id, "state": "pending"})
        await expect(page.locator("[data-changed]")).to_be_hidden()
        assert not await page.locator(".cast button").is_disabled()


@pytest.mark.parametrize("changed", [False, True], ids=["same view", "another view"])
async def test_answers_wait_over_a_fresh_sign_in(served: Served, browser: Browser, changed: object) -> None:
    """Kept in the tab for this person and this view, except what is typed to approve; of another view nothing comes back."""
    hold = high(served)
    served.gate.stale = True
    async with page_of(browser) as page:
        await sign_in(page, served, f"/holds/{hold.id}")
        await answer_all(page)
        await page.get_by_label("Note (optional)").fill("kept")
        await page.get_by_label("To approve, type the number of recipients").fill("4212")
        await page.get_by_role("link", name="Sign in again first").click()
        if changed:
            served.gate.add(replace(hold, view_digest="sha256:" + "11" * 32))
        await page.goto(f"{served.url}/holds/{hold.id}")
        await expect(page.get_by_label("Note (optional)")).to_have_value("" if changed else "kept")
        assert await page.locator(".ask [value=yes]:checked").count() == (0 if changed else len(TEN))
        await expect(page.locator("#typed")).to_have_value("")
        assert await page.evaluate("sessionStorage.length") == 0


@SCRIPT
@pytest.mark.parametrize("width", [1440, 390], ids=["wide", "phone"])
async def test_edit_and_approve(served: Served, browser: Browser, script: object, width: int) -> None:
    """From the tile to the form, a look, and the new hold with exactly that change."""
    hold = served.gate.add(held(time.time_ns(), {"title": "Winter hours", "content": "one\ntwo"}))
    async with page_of(browser, script=bool(script), width=width) as page:
        await sign_in(page, served, f"/holds/{hold.id}")
        await page.get_by_role("radio", name=re.compile("^Edit")).check()
        await page.get_by_role("button", name="Open the edit form").click()
        await page.get_by_label("title").fill("Spring hours")
        await page.get_by_role("button", name="Look at what it changes").click()
        await expect(page.locator(".look td.is mark")).to_have_text("Spring")
        assert served.gate.holds == {hold.id: hold}
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await page.get_by_role("button", name="Cast: edit and approve").click()
        await expect(page.get_by_text("Your edit is recorded")).to_be_visible()
        (fresh,) = [each for each in served.gate.holds.values() if each.predecessor == hold.id]
        assert json.loads(fresh.request.body) == {"title": "Spring hours", "content": "one\ntwo"}


@SCRIPT
async def test_settling_begins_with_the_stop(served: Served, browser: Browser, script: object) -> None:
    """The loud stop is the first control of the page's content; the hour is text, the countdown is script's; one click stops."""
    now = time.time_ns()
    hold = served.gate.add(held(now, state=HoldState.SETTLING, approved_at_ns=now - 60 * SECONDS, settles_at_ns=now + 240 * SECONDS))
    async with page_of(browser, script=bool(script)) as page:
        await sign_in(page, served, f"/holds/{hold.id}")
        heading = page.get_by_role("heading", level=1)
        await expect(heading).to_contain_text(re.compile(r"^Sends .*at \d\d:\d\d:\d\d UTC, unless somebody stops it$"))
        assert (re.search(r"in \d min \d+ s", await heading.inner_text()) is not None) is script
        first = await page.evaluate("document.querySelector('main button:not([hidden])').textContent")
        assert "Stop it" in first
        await page.get_by_role("button", name="Stop it").click()
        await expect(page.locator(".standing .state")).to_contain_text("Stopped")
        assert served.gate.holds[hold.id].state == HoldState.STOPPED


async def test_the_whole_digest_is_copied(served: Served, browser: Browser) -> None:
    """The button puts all of it on the clipboard, and says so."""
    hold = high(served)
    async with page_of(browser) as page:
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await sign_in(page, served, f"/holds/{hold.id}")
        await page.get_by_role("button", name="Copy the whole digest").click()
        await expect(page.get_by_role("status").filter(has_text="Copied")).to_be_attached()
        assert await page.evaluate("navigator.clipboard.readText()") == hold.digest


async def test_a_whole_vote_by_keys(served: Served, browser: Browser) -> None:
    """`a` selects; answers by arrow and Tab as any form; Enter casts: no pointer anywhere."""
    hold = served.gate.add(replace(high(served), tier=Tier.LOW, questions=()))
    async with page_of(browser) as page:
        await sign_in(page, served, "/")
        await press(page, "j", "o")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Spring")
        await press(page, "a", "Enter")
        await expect(page.get_by_text("Your approval is recorded")).to_be_visible()
        assert [vote.decision for vote in served.gate.holds[hold.id].votes] == ["approve"]


async def test_words_of_one_page_do_not_dress_another(served: Served, browser: Browser) -> None:
    """What is open before an approval is a plain line each; the command on a ruling's page stands on one line, not in two columns."""
    hold = high(served, seats=(Seat(("reviewer", "manager"), 1),))
    entry = served.gate.record("deny", "route_not_listed")
    async with page_of(browser, script=False) as page:
        await sign_in(page, served, f"/holds/{hold.id}")
        looks = await page.locator(".tile .o").evaluate_all(
            "all => all.map(one => [getComputedStyle(one).borderBottomWidth, getComputedStyle(one).padding])"
        )
        assert (len(looks) >= 3, {*map(tuple, looks)}) == (True, {("0px", "0px")})
        await page.goto(f"{served.url}/rulings/{entry['ruling']}")
        assert await page.locator("pre", has_text="stagewarden audit verify").evaluate("one => getComputedStyle(one).display") == "block"


async def test_a_page_that_is_come_back_to_is_told_again(served: Served, browser: Browser) -> None:
    """Left and kept by the browser as it was (back and forward), its stream is closed; shown again, it has a new one, and looks first."""
    hold = high(served)
    async with page_of(browser) as page:
        async with page.expect_response(f"{served.url}/holds/{hold.id}/now"):
            await sign_in(page, served, f"/holds/{hold.id}")
        async with page.expect_response(f"{served.url}/holds/{hold.id}/now"):
            await page.evaluate("window.dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
            await page.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
