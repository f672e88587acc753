"""Grants through the whole house, with both engines: W4 and W5 of governance section 4, publications, templates, and every end.

Nothing is mocked: people ask and vote over the API, agents use what they were given, the newsroom counts what arrives.
"""

import asyncio
from pathlib import Path

import pytest

from stagewarden.clock import SystemClock
from stagewarden.grants.known import STALE
from stagewarden.model import Deny
from tests.needs import needs
from tests.product import WASM, product, rulings
from tests.scenarios.test_scenarios import Both, start_opa

HERE = Path(__file__).parent
GRANTED = HERE / "granted"
BUNDLE = HERE.parents[1] / "src" / "stagewarden" / "bundle" / "stagewarden.tar.gz"
FILL = {
    "agent": "enricher", "workflow": "enrichment", "stage": "edit", "kind": "record.fill", "upstream": "crm", "fields": ["title"],
    "classes": ["contact"], "ttl": "1h", "uses": 2, "evidence": "CRM-1204: fill the job titles of last month's sign-ups",
}  # fmt: skip
TEMPLATE = {
    "agent": "writer", "workflow": "posts", "stage": "export", "kind": "post.publish", "upstream": "site", "fields": ["title", "body"],
    "ttl": "1h", "uses": 2, "evidence": "MKT-77: localised invitations", "template": True,
    "bounds": [
        {"pointer": "/title", "enum": ["Bienvenue", "Willkommen", "Welcome"]},
        {"pointer": "/body", "max_length": 40, "pattern": "Room [1-9][0-9]?, at [0-9]{1,2} o'clock"},
    ],
}  # fmt: skip


@pytest.fixture(params=["wasm", "opa"])
async def running(request, tmp_path):
    """The house of grants with this engine; an OPA server has the Wasm engine beside it, which must agree on every question."""
    engine, opa = WASM, None
    if request.param == "opa":
        opa = start_opa(needs("opa"), tmp_path / "opa.sock", BUNDLE)
        engine = f"{{engine: opa, deadline: 2s, opa: {{url: 'unix:{tmp_path / 'opa.sock'}'}}}}"
    async with product(tmp_path / "house", engine, GRANTED) as made:
        made.newsroom.articles["7"] = {"id": "7", "status": "draft", "title": "", "body": "", "offers": [], "claims": []}
        if opa is not None:
            made.sidecar.rooms.decider = await Both.beside(made.sidecar.rooms)
        yield made
        assert getattr(made.sidecar.rooms.decider, "found", []) == []
    if opa is not None:
        opa.terminate()
        opa.wait(10)


async def asked(running, by="tomas", **changes):
    """Ask for a grant."""
    return await running.person("POST", "/grants", by, FILL | changes)


async def voted(running, grant, person, function, **changes):
    """Vote on the terms as they stand."""
    digest = (await running.person("GET", f"/grants/{grant}", person)).json["digest"]
    return await running.person("POST", f"/grants/{grant}/votes", person, {"decision": "approve", "function": function, "digest": digest} | changes)


async def issued(running, **changes):
    """A grant with its two votes; its id."""
    reply = await asked(running, **changes)
    assert reply.status == 200, reply.body
    grant = reply.json["id"]
    for person, function in (("bruno", "business"), ("lena", "security"), *([("ines", "reviewer")] if changes.get("template") else [])):
        shown = (await voted(running, grant, person, function)).json
    assert shown["state"] == "active"
    return grant


async def filled(running, title="Head of Sales", **more):
    """The agent fills a field."""
    return await running.ask("PATCH", "/crm/articles/7", "enricher", json={"title": title} | more)


def said(reply):
    """Status, problem code and reason codes."""
    codes = sorted({reason["code"] for reason in reply.json.get("reasons", ())}) if reply.status >= 400 else []
    return reply.status, reply.json["type"].rpartition(":")[2] if reply.status >= 400 else "", codes


