"""The inbox without a browser: tabs, filters in the address, what an empty list says, what is new, proposals, and how much is too much."""

from __future__ import annotations

import re
import time
from html import unescape
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stagewarden.holds.signals import Review
from stagewarden.identity.people import Caller
from stagewarden.model import HoldState, Reason, Seat, Tier, Vote
from tests.fakes import HOUR, held
from tests.unit.web.console.test_pages import get, post, sessions_asked
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from stagewarden.model import Hold
    from tests.people_listener import Served

MINUTE = HOUR // 60
TITLE = "Secret title"


def fill(served: Served) -> dict[str, Hold]:
    """One for ines, high and due soon; one for legal alone, of another workflow; a proposal; one that is decided; one that is settling."""
    now = time.time_ns()
    made = {
        "mine": held(now, {"title": TITLE}, tier=Tier.HIGH, expires_at_ns=now + 30 * MINUTE, reasons=(Reason("customer_data", "r", "t"),)),
        "others": held(now, kind="page.delete", workflow="site-pages", agent="helper-4", seats=(Seat(("legal",), 1),)),
        "proposals": held(now, kind="article.edit", asked=False),
        "done": held(now, kind="brief.send", state=HoldState.REJECTED, ended_at_ns=now, ended_by="timing"),
        "settling": held(now, kind="letter.schedule", state=HoldState.SETTLING, approved_at_ns=now, settles_at_ns=now + HOUR),
    }
    for hold in made.values():
        served.gate.add(hold)
    return made


def shown(page: str) -> set[str]:
    """The holds whose rows are on a page."""
    return set(re.findall(r'class="what" href="/holds/(\w+)"', page))


TABS = {"mine": ["mine"], "others": ["others"], "all": ["mine", "others"], "proposals": ["proposals"], "done": ["done", "settling"]}


@pytest.mark.parametrize(("tab", "names"), TABS.items(), ids=TABS)
async def test_each_tab(served: Served, http: ClientSession, tab: str, names: list[str]) -> None:
    """Its holds and no others, the numbers of all tabs, what each is called, recorded once, and nobody's bytes."""
    made = fill(served)
    await sign_in(http, served)
    status, page = await get(served, http, f"/?tab={tab}")
    assert (status, shown(page)) == (200, {made[name].id for name in names})
    tabs = re.search(r'<nav class="tabs".*?</nav>', page, re.DOTALL)[0]
    numbers = re.findall(r'<a href="/[^"]*"(?: aria-current="page")?>(\w[\w ]*?) <span class="count">(\d+)</span>', tabs)
    assert dict(numbers) == {"Mine": "1", "Waiting on others": "1", "All": "2", "Proposals": "1"}
    rows = dict(re.findall(r'class="what" href="/holds/(\w+)">(.*?)</a>', page))
    called = f'Publish the post “<span class="theirs">{TITLE}</span>” on newsroom-site'
    assert (rows.get(made["mine"].id, called), TITLE in page) == (called, tab in {"mine", "all"})
    assert served.gate.titled[1:] == [("ines", tuple(sorted(made[name].id for name in names)))]  # after the inbox that a sign-in leads to
    assert served.gate.reads == []


async def test_who_may_not_see_the_payload_is_told_no_title(served: Served, http: ClientSession) -> None:
    """The row stands as it would without one, in every list; nothing was read."""
    made = fill(served)
    await sign_in(http, served, "nobody")
    for tab in TABS:
        status, page = await get(served, http, f"/?tab={tab}")
        assert (status, TITLE in page, 'class="theirs"' in page) == (200, False, False)
    _, page = await get(served, http, "/?tab=all")
    assert f'href="/holds/{made["mine"].id}">Publish the post on newsroom-site</a>' in page
    assert served.gate.titled == []


