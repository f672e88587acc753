"""What an approval takes on the page: sections read by tier, the count or the channel typed, and what changed while somebody looked."""

from __future__ import annotations

import html
import json
import re
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stagewarden.model import HoldState, Seat, Tier
from stagewarden.web.console.approving import typed
from tests.fakes import TEN, held
from tests.unit.web.console.test_pages import ballot, get, post
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from stagewarden.model import Hold
    from tests.people_listener import Served


def high(count: int | None = None, **changes: object) -> Hold:
    """A hold of high tier, with a text of its own section; `count` people would get it."""
    hold = held(time.time_ns(), {"subject": "Spring", "text": "a\nb"}, tier=Tier.HIGH, questions=TEN, **changes)
    return replace(hold, question={**hold.question, "facts": {"recipients": {"count": count, "tier": None}}})


READ = {f"read-{name}": "yes" for name in ("changes", "text1", "audience", "evidence")}


@pytest.mark.parametrize(
    ("tier", "required"),
    [(Tier.LOW, []), (Tier.MEDIUM, ["changes", "text1"]), (Tier.HIGH, ["changes", "text1", "audience", "evidence"])],
    ids=str,
)
async def test_depth_grows_with_the_tier(served: Served, http: ClientSession, tier: Tier, required: list[str]) -> None:
    """C2.4: low none, medium what changes, high all; approve is refused with a link to each that is open, and nothing is cast."""
    hold = served.gate.add(replace(high(), tier=tier, questions=()))
    csrf = await sign_in(http, served)
    fields = ballot(hold, csrf, typed="newsroom-site") | {"read-changes": ""}
    status, page = await post(served, http, f"/holds/{hold.id}/vote", fields)
    assert re.findall(r'<a href="#read-(\w+)">Not marked as read', page) == required
    assert (status, served.gate.holds[hold.id] == hold) == ((422, True) if required else (200, False))


async def test_every_section_of_content_has_its_box(served: Served, http: ClientSession) -> None:
    """A section that could be read without a box would never be asked for: each one's box is in the vote form, and required on high tier."""
    hold = served.gate.add(high())
    await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    sections = re.findall(r'<section [^>]*data-read="(\w+)"', page)
    assert sections
    assert re.findall(r'<input type="checkbox" form="vote" id="read-(\w+)" name="read-\w+" value="yes" data-readbox required', page) == sections
    assert f'name="sections" value="{" ".join(sections)}"' in page


@pytest.mark.parametrize(
    ("count", "said", "holds"),
    [
        (4212, "4212", True), (4212, "4,212", True), (4212, "4 212 recipients", True), (4212, "4\u202f212 people", True), (4212, " 4.212 ", True),
        (4212, "421", False), (4212, "", False), (4212, "recipients", False), (4212, "4212 4212", False), (4212, "newsroom-site", False),
        (None, "newsroom-site", True), (None, " Newsroom-Site ", True), (None, "newsroom", False), (None, "", False), (0, "newsroom-site", True),
    ],
)  # fmt: skip
async def test_the_count_or_the_channel_is_typed(served: Served, http: ClientSession, count: int | None, said: str, holds: object) -> None:
    """C2.11, checked by the server; the page's pattern says the same, so that the tile opens where the server would."""
    hold = served.gate.add(high(count))
    asked = typed(hold)
    assert asked is not None
    assert (re.fullmatch(asked.pattern, said, re.ASCII) is not None) is holds
    csrf = await sign_in(http, served)
    status, page = await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf, typed=said, **READ))
    cast = (status, '<a href="#typed">To approve, type the' in page, served.gate.holds[hold.id] == hold)
    assert cast == ((200, False, False) if holds else (422, True, True))


@pytest.mark.parametrize("decision", ["reject", "send_back"])
async def test_a_no_needs_none_of_it(served: Served, http: ClientSession, decision: str) -> None:
    """Saying no is never made harder: one reason is all."""
    hold = served.gate.add(high(4212))
    csrf = await sign_in(http, served)
    form = {"csrf": csrf, "decision": decision, "reason": "timing", "function": "reviewer", "digest": hold.digest, "view_digest": hold.view_digest}
    assert (await post(served, http, f"/holds/{hold.id}/vote", form))[0] == 200
    assert served.gate.holds[hold.id].votes[0].decision == decision


