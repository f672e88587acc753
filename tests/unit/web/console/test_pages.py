"""The console without a browser: doors, tabs, votes, what is kept of a vote that was not cast, what is told to whom."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stagewarden.errors import StateUnavailable
from stagewarden.model import Answer, HoldState, Seat, Tier, Vote
from tests.fakes import FOUR, TEN, held
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from stagewarden.model import Hold
    from tests.people_listener import Served


async def get(served: Served, http: ClientSession, path: str) -> tuple[int, str]:
    """Status and page."""
    async with http.get(served.url + path) as answer:
        return answer.status, await answer.text()


async def post(served: Served, http: ClientSession, path: str, form: dict[str, str]) -> tuple[int, str]:
    """Status and page after a form, redirects followed."""
    async with http.post(served.url + path, data=form, headers={"Origin": served.url}) as answer:
        return answer.status, await answer.text()


def sessions_asked(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Filled with each look-up of a session from now on: whether it counted as use."""
    asked: list[bool] = []
    by_session = served.people.by_session

    def look(_: object, cookie: str, *, used: bool = True) -> object:
        asked.append(used)
        return by_session(cookie, used=used)

    monkeypatch.setattr(type(served.people), "by_session", look)
    return asked


def ballot(hold: Hold, csrf: str, **changes: str) -> dict[str, str]:
    """The vote form, filled in for an approval."""
    answers = {f"answer-{name}": "yes" for name in hold.questions}
    return {
        "csrf": csrf,
        "digest": hold.digest,
        "view_digest": hold.view_digest,
        "function": "reviewer",
        "decision": "approve",
        "note": "",
        "read-changes": "yes",
        **answers,
        **changes,
    }


@pytest.mark.parametrize("path", ["/", "/holds/h_01JRS8AAAAAAAAAAAAAAAAAAAA", "/agents", "/agents/drafter-7", "/rulings", "/stop"])
async def test_strangers_come_to_the_door(served: Served, http: ClientSession, path: str) -> None:
    """Every page leads to sign-in; the door tells nothing of what is behind it."""
    status, page = await get(served, http, path)
    assert (status, "Sign in to review held requests" in page) == (200, True)


@pytest.mark.parametrize("path", ["/holds/h_1/vote", "/holds/h_1/stop", "/stop", "/stop/lift", "/agents/drafter-7/mode", "/sign-out"])
async def test_strangers_forms(served: Served, http: ClientSession, path: str) -> None:
    """A form of nobody does nothing."""
    assert "Sign in" in (await post(served, http, path, {"scope": "all", "mode": "paused"}))[1]
    assert (served.gate.engaged, served.gate.modes) == ([], {})


ELSEWHERE = (
    "//evil.example", "///evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "/ /evil.example", "\t//evil.example",
    " /stop", "/stop ", "/%2fevil.example", "/%5cevil.example", "/agents//evil.example", "/agents/%2fevil", "/agents/..", "/agents/../sign-out",
    "/agents/%2e%2e", "/agents/.", "/agents/a%00", "/agents/a%0d%0aX:%20y", "/agents/a/b/c", "/stop#//evil.example", "/stop?a=//evil.example",
    "/stop?a='>", "/stop;url=//evil.example", "/stop\r\nX: y", "/stop\n", "/stop\u2028", "/sign-out", "/sign-in/away", "/api/v1/holds", "/static/x",
    "/events", "/nothing", "stop", "h_1", "h_01JRS8AAAAAAAAAAAAAAAAAAAA\r\nX: y", "x_01JRS8AAAAAAAAAAAAAAAAAAAA", "/holds/h_1", "agent:drafter-7",
    "javascript:alert(1)", "data:text/html,x", "@evil.example", "/@evil.example", "/agents?" + "a" * 1000,
)  # fmt: skip


async def test_a_deep_link_names_the_hold_and_nothing_of_it(served: Served, http: ClientSession) -> None:
    """The door shows the id; after sign-in the hold opens."""
    hold = served.gate.add(held(time.time_ns(), {"title": "Secret title"}))
    _, door = await get(served, http, f"/holds/{hold.id}")
    assert f'name="then" value="{hold.id}"' in door
    assert "Secret title" not in door
    token = re.search(r'name="csrf" value="([^"]+)"', door)[1]
    _, page = await post(served, http, "/sign-in", {"csrf": token, "then": hold.id, "person": "ines", "password": "correct horse battery"})
    assert "Publish the post “" in page


