"""The people's API: shapes, strict bodies, votes, idempotency, and what is kept from whom."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from stagewarden.model import Seat, Tier, Vote
from tests.fakes import FOUR, TEN, held
from tests.people_listener import PASSWORD

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from stagewarden.model import Hold
    from tests.people_listener import Served

API = "/api/v1"


async def ask(served: Served, http: ClientSession, method: str, path: str, who: str = "ines", **more: Any) -> tuple[int, Any]:
    """Status and JSON."""
    headers = {"Authorization": f"Bearer {served.tokens[who]}", **more.pop("headers", {})}
    async with http.request(method, served.url + API + path, headers=headers, **more) as answer:
        return answer.status, await answer.json(content_type=None)


def vote_on(hold: Hold, **changes: object) -> dict[str, object]:
    """An approval with everything in order."""
    answers = dict.fromkeys(hold.questions, True)
    return {"decision": "approve", "function": "reviewer", "digest": hold.digest, "view_digest": hold.view_digest, "answers": answers, **changes}


@pytest.mark.parametrize("name", ["state", "mine", "asked", "tier", "workflow", "channel", "why", "due", "q"])
@pytest.mark.parametrize("value", ["", "%20"], ids=["empty", "a space"])
async def test_an_empty_filter_of_holds_is_refused_by_name(served: Served, http: ClientSession, name: str, value: str) -> None:
    """It leaves open whether all were meant or none: nothing is listed, and the problem names the filter."""
    served.gate.add(held(time.time_ns()))
    status, problem = await ask(served, http, "GET", f"/holds?{name}={value}")
    assert (status, problem["type"], problem["detail"].partition(":")[0]) == (422, "urn:stagewarden:problem:invalid", name)


@pytest.mark.parametrize(
    ("query", "named"),
    [("tier=huge", "tier"), ("due=day", "due"), ("trigger=x", "trigger"), ("state=waiting", "state"), ("tier=low&tier=low", "tier")],
)
async def test_a_filter_of_holds_that_is_none_is_refused_by_name(served: Served, http: ClientSession, query: str, named: str) -> None:
    """Never passed over: that would list more than was asked for."""
    status, problem = await ask(served, http, "GET", f"/holds?{query}")
    assert (status, problem["detail"].partition(":")[0]) == (422, named)


async def test_a_list(served: Served, http: ClientSession) -> None:
    """Lists are {items, next}, and show no bytes."""
    served.gate.add(held(time.time_ns(), {"title": "not for lists"}))
    status, page = await ask(served, http, "GET", "/holds?state=open&mine=true&limit=10")
    assert (status, page["next"], len(page["items"])) == (200, None, 1)
    assert "not for lists" not in str(page)
    assert page["items"][0]["you"] == {"functions": ["reviewer"], "why_not": None}


async def test_the_exact_request(served: Served, http: ClientSession) -> None:
    """One hold shows method, target, headers and body, and the showing is recorded."""
    hold = served.gate.add(held(time.time_ns(), {"title": "Hours"}))
    _, shown = await ask(served, http, "GET", f"/holds/{hold.id}")
    assert (shown["request"]["method"], shown["request"]["target"], shown["request"]["body"]) == ("POST", hold.request.target, '{"title": "Hours"}')
    assert (shown["digest"], shown["view_digest"]) == (hold.digest, hold.view_digest)
    assert served.gate.reads == [("ines", hold.id)]


async def test_without_a_right_to_the_payload(served: Served, http: ClientSession) -> None:
    """Who has no seat, no ownership and no security or privacy function sees digests and no bytes."""
    hold = served.gate.add(held(time.time_ns(), {"title": "Hours"}))
    _, shown = await ask(served, http, "GET", f"/holds/{hold.id}", "nobody")
    assert "Hours" not in str(shown)
    assert served.gate.reads == []


async def test_earlier_reasons_wait_for_ones_own_vote(served: Served, http: ClientSession) -> None:
    """On high tier the others' notes are hidden until one has voted (C2.7)."""
    hold = held(time.time_ns(), tier=Tier.HIGH, questions=TEN, seats=(Seat(("business",), 1), Seat(("privacy",), 1)))
    vote = Vote("v_1", "mara", "business", "approve", None, "price is fine", hold.digest, hold.view_digest, time.time_ns())
    served.gate.add(replace(hold, votes=(vote,)))
    _, before = await ask(served, http, "GET", f"/holds/{hold.id}")
    _, own = await ask(served, http, "GET", f"/holds/{hold.id}", "mara")
    assert ("price is fine" in str(before), "price is fine" in str(own)) == (False, True)
    assert before["votes"][0]["person"] == "mara"


