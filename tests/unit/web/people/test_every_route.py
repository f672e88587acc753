"""Every route of the people's API by everybody who might knock: 401 to strangers, 403 to the wrong ones, and then nothing changed."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING

import pytest

from stagewarden.model import HoldState
from stagewarden.modes import Kill
from stagewarden.store import Revision
from stagewarden.web.people.api import Api
from stagewarden.web.people.routes import EVENTS, PREFIX
from tests.fakes import FOUR, PEOPLE, held
from tests.people_listener import PASSWORD, PROGRAMS

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from tests.people_listener import Served

NOBODY = ("stranger", "unknown-token", "agent-key", "basic")
ROLES = (*NOBODY, *PROGRAMS, *PEOPLE)
READERS = {"reader", "auditor", *PEOPLE}
STOPPERS = {"stopper", *PEOPLE}
LIFTERS = {"aiko", "jonas"}
EVERYBODY = set(ROLES) - set(NOBODY)

# Route → who may; everybody else is refused. A route that is missing here fails the test.
MAY = {
    ("DELETE", "/sessions"): EVERYBODY,
    ("GET", "/sessions"): set(PEOPLE),
    ("DELETE", "/sessions/{id}"): set(PEOPLE),
    ("GET", "/tokens"): set(PEOPLE),
    ("GET", "/me"): EVERYBODY,
    ("GET", "/holds"): READERS,
    ("GET", "/holds/{id}"): READERS,
    ("POST", "/holds/{id}/votes"): {"ines", "mara"},
    ("POST", "/holds/{id}/take-up"): {"ines", "mara"},
    ("POST", "/holds/{id}/stop"): STOPPERS,
    ("GET", "/grants"): READERS,
    ("POST", "/grants"): set(PEOPLE) - {"nobody"},
    ("GET", "/grants/{id}"): READERS,
    ("DELETE", "/grants/{id}"): STOPPERS,
    ("POST", "/grants/{id}/votes"): {"mara"},
    ("POST", "/grants/{id}/complete"): set(PEOPLE),
    ("POST", "/holds/{id}/resolve"): LIFTERS,
    ("POST", "/holds/{id}/rollback"): LIFTERS,
    ("POST", "/adapters/{id}/votes"): set(),  # another credential altogether: test_adapters.py
    ("GET", "/deliveries"): READERS,
    ("POST", "/deliveries/{id}/resend"): LIFTERS,
    ("GET", "/agents"): READERS,
    ("PUT", "/agents/{id}/mode"): STOPPERS,
    ("GET", "/kill"): READERS,
    ("PUT", "/kill"): STOPPERS,
    ("DELETE", "/kill"): LIFTERS,
    ("GET", "/registry/revisions"): READERS,
    ("POST", "/registry/revisions/{id}/confirm"): set(PEOPLE),
    ("GET", "/reviews"): READERS,
    ("GET", "/rulings"): READERS,
    ("GET", "/rulings/{id}"): READERS,
    ("GET", "/events"): READERS,
    ("GET", "/openapi.json"): EVERYBODY,
}
OPEN = {("POST", "/sessions"), ("POST", "/terminals")}
STANDS = {"/holds/{id}/resolve": HoldState.UNKNOWN, "/holds/{id}/rollback": HoldState.DONE}


def _routes() -> list[tuple[str, str]]:
    api = Api.__new__(Api)  # the table reads no state
    return [(route.method, route.path) for route in api.table()]


def test_every_route_is_in_the_table() -> None:
    """A new route must say who may use it."""
    assert set(_routes()) == MAY.keys() | OPEN


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path"), sorted(MAY), ids=[f"{method} {path}" for method, path in sorted(MAY)])
async def test_who_may(served: Served, http: ClientSession, method: str, path: str, role: str) -> None:
    """The right ones get an answer; the others 401 or 403, and nothing changed."""
    gate = served.gate
    hold = gate.add(held(time.time_ns(), state=STANDS.get(path, HoldState.PENDING)))
    kill = Kill(id="k_1", scope="workflow:other", by="aiko", at_ns=1, reason="")
    if (method, path) == ("DELETE", "/kill"):
        gate.engaged.append(kill)
    ruling = gate.record("deny", "route_not_listed")
    grant = gate.offer()
    gate.revisions.append(Revision("c_1", "waiting", "sha256:0", "sha256:1", gate.registry, 1, ()))
    if path == "/sessions/{id}" and role in PEOPLE:
        await served.people.sign_in(role, PASSWORD, place="bearer")
    session = next((one.id for one in served.people.sessions(role, "")), "s_1")
    body = {
        "/holds/{id}/votes": {
            "decision": "approve", "function": "reviewer", "digest": hold.digest, "view_digest": hold.view_digest,
            "answers": dict.fromkeys(FOUR, True),
        },
        "/grants": {
            "agent": "drafter-7", "workflow": "newsletter", "stage": "queue", "kind": "post.queue", "upstream": "cms", "ttl": "1h", "evidence": "t",
        } if method == "POST" else None,
        "/grants/{id}": {} if method == "DELETE" else None,
        "/grants/{id}/votes": {"decision": "approve", "function": "business", "digest": grant.digest},
        "/grants/{id}/complete": {},
        "/agents/{id}/mode": {"mode": "paused", "reason": "drill"},
        "/holds/{id}/take-up": {},
        "/holds/{id}/stop": {},
        "/deliveries/{id}/resend": {},
        "/adapters/{id}/votes": {"id": "1", "hold": hold.id, "decision": "approve", "digest": hold.digest, "view_digest": hold.view_digest},
        "/registry/revisions/{id}/confirm": {"digest": "sha256:1"},
        "/holds/{id}/resolve": {"result": "done", "evidence": "the post is there, seen at 10:02"},
        "/holds/{id}/rollback": {"reason": "set back to draft"},
        "/kill": {"id": "k_1", "reason": "over"} if method == "DELETE" else {"scope": "all"},
    }.get(path)  # fmt: skip
    named = {
        "/holds": hold.id,
        "/agent": "drafter-7",
        "/regis": "c_1",
        "/rulin": str(ruling["ruling"]),
        "/grant": grant.id,
        "/sessi": session,
        "/deliv": gate.notify("dead").id,
        "/adapt": "queue",
    }
    where = path.replace("{id}", named.get(path[:6], ""))
    headers = {
        "stranger": {},
        "unknown-token": {"Authorization": "Bearer swp_" + "A" * 43},
        "agent-key": {"Authorization": "Bearer sw_drafter-7_" + "A" * 43},
        "basic": {"Authorization": "Basic aW5lczpjb3JyZWN0IGhvcnNlIGJhdHRlcnk="},
    }.get(role) or ({"Authorization": f"Bearer {served.tokens[role]}"} if role in served.tokens else {})
    before = copy.deepcopy((gate.holds, gate.modes, gate.engaged, gate.reads, gate.grants, gate.deliveries))
    async with http.request(method, served.url + PREFIX + where, json=body, headers=headers) as answer:
        problem = None if answer.content_type == EVENTS else await answer.json(content_type=None)
        status = answer.status
    if method == "GET" and path != "/events":
        async with http.head(served.url + PREFIX + where, headers=headers) as head:
            assert (head.status, head.content_type, await head.read()) == (status, answer.content_type, b"")
    if role in MAY[method, path]:
        assert status == 200, problem
        return
    unknown = role in NOBODY or path.startswith("/adapters")
    assert (status, problem["type"]) == (
        (401, "urn:stagewarden:problem:unauthenticated") if unknown else (403, "urn:stagewarden:problem:not_allowed")
    )
    assert (gate.holds, gate.modes, gate.engaged, gate.reads, gate.grants, gate.deliveries) == before


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/grants/g_1/nothing", "/openapi.yaml", "/holds/h_1/nothing", "/rulings/r_1/proof"])
async def test_what_is_not_there(served: Served, http: ClientSession, path: str) -> None:
    """A path without a route is 401 to strangers and 404 to everybody else: strangers are not told what there is."""
    async with http.get(f"{served.url}{PREFIX}{path}") as stranger, http.get(f"{served.url}{PREFIX}{path}", headers=bearer(served, "ines")) as known:
        assert (stranger.status, known.status) == (401, 404)
        assert known.content_type == "application/problem+json"


@pytest.mark.parametrize("path", sorted({path for _, path in MAY} | {path for _, path in OPEN}))
async def test_what_a_path_takes(served: Served, http: ClientSession, path: str) -> None:
    """OPTIONS and a refused method name the same methods, to whoever has a credential; a stranger and another site learn nothing."""
    where = served.url + PREFIX + path.replace("{id}", "x")
    takes = {method for method, known in (*MAY, *OPEN) if known == path} | {"OPTIONS"}
    takes |= {"HEAD"} if "GET" in takes and path != "/events" else set()
    async with http.options(where, headers=bearer(served, "reader")) as known, http.options(where) as stranger:
        assert (known.status, set(known.headers["Allow"].split(", ")), await known.read()) == (204, takes, b"")
        assert (stranger.status, stranger.content_type, "Allow" in stranger.headers) == (401, "application/problem+json", False)
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT", "Sec-Fetch-Site": "cross-site"}
    async with http.options(where, headers=bearer(served, "reader") | preflight) as foreign:
        assert (foreign.status, "Access-Control-Allow-Origin" in foreign.headers) == (403, False)
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - takes:
        async with http.request(method, where, headers=bearer(served, "reader")) as refused:
            assert (refused.status, refused.content_type) == (405, "application/problem+json"), method
            assert set(refused.headers["Allow"].split(",")) == takes


def bearer(served: Served, who: str) -> dict[str, str]:
    """Somebody's token as a header."""
    return {"Authorization": f"Bearer {served.tokens[who]}"}
