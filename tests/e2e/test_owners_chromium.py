"""An owner at the console in a real browser: stops an agent and lifts it, asks for a grant that two others permit and one ends, confirms a registry.

Wide with script, and on a phone without: every story is the same.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from playwright.async_api import expect

from stagewarden.clock import new_id
from stagewarden.errors import StepUp
from stagewarden.grants import Bound, GrantState
from stagewarden.model import HoldState
from stagewarden.registry import Registry
from stagewarden.store import Revision
from tests.e2e.chromium import enter, page_of
from tests.e2e.test_look import violations
from tests.fakes import held
from tests.needs import needs
from tests.people_listener import PASSWORD, people_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.people_listener import Served

HOW = pytest.mark.parametrize(("width", "script"), [(1440, True), (390, False)], ids=["wide", "phone-no-script"])


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """The people's listener."""
    async with people_listener(tmp_path) as running:
        yield running


async def sign_in(page: Page, served: Served, who: str, path: str = "/") -> None:
    """Through the door as somebody, whoever was there before."""
    await page.context.clear_cookies()
    await enter(page, f"{served.url}/sign-in", who, PASSWORD)
    await page.goto(served.url + path)


@HOW
async def test_an_agent_is_paused_at_once_and_lifted_after_a_fresh_sign_in(served: Served, browser: Browser, width: int, script: object) -> None:
    """No reason first. Who may not lift it has no button; who may is asked to sign in again, and then it goes on; the past tells all of it."""
    gate = served.gate
    gate.add(held(time.time_ns(), state=HoldState.SETTLING, settles_at_ns=time.time_ns()))
    fresh: list[bool] = []
    loosen = gate.set_mode

    async def grave(caller: object, agent: str, mode: str, reason: str) -> object:
        """To loosen takes a sign-in that is not old, as the real gate has it."""
        if mode == "active" and not fresh:
            raise StepUp("this takes a sign-in not older than 300 s")
        return await loosen(caller, agent, mode, reason)

    gate.set_mode = grave
    async with page_of(browser, width=width, script=bool(script)) as page:
        await sign_in(page, served, "mara", "/agents/drafter-7")
        await expect(page.get_by_text("1 approved and not sent yet would stop too")).to_be_visible()
        await page.get_by_role("button", name="Pause now").click()
        await expect(page.get_by_role("status").filter(has_text="The agent is paused.")).to_be_visible()
        assert gate.modes["drafter-7"][:2] == ("paused", "mara")
        await expect(page.get_by_role("button", name="Resume")).to_have_count(0)
        await expect(page.get_by_text("You cannot lift it")).to_be_visible()
        await sign_in(page, served, "aiko", "/agents/drafter-7")
        await page.get_by_label("Why it may go on").fill("the price list is mended")
        await page.get_by_role("button", name="Resume").click()
        await expect(page.get_by_role("alert")).to_contain_text("Nothing was changed.")
        again = page.get_by_role("link", name="Sign in again")
        assert await again.get_attribute("href") == "/sign-in/away?again=yes&then=/agents/drafter-7%3Fundone%3Dyes"
        assert gate.modes["drafter-7"][0] == "paused"
        fresh.append(True)
        await sign_in(page, served, "aiko", "/agents/drafter-7")
        await page.get_by_label("Why it may go on").fill("the price list is mended")
        await page.get_by_role("button", name="Resume").click()
        await expect(page.get_by_role("status").filter(has_text="The agent is active again.")).to_be_visible()
        await page.get_by_role("link", name="All changes, from the log").click()
        await expect(page.locator("main tbody tr")).to_have_count(2)
        await expect(page.locator("main tbody tr").first).to_contain_text("the price list is mended")