async def test_a_seat_is_chosen_only_where_there_is_a_choice(served: Served, http: ClientSession) -> None:
    """Two open seats of one person: none is chosen for them; once one is filled, the other is meant."""
    hold = served.gate.add(held(time.time_ns(), seats=(Seat(("reviewer",), 1), Seat(("privacy",), 1))))
    csrf = await sign_in(http, served)
    status, page = await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf, function=""))
    assert (status, '<a href="#function">Choose the seat' in page, served.gate.holds[hold.id]) == (422, True, hold)
    single = served.gate.add(held(time.time_ns(), seats=(Seat(("reviewer",), 1), Seat(("legal",), 1))))
    _, page = await get(served, http, f"/holds/{single.id}")
    assert ('name="function" value="reviewer"' in page, "<select" in page) == (True, False)


async def test_the_next_hold_opens_after_a_decision(served: Served, http: ClientSession) -> None:
    """The one due next, with what was recorded and the way back; then the inbox."""
    first, second = (served.gate.add(held(time.time_ns() + number)) for number in range(2))
    csrf = await sign_in(http, served)
    async with http.post(
        f"{served.url}/holds/{first.id}/vote", data=ballot(first, csrf), headers={"Origin": served.url}, allow_redirects=False
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, f"/holds/{second.id}?said=approve&of={first.id}#effect")
    _, page = await get(served, http, f"/holds/{second.id}?said=approve&of={first.id}")
    told = ("Your approval is recorded", f'<a href="/holds/{first.id}">See the record', 'id="effect" tabindex="-1"')
    assert [text in page for text in told] == [True, True, True]
    async with http.post(
        f"{served.url}/holds/{second.id}/vote", data=ballot(second, csrf), headers={"Origin": served.url}, allow_redirects=False
    ) as answer:
        assert answer.headers["Location"] == f"/?said=approve&of={second.id}"


@pytest.mark.parametrize("query", ["said=approve&of=javascript:alert(1)", "said=approve", "said=<b>x&of=h_01JRS8AAAAAAAAAAAAAAAAAAAA"])
async def test_an_address_says_nothing_of_its_own(served: Served, http: ClientSession, query: str) -> None:
    """What was recorded is one of our sentences about a hold, or not told."""
    await sign_in(http, served)
    assert 'class="toast"' not in (await get(served, http, f"/?{query}"))[1]


async def test_what_changed_is_said_row_by_row(served: Served, http: ClientSession) -> None:
    """C2.14: the 409 compares what was seen with what stands, each row the same or different; a box ticked before is to be ticked again."""
    hold = served.gate.add(high(4212))
    csrf = await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    saw = html.unescape(re.search(r'name="saw" value="([^"]*)"', page)[1])
    served.gate.add(replace(hold, view_digest="sha256:" + "11" * 32, seats=(*hold.seats, Seat(("legal",), 1))))
    status, page = await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf, saw=saw, note="kept text", **READ))
    rows = dict(re.findall(r'<tr><th scope="row">([^<]*)</th><td>[^<]*</td><td>[^<]*</td><td>(?:<b>)?(same|differs)', page))
    assert rows == {
        **dict.fromkeys(("Exact bytes", "Content at the upstream", "Tier", "Reasons"), "same"),
        **dict.fromkeys(("Seats", "All that was shown"), "differs"),
    }
    assert (status, "kept text" in page, "data-readbox required checked" in page) == (409, True, False)
    assert served.gate.holds[hold.id].votes == ()


async def test_shown_before_it_is_cast(served: Served, http: ClientSession) -> None:
    """The same comparison for a page that was told of the change; against the hold that took its place. Nothing is cast."""
    hold = served.gate.add(high(4212))
    csrf = await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    saw = html.unescape(re.search(r'name="saw" value="([^"]*)"', page)[1])
    fresh = served.gate.add(replace(hold, id="h_01JRS8AAAAAAAAAAAAAAAAAAAA", digest="sha256:" + "11" * 32, predecessor=hold.id))
    served.gate.add(replace(hold, state=HoldState.SUPERSEDED, successor=fresh.id))
    status, page = await post(served, http, f"/holds/{hold.id}/changed", ballot(hold, csrf, saw=saw))
    assert (status, f'href="/holds/{fresh.id}">The hold that takes its place' in page) == (200, True)
    assert re.search(r"Exact bytes</th><td>[^<]*</td><td>1111 1111 … 1111 1111</td><td><b>differs", page)


