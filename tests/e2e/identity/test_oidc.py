"""People sign in with a certified OpenID provider, in production: who they are, what they may, and what an answer from elsewhere comes to."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest

from tests.e2e.identity.browser import office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.e2e.identity.browser import Browser, Office, Page

GROUPS = {"ines-subject": ["editors", "staff"], "rita-subject": ["staff"]}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Office]:
    """Production, where only the provider lets people in."""
    async with office(tmp_path, GROUPS) as running:
        yield running


async def held(desk: Office, **headers: str) -> str:
    """A hold of an article; with a claim it is for two people."""
    article = (await desk.product.ask("POST", "/newsroom/articles", json={"title": "x"})).json["id"]
    reply = await desk.product.ask("POST", f"/newsroom/articles/{article}/publish", headers=headers)
    assert reply.status == 403, reply
    return str(reply.json["hold"]["id"])


async def vote(browser: Browser, hold: str, function: str) -> Page:
    """The form on the hold's page, everything read, every question answered with yes, and typed what high tier asks for."""
    page = await browser.go(f"/holds/{hold}")
    shown = page.fields()
    names = {name for name in _names(page.text) if name.startswith(("answer-", "read-"))}
    fields = {name: value for name, value in shown.items() if name in {"csrf", "digest", "view_digest", "key"}}
    fields |= {"decision": "approve", "function": function} | dict.fromkeys(names, "yes")
    if typed := re.search(r"type the channel: ([^<]+)<", page.text):
        fields["typed"] = html.unescape(typed[1])
    return await browser.go(f"/holds/{hold}/vote", fields)


def _names(text: str) -> set[str]:
    return {part.partition('"')[0] for part in text.split('name="')[1:]}


async def test_a_person_signs_in_and_their_vote_counts(desk):
    """The provider says who, the registry says what: the inbox opens where the link led, and an approval is sent."""
    hold = await held(desk)
    async with desk.browser() as browser:
        page = await browser.sign_in("ines-subject", f"/sign-in/away?then={hold}")
        assert urlsplit(page.url).path == f"/holds/{hold}"
        voted = await vote(browser, hold, "reviewer")
        assert (voted.status, "Your approval is recorded" in voted.text) == (200, True), voted.text
    assert await desk.product.ended(hold) == "done"
    assert len(desk.product.newsroom.published) == 1


async def test_functions_need_the_directory_group(tmp_path):
    """Ines's entry names a group: without it the provider lets her in to look, and her functions are not in force."""
    async with office(tmp_path, {"ines-subject": ["staff"]}) as desk, desk.browser() as browser:
        hold = await held(desk)
        page = await browser.sign_in("ines-subject")
        assert (urlsplit(page.url).path, page.status) == ("/", 200)
        shown = await browser.go(f"/holds/{hold}")
        assert 'value="approve"' not in shown.text
        stored = await desk.product.sidecar.rooms.holds.get(hold)
        fields = {"csrf": shown.fields()["csrf"], "decision": "approve", "function": "reviewer", "digest": stored.digest, "key": "k"}
        fields |= {"view_digest": stored.view_digest} | {f"answer-{name}": "yes" for name in stored.questions}
        assert (await browser.go(f"/holds/{hold}/vote", fields)).status == 403
        assert await desk.product.ended(hold, 0.2) == "pending"


async def test_who_is_not_listed_stays_out(desk):
    """Known to the provider, not to the registry: no session, and the page says whom to ask."""
    async with desk.browser() as browser:
        page = await browser.sign_in("mallory-subject")
        assert (page.status, "not listed here" in page.text) == (403, True)
        assert urlsplit((await browser.go("/")).url).path == "/sign-in"


async def test_who_has_left_stays_out(desk):
    """Listed as left: out."""
    async with desk.browser() as browser:
        assert (await browser.sign_in("gone-subject")).status == 403


async def test_high_tier_asks_for_a_fresh_sign_in(desk):
    """Ten minutes after the sign-in a high-tier approval is refused; the link on the page has the provider ask again, and then it counts."""
    hold = await held(desk, **{"Stagewarden-Asserts": '{"claims": ["cheapest"]}'})
    async with desk.browser() as browser:
        await browser.sign_in("ines-subject")
        desk.clock.off_ns = 600 * 10**9
        refused = await vote(browser, hold, "reviewer")
        assert refused.status == 403
        again = f"/sign-in/away?again=yes&amp;then=/holds/{hold}%3Fundone%3Dyes"
        assert f'href="{again}"' in refused.text
        assert await desk.product.ended(hold, 0.2) == "pending"
        desk.clock.off_ns = 0
        asked = await browser.go(again.replace("&amp;", "&"))
        question = parse_qs(urlsplit(next(url for url in asked.seen if "/auth?" in url)).query)
        assert (question["prompt"], question["max_age"]) == (["login"], ["300"])
        assert 'name="login"' in asked.text  # the provider's own session is not enough
        page = await browser.sign_in("ines-subject", again.replace("&amp;", "&"))
        assert (urlsplit(page.url).path, "Nothing was done yet" in page.text) == (f"/holds/{hold}", True)
        assert (await vote(browser, hold, "reviewer")).status == 200


