"""The family of Gitea's approvals and its like (rows 78 to 83): each is refused, and nothing was sent that people did not approve as it stands.

The whole product behind real sockets; the upstream keeps what arrives. The stores' own tests go deeper (`rows.py`).
"""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession

from stagewarden import config as configuration
from stagewarden.app import running as starting
from stagewarden.cli.newsroom import Newsroom
from tests.product import DRAFTER, PUBLISHER, Product, house, populated, product, serving

JSON = {"Content-Type": "application/json"}
PATCH = ("PATCH", "/newsroom/articles/1")
BODY = b'{"title": "Opening hours!!"}'
PRICED = b'{"title": "now EUR 49"}'  # takes two people
OTTO = "  otto: {functions: [reviewer, manager, compliance], name: Otto Berg}\n"
ROWS = frozenset({78, 79, 80, 81, 82, 83})


def newsroom():
    """What is live."""
    return {"id": "1", "status": "published", "title": "Opening hours", "body": "", "offers": [], "claims": []}


@pytest.fixture
async def running(tmp_path):
    """One live article, and two reviewers."""
    async with product(tmp_path / "house", source=populated(tmp_path, OTTO)) as made:
        made.newsroom.articles["1"] = newsroom()
        yield made


async def held(running, body=BODY, headers=None):
    """A change of what is live, which waits."""
    reply = await running.ask(*PATCH, data=body, headers={**JSON, **(headers or {})})
    assert reply.json["type"].endswith(":held"), reply.body
    return reply.json["hold"]["id"]


async def state(running, hold):
    """Where it stands, and who has voted."""
    stands = await running.sidecar.rooms.holds.get(hold)
    return str(stands.state), [vote.person for vote in stands.votes]


async def ballot(running, hold, person="ines"):
    """An approval of what this person is shown now, to be cast later."""
    shown = (await running.person("GET", f"/holds/{hold}", person)).json
    answers = dict.fromkeys(shown["questions"], True)
    return {"decision": "approve", "function": "reviewer", "digest": shown["digest"], "view_digest": shown["view_digest"], "answers": answers}


async def settled(running):
    """Nothing is under way any more."""
    async with asyncio.timeout(60):
        await running.sidecar.releases.idle()


# -- row 78: an approval survives a change of what was approved --------------------------------------------------------------


async def test_cve_2026_58439_votes_do_not_survive_an_edit(running):
    """One of two people approved; somebody edits the body: the votes are gone with the bytes, and a ballot on the old ones counts nowhere."""
    old = await held(running, PRICED)
    late = await ballot(running, old, "tomas") | {"function": "manager"}
    await running.vote(old, "ines", "reviewer")
    edited = await running.vote(old, "otto", "reviewer", answers={}, edit={"body": '{"title": "now EUR 4900"}'})
    new = edited.json["id"]
    for hold in (old, new):
        assert (await running.person("POST", f"/holds/{hold}/votes", "tomas", late)).status == 409
    await settled(running)
    assert (await state(running, old), await state(running, new)) == (("superseded", ["ines"]), ("pending", []))
    assert not running.newsroom.arrivals


async def test_cve_2026_58439_an_approved_change_of_a_changed_article_is_not_sent(running):
    """Approved, then the article changed at the upstream before the sending: superseded, and the upstream saw nothing of it."""
    hold = await held(running)
    acquire, entered, go_on = running.sidecar.rooms.assets.acquire, asyncio.Event(), asyncio.Event()

    async def waiting(key):
        await acquire(key)
        entered.set()
        await go_on.wait()

    running.sidecar.rooms.assets.acquire = waiting
    await running.vote(hold, "ines", "reviewer")
    await asyncio.wait_for(entered.wait(), 60)
    running.newsroom.articles["1"]["title"] = "Changed by somebody"
    go_on.set()
    assert await running.ended(hold) == "superseded"
    assert not running.newsroom.arrivals