@pytest.mark.parametrize("saw", ["", "[]", "{", "[" * 5000, '{"Tier": "<b>x"}', "x" * 9000], ids=["none", "list", "broken", "deep", "markup", "long"])
async def test_what_was_seen_is_the_readers_word(served: Served, http: ClientSession, saw: str) -> None:
    """Whatever the form says was seen, it is text, and decides nothing."""
    hold = served.gate.add(high(4212))
    csrf = await sign_in(http, served)
    status, page = await post(served, http, f"/holds/{hold.id}/changed", ballot(hold, csrf, saw=saw))
    assert (status, "<b>x" in page, served.gate.holds[hold.id]) == (200, False, hold)


async def test_how_it_stands_now(served: Served, http: ClientSession) -> None:
    """For the script: state and digests, not a word of the content, and no entry in the log of reads."""
    hold = served.gate.add(high(4212))
    await sign_in(http, served)
    status, text = await get(served, http, f"/holds/{hold.id}/now")
    assert (status, json.loads(text)) == (200, {"state": "pending", "digest": hold.digest, "view_digest": hold.view_digest})
    assert served.gate.reads == []


async def test_a_fresh_sign_in_is_said_before(served: Served, http: ClientSession) -> None:
    """High tier: the page says so, and where to go, before anything is filled in; the refusal keeps what was filled in."""
    hold = served.gate.add(high(4212))
    served.gate.stale = True
    csrf = await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    told = ("Approving this takes a sign-in not older than 300 s", f'href="/sign-in/away?again=yes&amp;then=/holds/{hold.id}%3Fundone%3Dyes"')
    assert [text in page for text in told] == [True, True]
    status, page = await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf, typed="4212", note="kept text", **READ))
    assert (status, "Your vote was not cast." in page, "kept text" in page, served.gate.holds[hold.id]) == (403, True, True, hold)


async def test_a_proposal_is_taken_up(served: Served, http: ClientSession) -> None:
    """Nobody is asked yet: approve is shut with the reason; taken up, it is asked."""
    hold = served.gate.add(held(time.time_ns(), asked=False))
    csrf = await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    assert ("A proposal: nobody is asked yet" in page, 'value="approve"' in page) == (True, False)
    _, page = await post(served, http, f"/holds/{hold.id}/take-up", {"csrf": csrf})
    assert ("It is taken up" in page, 'value="approve"' in page, served.gate.holds[hold.id].asked) == (True, True, True)


async def test_who_cannot_take_it_up(served: Served, http: ClientSession) -> None:
    """No button, and a refusal that changes nothing."""
    hold = served.gate.add(held(time.time_ns(), asked=False))
    csrf = await sign_in(http, served, "nobody")
    assert ">Take it up<" not in (await get(served, http, f"/holds/{hold.id}"))[1]
    assert (await post(served, http, f"/holds/{hold.id}/take-up", {"csrf": csrf}))[0] == 403
    assert served.gate.holds[hold.id] == hold


async def test_what_was_done_is_taken_back(served: Served, http: ClientSession) -> None:
    """Offered to technical and security, with a reason; to nobody else."""
    hold = served.gate.add(held(time.time_ns(), state=HoldState.DONE, ended_at_ns=time.time_ns()))
    await sign_in(http, served)
    assert "/rollback" not in (await get(served, http, f"/holds/{hold.id}"))[1]
    http.cookie_jar.clear()
    csrf = await sign_in(http, served, "jonas")
    assert "/rollback" in (await get(served, http, f"/holds/{hold.id}"))[1]
    status, page = await post(served, http, f"/holds/{hold.id}/rollback", {"csrf": csrf, "reason": " "})
    assert (status, "It was not recorded" in page, served.gate.holds[hold.id]) == (422, True, hold)
    _, page = await post(served, http, f"/holds/{hold.id}/rollback", {"csrf": csrf, "reason": "wrong price"})
    assert ("recorded as taken back" in page, served.gate.holds[hold.id].state) == (True, HoldState.ROLLED_BACK)