async def test_lifting_a_stop_asks_for_a_fresh_sign_in(desk):
    """Engaging it takes nothing; ten minutes after the sign-in its release is refused and it stands; asked again there, it is lifted."""
    async with desk.browser() as browser:
        await browser.sign_in("lena-subject", "/sign-in/away?again=yes")
        desk.clock.off_ns = 600 * 10**9
        await browser.go("/stop", {"csrf": (await browser.go("/stop")).fields()["csrf"], "scope": "workflow:newsletter"})
        (kill,) = desk.product.sidecar.rooms.modes.kills()
        fields = {"kill": kill.id, "reason": "the cause is mended"}
        refused = await browser.go("/stop/lift", {**fields, "csrf": (await browser.go("/stop")).fields()["csrf"]})
        again = "/sign-in/away?again=yes&amp;then=/stop%3Fundone%3Dyes"
        assert (refused.status, again in refused.text) == (403, True)
        assert desk.product.sidecar.rooms.modes.kills() == (kill,)
        desk.clock.off_ns = 0
        page = await browser.sign_in("lena-subject", again.replace("&amp;", "&"))
        assert (urlsplit(page.url).path, "Nothing was done yet" in page.text) == ("/stop", True)
        lifted = await browser.go("/stop/lift", {**fields, "csrf": (await browser.go("/stop")).fields()["csrf"]})
        assert lifted.status == 200, lifted.text
        assert desk.product.sidecar.rooms.modes.kills() == ()


async def test_signing_out_at_the_provider_ends_our_session(desk):
    """OpenID Connect Back-Channel Logout: the next page is the door."""
    async with desk.browser() as browser:
        await browser.sign_in("ines-subject")
        assert urlsplit((await browser.go("/")).url).path == "/"
        out = await browser.go(f"{desk.issuer}/session/end")
        await browser.go(out.action(), {**out.fields(), "logout": "yes"})
        assert urlsplit((await browser.go("/")).url).path == "/sign-in"


async def test_a_new_sign_in_ends_the_session_before_it(desk):
    """Its cookie does not come back from another site with the answer; the one the sign-in was begun with is over all the same."""
    async with desk.browser() as browser:
        await browser.sign_in("ines-subject")
        (old,) = desk.product.sidecar.people._sessions._kept
        await browser.sign_in("ines-subject")
        (new,) = desk.product.sidecar.people._sessions._kept
        assert new != old
        assert urlsplit((await browser.go("/")).url).path == "/"


async def test_signing_out_everywhere_ends_every_session_of_a_person(desk):
    """Two browsers of one person, and one of another: one form ends the first two."""
    async with desk.browser() as one, desk.browser() as two, desk.browser() as other:
        for browser, who in ((one, "ines-subject"), (two, "ines-subject"), (other, "rita-subject")):
            await browser.sign_in(who)
        await one.go("/sign-out", {"csrf": (await one.go("/")).fields()["csrf"], "everywhere": "yes"})
        assert [urlsplit((await browser.go("/")).url).path for browser in (one, two, other)] == ["/sign-in", "/sign-in", "/"]


async def answer_of(browser: Browser) -> str:
    """The address the provider sends the browser back to, not yet opened."""
    page = await browser.go("/sign-in/away")
    for _ in range(10):
        if "/sign-in/callback" in page.url:
            return page.url
        fields = {**page.fields(), **({"login": "ines-subject", "password": "any"} if 'name="login"' in page.text else {})}
        url, sent = page.action(), fields
        while True:
            step = await browser.go(url, sent, follow=False)
            place = step.place
            if place is None:
                page = step
                break
            if "/sign-in/callback" in place:
                return place
            url, sent = place, None
    raise AssertionError(page.text)


def changed(url: str, **query: str) -> str:
    """The address with other values."""
    parts = urlsplit(url)
    known = {name: values[0] for name, values in parse_qs(parts.query).items()} | query
    return urlunsplit(parts._replace(query="&".join(f"{name}={value}" for name, value in known.items() if value)))


async def test_an_answer_in_another_browser_is_refused(desk):
    """RFC 6819 section 4.4.1.8, login CSRF: a link with somebody's answer signs nobody else in."""
    async with desk.browser() as mallory, desk.browser() as victim:
        answer = await answer_of(mallory)
        assert (await victim.go(answer)).status == 401
        assert urlsplit((await victim.go("/")).url).path == "/sign-in"


async def test_an_answer_is_good_once(desk):
    """OpenID Connect Core 16.5 and RFC 9700 section 4.5: the same answer again is refused, and changes nothing."""
    async with desk.browser() as browser:
        answer = await answer_of(browser)
        assert (await browser.go(answer)).status == 200
        assert (await browser.go(answer)).status == 401
        assert urlsplit((await browser.go("/")).url).path == "/"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"iss": "https://evil.example"}, 401),
        ({"iss": ""}, 401),
        ({"state": "another"}, 401),
        ({"state": ""}, 401),
        ({"code": "another"}, 401),
        ({"code": ""}, 401),
        ({"error": "access_denied"}, 401),
    ],
    ids=["rfc9207-mix-up", "rfc9207-no-issuer", "unknown-state", "no-state", "injected-code", "no-code", "denied-there"],
)
async def test_an_answer_that_does_not_fit_is_refused(desk, query, status):
    """RFC 9207, RFC 9700: nobody is signed in by it."""
    async with desk.browser() as browser:
        page = await browser.go(changed(await answer_of(browser), **query))
        assert page.status == status
        assert urlsplit((await browser.go("/")).url).path == "/sign-in"


async def test_the_callback_of_a_stranger_reaches_no_provider(desk):
    """Without a question of ours nothing is asked of the provider."""
    async with desk.browser() as browser:
        assert (await browser.go("/sign-in/callback?state=x&code=y")).status == 401


@pytest.mark.parametrize("token", ["", "x", "eyJhbGciOiJub25lIn0.e30.x"], ids=["none", "garbage", "alg-none"])
async def test_a_logout_token_that_is_none_changes_nothing(desk, token):
    """Whoever can reach the back channel signs nobody out."""
    async with desk.browser() as browser:
        await browser.sign_in("ines-subject")
        assert (await browser.go("/sign-in/logout", {"logout_token": token})).status == 400
        assert urlsplit((await browser.go("/")).url).path == "/"
