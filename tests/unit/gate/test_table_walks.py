"""The hold's table walked through the whole product: settling, sent back, unknown and what people find, sends that are repeated, reloads.

Real sockets, a real upstream that counts; registry and configuration as an operator would write them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from stagewarden.cli.newsroom import Newsroom
from tests.product import product, rulings, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.product import Product

SETTLES = {"use_within: 15m,": "use_within: 15m, settle: 30s,"}
LISTED = "      - {match: GET /articles, stage: generate, kind: article.read, query: [status]}\n"
ANNOUNCE = "      - {match: POST /announcements, stage: export, kind: article.publish, body: json, content: body%s}\n"
PUBLISH = ("POST", "/newsroom/articles/1/publish")


@pytest.fixture
async def settling(tmp_path: Path):
    """A house whose approvals settle for half a minute."""
    async with product(tmp_path / "house", **SETTLES) as made:
        made.newsroom.articles["1"] = {"id": "1", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
        yield made


async def held(running: Product, method: str = "POST", path: str = PUBLISH[1], **request: object) -> str:
    """A request that is held; its hold."""
    reply = await running.ask(method, path, **request)
    assert (reply.status, reply.json["type"]) == (403, "urn:stagewarden:problem:held")
    return str(reply.json["hold"]["id"])


async def state(running: Product, hold: str) -> str:
    """Where it stands, as the agent is told."""
    return str((await running.ask("GET", f"/.stagewarden/holds/{hold}")).json["state"])


def entries(running: Product, kind: str = "hold") -> list[dict]:
    """The log's entries of a kind, in order."""
    return [entry for entry in rulings(running.house.folder) if entry["kind"] == kind]


# -- settling --


async def test_an_approval_settles_and_the_agent_is_told_until_when(settling: Product) -> None:
    """Nothing leaves; repeats find the hold; the agent may still take it back."""
    hold = await held(settling)
    voted = (await settling.vote(hold, "ines", "reviewer")).json
    assert (voted["state"], voted["settles_at"] > voted["asked_at"]) == ("settling", True)
    assert await held(settling) == hold
    told = (await settling.ask("POST", f"/.stagewarden/holds/{hold}/withdraw")).json
    assert told["state"] == "withdrawn"
    assert settling.newsroom.arrivals == []


ENDS = {
    "a person stops it": ("POST", "/holds/{hold}/stop", {}),
    "a kill": ("PUT", "/kill", {"scope": "agent:drafter", "reason": "incident"}),
    "a pause": ("PUT", "/agents/drafter/mode", {"mode": "paused", "reason": "drill"}),
}


@pytest.mark.parametrize("end", ENDS)
async def test_until_it_has_settled_it_can_be_stopped(settling: Product, end: str) -> None:
    """By one person alone, whatever they stop; and nothing of it is sent afterwards."""
    method, path, body = ENDS[end]
    hold = await held(settling)
    await settling.vote(hold, "ines", "reviewer")
    assert (await settling.person(method, path.replace("{hold}", hold), "rita", body)).status == 200
    assert await settling.ended(hold) == "stopped"
    assert settling.newsroom.arrivals == []


async def test_an_edit_of_the_asset_ends_it(settling: Product) -> None:
    """What people approved is no longer what lies there."""
    hold = await held(settling)
    await settling.vote(hold, "ines", "reviewer")
    assert (await settling.ask("PATCH", "/newsroom/articles/1", json={"title": "changed"})).status == 200
    assert await state(settling, hold) == "superseded"
    assert [arrival.method for arrival in settling.newsroom.arrivals] == ["PATCH"]