async def test_w4_a_field_is_filled_only_under_a_grant_voted_by_business_and_security(running):
    """Held without one; allowed under it, so often as it says; held again when its uses are taken."""
    assert said(await filled(running)) == (403, "held", ["restricted"])
    grant = await issued(running)
    assert [(await filled(running, title)).status for title in ("A", "B")] == [200, 200]
    assert said(await filled(running, "C")) == (403, "held", ["grant_exhausted", "restricted"])
    shown = (await running.person("GET", f"/grants/{grant}", "rita")).json
    assert (shown["state"], shown["used"]["sent"], shown["used"]["fields"], shown["used"]["wider"]) == ("spent", 2, ["title"], [])
    assert [arrival.path for arrival in running.newsroom.arrivals] == ["/articles/7", "/articles/7"]
    ruling = (await running.person("GET", f"/rulings/{shown['uses'][0]['ruling']}", "lena")).json
    assert [(reason["code"], reason["detail"]) for reason in ruling["reasons"]] == [("grant_covers", {"grant": grant})]


@pytest.mark.parametrize(("wanted", "codes"), [
    ({"path": "/crm/articles/7", "json": {"title": "A", "body": "more"}}, ["grant_out_of_scope", "restricted"]),
    ({"path": "/crm/articles/7", "json": {"offers": []}}, ["grant_out_of_scope", "restricted"]),
    ({"method": "POST", "path": "/crm/articles/7/publish"}, ["grant_out_of_scope", "restricted"]),
], ids=["another field", "W4 a score threshold", "W5 a lead"])  # fmt: skip
async def test_what_a_grant_does_not_name_is_held_and_no_use_is_taken(running, wanted, codes):
    """Another field, another kind: held, and the grant is as it was."""
    grant = await issued(running)
    wanted = {"method": "PATCH", **wanted}
    reply = await running.ask(wanted["method"], wanted["path"], "enricher", json=wanted.get("json"))
    assert said(reply) == (403, "held", codes)
    assert (await running.person("GET", f"/grants/{grant}", "rita")).json["used"]["left"] == 2
    assert not running.newsroom.arrivals


async def test_w5_a_lead_is_routed_under_a_grant_and_one_correction_goes_back_to_hold(running):
    """Held in its first weeks; allowed under such a grant; a person ends it at the first correction, and it is held again."""
    route = ("POST", "/crm/articles/7/publish", "enricher")
    assert said(await running.ask(*route)) == (403, "held", ["restricted"])
    grant = await issued(running, kind="lead.route", fields=[], uses=50)
    assert (await running.ask(*route, headers={"Idempotency-Key": "1"})).status == 200
    assert (await running.person("DELETE", f"/grants/{grant}", "ines", {"reason": "a lead went to the wrong team"})).json["state"] == "revoked"
    assert said(await running.ask(*route, headers={"Idempotency-Key": "2"}))[1] == "held"
    assert len(running.newsroom.arrivals) == 1


async def test_prohibited_stays_prohibited(running):
    """Nobody can even ask for it, and nothing is stored."""
    reply = await asked(running, kind="record.delete")
    assert (reply.status, reply.json["detail"]) == (422, "kind: the workflow prohibits it, or does not list it; no grant lifts that")
    assert (await running.person("GET", "/grants", "rita")).json["items"] == []


@pytest.mark.parametrize(("by", "changes", "status"), [
    ("program", {}, 403),
    ("tomas", {"agent": "nobody"}, 422),
    ("tomas", {"workflow": "posts"}, 422),
    ("tomas", {"upstream": "elsewhere"}, 422),
    ("tomas", {"stage": "every"}, 422),
    ("tomas", {"purpose": "profiling"}, 422),
    ("tomas", {"ttl": "9h"}, 422),
    ("tomas", {"ttl": "soon"}, 422),
    ("tomas", {"uses": 0}, 422),
    ("tomas", {"uses": 1001}, 422),
    ("tomas", {"fields": ["*"]}, 422),
    ("tomas", {"asset": "*"}, 422),
    ("tomas", {"evidence": " "}, 422),
    ("tomas", {"digest": "sha256:1"}, 422),
    ("tomas", {"template": True}, 422),
    ("tomas", {"bounds": [{"pointer": "/title", "pattern": "(a+)+"}]}, 422),
    ("tomas", {"bounds": [{"pointer": "title", "const": 1}]}, 422),
    ("tomas", {"more": 1}, 422),
    ("tomas", {"agent": "sharer", "workflow": "posts", "stage": "export", "kind": "post.share", "upstream": "site"}, 422),
    ("tomas", {"agent": "writer", "workflow": "posts", "stage": "export", "kind": "post.publish", "upstream": "site", "uses": 1,
               "digest": "sha256:" + "1" * 64}, 422),
], ids=lambda value: str(value)[:60])  # fmt: skip
async def test_what_nobody_may_ask_for_is_refused_and_nothing_is_stored(running, by, changes, status):
    """No program, no stranger, no wider than the registry, no end too far, no export without one digest."""
    assert (await asked(running, by, **changes)).status == status
    assert (await running.person("GET", "/grants", "rita")).json["items"] == []
    assert not [entry for entry in rulings(running.house.folder) if entry["kind"] == "grant"]