@pytest.mark.parametrize("change", [{"data": BODY + b" "}, {"headers": {**JSON, "X-A": "1"}}, {"path": "/newsroom/articles/01"}], ids=str)
async def test_cve_2026_58439_an_approval_does_not_move_to_another_request(running, change):
    """After the approval was sent, one changed byte waits by itself, without a vote."""
    hold = await held(running)
    await running.vote(hold, "ines", "reviewer")
    assert await running.ended(hold) == "done"
    running.newsroom.articles["01"] = newsroom() | {"id": "01"}
    again = await running.ask("PATCH", change.get("path", PATCH[1]), data=change.get("data", BODY), headers=change.get("headers", JSON))
    assert (again.json["hold"]["state"], again.json["hold"]["id"] != hold) == ("pending", True)
    assert await state(running, again.json["hold"]["id"]) == ("pending", [])
    assert len(running.newsroom.arrivals) == 1


# -- row 79: cancel and rerun, late approvals, siblings, triggers that are trusted, what is skipped --------------------------


@pytest.mark.parametrize("end", ["withdrawn", "stopped", "rejected"])
async def test_cve_2026_104632_a_late_approval_revives_no_ended_hold(running, end):
    """The ballot was filled in while it waited and arrives after its end: 409, and the hold is as it was."""
    hold = await held(running)
    late = await ballot(running, hold)
    match end:
        case "withdrawn":
            assert (await running.ask("POST", f"/.stagewarden/holds/{hold}/withdraw")).status == 200
        case "stopped":
            assert (await running.person("POST", f"/holds/{hold}/stop", "lena", {})).status == 200
        case _:
            assert (await running.vote(hold, "otto", "reviewer", "reject")).status == 200
    before = await state(running, hold)
    assert (await running.person("POST", f"/holds/{hold}/votes", "ines", late)).status == 409
    await settled(running)
    assert (await state(running, hold), running.newsroom.arrivals) == (before, [])


async def test_cve_2026_104626_cancel_and_rerun_begins_without_votes(running):
    """One of two people approved, the agent withdraws and asks again: the new hold has no vote, and the old ballot does not fit it."""
    first = await held(running, PRICED)
    await running.vote(first, "ines", "reviewer")
    old = await ballot(running, first, "tomas") | {"function": "manager"}
    await running.ask("POST", f"/.stagewarden/holds/{first}/withdraw")
    second = await held(running, PRICED)
    assert (second != first, await state(running, second)) == (True, ("pending", []))
    # The same bytes under the same verdict are the same view: the ballot may be cast, and still is one vote of two.
    assert (await running.person("POST", f"/holds/{second}/votes", "tomas", old)).status == 200
    await settled(running)
    assert (await state(running, second), running.newsroom.arrivals) == (("pending", ["tomas"]), [])


async def test_cve_2026_66877_a_sibling_is_not_sent_along(running):
    """Two changes of one article wait; one is approved: the other has no vote, and what it was about has changed under it."""
    one, other = await held(running), await held(running, b'{"title": "Sibling"}')
    await running.vote(one, "ines", "reviewer")
    assert await running.ended(one) == "done"
    assert await state(running, other) == ("pending", [])
    assert [arrival.body for arrival in running.newsroom.arrivals] == [BODY]


CLAIMS = {
    "approval": {"Stagewarden-Approval": "h_1"}, "hold": {"Stagewarden-Hold": "h_1"}, "review": {"Stagewarden-Review": "human"},
    "asserted": {"Stagewarden-Asserts": '{"approved": true, "approval": {"state": "approved"}, "trigger": "trusted", "confidence": 1}'},
    "forwarded": {"X-Forwarded-User": "ines", "X-Auth-Request-User": "ines"}, "trigger": {"X-Gitea-Event": "push", "X-Trigger": "schedule"},
}  # fmt: skip


@pytest.mark.parametrize("name", CLAIMS)
async def test_cve_2026_94205_nothing_the_agent_says_stands_for_an_approval(running, name):
    """A "trusted" trigger, another event's type or an approval in a header makes nothing looser."""
    hold = await held(running, headers=CLAIMS[name])
    await settled(running)
    assert (await state(running, hold), running.newsroom.arrivals) == (("pending", []), [])


SKIPPED = {
    "skipped": {"decision": "skipped"}, "neutral": {"decision": "neutral"}, "empty": {"decision": ""}, "no answers": {"answers": {}},
    "an answer missing": {"answers": {"factual": True}}, "null for yes": {"answers": {"factual": None}}, "upper case": {"decision": "APPROVE"},
}  # fmt: skip