async def test_to_revoke_takes_the_typed_name(served: Served, browser: Browser) -> None:
    """Folded away, beside the pause; another name changes nothing; the right one is final."""
    async with page_of(browser) as page:
        await sign_in(page, served, "mara", "/agents/drafter-7")
        await expect(page.get_by_label(re.compile("^Type the agent"))).to_be_hidden()
        for typed in ("drafter-8", "drafter-7"):
            await page.locator("summary", has_text="Revoke…").click()
            await page.get_by_label(re.compile("^Type the agent")).fill(typed)
            await page.get_by_role("button", name="Revoke for good").click()
            if typed == "drafter-8":
                await expect(page.get_by_role("alert")).to_contain_text("type its name exactly")
                assert served.gate.modes == {}
        await expect(page.get_by_text("Revoked is final for this identity.")).to_be_visible()
        assert await page.get_by_role("button", name=re.compile("Pause|Resume|Revoke")).count() == 0


@HOW
async def test_a_workflow_is_stopped_and_the_receipt_says_what_it_ended(served: Served, browser: Browser, width: int, script: object) -> None:
    """From its page with one click; the receipt names the hold; who may lifts it there with a reason, and what it ended stays ended."""
    hold = served.gate.add(held(time.time_ns(), state=HoldState.STOPPED, ended_at_ns=time.time_ns()))
    async with page_of(browser, width=width, script=bool(script)) as page:
        await sign_in(page, served, "aiko", "/workflows/newsletter")
        await page.get_by_role("button", name="Stop this workflow").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Stopped: workflow:newsletter")
        await expect(page.get_by_role("link", name=hold.id)).to_be_visible()
        await page.get_by_label("Why it may go on").fill("it was a drill")
        await page.get_by_role("button", name="Lift").click()
        await expect(page.get_by_role("status").filter(has_text="The stop is lifted.")).to_be_visible()
        assert (served.gate.engaged, served.gate.holds[hold.id].state) == ([], HoldState.STOPPED)


@HOW
async def test_a_grant_is_asked_for_permitted_by_two_and_ended_by_one(served: Served, browser: Browser, width: int, script: object) -> None:
    """Only what the registry lets be asked can be chosen; the asker has no vote; the side bar says where one waits; one click ends it."""
    async with page_of(browser, width=width, script=bool(script)) as page:
        await sign_in(page, served, "samir", "/grants")
        await page.get_by_role("link", name="Ask for a grant").click()
        await page.get_by_role("link", name="drafter-7 in newsletter").click()
        await page.get_by_label("What it permits").select_option(label="post.queue: queue at cms to newsroom-site, outside")
        await page.get_by_label("On what evidence").fill("The spring plan, page 2")
        await page.get_by_label("Fields it may write").fill("title, body")
        await page.get_by_role("button", name="Ask for it").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Let drafter-7 queue (post.queue) at cms, once, for 8 h")
        await expect(page.get_by_text("You cannot vote here")).to_be_visible()
        (grant,) = served.gate.grants.values()
        for who in ("mara", "aiko"):
            await sign_in(page, served, who, "/grants")
            await expect(page.get_by_text("waits for you")).to_be_visible()
            await page.get_by_role("link", name=re.compile("^Let drafter-7")).click()
            if who == "mara":  # she answers for the agent
                await expect(page.get_by_role("radio", name=re.compile("^Approve"))).to_have_count(1)
            await page.get_by_role("radio", name=re.compile("^Approve")).check()
            await page.get_by_role("button", name="Cast vote").click()
            await expect(page.get_by_role("status").filter(has_text="Your approval is recorded.")).to_be_visible()
        assert served.gate.grants[grant.id].state is GrantState.ACTIVE
        await sign_in(page, served, "nobody", f"/grants/{grant.id}")
        await page.get_by_role("button", name="Revoke now").click()
        await expect(page.get_by_role("status").filter(has_text="The grant is ended.")).to_be_visible()
        assert served.gate.grants[grant.id].state is GrantState.REVOKED


