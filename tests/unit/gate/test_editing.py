"""Edit and approve: the whole product, and a newsroom that keeps what arrives. What is refused changes nothing."""

import base64

import pytest
from msgspec.structs import replace

from stagewarden.gate.editing import unfit
from stagewarden.holds.bodies import Kept
from stagewarden.model import Allow, Deny, Tier
from tests.product import populated, product, rulings, until

LIVE = {"id": "1", "status": "published", "title": "Opening hours", "body": "", "offers": [], "claims": []}
OTTO = "  otto: {functions: [reviewer, manager, compliance], name: Otto Berg}\n"
PATCH = ("PATCH", "/newsroom/articles/1")


class Says:
    """A policy of one verdict."""

    revision = "one"

    def __init__(self, verdict):
        self._verdict = verdict

    async def decide(self, _):
        """It."""
        return self._verdict


@pytest.fixture
async def running(tmp_path):
    """One article is live, and two reviewers could approve a change of it."""
    async with product(tmp_path / "house", source=populated(tmp_path, OTTO)) as made:
        made.newsroom.articles["1"] = dict(LIVE)
        yield made


async def held(running, body=b'{"title": "Opening hours!!"}', headers=None, where=PATCH):
    """A change of what is live, which waits."""
    fields = {"Content-Type": "application/json", **(headers or {})}
    reply = await running.ask(*where, data=body, headers=fields)
    assert reply.json["type"].endswith(":held"), reply.body
    return reply.json["hold"]["id"]


async def edit(running, hold, body, person="otto", function="reviewer", **changed):
    """Edit as this person, about what they were shown; without questions to answer."""
    return await running.vote(hold, person, function, answers={}, edit={"body": body}, **changed)


async def standing(running):
    """Every hold as a person reads it, and what arrived upstream: to show that nothing changed."""
    holds = (await running.person("GET", "/holds?limit=100", "lena")).json["items"]
    return holds, list(running.newsroom.arrivals), dict(running.newsroom.articles["1"])


async def test_an_edit_is_asked_about_and_sent_as_edited(running):
    """A hold of the new bytes takes the old one's place, all seats open; another reviewer approves, and exactly these bytes leave, once."""
    old = await held(running)
    reply = await edit(running, old, '{"title": "Opening times"}')
    assert reply.status == 200, reply.body
    new = reply.json
    assert (new["predecessor"], new["editor"], new["state"], new["votes"]) == (old, "otto", "pending", [])
    assert [seat["filled"] for seat in new["seats"]] == [0]
    before = (await running.person("GET", f"/holds/{old}", "ines")).json
    assert (before["state"], before["successor"], before["ended_by"]) == ("superseded", new["id"], "edited")
    assert before["request"]["body"] == '{"title": "Opening hours!!"}'
    assert (await running.vote(new["id"], "ines", "reviewer")).status == 200
    assert await running.ended(new["id"]) == "done"
    assert [(arrival.method, arrival.body) for arrival in running.newsroom.arrivals] == [("PATCH", b'{"title": "Opening times"}')]


async def test_the_agent_s_repeat_finds_the_successor_and_its_answer(running):
    """The old bytes again: told of the edited hold, and, once sent, its answer; nothing of who edited."""
    old = await held(running)
    new = (await edit(running, old, '{"title": "Opening times"}')).json["id"]
    again = await running.ask(*PATCH, data=b'{"title": "Opening hours!!"}', headers={"Content-Type": "application/json"})
    assert (again.status, again.json["hold"]["id"]) == (403, new)
    assert "otto" not in again.body.decode()
    await running.vote(new, "ines", "reviewer")
    assert await running.ended(new) == "done"
    answered = await running.ask(*PATCH, data=b'{"title": "Opening hours!!"}', headers={"Content-Type": "application/json"})
    assert (answered.status, answered.json["title"], answered.headers["Stagewarden-Hold"]) == (200, "Opening times", new)
    assert len(running.newsroom.arrivals) == 1


async def test_the_difference_is_kept_and_counted(running):
    """By pointer, beside the whole earlier body; an entry names the editor; it counts as a content override; the log has no content."""
    old = await held(running, b'{"title": "a/b", "claims": ["x", "y"]}')
    new = (await edit(running, old, '{"title": "c", "claims": ["x"], "body": "z"}')).json["id"]
    shown = (await running.person("GET", f"/holds/{new}", "ines")).json
    assert shown["edited"]["from"] == {"body": '{"title": "a/b", "claims": ["x", "y"]}'}
    assert shown["edited"]["changes"] == [
        {"pointer": "/title", "from": "a/b", "to": "c"}, {"pointer": "/claims/1", "from": "y"}, {"pointer": "/body", "to": "z"}
    ]  # fmt: skip
    entries = [entry for entry in rulings(running.house.folder) if entry["kind"] == "hold" and entry["hold"] == old]
    assert [(entry["event"], entry["by"]) for entry in entries] == [("opened", "drafter"), ("edited", "otto")]
    assert entries[-1]["successor"] == new
    assert 'stagewarden_overrides_total{kind="content"} 1.0' in (await running.operations("/metrics")).body.decode()
    assert "a/b" not in str(rulings(running.house.folder))