@pytest.mark.parametrize("name", SKIPPED)
async def test_cve_2026_66874_what_is_skipped_is_no_success(running, name):
    """A decision nobody knows, or questions left out, is 422 and no vote."""
    hold = await held(running)
    refused = await running.person("POST", f"/holds/{hold}/votes", "ines", await ballot(running, hold) | SKIPPED[name])
    await settled(running)
    assert (refused.status, await state(running, hold), running.newsroom.arrivals) == (422, ("pending", []), [])


# -- self-approval, and people who may not any more --------------------------------------------------------------------------


SELVES = {"the agent's owner": ("rita", "reviewer"), "who edited": ("otto", "reviewer")}


@pytest.mark.parametrize("name", SELVES)
async def test_cve_2026_71184_nobody_approves_their_own(running, name):
    """The initiator, and whoever changed what would be sent: 403, and no vote."""
    person, function = SELVES[name]
    hold = await held(running)
    if person == "otto":
        hold = (await running.vote(hold, "otto", "reviewer", answers={}, edit={"body": '{"title": "Mine"}'})).json["id"]
    refused = await running.person("POST", f"/holds/{hold}/votes", person, await ballot(running, hold, person) | {"function": function})
    await settled(running)
    assert (refused.status, await state(running, hold), running.newsroom.arrivals) == (403, ("pending", []), [])


async def test_cve_2026_71184_two_accounts_of_one_person_are_one_approval(running):
    """An alias is the same human being: the second seat stays open."""
    hold = await held(running, PRICED)
    assert (await running.vote(hold, "ines", "reviewer")).status == 200
    assert (await running.vote(hold, "ines-two", "compliance")).status == 409
    await settled(running)
    assert (await state(running, hold), running.newsroom.arrivals) == (("pending", ["ines"]), [])


LEAVING = {
    "left": ("name: Ines Okafor}\n  tomas", "name: Ines Okafor, active: false}\n  tomas"),
    "lost the function": ("ines: {functions: [reviewer, privacy]", "ines: {functions: [privacy]"),
    "a conflict was marked": ("name: Ines Okafor}\n  tomas", 'name: Ines Okafor, conflicts: ["agent:drafter"]}\n  tomas'),
}


@pytest.mark.parametrize("name", LEAVING)
async def test_cve_2026_58424_the_approval_of_a_reviewer_who_was_removed_does_not_count(running, name):
    """One of two approved and may not any more when the second does: it does not leave, and the seat is open again."""
    hold = await held(running, PRICED)
    await running.vote(hold, "ines", "reviewer")
    registry = running.house.folder / "registry.yaml"
    text = registry.read_text()
    assert LEAVING[name][0] in text
    # Workflow and process name owners, who must be here: somebody else takes over from who leaves.
    changed = text.replace(*LEAVING[name], 1).replace("privacy: ines", "privacy: otto")
    registry.write_text(changed)
    await running.sidecar.reload()
    assert (await running.vote(hold, "tomas", "manager")).status == 200
    await settled(running)
    stands = await running.sidecar.rooms.holds.get(hold)
    assert (str(stands.state), running.newsroom.arrivals) == ("pending", [])
    shown = (await running.person("GET", f"/holds/{hold}", "tomas")).json
    assert sum(seat["filled"] for seat in shown["seats"]) == 1


# -- rows 80 to 83 -----------------------------------------------------------------------------------------------------------

ACTS = {
    "vote": ("POST", "/holds/{}/votes"), "take up": ("POST", "/holds/{}/take-up"), "stop": ("POST", "/holds/{}/stop"),
    "mode": ("PUT", "/agents/drafter/mode"), "kill": ("PUT", "/kill"), "confirm": ("POST", "/registry/revisions/c_1/confirm"),
}  # fmt: skip