async def test_a_title_stays_in_its_row(served: Served, http: ClientSession) -> None:
    """Trojan Source (CVE-2021-42574) and markup: hidden characters are named, it cannot end its quotation, and it is text."""
    served.gate.add(held(time.time_ns(), {"title": "A\u202e” on internal <b>x</b>\nB\u200b"}))
    await sign_in(http, served)
    _, page = await get(served, http, "/")
    (row,) = re.findall(r'class="what" href="/holds/\w+">(.*?)</a>', page)
    words = "A[U+202E right-to-left override]\u2019 on internal &lt;b&gt;x&lt;/b&gt; B[U+200B zero width]"
    assert row == f'Publish the post “<span class="theirs">{words}</span>” on newsroom-site'


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("tab=all&tier=high", ["mine"]),
        ("tab=all&tier=high&workflow=newsletter&channel=newsroom-site&why=customer_data&due=hour", ["mine"]),
        ("tab=all&tier=high&workflow=site-pages", []),
        ("tab=all&workflow=site-pages", ["others"]),
        ("tab=all&due=hour", ["mine"]),
        ("tab=all&q=HELPER", ["others"]),
        ("tab=all&q=+newsletter+&tier=high", ["mine"]),
        ("tab=done&why=unreviewed_external&due=hour", ["done"]),
        ("tab=done&tier=high", []),
    ],
)
async def test_filters_stand_in_the_address(served: Served, http: ClientSession, query: str, names: list[str]) -> None:
    """Combined; every link of the page and its search keep them; what is left out is said, and there is a way out of it."""
    made = fill(served)
    await sign_in(http, served)
    status, page = await get(served, http, f"/?{query}")
    assert (status, shown(page)) == (200, {made[name].id for name in names})
    assert ("No hold is like this" in page) is (not names)
    tab = re.search(r"tab=(\w+)", query)[1]
    assert f'<a href="/?tab={tab}">Remove all filters</a>' in page
    form = re.search(r'<form class="seek".*?</form>', page, re.DOTALL)[0]
    kept = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
    asked = {name: value for name, value in (pair.split("=") for pair in query.split("&")) if name != "q" and (name, tab) != ("due", "done")}
    assert kept == asked
    others = unescape(re.search(r'<a href="([^"]*)"[^>]*>Waiting on others', page)[1])
    assert all(f"{name}={value}" in others for name, value in asked.items() if name != "tab")


WRONG = {
    "tab": "tab=nothing",
    "tier": "tier=huge",
    "due": "due=day",
    "place": "cursor=1:x",
    "long": "workflow=" + "x" * 201,
    "text": "q=" + "x" * 201,
}


@pytest.mark.parametrize("query", WRONG.values(), ids=WRONG)
async def test_what_there_cannot_be(served: Served, http: ClientSession, query: str) -> None:
    """422, and nothing of it repeated."""
    fill(served)
    await sign_in(http, served)
    assert (await get(served, http, f"/?{query}"))[0] == 422


async def test_what_is_searched_for_is_text(served: Served, http: ClientSession) -> None:
    """Markup in a filter or a search is shown as what it is."""
    fill(served)
    await sign_in(http, served)
    _, page = await get(served, http, "/?q=%3Cimg+src=x+onerror=alert(1)%3E&workflow=%22%3E%3Cb%3E")
    assert ("<img" in page, "<b>&#34;" in page or "&#34;&gt;&lt;b&gt;" in page) == (False, True)


async def test_choices_are_counted_beside_the_other_filters(served: Served, http: ClientSession) -> None:
    """Each value leads to the list it leaves, highest tier first; what is set leads away from itself."""
    fill(served)
    await sign_in(http, served)
    _, page = await get(served, http, "/?tab=all")
    tiers = re.findall(r'<a href="(/\?tab=all&amp;tier=\w+)">(\w+) <span class="count">(\d+)', page)
    assert tiers == [("/?tab=all&amp;tier=high", "high", "1"), ("/?tab=all&amp;tier=medium", "medium", "1")]
    _, page = await get(served, http, "/?tab=all&tier=high")
    assert '<a class="filter on" href="/?tab=all">Tier: <b>high</b>' in page


