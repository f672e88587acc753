"""Whole stories in a real browser against the whole product: what people decide in the console, what they cannot, and what reached the upstream.

The house is a sandbox, which has nobody to prove a fresh sign-in to: the step-up of production, before a vote of high tier and before a stop is
lifted, is shown in test_voting_chromium, test_owners_chromium and tests/e2e/identity.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from stagewarden.model import HoldState
from tests.e2e.chromium import answer_all, page_of
from tests.e2e.stories import story

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from playwright.async_api import Browser, Page

    from tests.e2e.stories import Story

WIDE, PHONE = 1440, 390
WIDTH = pytest.mark.parametrize("width", [WIDE, PHONE], ids=["wide", "phone"])
SCRIPT = pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
EVERY_WAY = pytest.mark.parametrize(("width", "script"), [(WIDE, True), (PHONE, True), (WIDE, False)], ids=["wide", "phone", "no-script"])
APPROVE = re.compile("^Approve")
# Spaces that no serializer would leave: what arrives is these bytes, or it was made anew.
PRICED = '{ "title": "Spring offer",   "body": "Every umbrella now €19.90, 20 % off until Saturday." }'.encode()
PLAIN = b'{ "title": "Winter huors",   "body": "From Monday all shops open at ten." }'
LATER = b'{"title":"From now on"}'


async def approve(page: Page, function: str | None = None) -> None:
    """Read all, answer all, type what is asked, and cast the vote; in this seat, where there is a choice."""
    await answer_all(page)
    seat = page.locator("select#function")
    if function is not None and await seat.count():
        await seat.select_option(label=function)
    await page.get_by_role("radio", name=APPROVE).check()
    await page.get_by_role("button", name="Cast vote: approve").click()


async def ended(told: Story, identifier: str) -> HoldState:
    """The state a hold has ended in."""
    return (await told.sidecar.rooms.holds.outcome(identifier, 60)).state


@EVERY_WAY
async def test_three_people_decide_and_exactly_those_bytes_are_sent_once(tmp_path: Path, browser: Browser, width: int, script: object) -> None:
    """Three seats, three people in browsers of their own; nobody fills a second seat or one of another function; one send, byte for byte."""
    async with story(tmp_path) as told:
        identifier = await told.hold("PATCH", "/articles/7", PRICED)
        for person, function, another in (("carol", "manager", "reviewer"), ("bob", "reviewer", "manager"), ("dave", "legal", "compliance")):
            async with page_of(browser, script=bool(script), width=width) as page:
                await told.sign_in(page, person, f"/holds/{identifier}")
                await expect(page.get_by_text("legal_or_price")).to_be_visible()
                assert await page.evaluate("document.documentElement.scrollWidth") <= width
                assert told.sent == []
                await approve(page, function)
                await expect(page.get_by_text("Your approval is recorded")).to_be_visible()
                if person != "dave":
                    await page.goto(f"{told.url}/holds/{identifier}")
                    await expect(page.get_by_text("You have voted.")).to_be_visible()
                    await expect(page.get_by_role("radio", name=APPROVE)).to_have_count(0)
                    before = await told.stored(identifier)
                    assert (await told.forge_vote(page, identifier, another)).status == 409
                    assert await told.stored(identifier) == before
                if person == "carol":  # under another id of hers, which holds the function of a seat that is open
                    await told.sign_in(page, "carla", f"/holds/{identifier}")
                    await expect(page.locator(".tile.shut", has_text="Approve").first).to_contain_text("You cannot: has voted already, as carol")
                    assert (await told.forge_vote(page, identifier, "legal")).status == 409
                    assert await told.stored(identifier) == before
        assert await ended(told, identifier) is HoldState.DONE
        hold = await told.stored(identifier)
        assert [(vote.person, vote.function) for vote in hold.votes] == [("carol", "manager"), ("bob", "reviewer"), ("dave", "legal")]
        assert (await told.ask("PATCH", "/articles/7", PRICED))[0] == 200  # the agent is given the stored answer
        assert [(each.method, each.path, each.role, each.body) for each in told.sent] == [("PATCH", "/articles/7", "publisher", PRICED)]
        assert hold.request.body == PRICED
        assert (told.log().state, told.log().at) == ("unanchored", None)  # whole; nothing outside vouches for its length
        async with page_of(browser, script=bool(script), width=width) as page:
            await told.sign_in(page, "bob", f"/holds/{identifier}")
            await expect(page.get_by_text("newsroom answered 200")).to_be_visible()


@SCRIPT
async def test_another_function_fills_no_seat(tmp_path: Path, browser: Browser, script: object) -> None:
    """Who holds none of the functions is told so and offered nothing; what they forge is refused, in their function's name or another's."""
    async with story(tmp_path) as told, page_of(browser, script=bool(script)) as page:
        identifier = await told.hold("PATCH", "/articles/7", PRICED)
        before = await told.stored(identifier)
        for function in ("security", "legal", ""):
            await told.sign_in(page, "erin", f"/holds/{identifier}")
            await expect(page.get_by_text("You cannot vote here")).to_be_visible()
            await expect(page.locator("#vote")).to_have_count(0)
            assert (await told.forge_vote(page, identifier, function)).status == 403
        assert await told.stored(identifier) == before
        assert told.sent == []


OWN = {
    "the owner of the agent, which nobody sent": ("alice", "/articles/7", None, "started this request"),
    "whom the agent acts for": ("carol", "/articles/7", "carol", "started this request"),
    "who wrote the article": ("bob", "/articles/8", None, "wrote or edited this content"),
}


@SCRIPT
@pytest.mark.parametrize("who", OWN)
async def test_nobody_approves_their_own(tmp_path: Path, browser: Browser, who: str, script: object) -> None:
    """The conflict stands where the button would; a vote and an edit, forged, are refused and nothing changed; they may still reject."""
    person, path, subject, conflict = OWN[who]
    async with story(tmp_path) as told, page_of(browser, script=bool(script)) as page:
        identifier = await told.hold("PATCH", path, PLAIN, told.acting_for(subject) if subject else None)
        await told.sign_in(page, person, f"/holds/{identifier}")
        await expect(page.locator(".tile.shut", has_text="Approve").first).to_contain_text(f"You cannot: {conflict}")
        await expect(page.get_by_role("radio", name=APPROVE)).to_have_count(0)
        before = await told.stored(identifier)
        response = await told.forge_vote(page, identifier, "reviewer")
        assert response.status == 403
        await expect(page.get_by_role("alert").filter(has_text="Your vote was not cast.")).to_contain_text(conflict)
        assert await told.stored(identifier) == before
        assert told.sent == []
        await expect(page.get_by_role("radio", name=re.compile("^Reject"))).to_be_enabled()
        edit = {"step": "cast", "function": "reviewer", "digest": before.digest, "view_digest": before.view_digest, "edit-f0": "In my words"}
        assert (await told.forge(page, f"/holds/{identifier}/edit", edit)).status == 409
        assert await told.stored(identifier) == before
        assert told.sent == []


async def edited(told: Story) -> None:
    """The agent goes on writing the draft it wanted published."""
    assert (await told.ask("PATCH", "/articles/9", b'{"body":"Another"}'))[0] == 200


async def stricter(told: Story) -> None:
    """From now on two people are asked."""

    def change(registry: dict[str, Any]) -> None:
        registry["tiers"]["medium"] = {"seats": [{"functions": ["reviewer"]}, {"functions": ["legal"]}]}

    told.registry(change)
    await told.sidecar.reload()


@WIDTH
@pytest.mark.parametrize("change", [edited, stricter], ids=["the-asset", "the-registry"])
async def test_a_stale_view_counts_for_nothing(tmp_path: Path, browser: Browser, width: int, change: Any) -> None:
    """With script the page says so at once and the vote is off; without, the form sent all the same is answered with 409 and nothing is counted."""
    async with story(tmp_path) as told:
        told.newsroom.articles["9"] = {"id": "9", "status": "draft", "title": "Nine", "body": "One", "offers": [], "claims": []}
        identifier = await told.hold("POST", "/articles/9/publish")
        async with page_of(browser, width=width) as watched, page_of(browser, width=width, script=False) as plain:
            await told.sign_in(watched, "carol")
            async with watched.expect_response(f"{told.url}/holds/{identifier}/now"):  # the first look, once the stream is there
                await watched.goto(f"{told.url}/holds/{identifier}")
            await told.sign_in(plain, "bob", f"/holds/{identifier}")
            await expect(watched.locator("[data-changed]")).to_be_hidden()
            await change(told)
            await expect(watched.locator("[data-changed]")).to_contain_text("This request changed while you looked. It is superseded.")
            await expect(watched.locator(".cast button")).to_be_disabled()
            async with plain.expect_response(f"{told.url}/holds/{identifier}/vote") as answer:
                await approve(plain)
            assert (await answer.value).status == 409
            await expect(plain.locator("#changed")).to_contain_text("Your vote was not cast.")
            assert await plain.evaluate("document.documentElement.scrollWidth") <= width
            hold = await told.stored(identifier)
            assert (hold.state, hold.votes) == (HoldState.SUPERSEDED, ())
            assert [each.path for each in told.sent if each.path.endswith("/publish")] == []
            if hold.successor is not None:
                await plain.locator("#changed").get_by_role("link", name="The hold that takes its place").click()
                await expect(plain.get_by_text("0 of 2 filled")).to_be_visible()
                assert (await told.stored(hold.successor)).votes == ()
            assert (hold.successor is not None) is (change is stricter)


@WIDTH
async def test_a_stop_reaches_what_was_approved_and_lifting_it_does_not_bring_it_back(tmp_path: Path, browser: Browser, width: int) -> None:
    """Stopped while it settles: nothing is sent, the agent is told `killed`; security lifts it, drafting goes on, the hold stays stopped."""
    async with story(tmp_path, settle="10m") as told, page_of(browser, width=width) as page:
        identifier = await told.hold("PATCH", "/articles/7", PLAIN)
        await told.sign_in(page, "bob", f"/holds/{identifier}")
        await approve(page)
        await page.get_by_role("link", name="See the record").click()
        await expect(page.get_by_text("Approved by its seat, settling")).to_be_visible()
        assert (await told.stored(identifier)).state is HoldState.SETTLING
        await told.sign_in(page, "frank", "/workflows/newsletter")
        await page.get_by_role("button", name="Stop this workflow").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Stopped: workflow:newsletter")
        await expect(page.get_by_role("link", name=identifier)).to_be_visible()
        receipt = page.url
        status, answer = await told.ask("POST", "/articles", LATER)
        assert (status, answer["type"]) == (403, "urn:stagewarden:problem:killed")
        await told.sign_in(page, "bob", receipt.removeprefix(told.url))
        await expect(page.get_by_text("You cannot lift it")).to_be_visible()
        await expect(page.get_by_role("button", name="Lift")).to_have_count(0)
        assert (await told.forge(page, "/stop/lift", {"kill": receipt.rpartition("/")[2], "reason": "I want to"})).status == 403
        assert (await told.ask("POST", "/articles", LATER))[0] == 403
        await told.sign_in(page, "erin", receipt.removeprefix(told.url))
        await page.get_by_label("Why it may go on").fill("it was a drill")
        await page.get_by_role("button", name="Lift").click()
        await expect(page.get_by_role("status").filter(has_text="The stop is lifted.")).to_be_visible()
        assert (await told.ask("POST", "/articles", LATER))[0] == 201
        assert [(each.method, each.path, each.body) for each in told.sent] == [("POST", "/articles", LATER)]
        await page.goto(f"{told.url}/holds/{identifier}")
        await expect(page.locator(".standing .state")).to_contain_text("Stopped")
        assert (await told.stored(identifier)).state is HoldState.STOPPED
        assert (told.log().state, told.log().at) == ("unanchored", None)


async def test_an_edit_is_approved_by_another_and_the_edited_bytes_are_sent(tmp_path: Path, browser: Browser) -> None:
    """The old hold ends, the new one asks every seat again; its editor fills none; what arrives differs in the mended word alone."""
    async with story(tmp_path) as told, page_of(browser) as page:
        identifier = await told.hold("PATCH", "/articles/7", PLAIN)
        await told.sign_in(page, "bob", f"/holds/{identifier}")
        await page.get_by_role("radio", name=re.compile("^Edit")).check()
        await page.get_by_role("button", name="Open the edit form").click()
        await page.get_by_label("title").fill("Winter hours")
        await page.get_by_role("button", name="Look at what it changes").click()
        await page.get_by_role("button", name="Cast: edit and approve").click()
        await expect(page.get_by_text("Your edit is recorded")).to_be_visible()
        old = await told.stored(identifier)
        assert (old.state, old.votes) == (HoldState.SUPERSEDED, ())
        fresh = await told.stored(str(old.successor))
        assert (fresh.state, fresh.editor, fresh.votes) == (HoldState.PENDING, "bob", ())
        await page.goto(f"{told.url}/holds/{fresh.id}")
        await expect(page.get_by_role("radio", name=APPROVE)).to_have_count(0)
        assert (await told.forge_vote(page, fresh.id, "reviewer")).status == 403
        assert await told.stored(fresh.id) == fresh
        assert told.sent == []
        await told.sign_in(page, "carol", f"/holds/{identifier}")
        await page.get_by_role("link", name="The hold that takes its place").click()
        await approve(page)
        await expect(page.get_by_text("Your approval is recorded")).to_be_visible()
        assert await ended(told, fresh.id) is HoldState.DONE
        assert [(each.path, each.body) for each in told.sent] == [("/articles/7", PLAIN.replace(b"huors", b"hours"))]
        assert (told.log().state, told.log().at) == ("unanchored", None)


async def test_what_an_agent_only_recommends_is_taken_up_approved_and_sent_once(tmp_path: Path, browser: Browser) -> None:
    """Its write becomes a proposal that asks nobody; somebody eligible takes it up; from then on it is a hold like any."""
    async with story(tmp_path) as told, page_of(browser) as page:
        await told.sign_in(page, "erin", "/agents/drafter")
        await page.get_by_role("button", name="Only recommend", exact=True).click()
        await expect(page.get_by_role("status").filter(has_text="The agent only recommends.")).to_be_visible()
        identifier = await told.hold("POST", "/articles", LATER)
        assert not (await told.stored(identifier)).asked
        await told.sign_in(page, "bob", f"/holds/{identifier}")
        await expect(page.get_by_role("heading", name="A proposal: nobody is asked yet")).to_be_visible()
        before = await told.stored(identifier)
        assert (await told.forge_vote(page, identifier, "reviewer")).status == 409
        assert await told.stored(identifier) == before
        await page.goto(f"{told.url}/?tab=proposals")
        await page.get_by_role("button", name=re.compile("^Take up")).click()
        await expect(page.get_by_role("status").filter(has_text="It is taken up")).to_be_visible()
        assert told.sent == []
        taken = await told.stored(identifier)
        assert (taken.asked, taken.votes, taken.request) == (True, (), before.request)
        await approve(page)
        await expect(page.get_by_text("Your approval is recorded")).to_be_visible()
        assert await ended(told, identifier) is HoldState.DONE
        assert [(each.method, each.path, each.body) for each in told.sent] == [("POST", "/articles", LATER)]
        assert (told.log().state, told.log().at) == ("unanchored", None)
