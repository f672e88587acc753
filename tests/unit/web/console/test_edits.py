"""Edit and approve on the console: the form, the look, the edit, and where it is not offered."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stagewarden.errors import StateUnavailable
from stagewarden.model import HoldState, Seat, Tier
from tests.fakes import TEN, held
from tests.unit.web.console.test_pages import get, post
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from stagewarden.model import Hold
    from tests.people_listener import Served

BODY = {"status": "publish", "title": "Winter hours", "content": "one\ntwo"}


def form(hold: Hold, csrf: str, **changes: str) -> dict[str, str]:
    """The edit form as it was shown, with changes."""
    fields = {"csrf": csrf, "key": "k", "digest": hold.digest, "view_digest": hold.view_digest, "function": "reviewer", "step": "cast"}
    return {**fields, "edit-f0": "publish", "edit-f1": "Winter hours", "edit-f2": "one\r\ntwo", **changes}


async def test_the_fourth_tile_leads_to_the_form(served: Served, http: ClientSession) -> None:
    """Choosing it casts nothing; the form holds every field of the body, as it is."""
    hold = served.gate.add(held(time.time_ns(), BODY))
    csrf = await sign_in(http, served)
    sent = {"csrf": csrf, "decision": "edit", "digest": hold.digest, "view_digest": hold.view_digest, "function": "reviewer"}
    status, page = await post(served, http, f"/holds/{hold.id}/vote", sent)
    assert (status, served.gate.holds) == (200, {hold.id: hold})
    assert re.findall(r"<textarea[^>]*>\n([^<]*)</textarea>", page) == ["publish", "Winter hours", "one\ntwo"]


async def test_a_look_before_it_is_cast(served: Served, http: ClientSession) -> None:
    """The first step shows what changes, marked, and what was typed; nothing is cast."""
    hold = served.gate.add(held(time.time_ns(), BODY))
    csrf = await sign_in(http, served)
    assert "Cast: edit" not in (await get(served, http, f"/holds/{hold.id}/edit"))[1]
    status, page = await post(served, http, f"/holds/{hold.id}/edit", form(hold, csrf, step="look", **{"edit-f1": "Spring hours"}))
    assert (status, "Cast: edit and approve" in page, "<mark>Winter</mark>" in page, "<mark>Spring</mark>" in page) == (200, True, True, True)
    assert served.gate.holds == {hold.id: hold}


async def test_what_an_edit_takes_out_is_seen_before_it_is_cast(served: Served, http: ClientSession) -> None:
    """Edited as one text, a body can lose a field: its editor is shown that as the next people will be."""
    made = held(time.time_ns(), b'{"title": "Winter hours", "note": "soon"}')
    hold = served.gate.add(replace(made, request=replace(made.request, headers=(("Content-Type", "text/plain"),))))
    csrf = await sign_in(http, served)
    fields = {"csrf": csrf, "key": "k", "function": "reviewer", "step": "look", "edit-whole": '{"title": "Winter hours"}'}
    _, page = await post(served, http, f"/holds/{hold.id}/edit", fields)
    assert 'Taken out by the edit: <span class="theirs">note</span>' in page


async def test_an_edit_that_nobody_could_record_is_not_lost(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody typed stands in the form again, with a word that nobody knows yet whether it counts."""
    hold = served.gate.add(held(time.time_ns(), BODY))
    csrf = await sign_in(http, served)

    async def gone(*_: object) -> Hold:
        raise StateUnavailable("/var/lib/state.db")

    monkeypatch.setattr(served.gate, "vote", gone)
    status, page = await post(served, http, f"/holds/{hold.id}/edit", form(hold, csrf, step="cast", **{"edit-f1": "Spring hours"}))
    assert (status, "not known yet whether your edit counts" in page, "Spring hours" in page, "/var/lib" in page) == (503, True, True, False)


async def test_to_ask_for_a_head_is_no_look(served: Served, http: ClientSession) -> None:
    """What shows nothing is not recorded as shown."""
    hold = served.gate.add(held(time.time_ns(), BODY))
    await sign_in(http, served)
    async with http.head(f"{served.url}/holds/{hold.id}/edit") as answer:
        assert answer.status == 405
    assert (served.gate.reads, served.gate.seen) == ([], {})