async def test_when_it_has_settled_it_is_sent(tmp_path: Path) -> None:
    """By itself, once."""
    async with product(tmp_path / "house", **{"use_within: 15m,": "use_within: 15m, settle: 300ms,"}) as running:
        running.newsroom.articles["1"] = {"id": "1", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
        hold = await held(running)
        assert (await running.vote(hold, "ines", "reviewer")).json["state"] == "settling"
        assert await running.ended(hold) == "done"
        events = [entry["event"] for entry in entries(running)]
        assert events == ["opened", "settling", "claimed", "sending", "answered"]
        assert [arrival.path for arrival in running.newsroom.arrivals] == ["/articles/1/publish"]


# -- judged again at a reload --

RELOADS = {
    "prohibited now": ("restricted: [article.publish, article.change_live]", "restricted: [article.change_live]\n      prohibited_: []", None),
    "more people now": ("rollback_difficulty: low, approval_level: medium", "rollback_difficulty: low, approval_level: high", 2),
}


@pytest.mark.parametrize("reload", RELOADS)
@pytest.mark.parametrize("voted", [False, True], ids=["pending", "settling"])
async def test_a_reload_judges_open_holds_again(settling: Product, reload: str, voted: bool) -> None:  # noqa: FBT001 - a case
    """Whether or not people have approved: a no supersedes, more people make a linked hold without votes with the same bytes."""
    before, after, seats = RELOADS[reload]
    hold = await held(settling)
    if voted:
        await settling.vote(hold, "ines", "reviewer")
    change(settling, before, after.replace("\n      prohibited_: []", ""))
    await settling.sidecar.reload()
    told = (await settling.person("GET", f"/holds/{hold}", "ines")).json
    assert told["state"] == "superseded"
    if seats is None:
        assert (told["successor"], told["ended_by"]) == (None, "prohibited")
    else:
        linked = (await settling.person("GET", f"/holds/{told['successor']}", "ines")).json
        assert (linked["state"], linked["votes"], linked["digest"]) == ("pending", [], told["digest"])
        assert sum(seat["needed"] for seat in linked["seats"]) == seats
    assert settling.newsroom.arrivals == []


async def test_a_vote_judges_its_hold_again(settling: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no reload did: the vote is not counted, and a linked hold asks for the people it takes now."""

    async def nothing(_: object) -> None:
        """A reload that came to none of them."""

    hold = await held(settling)
    monkeypatch.setattr(type(settling.sidecar.acts), "judge_all_again", nothing)
    change(settling, *RELOADS["more people now"][:2])
    await settling.sidecar.reload()
    assert await state(settling, hold) == "pending"
    refused = await settling.vote(hold, "ines", "reviewer")
    told = (await settling.person("GET", f"/holds/{hold}", "ines")).json
    assert (refused.status, told["state"], told["votes"]) == (409, "superseded", [])
    linked = (await settling.person("GET", f"/holds/{told['successor']}", "ines")).json
    assert (linked["state"], linked["digest"], sum(seat["needed"] for seat in linked["seats"])) == ("pending", told["digest"], 2)
    assert settling.newsroom.arrivals == []


async def test_seats_that_nobody_can_fill_are_denied_at_once(settling: Product) -> None:
    """Who started it, who left and who holds another function fill none: the answer names what is missing, and nothing is stored."""
    change(settling, "ines: {functions: [reviewer, privacy]", "ines: {functions: [privacy]")
    change(settling, "ines-two: {functions: [compliance, reviewer]", "ines-two: {functions: [compliance]")
    await settling.sidecar.reload()
    denied = await settling.ask(*PUBLISH)
    (reason,) = denied.json["reasons"]
    assert (denied.status, denied.json["type"]) == (403, "urn:stagewarden:problem:denied")
    assert (reason["code"], reason["detail"]) == ("seats_unfillable", {"functions": ["reviewer"]})
    assert (await settling.person("GET", "/holds", "ines")).json["items"] == []
    assert settling.newsroom.arrivals == []


STANDS = "stages: [generate, edit], workflows: [newsletter]}\n  briefer"
PAUSED = STANDS.replace("}", ", mode: paused}")


@pytest.mark.parametrize("by", ["registry", "person"])
async def test_a_reload_while_the_agent_is_paused_ends_nothing_that_waits(settling: Product, by: str) -> None:
    """Whoever paused it: what was approved is stopped and not revived, what waits stays, and is asked about when the pause is over."""
    settling.newsroom.articles["2"] = {"id": "2", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
    waits, approved = await held(settling), await held(settling, path="/newsroom/articles/2/publish")
    await settling.vote(approved, "ines", "reviewer")
    if by == "registry":
        change(settling, STANDS, PAUSED)
    else:
        await settling.person("PUT", "/agents/drafter/mode", "tomas", {"mode": "paused", "reason": "drill"})
    await settling.sidecar.reload()
    ended = (await settling.person("GET", f"/holds/{approved}", "ines")).json
    assert (ended["state"], ended["ended_by"], await state(settling, waits)) == ("stopped", "paused", "pending")
    assert (await settling.vote(waits, "ines", "reviewer")).status == 409
    if by == "registry":
        change(settling, PAUSED, STANDS)
    else:
        await settling.person("PUT", "/agents/drafter/mode", "tomas", {"mode": "active", "reason": "over"})
    await settling.sidecar.reload()
    assert (await settling.vote(waits, "ines", "reviewer")).json["state"] == "settling"
    assert (await state(settling, approved), settling.newsroom.arrivals) == ("stopped", [])


async def test_who_lost_the_function_while_it_settled_counts_no_longer(tmp_path: Path) -> None:
    """At release the votes are counted with people as they are: pending again, asked until decide-by, and sent once somebody else has voted."""
    async with product(tmp_path / "house", **{"use_within: 15m,": "use_within: 15m, settle: 5s,"}) as running:
        running.newsroom.articles["1"] = {"id": "1", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
        hold = await held(running)
        first = (await running.vote(hold, "ines", "reviewer")).json
        change(running, "functions: [reviewer, privacy], name: Ines", "functions: [privacy], name: Ines")
        change(running, "functions: [compliance, reviewer], name: Ines", "functions: [compliance], name: Ines")
        change(running, "functions: [compliance, security]", "functions: [compliance, security, reviewer]")
        await running.sidecar.reload()
        assert await state(running, hold) == "settling"
        await until(lambda: any(entry["event"] == "votes_lapsed" for entry in entries(running)))
        told = (await running.person("GET", f"/holds/{hold}", "lena")).json
        assert (told["state"], told["votes"], told["settles_at"], told["expires_at"]) == ("pending", [], None, first["expires_at"])
        assert running.newsroom.arrivals == []
        assert (await running.vote(hold, "lena", "reviewer")).json["state"] == "settling"
        assert await running.ended(hold) == "done"
        assert len(running.newsroom.arrivals) == 1


async def test_a_looser_verdict_changes_nothing(settling: Product) -> None:
    """Once asked, people answer: a reload that would ask fewer of them, or would let more sit, releases and ends nothing."""
    tiers = "tiers: {medium: {seats: [{functions: [compliance, reviewer], count: 2}]}}\nprocesses:\n"
    change(settling, "processes:\n", tiers)
    await settling.sidecar.reload()
    hold = await held(settling)
    for before, after in (("count: 2", "count: 1"), ("[compliance, reviewer], count: 1", "[compliance, legal, reviewer], count: 1")):
        change(settling, before, after)
        await settling.sidecar.reload()
        assert await state(settling, hold) == "pending"
    shown = (await settling.person("GET", f"/holds/{hold}", "ines")).json
    assert shown["seats"] == [{"functions": ["compliance", "reviewer"], "needed": 2, "filled": 0}]
    assert settling.newsroom.arrivals == []


async def test_one_hold_that_cannot_be_judged_keeps_no_other_from_it(settling: Product) -> None:
    """A damaged payload, or a hold that moved meanwhile, is passed over; the next is judged, and the process goes on."""
    settling.newsroom.articles["2"] = {"id": "2", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
    first, second = await held(settling), await held(settling, path="/newsroom/articles/2/publish")
    real, holds = settling.sidecar.rooms.holds.get, settling.sidecar.rooms.holds

    async def get(hold: str):
        found = await real(hold)
        if hold == second:
            await holds.withdraw(second, "drafter")
        return found

    holds.get = get  # type: ignore[method-assign]  # somebody is quicker, at exactly this moment
    change(settling, *RELOADS["prohibited now"][:1], "restricted: [article.change_live]")
    await settling.sidecar.reload()
    del holds.get
    assert [await state(settling, hold) for hold in (first, second)] == ["superseded", "withdrawn"]
    assert (await settling.operations("/livez")).status == 200


def change(running: Product, before: str, after: str) -> None:
    """An operator edits the registry."""
    path = running.house.folder / "registry.yaml"
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


# -- sent back --


async def test_send_back_tells_the_agent_why(settling: Product) -> None:
    """A 403 with that code and the reason, also where the agent asks for its hold; neither name nor note; for `replay`, without a second hold."""
    hold = await held(settling)
    voted = await settling.vote(hold, "ines", "reviewer", "send_back", reason="off_brand", note="Second paragraph, Ines")
    assert (voted.status, voted.json["state"]) == (200, "sent_back")
    again = await settling.ask(*PUBLISH)
    assert (again.status, again.json["type"]) == (403, "urn:stagewarden:problem:denied")
    assert again.json["reasons"] == [{"code": "sent_back", "rule": "gate", "text": "The hold for this request is sent_back", "detail": "off_brand"}]
    told = await settling.ask("GET", f"/.stagewarden/holds/{hold}")
    assert (told.json["state"], told.json["reason"]) == ("sent_back", "off_brand")
    assert not any(word in (again.body + told.body).decode().lower() for word in ("ines", "paragraph", "view_digest"))
    assert len({entry["hold"] for entry in entries(settling)}) == 1
    (vote,) = entries(settling, "vote")
    assert (vote["decision"], vote["reason"], vote["person"]) == ("send_back", "off_brand", "ines")


# -- unknown, resolved, rolled back; and sends that are repeated --


@dataclass(slots=True)
class Announcements:
    """An upstream that does each key once; `plan` says how each request ends: `ok`, `lost` (done, and no answer), `refused`, `error`."""

    plan: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    made: dict[str | None, bytes] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.Response:
        """One request."""
        key, body = request.headers.get("Idempotency-Key"), await request.read()
        self.keys.append(key)
        end = self.plan.pop(0) if self.plan else "ok"
        if end == "error":
            return web.json_response({"error": "later"}, status=503)
        if end == "refused":
            return web.json_response({"error": "no"}, status=422)
        self.made.setdefault(key, body)
        if end == "lost":
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"announced": True}, status=201)


def upstream(monkeypatch: pytest.MonkeyPatch) -> Announcements:
    """The newsroom, with announcements beside its articles."""
    announcements, plain = Announcements(), Newsroom.application

    def application(newsroom: Newsroom) -> web.Application:
        made = plain(newsroom)
        made.router.add_post("/announcements", announcements.handle)
        return made

    monkeypatch.setattr(Newsroom, "application", application)
    return announcements


def announcing(idempotent: str) -> dict[str, str]:
    """A route to it in the house."""
    return {LISTED: LISTED + ANNOUNCE % idempotent}


async def announced(running: Product, **request: object) -> str:
    """An announcement people approved."""
    hold = await held(running, path="/newsroom/announcements", json={"text": "Winter hours"}, **request)
    await running.vote(hold, "ines", "reviewer")
    return hold


async def test_a_lost_answer_is_asked_for_again_under_the_same_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost answer, then a 503, then the answer: three requests with the hold's id as key, one announcement, and the stored answer for the agent."""
    announcements = upstream(monkeypatch)
    announcements.plan = ["lost", "error", "ok"]
    async with product(tmp_path / "house", **announcing(", idempotency: true")) as running:
        hold = await announced(running)
        assert await running.ended(hold) == "done"
        assert (announcements.keys, len(announcements.made)) == ([hold] * 3, 1)
        again = await running.ask("POST", "/newsroom/announcements", json={"text": "Winter hours"})
        assert (again.status, again.json, again.headers["Stagewarden-Hold"]) == (201, {"announced": True}, hold)
        events = [entry["event"] for entry in entries(running)]
        assert events.count("sending") == 3
        assert [event for event in events if event in {"retried", "answered", "lost"}] == ["retried", "retried", "answered"]
        releases = entries(running, "release")
        assert len(releases) == 3
        assert len({entry["attempt"] for entry in releases}) == 3


async def test_the_agents_own_key_is_the_one_that_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is part of what people approved, so it is what the upstream gets, at each send."""
    announcements = upstream(monkeypatch)
    announcements.plan = ["lost"]
    async with product(tmp_path / "house", **announcing(", idempotency: true")) as running:
        hold = await announced(running, headers={"Idempotency-Key": "mine-1"})
        assert await running.ended(hold) == "done"
        assert announcements.keys == ["mine-1", "mine-1"]


@pytest.mark.parametrize("end", ["lost", "error"])
async def test_without_the_routes_word_it_is_unknown_until_somebody_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """One send without a key of ours; the repeat is 502 and no second hold; then a person of the right function says what they found."""
    announcements = upstream(monkeypatch)
    announcements.plan = [end]
    async with product(tmp_path / "house", **announcing("")) as running:
        hold = await announced(running)
        assert await running.ended(hold) == "unknown"
        assert announcements.keys == [None]
        again = await running.ask("POST", "/newsroom/announcements", json={"text": "Winter hours"})
        assert (again.status, again.json["type"], again.json["hold"]["id"]) == (502, "urn:stagewarden:problem:outcome_unknown", hold)
        found = {"result": "done", "evidence": "It stands on the site since 10:02."}
        before = len(entries(running))
        for who, body, status in (
            ("ines", found, 403), ("program", found, 403), ("tomas", found | {"result": "perhaps"}, 422), ("tomas", found | {"evidence": " "}, 422),
        ):  # fmt: skip
            assert (await running.person("POST", f"/holds/{hold}/resolve", who, body)).status == status
        assert len(entries(running)) == before
        told = await running.person("POST", f"/holds/{hold}/resolve", "tomas", found)
        assert (told.status, told.json["state"], told.json["ended_by"]) == (200, "done", "resolved_done")
        assert (await running.person("POST", f"/holds/{hold}/resolve", "lena", found)).status == 409
        again = await running.ask("POST", "/newsroom/announcements", json={"text": "Winter hours"})
        assert (again.status, again.json["type"], again.json["hold"]["state"]) == (502, "urn:stagewarden:problem:answer_withheld", "done")
        assert announcements.keys == [None]


async def test_a_retry_asks_for_the_stop_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between two sends: nothing more leaves, nobody knows of the first, and the agent is told so, not that it may try again."""
    announcements = upstream(monkeypatch)
    announcements.plan = ["lost"] * 3
    async with product(tmp_path / "house", **announcing(", idempotency: true")) as running:
        hold = await announced(running)
        await until(lambda: announcements.keys)
        await until(lambda: any(entry["event"] == "retried" for entry in entries(running)))
        kill = (await running.person("PUT", "/kill", "rita", {"scope": "workflow:newsletter", "reason": "incident"})).json
        assert await running.ended(hold) == "unknown"
        assert (await running.person("DELETE", "/kill", "tomas", {"id": kill["id"], "reason": "over"})).status == 200
        again = await running.ask("POST", "/newsroom/announcements", json={"text": "Winter hours"})
        assert (again.status, again.json["type"]) == (502, "urn:stagewarden:problem:outcome_unknown")
        await asyncio.sleep(0)
        assert announcements.keys == [hold]


async def test_a_rollback_is_recorded_and_sends_nothing(settling: Product) -> None:
    """By technical, security or an owner, with a reason; what was done is rolled back, and asking again is a new request."""
    settling.sidecar.rooms.holds._terms = type(settling.sidecar.rooms.config.holds)()  # its own default settles as well
    hold = await held(settling)
    assert (await settling.person("POST", f"/holds/{hold}/rollback", "tomas", {"reason": "x"})).status == 409
    async with settling.sidecar.rooms.store.writing() as connection:
        await connection.exec_driver_sql("UPDATE holds SET state = 'done', ended_at_ns = 1")
    for who, body, status in (("ines", {"reason": "x"}, 403), ("program", {"reason": "x"}, 403), ("tomas", {"reason": " "}, 422)):
        assert (await settling.person("POST", f"/holds/{hold}/rollback", who, body)).status == status
    told = await settling.person("POST", f"/holds/{hold}/rollback", "rita", {"reason": "set back to draft in the CMS"})
    assert (told.status, told.json["state"]) == (200, "rolled_back")
    assert entries(settling)[-1]["event"] == "rolled_back"
    assert await held(settling) != hold
    assert settling.newsroom.arrivals == []