async def test_a_vote(served: Served, http: ClientSession) -> None:
    """The last seat approves; the same vote again is a conflict, and stays one vote."""
    hold = served.gate.add(held(time.time_ns()))
    assert (await ask(served, http, "POST", f"/holds/{hold.id}/votes", json=vote_on(hold)))[1]["state"] == "approved"
    assert (await ask(served, http, "POST", f"/holds/{hold.id}/votes", json=vote_on(hold)))[0] == 409
    assert len(served.gate.holds[hold.id].votes) == 1


@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"decision": "postpone"}, 422, "decision: one of"),
        ({"decision": "edit"}, 422, "decision"),
        ({"edit": {"body": "x", "body_base64": "eA=="}}, 422, "edit"),
        ({"edit": {"headers": []}}, 422, "headers"),
        ({"edit": {"body": "x"}, "decision": "reject", "reason": "other"}, 422, "approve alone"),
        ({"edit": "x"}, 422, "edit"),
        ({"decision": "maybe"}, 422, "decision"),
        ({"unknown": 1}, 422, "unknown"),
        ({"answers": {"factual": "yes"}}, 422, "answers"),
        ({"answers": {}}, 422, "answers"),
        ({"answers": {**dict.fromkeys(FOUR, True), "brand": False}}, 422, "brand"),
        ({"digest": "sha256:00"}, 409, "digest"),
        ({"view_digest": "sha256:00"}, 409, "view_digest"),
        ({"function": "security"}, 403, "function"),
        ({"decision": "reject"}, 422, "reason"),
        ({"note": "x" * 2001}, 422, "note"),
        ({"digest": None}, 422, "digest"),
    ],
    ids=str,
)
async def test_votes_that_are_refused(served: Served, http: ClientSession, change: dict[str, object], status: int, named: str) -> None:
    """Each is refused with the member's name, and the hold is as it was."""
    hold = served.gate.add(held(time.time_ns()))
    given, problem = await ask(served, http, "POST", f"/holds/{hold.id}/votes", json=vote_on(hold, **change))
    assert (given, named in problem["detail"]) == (status, True), problem
    assert served.gate.holds[hold.id] == hold


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b'{"scope": "all", "scope": "stage:export"}', "application/json", 400),
        (b'{"scope": "all", "sc\\u006fpe": "stage:export"}', "application/json", 400),
        (b'{"scope": "all"} x', "application/json", 400),
        (b"[" * 50 + b"]" * 50, "application/json", 400),
        (b'["all"]', "application/json", 422),
        (b'{"scope": "all"}', "text/plain", 415),
        (b"scope=all", "application/x-www-form-urlencoded", 415),
        (b"{}", "application/json", 422),
        (b"", "application/json", 422),
        (b'{"scope": "agent:"}', "application/json", 422),
        (b'{"scope": "' + b"x" * 300_000 + b'"}', "application/json", 413),
    ],
    ids=["duplicate", "duplicate-escaped", "trailing", "deep", "array", "text", "form", "empty-object", "empty", "bad-scope", "too-large"],
)
async def test_bodies_that_are_refused(served: Served, http: ClientSession, data: bytes, kind: str, status: int) -> None:
    """Ambiguous or wrong bodies are refused as problems, and nothing changed."""
    given, problem = await ask(served, http, "PUT", "/kill", data=data, headers={"Content-Type": kind})
    assert (given, problem["status"]) == (status, status)
    assert served.gate.engaged == []


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=x", "?limit=201", "?limit=1&limit=2", "?mine=1", "?unknown=1", "?state=maybe", f"?cursor={'x' * 201}"]
)
async def test_queries_that_are_refused(served: Served, http: ClientSession, query: str) -> None:
    """An unknown or malformed parameter is said, not ignored."""
    assert (await ask(served, http, "GET", f"/holds{query}"))[0] == 422


