"""Single keys in a real browser: what the list says they do, where they work, and that none of them ends anything."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.e2e.chromium import enter, page_of, press
from tests.fakes import held
from tests.people_listener import PASSWORD, people_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.people_listener import Served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """The people's listener with three waiting holds."""
    async with people_listener(tmp_path) as listening:
        for number in range(3):
            listening.gate.add(held(time.time_ns() + number, {"title": f"Title {number}"}))
        yield listening


async def sign_in(page: Page, served: Served, path: str = "/") -> None:
    """Through the door, as somebody who may vote."""
    await enter(page, served.url + path, "ines", PASSWORD)


async def focused(page: Page) -> str:
    """The row that has the focus, by its number; empty: none."""
    return str(await page.evaluate("String([...document.querySelectorAll('main [data-row]')].indexOf(document.activeElement.closest('[data-row]')))"))


async def test_rows_are_walked_opened_and_left(served: Served, browser: Browser) -> None:
    """`j` and `k` stop at the ends; `o` opens; `u` is back; `g` and a letter go to a page."""
    async with page_of(browser) as page:
        await sign_in(page, served)
        walked = []
        for key in "jjjjkkkj":
            await press(page, key)
            walked.append(await focused(page))
        assert walked == ["0", "1", "2", "2", "1", "0", "0", "1"]
        wanted = await page.evaluate("document.activeElement.getAttribute('href')")
        await press(page, "o")
        await expect(page).to_have_url(served.url + str(wanted))
        await press(page, "u")
        await expect(page).to_have_url(served.url + "/")
        for letter, path in (("r", "/rulings"), ("a", "/agents"), ("i", "/")):
            await press(page, "g", letter)
            await expect(page).to_have_url(served.url + path)


async def test_enter_opens_the_row(served: Served, browser: Browser) -> None:
    """What has the focus is an ordinary link."""
    async with page_of(browser) as page:
        await sign_in(page, served)
        await press(page, "j")
        wanted = await page.evaluate("document.activeElement.getAttribute('href')")
        await press(page, "Enter")
        await expect(page).to_have_url(served.url + str(wanted))


async def test_from_hold_to_hold(served: Served, browser: Browser) -> None:
    """On the page of a hold `j` and `k` lead to its neighbours in the inbox, and stay at its ends."""
    order = [hold.id for hold in sorted(served.gate.holds.values(), key=lambda hold: (hold.expires_at_ns, hold.id))]
    async with page_of(browser) as page:
        await sign_in(page, served, f"/holds/{order[0]}")
        for key, place in (("j", 1), ("j", 2), ("j", 2), ("k", 1), ("k", 0), ("k", 0)):
            await press(page, key)
            await expect(page).to_have_url(f"{served.url}/holds/{order[place]}")
            await expect(page.get_by_text(f"{place + 1} of 3", exact=True)).to_be_visible()


async def test_choosing_casts_nothing(served: Served, browser: Browser) -> None:
    """`a`, `r` and a number, `s`: the choice is made and has the focus; nothing is sent until Enter."""
    hold = next(iter(served.gate.holds.values()))
    async with page_of(browser) as page:
        await sign_in(page, served, f"/holds/{hold.id}")
        for key, value in (("a", "approve"), ("s", "send_back"), ("r", "reject")):
            await press(page, key)
            assert await page.evaluate("[document.activeElement.name, document.activeElement.value]") == ["decision", value]
        await press(page, "3")
        assert await page.evaluate("document.querySelector('[name=reason]:checked').value") == "wrong_facts"
        assert served.gate.holds[hold.id] == hold
        await press(page, "Enter")
        await expect(page.get_by_text("Your rejection is recorded")).to_be_visible()
        assert served.gate.holds[hold.id].votes[0].reason == "wrong_facts"


async def test_a_number_without_a_no_is_nothing(served: Served, browser: Browser) -> None:
    """Reasons belong to reject and send back."""
    hold = next(iter(served.gate.holds.values()))
    async with page_of(browser) as page:
        await sign_in(page, served, f"/holds/{hold.id}")
        await press(page, "a")
        await press(page, "3")
        assert await page.locator("[name=reason]:checked").count() == 0


@pytest.mark.parametrize("off", [False, True], ids=["in a field", "switched off"])
async def test_where_keys_are_letters(served: Served, browser: Browser, off: object) -> None:
    """WCAG 2.1.4: in a field a letter is a letter; switched off, no letter does anything, on any page, until it is switched on."""
    hold = next(iter(served.gate.holds.values()))
    async with page_of(browser) as page:
        await sign_in(page, served, f"/holds/{hold.id}")
        if off:
            await press(page, "?")
            await page.get_by_role("dialog").get_by_label(re.compile("Single keys are on")).uncheck()
            await press(page, "Escape")
            await page.goto(f"{served.url}/holds/{hold.id}")
        else:
            await page.get_by_label("Note (optional)").focus()
        await page.keyboard.type("arse")
        assert await page.locator("[name=decision]:checked").count() == 0
        await expect(page.get_by_label("Note (optional)")).to_have_value("" if off else "arse")
        if not off:
            await press(page, "Escape")
            await press(page, "r")
            assert await page.evaluate("document.querySelector('[name=decision]:checked').value") == "reject"
            await expect(page.get_by_label("Note (optional)")).to_have_value("arse")


async def test_no_key_stops_revokes_or_casts(served: Served, browser: Browser) -> None:
    """Every printable key that stays on the page, on pages that can stop, revoke and vote: no form is sent."""
    hold = next(iter(served.gate.holds.values()))
    async with page_of(browser) as page:
        await sign_in(page, served)
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
        for path in (f"/holds/{hold.id}", "/stop", "/agents/drafter-7"):
            await page.goto(served.url + path)
            for key in sorted({chr(code) for code in range(33, 127)} - {"j", "k", "u", "?"}):
                await press(page, key)
            assert page.url == served.url + path
        assert (sent, served.gate.holds[hold.id], served.gate.engaged, served.gate.modes) == ([], hold, [], {})


async def test_all_keys_without_script(served: Served, browser: Browser) -> None:
    """The list is a page; the switch, which needs script, is not shown."""
    async with page_of(browser, script=False) as page:
        await sign_in(page, served)
        await page.get_by_role("link", name="All keys").first.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Keys")
        await expect(page.locator(".keyswitch").first).to_be_hidden()