@pytest.mark.parametrize("then", ELSEWHERE)
async def test_open_redirect(served: Served, http: ClientSession, then: str) -> None:
    """Only a page of ours that is known by name, or an id that has one, is ever followed after sign-in."""
    async with http.get(f"{served.url}/sign-in", params={"then": then}) as answer:
        page = await answer.text()
    assert 'name="then" value=""' in page
    token = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    form = {"csrf": token, "then": then, "person": "ines", "password": "correct horse battery"}
    async with http.post(f"{served.url}/sign-in", data=form, headers={"Origin": served.url}, allow_redirects=False) as answer:
        assert answer.headers.get("Location", "/") == "/"


async def test_a_link_from_elsewhere_brings_the_strict_cookie_at_the_second_asking(served: Served, http: ClientSession) -> None:
    """Followed from a chat, the Strict cookie is missing: the door asks itself again once, as our own page."""
    _, page = await get(served, http, "/sign-in")
    assert "http-equiv" not in page
    async with http.get(f"{served.url}/sign-in?then=h_01JRS8AAAAAAAAAAAAAAAAAAAA", headers={"Sec-Fetch-Site": "cross-site"}) as answer:
        assert '<meta http-equiv="refresh" content="0; url=/sign-in?then=h_01JRS8AAAAAAAAAAAAAAAAAAAA">' in await answer.text()


async def test_a_wrong_password(served: Served, http: ClientSession) -> None:
    """401, the person kept, and not said which of the two was wrong."""
    _, door = await get(served, http, "/sign-in")
    token = re.search(r'name="csrf" value="([^"]+)"', door)[1]
    status, page = await post(served, http, "/sign-in", {"csrf": token, "then": "", "person": '"><i>x', "password": "wrong password"})
    assert (status, "The person or the password is wrong." in page, "<i>" in page) == (401, True, False)


async def test_the_tabs(served: Served, http: ClientSession) -> None:
    """Mine, all open, done; rows tell what, and what it is called."""
    now = time.time_ns()
    served.gate.add(held(now, {"title": "Secret title"}))
    served.gate.add(held(now, kind="page.delete", seats=(Seat(("legal",), 1),)))
    served.gate.add(held(now, kind="brief.send", state=HoldState.REJECTED, ended_at_ns=now))
    await sign_in(http, served)
    mine, all_open, done = [(await get(served, http, path))[1] for path in ("/", "/?tab=all", "/?tab=done")]
    assert ("Publish the post" in mine, "Delete the page" in mine, "Send the brief" in mine) == (True, False, False)
    assert ("Publish the post" in all_open, "Delete the page" in all_open, "Send the brief" in all_open) == (True, True, False)
    assert ("Publish the post" in done, "Send the brief" in done) == (False, True)
    assert ["Secret title" in page for page in (mine, all_open, done)] == [True, True, False]
    assert (await get(served, http, "/?tab=nothing"))[0] == 422


@pytest.mark.parametrize("body", [b"<script>alert(1)</script>", b"\x89PNG\r\n"], ids=["a page", "an image"])
async def test_the_bytes_are_saved_and_never_shown(served: Served, http: ClientSession, body: bytes) -> None:
    """An attachment of no type, under a name of ours: no browser renders what an agent wrote."""
    hold = served.gate.add(held(time.time_ns(), body))
    await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    assert f'href="/holds/{hold.id}/body" download' in page
    async with http.get(f"{served.url}/holds/{hold.id}/body") as answer:
        assert (answer.status, await answer.read()) == (200, body)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{hold.id}.bin"'
        assert (answer.headers["X-Content-Type-Options"], answer.headers["Cache-Control"]) == ("nosniff", "no-store")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_the_bytes_are_for_those_who_may_see_them(served: Served, http: ClientSession) -> None:
    """A stranger comes to the door; whoever holds no seat is refused; nothing is read."""
    hold = served.gate.add(held(time.time_ns(), b"secret bytes", seats=(Seat(("legal",), 1),)))
    assert "Sign in" in (await get(served, http, f"/holds/{hold.id}/body"))[1]
    await sign_in(http, served, "samir")
    status, page = await get(served, http, f"/holds/{hold.id}/body")
    assert (status, "secret bytes" in page, served.gate.reads) == (403, False, [])