SHARE = {
    "agent": "sharer", "workflow": "posts", "stage": "export", "kind": "post.share", "upstream": "site", "fields": ["title", "body"], "classes": [],
    "uses": 1, "digest": "sha256:" + "1" * 64,
}  # fmt: skip


@pytest.mark.parametrize(("changes", "says"), [
    ({"uses": 2}, "one use of one digest"),
    ({"digest": None}, "one use of one digest"),
    ({"agent": "writer"}, "an agent that generates never holds export"),
], ids=["twice", "any bytes", "who generates"])  # fmt: skip
async def test_what_leaves_the_house_leaves_by_one_use_of_one_digest(running, changes, says):
    """Nothing but that keeps the request from being asked for; and nothing is stored."""
    reply = await asked(running, **SHARE | changes)
    assert (reply.status, says in reply.json["detail"]) == (422, True), reply.json
    assert (await running.person("GET", "/grants", "rita")).json["items"] == []
    assert (await asked(running, **SHARE)).status in {200, 201}


@pytest.mark.parametrize(("person", "changes", "status"), [
    ("tomas", {"function": "business"}, 403),
    ("tom-two", {"function": "business"}, 403),
    ("ines", {"function": "business"}, 403),
    ("bruno", {"function": "security"}, 403),
    ("program", {"function": "business"}, 403),
    ("bruno", {"function": "business", "digest": "sha256:" + "0" * 64}, 409),
    ("bruno", {"function": "business", "decision": "reject"}, 422),
    ("bruno", {"function": "business", "decision": "shrug"}, 422),
], ids=["requester", "requester's other id", "no function", "not held", "program", "other terms", "no reason", "no decision"])  # fmt: skip
async def test_a_vote_that_must_not_count_is_refused_and_nothing_changed(running, person, changes, status):
    """Whoever asks fills no seat, under any id; a vote names the terms it is about."""
    grant = (await asked(running)).json["id"]
    digest = (await running.person("GET", f"/grants/{grant}", "rita")).json["digest"]
    reply = await running.person("POST", f"/grants/{grant}/votes", person, {"decision": "approve", "digest": digest} | changes)
    assert reply.status == status
    shown = (await running.person("GET", f"/grants/{grant}", "rita")).json
    assert (shown["state"], shown["votes"]) == ("requested", [])


async def test_votes_that_were_cast_and_ends_that_came_first(running):
    """The same vote again changes nothing; a second one, a vote after the end and an end after the end are refused."""
    grant = (await asked(running)).json["id"]
    assert [(await voted(running, grant, "bruno", "business")).status for _ in range(2)] == [200, 200]
    assert (await voted(running, grant, "bruno", "business", decision="reject", reason="timing")).status == 409
    assert len((await running.person("GET", f"/grants/{grant}", "rita")).json["votes"]) == 1
    assert said(await filled(running))[1] == "held"
    assert (await voted(running, grant, "lena", "security", decision="reject", reason="not_needed")).json["state"] == "rejected"
    for reply in (
        await voted(running, grant, "rita", "business"),
        await running.person("DELETE", f"/grants/{grant}", "rita", {}),
        await running.person("POST", f"/grants/{grant}/complete", "rita", {}),
    ):
        assert reply.status == 409
    assert (await running.person("GET", f"/grants/{grant}", "rita")).json["state"] == "rejected"