async def test_an_edit(served: Served, http: ClientSession) -> None:
    """Cast, it is a new hold with exactly the edited bytes; the editor is in its chain, the diff is kept; sent twice it is one."""
    hold = served.gate.add(held(time.time_ns(), BODY))
    csrf = await sign_in(http, served)
    for _ in range(2):
        status, page = await post(served, http, f"/holds/{hold.id}/edit", form(hold, csrf, **{"edit-f1": "Spring hours"}))
        assert (status, "Your edit is recorded" in page) == (200, True)
    old = served.gate.holds[hold.id]
    (fresh,) = [each for each in served.gate.holds.values() if each.predecessor == hold.id]
    assert (old.state, old.successor) == (HoldState.SUPERSEDED, fresh.id)
    assert (json.loads(fresh.request.body), fresh.editor, fresh.original) == ({**BODY, "title": "Spring hours"}, "ines", hold.request.body)
    _, page = await get(served, http, f"/holds/{fresh.id}")
    assert ("What ines edited" in page, "You cannot: wrote or edited this content" in page) == (True, True)


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({}, 422, "Nothing is changed yet"),
        ({"edit-f1": "x", "view_digest": "sha256:" + "11" * 32}, 409, "read the hold again"),
        ({"edit-f1": "x", "function": "privacy"}, 403, "does not hold"),
    ],
    ids=["nothing", "stale", "seat"],
)
async def test_what_is_refused_keeps_what_was_typed(served: Served, http: ClientSession, change: dict[str, str], status: int, text: str) -> None:
    """Said why, and nothing changed."""
    hold = served.gate.add(held(time.time_ns(), BODY))
    csrf = await sign_in(http, served)
    answered, page = await post(served, http, f"/holds/{hold.id}/edit", form(hold, csrf, **{"edit-f2": "kept text", **change} if change else {}))
    assert (answered, text in page, ">\nkept text</textarea>" in page) == (status, True, bool(change))
    assert served.gate.holds == {hold.id: hold}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seats": (Seat(("privacy",), 1),)}, "nobody is left for privacy"),
        ({"initiator": "ines"}, "started this request"),
        ({"asked": False}, "take it up first"),
        ({"state": HoldState.REJECTED}, "it takes no edits"),
    ],
    ids=["nobody left", "conflict", "proposal", "ended"],
)
async def test_not_offered_and_why(served: Served, http: ClientSession, changes: dict[str, object], why: str) -> None:
    """No form, the reason instead; what is sent all the same changes nothing."""
    hold = served.gate.add(replace(held(time.time_ns(), BODY), **changes))
    csrf = await sign_in(http, served)
    for page in (
        (await get(served, http, f"/holds/{hold.id}/edit"))[1],
        (await post(served, http, f"/holds/{hold.id}/edit", form(hold, csrf, **{"edit-f1": "x"})))[1],
    ):
        assert (why in page, "<textarea" in page) == (True, False)
    assert served.gate.holds == {hold.id: hold}


async def test_bytes_stay_with_those_who_may_see_them(served: Served, http: ClientSession) -> None:
    """No form for whoever may not read the content."""
    hold = served.gate.add(held(time.time_ns(), {"title": "Secret title"}))
    await sign_in(http, served, "nobody")
    status, page = await get(served, http, f"/holds/{hold.id}/edit")
    assert (status, "Secret title" in page) == (404, False)


async def test_high_tier_wants_a_fresh_sign_in(served: Served, http: ClientSession) -> None:
    """An edit is an approval: said before, and refused without it."""
    hold = served.gate.add(held(time.time_ns(), BODY, tier=Tier.HIGH, questions=TEN))
    served.gate.stale = True
    csrf = await sign_in(http, served)
    assert "Casting an edit takes a sign-in not older than 300 s" in (await get(served, http, f"/holds/{hold.id}/edit"))[1]
    status, page = await post(served, http, f"/holds/{hold.id}/edit", form(hold, csrf, **{"edit-f1": "x"}))
    assert (status, "Nothing was changed." in page, served.gate.holds) == (403, True, {hold.id: hold})