async def test_a_vote(served: Served, http: ClientSession) -> None:
    """Approve: one vote, and, as nothing else waits, the inbox with what was recorded and the way back to it."""
    hold = served.gate.add(held(time.time_ns()))
    csrf = await sign_in(http, served)
    status, page = await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf, note="Checked"))
    assert (status, served.gate.holds[hold.id].state) == (200, HoldState.APPROVED)
    told = ("Your approval is recorded, ", f'<a href="/holds/{hold.id}">See the record</a>', "Nothing waits for you")
    assert [text in page for text in told] == [True, True, True]
    assert [(vote.person, vote.note) for vote in served.gate.holds[hold.id].votes] == [("ines", "Checked")]


async def test_a_vote_that_nobody_could_record_is_not_lost(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither yes nor no: what was filled in is kept, and the form casts it once log and state answer."""
    hold = served.gate.add(held(time.time_ns()))
    csrf = await sign_in(http, served)

    async def gone(*_: object) -> Hold:
        raise StateUnavailable("/var/lib/state.db")

    with monkeypatch.context() as broken:
        broken.setattr(served.gate, "vote", gone)
        status, page = await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf, key="k1", note="Checked twice"))
    told = ("It is not known yet whether your vote counts", "cast it again", "Checked twice", 'value="approve" checked')
    assert (status, [text in page for text in told], "/var/lib" in page) == (503, [True] * 4, False)
    status, _ = await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf, key="k1", note="Checked twice"))
    assert [(vote.person, vote.note) for vote in served.gate.holds[hold.id].votes] == [("ines", "Checked twice")]


async def test_the_same_form_twice(served: Served, http: ClientSession) -> None:
    """A second click sends the same form: one vote, the same page."""
    hold = served.gate.add(held(time.time_ns()))
    csrf = await sign_in(http, served)
    pages = [await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf, key="k1")) for _ in range(2)]
    assert [status for status, _ in pages] == [200, 200]
    assert len(served.gate.holds[hold.id].votes) == 1


async def test_who_has_voted_is_told_so_and_nothing_else(served: Served, http: ClientSession) -> None:
    """From another tab, with nothing filled in: what is open does not matter any more, the vote of before stands."""
    hold = served.gate.add(held(time.time_ns(), seats=(Seat(("reviewer",), 1), Seat(("manager",), 1))))
    csrf = await sign_in(http, served)
    await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf))
    before = served.gate.holds[hold.id]
    status, page = await post(served, http, f"/holds/{hold.id}/vote", {**ballot(hold, csrf), "answer-brand": ""})
    assert (status, "already voted" in page, "Answer: Does it sound like us?" in page, served.gate.holds[hold.id]) == (409, True, False, before)


@pytest.mark.parametrize(
    ("change", "target", "text"),
    [
        ({"decision": ""}, "#decision", "Choose one of the four."),
        ({"answer-brand": ""}, "#answer-brand", "Answer: Does it sound like us?"),
        ({"answer-policy": "no"}, "#answer-policy", "An approval needs yes"),
        ({"decision": "reject"}, "#reason", "Choose one reason"),
        ({"decision": "reject", "reason": "because"}, "#reason", "Choose one reason"),
        ({"decision": "send_back"}, "#reason", "Choose one reason"),
    ],
)
async def test_open_points(served: Served, http: ClientSession, change: dict[str, str], target: str, text: str) -> None:
    """422 with a summary that leads to each open point; nothing typed is lost; nothing was cast."""
    hold = served.gate.add(held(time.time_ns()))
    csrf = await sign_in(http, served)
    status, page = await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf, note="kept text", **change))
    assert (status, f'<a href="{target}">' in page, text in page, "kept text" in page) == (422, True, True, True)
    assert f'id="{target[1:]}"' in page
    assert re.search(r'name="answer-factual" value="yes"[^>]* checked', page)
    assert served.gate.holds[hold.id] == hold


async def test_changed_while_you_looked(served: Served, http: ClientSession) -> None:
    """409: said, with what was filled in kept, the decision to be made anew, and nothing cast."""
    hold = served.gate.add(held(time.time_ns()))
    csrf = await sign_in(http, served)
    now = replace(hold, view_digest="sha256:" + "11" * 32)
    served.gate.add(now)
    status, page = await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf, note="kept text"))
    assert (status, "This request changed while you looked." in page, "kept text" in page) == (409, True, True)
    assert now.view_digest in page
    assert not re.search(r'name="decision"[^>]* checked', page)
    assert served.gate.holds[hold.id] == now


async def test_stale_after_the_end(served: Served, http: ClientSession) -> None:
    """A vote on a hold that has ended is told how it stands."""
    hold = served.gate.add(held(time.time_ns()))
    csrf = await sign_in(http, served)
    served.gate.add(replace(hold, state=HoldState.REJECTED, ended_at_ns=time.time_ns()))
    status, page = await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf))
    assert (status, "Rejected" in page, 'id="vote"' in page) == (409, True, False)


async def test_nothing_is_chosen(served: Served, http: ClientSession) -> None:
    """No vote, no answer, no reason is preselected; the four are the same tile."""
    hold = served.gate.add(held(time.time_ns()))
    await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    assert " checked" not in page
    assert page.count('type="radio"') == 4 + 9 + 2 * len(FOUR)


async def test_a_conflict_stands_where_the_button_was(served: Served, http: ClientSession) -> None:
    """Who started it sees why there is no approving, and may still reject."""
    hold = served.gate.add(held(time.time_ns(), initiator="ines"))
    await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    assert ("You cannot: started this request" in page, 'value="approve"' in page, 'value="reject"' in page) == (True, False, True)


async def test_without_a_seat(served: Served, http: ClientSession) -> None:
    """Somebody without a seat reads why, sees no content, and may stop it."""
    hold = served.gate.add(held(time.time_ns(), {"title": "Secret title"}, asserted={"rationale": "secret reason"}))
    await sign_in(http, served, "nobody")
    _, page = await get(served, http, f"/holds/{hold.id}")
    assert ("Secret title" in page, "secret reason" in page, 'id="vote"' in page) == (False, False, False)
    assert ("The content is not shown to you." in page, "You cannot vote here" in page, "Stop this hold" in page) == (True, True, True)
    assert served.gate.reads == []


async def test_earlier_reasons_wait_for_ones_own_vote(served: Served, http: ClientSession) -> None:
    """On high tier others' notes are hidden until one has voted (C2.7)."""
    hold = held(time.time_ns(), tier=Tier.HIGH, questions=TEN, seats=(Seat(("business",), 1), Seat(("privacy",), 1)))
    vote = Vote("v_1", "mara", "business", "approve", None, "price is fine", hold.digest, hold.view_digest, time.time_ns())
    served.gate.add(replace(hold, votes=(vote,)))
    await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    assert ("price is fine" in page, "shown after your own vote" in page, "mara" in page) == (False, True, True)


@pytest.mark.parametrize("state", [state for state in HoldState if state is not HoldState.PENDING], ids=str)
async def test_every_state_has_a_page(served: Served, http: ClientSession, state: HoldState) -> None:
    """How it stands, what came back, and no vote form."""
    now = time.time_ns()
    answer = Answer(201, (("Content-Type", "application/json"),), b'{"id": 1842}') if state in {HoldState.DONE, HoldState.FAILED} else None
    hold = served.gate.add(held(now, state=state, ended_at_ns=now, approved_at_ns=now, response=answer, ended_by="aiko", successor=None))
    await sign_in(http, served)
    status, page = await get(served, http, f"/holds/{hold.id}")
    assert (status, 'id="vote"' in page) == (200, False)
    assert ("cms answered 201" in page) is (answer is not None)
    assert ("Somebody technical or security must look" in page) is (state is HoldState.UNKNOWN)
    assert page.count("<h1") == 1


async def test_a_hold_in_its_time(served: Served, http: ClientSession) -> None:
    """Escalated, in the inbox and on its page; settling, with the hour until which anybody may stop it; begun to be sent before."""
    now = time.time_ns()
    waiting = served.gate.add(held(now, escalated_at_ns=now))
    settling = served.gate.add(held(now, state=HoldState.SETTLING, approved_at_ns=now, settles_at_ns=now + 300 * 10**9))
    again = served.gate.add(held(now, state=HoldState.APPROVED, approved_at_ns=now, sends=1))
    await sign_in(http, served)
    _, inbox = await get(served, http, "/")
    assert "escalated, full review" in inbox
    pages = [(await get(served, http, f"/holds/{hold.id}"))[1] for hold in (waiting, settling, again)]
    assert ["escalated <time" in page for page in pages] == [True, False, False]
    assert ["unless somebody stops it" in page for page in pages] == [False, True, False]
    assert [f'action="/holds/{hold.id}/stop"' in page for hold, page in zip((waiting, settling, again), pages, strict=True)] == [True] * 3
    assert ["it may have arrived" in page for page in pages] == [False, False, True]


async def test_send_back(served: Served, http: ClientSession) -> None:
    """A third way beside approve and reject, with one reason."""
    hold = served.gate.add(held(time.time_ns()))
    csrf = await sign_in(http, served)
    _, page = await post(served, http, f"/holds/{hold.id}/vote", ballot(hold, csrf, decision="send_back", reason="off_brand"))
    assert (served.gate.holds[hold.id].state, "sent back with your reason" in page, f'href="/holds/{hold.id}">See the record' in page) == (
        HoldState.SENT_BACK,
        True,
        True,
    )


async def test_an_unknown_outcome_is_looked_up(served: Served, http: ClientSession) -> None:
    """The form is there for technical and security alone; without evidence nothing is recorded and nothing typed is lost."""
    hold = served.gate.add(held(time.time_ns(), state=HoldState.UNKNOWN))
    form = f'action="/holds/{hold.id}/resolve"'
    csrf = await sign_in(http, served)
    assert form not in (await get(served, http, f"/holds/{hold.id}"))[1]
    status, _ = await post(served, http, f"/holds/{hold.id}/resolve", {"csrf": csrf, "result": "done", "evidence": "seen"})
    assert (status, served.gate.holds[hold.id]) == (403, hold)
    http.cookie_jar.clear()
    csrf = await sign_in(http, served, "aiko")
    assert form in (await get(served, http, f"/holds/{hold.id}"))[1]
    status, page = await post(served, http, f"/holds/{hold.id}/resolve", {"csrf": csrf, "result": "", "evidence": "seen in the CMS"})
    assert (status, "It was not recorded" in page, "seen in the CMS</textarea>" in page, served.gate.holds[hold.id]) == (422, True, True, hold)
    _, page = await post(served, http, f"/holds/{hold.id}/resolve", {"csrf": csrf, "result": "failed", "evidence": "seen in the CMS"})
    assert (served.gate.holds[hold.id].state, "What you found is recorded" in page, "<blockquote>seen in the CMS" in page) == (
        HoldState.FAILED,
        True,
        True,
    )


async def test_stopped_between_two_sends_it_is_looked_up(served: Served, http: ClientSession) -> None:
    """Its first send may have arrived: stopping it does not say that nothing was sent, and whoever may look it up is asked to."""
    now = time.time_ns()
    hold = served.gate.add(held(now, state=HoldState.APPROVED, approved_at_ns=now, sends=1))
    csrf = await sign_in(http, served, "aiko")
    _, page = await post(served, http, f"/holds/{hold.id}/stop", {"csrf": csrf})
    assert served.gate.holds[hold.id].state is HoldState.UNKNOWN
    assert ("Nothing was sent" in page, f'action="/holds/{hold.id}/resolve"' in page) == (False, True)


async def test_stopping(served: Served, http: ClientSession) -> None:
    """A hold, an agent, a scope: any listed person, no reason; lifting takes security or technical and a reason."""
    hold = served.gate.add(held(time.time_ns()))
    csrf = await sign_in(http, served)
    await post(served, http, f"/holds/{hold.id}/stop", {"csrf": csrf})
    await post(served, http, "/agents/drafter-7/mode", {"csrf": csrf, "mode": "paused", "reason": ""})
    _, page = await post(served, http, "/stop", {"csrf": csrf, "scope": "workflow:newsletter", "reason": ""})
    assert (served.gate.holds[hold.id].state, served.gate.modes["drafter-7"][0]) == (HoldState.STOPPED, "paused")
    assert "workflow:newsletter" in page
    (kill,) = served.gate.engaged
    status, page = await post(served, http, "/stop/lift", {"csrf": csrf, "kill": kill.id, "reason": "over"})
    assert (status, "Loosening takes the function security or technical" in page, served.gate.engaged) == (403, True, [kill])
    http.cookie_jar.clear()
    csrf = await sign_in(http, served, "aiko")
    await post(served, http, "/stop/lift", {"csrf": csrf, "kill": kill.id, "reason": "over"})
    await post(served, http, "/agents/drafter-7/mode", {"csrf": csrf, "mode": "active", "reason": "looked"})
    assert (served.gate.engaged, served.gate.modes["drafter-7"][0]) == ([], "active")


async def test_a_stop_that_came_too_late_is_told_as_one(served: Served, http: ClientSession) -> None:
    """It names what was not done, and says nothing of a vote that nobody cast; nothing changed."""
    hold = served.gate.add(held(time.time_ns(), state=HoldState.DONE, ended_at_ns=time.time_ns()))
    csrf = await sign_in(http, served)
    status, page = await post(served, http, f"/holds/{hold.id}/stop", {"csrf": csrf})
    assert (status, "It could not be stopped: " in page, "Your vote was not cast" in page) == (409, True, False)
    assert served.gate.holds[hold.id] == hold


async def test_an_open_page_that_asks_by_itself_keeps_no_session_alive(
    served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """How a hold on its way stands is asked every two seconds: the session ends all the same, and another site is told nothing."""
    hold = served.gate.add(held(time.time_ns(), state=HoldState.SENT))
    path = f"/holds/{hold.id}/now"
    assert (await get(served, http, path))[0] == 401
    await sign_in(http, served)
    asked = sessions_asked(served, monkeypatch)
    assert (await get(served, http, path))[0] == 200
    assert asked == [False]
    async with http.get(served.url + path, headers={"Sec-Fetch-Site": "same-site"}) as foreign:
        assert foreign.status == 403


@pytest.mark.parametrize(
    ("state", "sends", "said", "never"),
    [
        (HoldState.ROLLED_BACK, 1, "sent to newsroom-site", "not sent"),
        (HoldState.STOPPED, 1, "not known whether it reached newsroom-site", "Nothing was sent"),
        (HoldState.STOPPED, 0, "A person stopped it. Nothing was sent.", "it may have arrived"),
    ],
    ids=["taken back", "begun to be sent, then stopped", "stopped before"],
)
async def test_what_was_sent_is_never_said_to_have_stayed(
    served: Served, http: ClientSession, state: HoldState, sends: int, said: str, never: str
) -> None:  # fmt: skip
    """Stages and standing say the same of what left, and what nobody knows."""
    hold = served.gate.add(held(time.time_ns(), state=state, sends=sends, ended_at_ns=time.time_ns()))
    await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    assert (said in page, never in page) == (True, False)


@pytest.mark.parametrize("form", [{"scope": ""}, {"scope": "everything"}, {}], ids=["none", "unknown", "missing"])
async def test_a_scope_that_is_none(served: Served, http: ClientSession, form: dict[str, str]) -> None:
    """Refused with what was expected; nothing is stopped."""
    csrf = await sign_in(http, served)
    status, page = await post(served, http, "/stop", {"csrf": csrf, **form})
    assert (status, "Nothing was changed." in page, served.gate.engaged) == (422, True, [])


async def test_sign_out(served: Served, http: ClientSession) -> None:
    """The session is over at once, also for whoever kept the cookie."""
    csrf = await sign_in(http, served)
    (kept,) = [cookie.value for cookie in http.cookie_jar if cookie.key == "stagewarden"]
    assert "Sign in to review" in (await post(served, http, "/sign-out", {"csrf": csrf}))[1]
    http.cookie_jar.update_cookies({"stagewarden": kept})
    assert "Sign in to review" in (await get(served, http, "/"))[1]


async def test_rulings(served: Served, http: ClientSession) -> None:
    """What was decided, by effect."""
    served.gate.record("deny", "route_not_listed")
    served.gate.record("allow", "stage_granted")
    await sign_in(http, served)
    _, page = await get(served, http, "/rulings?effect=deny")
    assert ("route_not_listed" in page, "stage_granted" in page) == (True, False)


async def test_no_inline_code_or_style(served: Served, http: ClientSession) -> None:
    """No page needs what the policy forbids: no script but the file, no style attribute, no handler."""
    hold = served.gate.add(held(time.time_ns(), {"title": "x", "content": "a\nb\nc"}, asserted={"rationale": "x"}))
    await sign_in(http, served)
    for path in ("/", "/?tab=done", f"/holds/{hold.id}", "/agents", "/agents/drafter-7", "/stop", "/rulings", "/sign-in", "/nothing"):
        _, page = await get(served, http, path)
        page = re.sub(r'<script src="/static/console\.js\?[0-9a-f]{16}" defer></script>', "", page)
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:|(?:src|href|action)=\"(?![/#])", page), path