async def test_pages_of_a_list(served: Served, http: ClientSession) -> None:
    """Fifty rows; the next page by link, filters kept; each hold once."""
    now = time.time_ns()
    made = {served.gate.add(held(now, expires_at_ns=now + number * MINUTE)).id for number in range(1, 71)}
    await sign_in(http, served)
    _, first = await get(served, http, "/?workflow=newsletter")
    following = unescape(re.search(r'rel="next" href="([^"]+)"', first)[1])
    assert "workflow=newsletter" in following
    _, second = await get(served, http, following)
    assert (len(shown(first)), shown(first) | shown(second), shown(first) & shown(second)) == (50, made, set())
    assert ("First page" in second, 'rel="next"' in second, "<dd>70</dd>" in second) == (True, False, True)


async def test_a_page_that_has_emptied_is_not_taken_for_the_list(served: Served, http: ClientSession) -> None:
    """Others may decide what stood there meanwhile: something still waits, and the way to it is there."""
    served.gate.add(held(time.time_ns()))
    await sign_in(http, served)
    _, page = await get(served, http, "/?cursor=50")
    assert ("Nothing is left on this page" in page, "Nothing waits for you" in page, '<a class="button small" href="/">First page' in page) == (
        True,
        False,
        True,
    )


async def test_an_empty_list_says_what_was_last_done(served: Served, http: ClientSession) -> None:
    """The last vote with its hour and what it was about, and two ways on."""
    await sign_in(http, served)
    _, page = await get(served, http, "/")
    assert ("Nothing waits for you" in page, "You have cast no vote yet." in page) == (True, True)
    now = time.time_ns()
    hold = held(now, {"title": TITLE}, state=HoldState.SENT_BACK, ended_at_ns=now)
    vote = Vote("v_1", "ines", "reviewer", "send_back", "timing", None, hold.digest, hold.view_digest, now)
    served.gate.add(replace(hold, votes=(vote,)))
    served.gate.add(held(now, seats=(Seat(("legal",), 1),)))
    _, page = await get(served, http, "/")
    assert re.search(rf'You cast the last vote at <time [^>]+>[\d:]+ UTC</time>: <a href="/holds/{hold.id}">Publish the post', page)
    assert ("</a>, sent back." in page, "1 hold waits on others" in page, "1 ended today" in page, TITLE in page) == (True, True, True, True)


async def test_from_one_hold_to_its_neighbours(served: Served, http: ClientSession) -> None:
    """Where it stands and both ways, on the page of a hold that waits for the reader; no way past an end, and none to anybody else's."""
    now = time.time_ns()
    first, second, third = [served.gate.add(held(now, expires_at_ns=now + number * HOUR)).id for number in (1, 2, 3)]
    others = served.gate.add(held(now, seats=(Seat(("legal",), 1),))).id
    await sign_in(http, served)
    ways = {}
    for hold in (first, second, third, others):
        _, page = await get(served, http, f"/holds/{hold}")
        told = re.search(r'<nav class="turn".*?<span class="meta">([^<]*)</span>', page)
        ways[hold] = (told and told[1], re.findall(r'<a class="button small" rel="(prev|next)" href="/holds/(\w+)">', page))
    assert ways == {
        first: ("1 of 3", [("next", second)]), second: ("2 of 3", [("prev", first), ("next", third)]), third: ("3 of 3", [("prev", second)]),
        others: (None, []),
    }  # fmt: skip


async def test_new_holds_are_counted_for_the_list_that_is_shown(served: Served, http: ClientSession) -> None:
    """Since the page was shown and within its filters; a stranger, another site or a wrong moment is told nothing."""
    fill(served)
    since = time.time_ns()
    for number in range(3):
        served.gate.add(held(since + HOUR + 1 + number, tier=Tier.LOW if number else Tier.HIGH))
    path = f"/inbox/new?since={since}"
    assert (await get(served, http, path))[0] == 401
    await sign_in(http, served)
    _, page = await get(served, http, "/?tier=low")
    assert 'data-news="/inbox/new?tier=low"' in page
    for query, number in (("", 3), ("&tier=low", 2), ("&tab=others", 0), ("&tab=done", 0)):
        assert await get(served, http, path + query) == (200, f'{{"new":{number}}}'), query
    for wrong in ("/inbox/new", "/inbox/new?since=x", "/inbox/new?since=" + "9" * 20, f"{path}&tab=x"):
        assert (await get(served, http, wrong))[0] == 422, wrong
    async with http.get(served.url + path, headers={"Sec-Fetch-Site": "same-site"}) as foreign:
        assert foreign.status == 403