async def test_idempotency_key(served: Served, http: ClientSession) -> None:
    """The same key and request: the first answer and one act; another request: 422; another caller's key is another key."""
    key = {"Idempotency-Key": "k-1"}
    first = await ask(served, http, "PUT", "/kill", json={"scope": "all"}, headers=key)
    again = await ask(served, http, "PUT", "/kill", json={"scope": "all"}, headers=key)
    other = await ask(served, http, "PUT", "/kill", json={"scope": "stage:export"}, headers=key)
    mara = await ask(served, http, "PUT", "/kill", "mara", json={"scope": "stage:queue"}, headers=key)
    assert first == again
    assert (other[0], mara[0], len(served.gate.engaged)) == (422, 200, 2)


async def test_a_refused_act_may_be_tried_again_with_its_key(served: Served, http: ClientSession) -> None:
    """A key remembers answers, not refusals."""
    key = {"Idempotency-Key": "k-2"}
    refused = await ask(served, http, "DELETE", "/kill", "aiko", json={"id": "k_1", "reason": "over"}, headers=key)
    (engaged,) = [await served.gate.kill(_aiko(), "all", "")]
    served.gate.engaged[0] = type(engaged.kill)(id="k_1", scope="all", by="aiko", at_ns=1, reason="")
    lifted = await ask(served, http, "DELETE", "/kill", "aiko", json={"id": "k_1", "reason": "over"}, headers=key)
    assert (refused[0], lifted[0], served.gate.engaged) == (404, 200, [])


def _aiko() -> Any:
    from stagewarden.identity.people import Caller  # noqa: PLC0415 - one use

    return Caller("aiko", None, frozenset(), "token")


async def test_sign_in_over_the_api(served: Served, http: ClientSession) -> None:
    """A password gives a token with an end; signing out ends it; a wrong password tells nothing."""
    async with http.post(f"{served.url}{API}/sessions", json={"person": "ines", "password": PASSWORD}) as answer:
        given = await answer.json()
    served.tokens["session"] = given["token"]
    me = await ask(served, http, "GET", "/me", "session")
    assert (me[1]["person"], me[1]["functions"], me[1]["via"], given["expires_at"][-1]) == ("ines", ["privacy", "reviewer"], "session", "Z")
    assert (await ask(served, http, "DELETE", "/sessions", "session"))[0] == 200
    assert (await ask(served, http, "GET", "/me", "session"))[0] == 401
    for wrong in ({"person": "ines", "password": "wrong password"}, {"person": "no such", "password": PASSWORD}):
        async with http.post(f"{served.url}{API}/sessions", json=wrong) as answer:
            assert (answer.status, (await answer.json(content_type=None))["detail"]) == (401, "the person or the password is wrong")


async def test_methods_that_are_not_there(served: Served, http: ClientSession) -> None:
    """A known path with another method is 405 as a problem."""
    status, problem = await ask(served, http, "PATCH", "/holds")
    assert (status, problem["type"]) == (405, "urn:stagewarden:problem:method_not_allowed")


@pytest.mark.parametrize("asked", ["effect=maybe", "effect=", "stage=publish", "stage=", "since=yesterday", "since=", "until=", "nothing=1"])
async def test_rulings_by_a_filter_that_is_none_are_refused(served: Served, http: ClientSession, asked: str) -> None:
    """A misspelt filter would find nothing, or everything: it is refused by its name."""
    headers = {"Authorization": f"Bearer {served.tokens['ines']}"}
    async with http.get(f"{served.url}/api/v1/rulings?{asked}", headers=headers) as answer:
        problem = await answer.json(content_type=None)
        assert (answer.status, asked.partition("=")[0] in problem["detail"]) == (422, True), problem