async def test_each_way_to_end_is_felt_by_the_next_request(running):
    """Revoked, completed by a person, completed by its condition: the next request has nothing of it."""
    ends = []
    for end in ("revoke", "complete", "condition"):
        grant = await issued(running, uses=9, completes_on="record.fill" if end == "condition" else None)
        assert (await filled(running, f"first {end}")).status == 200
        if end == "revoke":
            await running.person("DELETE", f"/grants/{grant}", "ines", {})
        if end == "complete":
            await running.person("POST", f"/grants/{grant}/complete", "tomas", {})
        assert said(await filled(running, f"second {end}"))[1] == "held"
        ends.append((await running.person("GET", f"/grants/{grant}", "rita")).json["state"])
    assert ends == ["revoked", "completed", "completed"]
    assert len(running.newsroom.arrivals) == 3


async def test_one_publication_one_use_one_digest(running):
    """A publisher's grant covers these bytes once; other bytes and the same bytes again are held."""
    share = {"title": "We moved", "body": "to the valley"}
    first = await running.ask("PUT", "/site/articles", "sharer", json=share)
    assert said(first)[1] == "held"
    hold = (await running.person("GET", f"/holds/{first.json['hold']['id']}", "rita")).json
    await running.ask("POST", f"/.stagewarden/holds/{hold['id']}/withdraw", "sharer")
    await issued(
        running, agent="sharer", workflow="posts", stage="export", kind="post.share", upstream="site", fields=["title", "body"], classes=[],
        uses=1, digest=hold["digest"],
    )  # fmt: skip
    other = await running.ask("PUT", "/site/articles", "sharer", json=share | {"body": "to the hill"})
    assert said(other) == (403, "held", ["grant_out_of_scope", "publish_not_granted"])
    assert (await running.ask("PUT", "/site/articles", "sharer", json=share)).headers["Stagewarden-Review"] == "auto"
    assert len(running.newsroom.arrivals) == 1
    assert said(await running.ask("PUT", "/site/articles", "sharer", json=share))[1] == "held"
    assert len(running.newsroom.arrivals) == 1


async def test_a_bounded_template_sends_each_variant_once_and_holds_the_rest(running):
    """Inside the bounds: a hold of its own, already approved, sent once. Outside: held as usual. No use left: held as usual."""
    grant = await issued(running, **TEMPLATE, classes=[])
    inside = {"title": "Willkommen", "body": "Room 12, at 9 o'clock"}
    reply = await running.ask("POST", "/site/articles", "writer", json=inside, headers={"Prefer": "wait=20"})
    assert reply.status == 201, reply.body.decode()
    assert (reply.status, reply.headers["Stagewarden-Review"]) == (201, "human")
    again = await running.ask("POST", "/site/articles", "writer", json=inside)
    assert (again.status, again.headers["Stagewarden-Hold"]) == (201, reply.headers["Stagewarden-Hold"])
    for outside in (inside | {"body": "Room 0, at 9 o'clock"}, inside | {"title": "Benvenuti"}, inside | {"offers": []}, {"title": "Welcome"}):
        held = await running.ask("POST", "/site/articles", "writer", json=outside)
        assert said(held)[1:] == ("held", ["publish_not_granted", "restricted", "template_out_of_bounds"])
        assert held.json["hold"]["state"] == "pending"
    strange = await running.ask("POST", "/site/articles?note=1", "writer", json=inside)
    assert (strange.json["hold"]["state"], "template_out_of_bounds" in said(strange)[2]) == ("pending", True)
    second = await running.ask("POST", "/site/articles", "writer", json=inside | {"title": "Welcome"}, headers={"Prefer": "wait=20"})
    third = await running.ask("POST", "/site/articles", "writer", json=inside | {"title": "Bienvenue"})
    assert (second.status, third.json["hold"]["state"]) == (201, "pending")
    assert len(running.newsroom.arrivals) == 2
    shown = (await running.person("GET", f"/grants/{grant}", "rita")).json
    assert (shown["state"], shown["used"]["sent"], shown["used"]["reserved"]) == ("spent", 2, 0)
    moves = [entry for entry in rulings(running.house.folder) if entry["kind"] == "hold" and entry["hold"] == reply.headers["Stagewarden-Hold"]]
    assert [(entry["event"], entry["state"]) for entry in moves][:2] == [("opened", "pending"), ("filled", "approved")]
    assert moves[1]["reason"] == f"template {grant}"