async def test_the_editor_joins_the_chain_and_fills_no_seat(running):
    """Nor does another of their ids; the agent's owner, who may not approve either, gains nothing by it."""
    new = (await edit(running, await held(running), '{"title": "Opening times"}')).json["id"]
    hold = await running.sidecar.rooms.holds.get(new)
    assert hold.question["principal"]["chain"][0] == {"kind": "editor", "id": "otto", "verified": True}
    for person in ("otto", "rita"):
        refused = await running.vote(new, person, "reviewer")
        assert (refused.status, refused.json["type"].rpartition(":")[2]) == (403, "not_allowed")
    assert (await running.sidecar.rooms.holds.get(new)).votes == ()
    assert (await running.person("GET", f"/holds/{new}", "otto")).json["you"]["why_not"] == "is in the chain that asked"


async def test_an_edit_of_an_edit_leaves_nobody(running):
    """Each editor joins the chain: the second of two reviewers is told that nobody would be left, and is refused if they try."""
    new = (await edit(running, await held(running), '{"title": "Opening times"}')).json["id"]
    why = (await running.person("GET", f"/holds/{new}", "ines")).json["you"]["why_not_edit"]
    before = await standing(running)
    refused = await edit(running, new, '{"title": "Times"}', "ines")
    assert (refused.status, "nobody is left for reviewer" in why, "nobody is left for reviewer" in refused.json["detail"]) == (403, True, True)
    assert await standing(running) == before


async def test_where_the_policy_would_let_the_result_pass_the_same_people_are_asked(running):
    """What a price was held for is edited out: it waits for the people it waited for, and is sent after their approval only."""
    old = await held(running, b'{"title": "now EUR 49"}')
    shown = (await running.person("GET", f"/holds/{old}", "otto")).json
    running.sidecar.rooms.decider = Says(Allow(Tier.LOW, ()))
    new = (await edit(running, old, '{"title": "now"}')).json
    assert (new["tier"], new["seats"]) == ("high", shown["seats"])
    assert not running.newsroom.arrivals
    await running.vote(new["id"], "ines", "reviewer")
    await running.vote(new["id"], "tomas", "manager")
    assert await running.ended(new["id"]) == "done"
    assert [arrival.body for arrival in running.newsroom.arrivals] == [b'{"title": "now"}']


async def test_a_price_edited_in_is_judged_from_the_start(running):
    """The result asks for more people than the hold did: the new hold asks for them."""
    new = (await edit(running, await held(running), '{"title": "now EUR 49"}')).json
    assert (new["tier"], sum(seat["needed"] for seat in new["seats"])) == ("high", 2)
    assert "legal_or_price" in {reason["code"] for reason in new["reasons"]}