async def test_to_ask_what_is_new_keeps_no_session_alive(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is left open asks for ever, and its session ends all the same."""
    await sign_in(http, served)
    asked = sessions_asked(served, monkeypatch)
    assert (await get(served, http, "/inbox/new?since=1"))[0] == 200
    assert asked == [False]


async def test_a_proposal_is_taken_up_where_it_stands(served: Served, http: ClientSession) -> None:
    """By whoever could vote on it, with a form of their session; refused to others, and nothing changed."""
    proposal = fill(served)["proposals"]
    csrf = await sign_in(http, served)
    _, page = await get(served, http, "/?tab=proposals")
    assert f'action="/holds/{proposal.id}/take-up"' in page
    assert (await post(served, http, f"/holds/{proposal.id}/take-up", {"csrf": "x"}))[0] == 403
    assert served.gate.holds[proposal.id] == proposal
    status, page = await post(served, http, f"/holds/{proposal.id}/take-up", {"csrf": csrf})
    assert (status, "It is taken up" in page, served.gate.holds[proposal.id].asked) == (200, True, True)


async def test_who_could_not_vote_takes_nothing_up(served: Served, http: ClientSession) -> None:
    """No button; sent all the same, it is refused, and nothing changed."""
    proposal = fill(served)["proposals"]
    csrf = await sign_in(http, served, "samir")
    _, page = await get(served, http, "/?tab=proposals")
    assert (proposal.id in page, "/take-up" in page) == (True, False)
    status, page = await post(served, http, f"/holds/{proposal.id}/take-up", {"csrf": csrf})
    reason = served.gate._view(Caller("samir", None, frozenset(), "session"), proposal).why_not
    told = re.search(r'role="alert">.*?<b>It was not taken up: ([^<]+)\.</b>', page, re.DOTALL)
    assert reason
    assert told
    assert (status, unescape(told[1]), served.gate.holds[proposal.id]) == (403, reason, proposal)


@pytest.mark.parametrize("number", [40, 41])
async def test_more_than_forty_a_day_is_too_much(served: Served, http: ClientSession, number: int) -> None:
    """C2.17: what was decided within a day and what waits, of high tier, is counted for this person; over 40 warns."""
    now = time.time_ns()
    for _ in range(number - 1):
        served.gate.add(held(now, tier=Tier.HIGH))
    served.gate.add(held(now, tier=Tier.LOW))
    hold = held(now, tier=Tier.HIGH, state=HoldState.REJECTED, ended_at_ns=now)
    served.gate.add(replace(hold, votes=(Vote("v_1", "ines", "reviewer", "reject", "timing", None, hold.digest, hold.view_digest, now),)))
    await sign_in(http, served)
    _, page = await get(served, http, "/")
    assert ("41 holds of high tier within a day: 1 decided by you, 40 waiting for you." in page) is (number > 40)


async def test_ones_own_median_is_told_to_oneself(served: Served, http: ClientSession) -> None:
    """From first view to decision, in the head of the page; of nobody else's reviews."""
    now = time.time_ns()
    for person, seconds in (("ines", 108), ("mara", 3)):
        served.gate.reviews.append(
            Review(
                person=person, workflow="newsletter", tier="medium", decision="approve", viewed_at_ns=now - seconds * 10**9, at_ns=now, length=9,
                in_view=True, after_hours=False,
            )
        )  # fmt: skip
    await sign_in(http, served)
    assert "<dt>Your median</dt><dd>1 min 48 s" in (await get(served, http, "/"))[1]


async def test_sampled_work_is_told_from_full_review(served: Served, http: ClientSession) -> None:
    """What a row asks of its reader, with how old it is."""
    now = time.time_ns()
    served.gate.add(held(now, reasons=(Reason("sampled", "r", "t"),)))
    served.gate.add(held(now, reasons=(Reason("sampled", "r", "t"), Reason("customer_data", "r", "t"))))
    await sign_in(http, served)
    _, page = await get(served, http, "/")
    assert ("sample, 1 h old" in page, "full review, 1 h old" in page, "sampled, customer data" in page) == (True, True, True)