async def test_a_variant_with_a_price_takes_the_people_a_price_takes(running):
    """The template's bounds would hold it; its people are not those a price needs, so it waits for them."""
    bounds = [{"pointer": "/title", "enum": ["Only € 19"]}]
    await issued(running, **(TEMPLATE | {"bounds": bounds, "fields": ["title"]}), classes=[])
    held = await running.ask("POST", "/site/articles", "writer", json={"title": "Only € 19"})
    assert (held.json["hold"]["state"], "legal_or_price" in said(held)[2]) == ("pending", True)
    assert not running.newsroom.arrivals


async def test_a_use_whose_request_went_nowhere_is_given_back(running):
    """Stopped between the yes and the first byte: the use is returned, and the log says both."""
    grant = await issued(running)
    rooms = running.sidecar.rooms
    real, kept = rooms.sender.head, rooms.modes.stop

    def stop(*arguments):
        rooms.sender.head = real
        rooms.modes.stop = lambda **_: stopped
        return real(*arguments)

    stopped = Deny.by_gate("killed", "A person stopped this")
    rooms.sender.head = stop
    assert (await filled(running)).status == 403
    rooms.modes.stop = kept
    shown = (await running.person("GET", f"/grants/{grant}", "rita")).json
    assert (shown["used"]["returned"], shown["used"]["left"], shown["state"]) == (1, 2, "active")
    assert not running.newsroom.arrivals
    events = [entry["event"] for entry in rulings(running.house.folder) if entry["kind"] == "grant"]
    assert events[-2:] == ["reserved", "returned"]


async def test_a_grant_that_was_revoked_after_the_yes_sends_nothing(running):
    """The use is sent, durably, before the first byte: a grant that has ended by then sends nothing and gives its use back."""
    grant = await issued(running)
    rooms = running.sidecar.rooms
    real = rooms.grants.reserve

    async def then_revoked(*arguments):
        found = await real(*arguments)
        await running.person("DELETE", f"/grants/{grant}", "ines", {})
        return found

    rooms.grants.reserve = then_revoked
    reply = await filled(running)
    assert (reply.status, reply.json["type"].rpartition(":")[2]) == (403, "grant_expired")
    assert not running.newsroom.arrivals
    assert (await running.person("GET", f"/grants/{grant}", "rita")).json["used"]["returned"] == 1


class Hands(SystemClock):
    """Monotonic time moved by hand."""

    now = 0.0

    def monotonic(self):
        """Seconds, as set."""
        return self.now


async def test_an_agent_without_grants_costs_no_reading(running):
    """One reading of who has any a second at most; the request itself asks the set in memory."""
    rooms = running.sidecar.rooms
    await filled(running)
    reads = []
    grants, real = rooms.grants, rooms.grants._read_known

    async def counted():
        reads.append(1)
        await real()

    grants._read_known = counted
    grants.known._clock = clock = Hands()
    grants.known.reading()
    place = ("enricher", "enrichment", "crm", "edit")
    for _ in range(50):
        waiting = grants.standing(place)
        with pytest.raises(StopIteration) as found:  # it ends without waiting for anybody
            waiting.send(None)
        assert found.value.value == ()
    assert not reads
    clock.now += STALE
    await rooms.grants.standing(place)
    assert len(reads) == 1


async def test_metrics_say_what_became_of_grants(running):
    """Counted by stage: what happened to grants, uses reserved, and how many are active."""
    await issued(running)
    await filled(running)
    text = (await running.operations("/metrics")).body.decode()
    for line in (
        'stagewarden_grants_total{event="filled",stage="edit"} 1.0',
        'stagewarden_grant_uses_total{result="reserved",stage="edit"} 1.0',
        'stagewarden_grants_active{stage="edit"} 1.0',
        'stagewarden_grant_ttl_seconds_count{stage="edit"} 1.0',
    ):
        assert line in text