B64 = base64.b64encode(b'{"title": "Opening times"}').decode()
REFUSED = {
    "not JSON": ({"edit": {"body": "{"}}, 422, "body"),
    "a duplicate member": ({"edit": {"body": '{"title": "a", "title": "b"}'}}, 422, "edit"),
    "the same bytes": ({"edit": {"body": '{"title": "Opening hours!!"}'}}, 422, "changes nothing"),
    "nothing": ({"edit": {"body": ""}}, 422, "is empty"),
    "over the route's limit": ({"edit": {"body": f'{{"title": "{"x" * (64 << 10)}"}}'}}, 422, "bytes"),
    "neither form": ({"edit": {}}, 422, "one of body and body_base64"),
    "both forms": ({"edit": {"body": "{}", "body_base64": B64}}, 422, "one of body and body_base64"),
    "no base64": ({"edit": {"body_base64": "?"}}, 422, "not base64"),
    "the target": ({"edit": {"body": "{}", "target": "/articles/2"}}, 422, "target"),
    "the method": ({"edit": {"method": "DELETE"}}, 422, "method"),
    "the headers": ({"edit": {"body": "{}", "headers": []}}, 422, "headers"),
    "a note": ({"note": "better"}, 422, "note"),
    "a rejection": ({"decision": "reject", "reason": "other"}, 422, "approve alone"),
    "other bytes": ({"digest": "sha256:00"}, 409, "digest"),
    "another view": ({"view_digest": "sha256:00"}, 409, "view_digest"),
    "another function": ({"function": "security"}, 403, "function"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_edit_is_refused_and_nothing_changed(running, name):
    """Only the body, only by an approver, only about what stands; said with the member's name."""
    change, status, says = REFUSED[name]
    hold = await held(running)
    before = await standing(running)
    meant = {"function": "reviewer", "answers": {}, "edit": {"body": '{"title": "Opening times"}'}} | change
    refused = await running.vote(hold, "otto", **meant)
    assert (refused.status, says in refused.json["detail"]) == (status, True), refused.body
    assert await standing(running) == before


@pytest.mark.parametrize(("person", "says"), [("rita", "started this request"), ("lena", "none of the functions"), ("gone", None), ("program", None)])
async def test_who_may_not_approve_may_not_edit(running, person, says):
    """The initiator, another function, who left, and a program: refused, and nothing changed."""
    hold = await held(running)
    shown = (await running.person("GET", f"/holds/{hold}", "ines")).json
    before = await standing(running)
    vote = {"decision": "approve", "function": "reviewer", "digest": shown["digest"], "view_digest": shown["view_digest"], "edit": {"body": "{}"}}
    refused = await running.person("POST", f"/holds/{hold}/votes", person, vote)
    assert refused.status in ({403} if says or person == "program" else {401, 403})
    assert says is None or says in refused.json["detail"]
    assert await standing(running) == before


@pytest.mark.parametrize("header", ["Content-Digest", "Repr-Digest", "Digest", "Content-MD5", "Signature", "X-Hub-Signature-256", "ETag"])
async def test_a_header_that_speaks_of_the_body_would_lie(running, header):
    """The agent's own digest or signature is sent as it is, so the body under it stays: refused by name, and not offered."""
    hold = await held(running, headers={header: "x=1"})
    why = (await running.person("GET", f"/holds/{hold}", "otto")).json["you"]["why_not_edit"]
    before = await standing(running)
    refused = await edit(running, hold, '{"title": "Opening times"}')
    assert (refused.status, header.lower() in refused.json["detail"], header.lower() in why) == (422, True, True)
    assert await standing(running) == before


async def test_a_deny_is_told_with_its_reasons_and_nothing_changed(running):
    """What the policy denies is no hold: the editor is told why."""
    hold = await held(running)
    before = await standing(running)
    says = Says(Deny.by_gate("field_out_of_scope", "The field is out of scope"))
    decider, running.sidecar.rooms.decider = running.sidecar.rooms.decider, says
    refused = await edit(running, hold, '{"title": "Opening times"}')
    running.sidecar.rooms.decider = decider
    assert (refused.status, "field_out_of_scope" in refused.json["detail"]) == (422, True)
    assert await standing(running) == before


async def test_an_edit_that_would_be_another_kind_is_refused(running):
    """A form that asks to publish cannot be edited into one that drafts: kind and stage stay."""
    form = '--b\r\nContent-Disposition: form-data; name="status"\r\n\r\n{}\r\n--b--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    hold = await held(running, form.format("publish").encode(), headers, ("POST", "/newsroom/forms"))
    before = await standing(running)
    refused = await edit(running, hold, form.format("draft"))
    assert (refused.status, "article.draft" in refused.json["detail"]) == (422, True)
    assert await standing(running) == before


async def test_an_asset_that_changed_is_not_edited_on(running):
    """What was looked up is no longer what stands: 409, and nothing changed."""
    hold = await held(running)
    running.newsroom.articles["1"]["title"] = "Changed by somebody"
    before = await standing(running)
    refused = await edit(running, hold, '{"title": "Opening times"}')
    assert (refused.status, "changed" in refused.json["detail"]) == (409, True)
    assert await standing(running) == before


async def test_bytes_that_wait_already_are_not_waited_for_twice(running):
    """Editing one hold into another's bytes is a conflict; both stand as they stood."""
    one, _ = await held(running), await held(running, b'{"title": "Opening times"}')
    before = await standing(running)
    refused = await edit(running, one, '{"title": "Opening times"}')
    assert (refused.status, "stands already" in refused.json["detail"]) == (409, True)
    assert await standing(running) == before


async def test_a_stop_and_a_late_edit(running):
    """While a stop is in force nothing is edited; what has ended is not revived by an edit."""
    hold = await held(running)
    kill = (await running.person("PUT", "/kill", "tomas", {"scope": "agent:drafter", "reason": "now"})).json
    assert (await edit(running, hold, '{"title": "Opening times"}')).status == 409
    await running.person("DELETE", "/kill", "tomas", {"id": kill["id"], "reason": "over"})
    await running.person("POST", f"/holds/{hold}/stop", "ines", {})
    before = await standing(running)
    assert (await edit(running, hold, '{"title": "Opening times"}')).status == 409
    assert await standing(running) == before
    await until(lambda: not running.sidecar.releases._running)
    assert not running.newsroom.arrivals


def test_what_cannot_be_edited_says_why(a_hold):
    """No body, a body on disk, a payload that is gone."""
    with_body = replace(a_hold, request=replace(a_hold.request, body=b"x"))
    assert unfit(with_body) is None
    assert "no body" in unfit(a_hold)
    assert "too large" in unfit(replace(a_hold, request=replace(a_hold.request, body=Kept(9 << 20, "sha256:x"))))
    assert "not here" in unfit(replace(with_body, payload=False))
