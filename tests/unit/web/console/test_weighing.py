"""The parts around the content on the page: where a hold comes from, its like, and that readers without a seat see none of the body."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.model import HoldState, Seat, Tier
from tests.fakes import held
from tests.unit.web.console.test_pages import get
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from stagewarden.model import Hold
    from tests.people_listener import Served

FACTS = {"claims": ["secret-claim"], "offers": [], "recipients": {"count": 4212, "segment": "secret segment", "sample": ["a", "b", "c", "d"]}}


def whole(**changes: object) -> Hold:
    """With something in every part."""
    said = {"rationale": "secret reason", "sources": ["https://crm.example/?id=secret-source"]}
    hold = held(
        time.time_ns(), {"title": "secret title", "content": "<p>secret</p>\n<p>text</p>"}, before={"title": "secret old"}, asserted=said, **changes
    )
    return replace(hold, question={**hold.question, "facts": FACTS})


async def test_everything_for_a_seat(served: Served, http: ClientSession) -> None:
    """Effect with how many; each part a labelled section that a Read box can belong to, in the order of use."""
    hold = served.gate.add(whole())
    await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    assert "to 4,212 people on newsroom-site" in page
    sections = re.findall(r'<section[^>]* aria-labelledby="([^"]+)"(?: data-read="([^"]+)")?', page)
    names = [name for name, _ in sections]
    wanted = ["why", "changes", "text1", "audience", "evidence", "says", "sources", "exact", "seats"]
    assert [name for name in names if name in wanted] == wanted
    assert [read for _, read in sections if read] == ["changes", "text1", "audience", "evidence"]
    assert all(f'id="{name}"' in page for name in names)
    assert ("secret-claim" in page, "[redacted]" in page, "secret-source" in page) == (True, False, True)  # privacy reads sources whole


async def test_without_a_right_to_payloads_nothing_of_the_body(served: Served, http: ClientSession) -> None:
    """No title, field, audience, claim, word or source anywhere; the evidence that the registry alone gives stays."""
    edited = {"editor": "mara", "original": b'{"title": "secret original"}', "predecessor": "h_01JRS8AAAAAAAAAAAAAAAAAAAA"}
    hold = served.gate.add(whole(seats=(Seat(("legal",), 1),), **edited))
    await sign_in(http, served, "nobody")
    _, page = await get(served, http, f"/holds/{hold.id}")
    assert ("secret" in page, "4,212" in page, "Systems touched" in page) == (False, False, True)
    assert served.gate.reads == []


async def test_earlier_requests_like_this(served: Served, http: ClientSession) -> None:
    """Same agent, kind and upstream that have ended, with outcome and reason, linked; nothing of what they said."""
    now = time.time_ns()
    done = served.gate.add(held(now - 9 * 10**9, {"title": "Earlier title"}, state=HoldState.DONE))
    rejected = served.gate.add(held(now, state=HoldState.REJECTED, ended_by="unapproved_claim"))
    others = [served.gate.add(held(now, state=HoldState.DONE, **other)) for other in ({"kind": "page.delete"}, {"agent": "helper-4"})]
    hold = served.gate.add(held(now))
    await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    assert page.index(rejected.id) < page.index(done.id)
    assert ("Rejected: Unapproved claim" in page, "Earlier title" in page, any(other.id in page for other in others)) == (True, False, False)


async def test_what_a_person_edited(served: Served, http: ClientSession) -> None:
    """The override's difference is kept and shown: fields changed, added and taken out, by whom, from which hold (governance 79)."""
    first = served.gate.add(held(time.time_ns(), {"title": "Best ever", "note": "x", "tag": "a"}))
    second = replace(
        held(time.time_ns(), {"title": "Better", "tag": "a"}, predecessor=first.id, editor="mara"), original=first.request.body
    )  # fmt: skip
    served.gate.add(second)
    await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{second.id}")
    part = page[page.index('aria-labelledby="descent"') : page.index('aria-labelledby="changes"')]
    assert ("What mara edited" in part, f'href="/holds/{first.id}"' in part, "Best" in part, "Better" in part) == (True,) * 4
    assert "Taken out by the edit" in part
    assert re.search(r"Exact bytes</th>.*<b>differs</b>", part)


async def test_what_changed_since_the_earlier_hold(served: Served, http: ClientSession) -> None:
    """Tier, reasons, seats and bytes, each "same" or "differs"."""
    first = served.gate.add(held(time.time_ns(), state=HoldState.SUPERSEDED))
    served.gate.add(second := replace(first, id=f"{first.id[:-1]}Z", state=HoldState.PENDING, predecessor=first.id, tier=Tier.HIGH))
    await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{second.id}")
    rows = re.findall(r'<tr><th scope="row">([^<]+)</th>.*?<td>(?:<b>)?(same|differs)', page)
    assert dict(rows) == {"Exact bytes": "same", "Content at the upstream": "same", "Tier": "differs", "Reasons": "same", "Seats": "same"}