async def test_what_is_out_of_time_ends_by_itself(running):
    """Lapsed at the review window, expired at its end; the clockwork says so."""
    lapsing = await issued(running, ttl="1h", review_within="1s")
    expiring = await issued(running, ttl="1s")

    async def states():
        return [(await running.person("GET", f"/grants/{grant}", "rita")).json["state"] for grant in (lapsing, expiring)]

    async with asyncio.timeout(60):
        while await states() != ["lapsed", "expired"]:  # noqa: ASYNC110 - the clockwork sets no event
            await asyncio.sleep(0.1)
    assert said(await filled(running))[2] == ["grant_expired", "restricted"]
    assert {"lapsed", "expired"} <= {entry["event"] for entry in rulings(running.house.folder) if entry["kind"] == "grant"}
    wider = (await running.person("GET", "/grants?wider=true", "rita")).json["items"]
    assert {one["id"]: one["used"]["wider"] for one in wider} == {lapsing: ["fields", "uses", "period"], expiring: ["fields", "uses", "period"]}


async def test_a_grant_whose_approval_could_not_be_recorded_permits_nothing_yet(running):
    """No audit, no action: the last vote is answered 503 and nothing can be used; once the log takes entries again, what was owed is there."""
    grant = (await asked(running)).json["id"]
    await voted(running, grant, "bruno", "business")
    log = running.sidecar.rooms.log
    down, log._down = log._down, "the disk is gone"
    assert (await voted(running, grant, "lena", "security")).status == 503
    log._down = down
    running.sidecar.rooms.recorder.make_good, real = asyncio.Event().wait, running.sidecar.rooms.recorder.make_good
    assert said(await filled(running))[:2] == (503, "cannot_tell")
    assert not running.newsroom.arrivals
    running.sidecar.rooms.recorder.make_good = real
    await real()
    assert (await filled(running)).status == 200
    events = [entry["event"] for entry in rulings(running.house.folder) if entry["kind"] == "grant" and entry["grant"] == grant]
    assert events == ["requested", "voted", "filled", "reserved"]


async def test_of_two_requests_that_want_the_last_use_one_goes_and_one_waits(running):
    """Twenty at once for one use: one reaches the upstream, the others are held, and nobody is told that it could not be told."""
    await issued(running, uses=1)
    replies = await asyncio.gather(*(filled(running, f"title {number}") for number in range(20)))
    assert sorted(reply.status for reply in replies) == [200] + [403] * 19
    assert {said(reply)[1] for reply in replies if reply.status == 403} == {"held"}
    assert len(running.newsroom.arrivals) == 1


@pytest.mark.parametrize("end", ["stopped", "revoked"])
async def test_an_approved_variant_that_is_not_sent_gives_its_use_back(running, end):
    """Stopped by a person: over. Its template revoked before the release: the same bytes are held as usual, without votes, and nothing is sent."""
    grant = await issued(running, **TEMPLATE, classes=[])
    holds = running.sidecar.rooms.holds

    async def nothing(limit=100):
        return ()

    holds.due = nothing
    reply = await running.ask("POST", "/site/articles", "writer", json={"title": "Welcome", "body": "Room 7, at 8 o'clock"})
    hold = reply.json["hold"]["id"]
    assert reply.json["hold"]["state"] == "approved"
    assert (await running.person("GET", f"/holds/{hold}", "rita")).json["grant"] == grant
    assert (await running.person("GET", f"/grants/{grant}", "rita")).json["used"]["reserved"] == 1
    if end == "stopped":
        await running.person("POST", f"/holds/{hold}/stop", "rita", {})
    else:
        await running.person("DELETE", f"/grants/{grant}", "rita", {})
    del holds.due
    holds.changed.ring([hold])
    assert await running.ended(hold) == ("stopped" if end == "stopped" else "superseded")
    if end == "revoked":
        successor = (await running.person("GET", f"/holds/{hold}", "ines")).json["successor"]
        waiting = (await running.person("GET", f"/holds/{successor}", "ines")).json
        assert (waiting["state"], waiting["votes"]) == ("pending", [])
    used = (await running.person("GET", f"/grants/{grant}", "rita")).json["used"]
    assert (used["reserved"], used["returned"], used["left"]) == (0, 1, 2)
    assert not running.newsroom.arrivals