@HOW
async def test_a_grants_bounds_are_typed_in_fields(served: Served, browser: Browser, width: int, script: object) -> None:
    """Rows come one by one with the focus in the new one; faults stand beside their fields, of which each rule shows its own; Enter asks."""
    async with page_of(browser, width=width, script=bool(script)) as page:
        await sign_in(page, served, "jonas", "/grants/ask?agent=drafter-7&workflow=newsletter")
        await page.get_by_label("What it permits").select_option("post.queue|queue|cms")
        await page.get_by_label("On what evidence").fill("TICKET-7")
        for number, (place, rule) in enumerate((("title", "A text"), ("/status", "One of these values"), ("/pinned", "A number")), 1):
            await page.get_by_role("button", name="Add a bound").click()
            row = page.get_by_role("group", name=f"Bound {number}")
            await expect(row.get_by_label("Place in the body")).to_be_focused()
            await expect(row.get_by_label("At most so many characters")).to_be_hidden()
            await row.get_by_label("Place in the body").fill(place)
            await row.get_by_label(rule).check()
        first, second = (page.get_by_role("group", name=f"Bound {number}") for number in (1, 2))
        await first.get_by_label("At most so many characters").fill("80")
        await second.get_by_label("Values, each on a line").fill("draft\npending")
        await page.get_by_role("button", name="Take away bound 3").click()
        await expect(page.get_by_role("group", name=re.compile("^Bound"))).to_have_count(2)
        await page.get_by_label("How often").press("Enter")
        await expect(page.get_by_role("alert")).to_be_focused()
        await page.get_by_role("link", name="Bound 1, place in the body").click()
        place = first.get_by_label("Place in the body")
        await expect(place).to_be_focused()
        await expect(place).to_have_accessible_description(re.compile("^A JSON pointer"))
        if script:  # axe is one
            await axe_finds_nothing(page)
        await place.fill("/title")
        await place.press("Enter")
        await expect(page.get_by_role("status").filter(has_text="The grant is asked for.")).to_be_visible()
        (grant,) = served.gate.grants.values()
        assert grant.terms.bounds == (Bound(pointer="/title", max_length=80), Bound(pointer="/status", enum=("draft", "pending")))


async def axe_finds_nothing(page: Page) -> None:
    """In both themes, and no wider than a small phone."""
    width = await page.evaluate("window.innerWidth")
    await page.evaluate(needs("axe-core").read_text())
    for dark in (True, False):
        await page.emulate_media(color_scheme="dark" if dark else "light")
        assert await violations(page) == []
    await page.set_viewport_size({"width": 320, "height": 900})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    await page.set_viewport_size({"width": width, "height": 900})


@HOW
async def test_a_registry_is_confirmed(served: Served, browser: Browser, width: int, script: object) -> None:
    """What it widens stands there in words; who gains has no button; the reader's word is recorded once, and the side bar stops asking."""
    data = served.gate.registry.data
    people = {**data.people, "samir": replace(data.people["samir"], functions=("compliance", "security"))}
    offered = Registry.of(replace(data, people=people))
    revision = Revision(new_id("c", time.time_ns()), "waiting", served.gate.registry.digest(), offered.digest(), offered, time.time_ns(), ())
    served.gate.revisions.append(revision)
    async with page_of(browser, width=width, script=bool(script)) as page:
        await sign_in(page, served, "samir", f"/registry/{revision.id}")
        await expect(page.get_by_text("You cannot confirm it")).to_be_visible()
        await expect(page.get_by_role("button", name="Confirm this registry")).to_have_count(0)
        await sign_in(page, served, "aiko")
        if width <= 820:
            await page.get_by_label("Menu", exact=True).click()
        await page.get_by_role("link", name=re.compile("^Registry")).filter(visible=True).click()
        await page.get_by_role("link", name="It widens 1 place").click()
        await expect(page.get_by_text("more: security")).to_be_visible()
        await page.get_by_role("button", name="Confirm this registry").click()
        await expect(page.get_by_role("status").filter(has_text="Your word is recorded.")).to_be_visible()
        assert [said.person for said in served.gate.revisions[0].confirmations] == ["aiko"]
        await expect(page.get_by_text("1 of 2 have confirmed")).to_be_visible()