@pytest.mark.parametrize("act", ACTS)
async def test_cve_2026_27111_no_control_without_a_person_s_credential(running, act):
    """Nobody, an agent's key, and a program that may only read: 401 or 403 at each act; the agents' listener has none of them."""
    hold = await held(running)
    method, path = ACTS[act]
    body = {"decision": "approve", "digest": "", "view_digest": "", "mode": "active", "reason": "x", "scope": "all"}
    known = {"vote": ("decision", "digest", "view_digest"), "stop": ("reason",), "mode": ("mode", "reason"), "kill": ("scope", "reason")}.get(act, ())
    sent = {name: body[name] for name in known} | ({"digest": "sha256:0"} if act == "confirm" else {})
    running.house.tokens |= {"agent": running.house.keys["drafter"], "nobody": "swp_" + "A" * 43}
    for who, status in (("nobody", 401), ("agent", 401), ("program", 403)):
        refused = await running.person(method, path.format(hold), who, sent)
        # What a program asks about something that does not wait is no news to it: it is refused as what it is, or told that it is not there.
        assert refused.status == status or (act == "confirm" and who == "program" and refused.status == 404), (who, refused.body)
    for where in (f"/api/v1{path}", f"/.stagewarden{path}"):
        assert (await running.ask(method, where.format(hold), json=sent)).status in {403, 404}
    assert (await state(running, hold), running.newsroom.arrivals) == (("pending", []), [])
    assert (await running.person("GET", "/kill", "ines")).json["items"] == []


async def test_ghsa_wfqx_gjrf_g28r_the_stored_bytes_are_sent(running):
    """What was approved is not fetched or made again: the agent's later repeat, with other tracing headers, changes no byte of it."""
    hold = await held(running, headers={"traceparent": "00-1", "X-Request-Id": "first"})
    assert await held(running, headers={"traceparent": "00-2", "X-Request-Id": "second"}) == hold
    stored = (await running.sidecar.rooms.holds.get(hold)).request
    await running.vote(hold, "ines", "reviewer")
    assert await running.ended(hold) == "done"
    assert dict(stored.headers)["X-Request-Id"] == "first"
    assert [arrival.body for arrival in running.newsroom.arrivals] == [stored.body]


async def test_cve_2026_45720_cve_2025_6014_two_hundred_approvals_and_edits_at_once_send_once(running):
    """Whatever wins, at most one hold is approved, and what leaves is what was approved, once; a state too busy to be asked is a no."""
    hold = await held(running)
    vote = await ballot(running, hold)
    edit = {**vote, "answers": {}, "edit": {"body": '{"title": "Edited"}'}}
    rest = {"decision": "reject", "function": "reviewer", "reason": "other", "digest": vote["digest"], "view_digest": vote["view_digest"]}
    casts = [("ines", vote), ("otto", edit), ("otto", vote), ("otto", rest)] * 50
    replies = await asyncio.gather(*(running.person("POST", f"/holds/{hold}/votes", who, body) for who, body in casts))
    assert {200} <= {reply.status for reply in replies} <= {200, 409, 503}
    end = await running.ended(hold)
    await settled(running)
    assert end in {"done", "superseded", "rejected"}
    assert [arrival.body for arrival in running.newsroom.arrivals] == ([BODY] if end == "done" else [])


async def test_ghsa_v2jf_442r_6mjh_what_is_spent_stays_spent_after_a_restart(tmp_path):
    """An approval used once is a row, not a memory: after a restart neither the ballot nor the request sends anything again."""
    upstream = Newsroom(DRAFTER, PUBLISHER)
    upstream.articles["1"] = newsroom()
    async with serving(upstream.application()) as url:
        made = house(tmp_path / "house", url, source=populated(tmp_path, OTTO))
        async with starting(configuration.load(made.config)) as sidecar, ClientSession() as session:
            first = Product(sidecar, made, session, upstream)
            hold = await held(first)
            vote = await ballot(first, hold)
            await first.person("POST", f"/holds/{hold}/votes", "ines", vote)
            assert await first.ended(hold) == "done"
        async with starting(configuration.load(made.config)) as sidecar, ClientSession() as session:
            again = Product(sidecar, made, session, upstream)
            assert (await again.person("POST", f"/holds/{hold}/votes", "otto", vote)).status == 409
            # The asset stands as the send left it: the stored answer is given again.
            answered = await again.ask(*PATCH, data=BODY, headers=JSON)
            assert (answered.status, answered.headers["Stagewarden-Hold"]) == (200, hold)
            await settled(again)
            assert (await state(again, hold))[0] == "done"
    assert [arrival.body for arrival in upstream.arrivals] == [BODY]
