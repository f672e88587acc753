"""The OpenAPI document: valid, complete, and true of the answers given."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from stagewarden.errors import StepUp
from stagewarden.gate.grant_acts import GrantView
from stagewarden.gate.people import AgentView, Engaged, HoldView
from stagewarden.gate.revisions import RevisionView
from stagewarden.grants import Bound, Grant, GrantState, Terms, Use
from stagewarden.grants.report import report
from stagewarden.holds.seats import SeatView
from stagewarden.identity.people import Caller, ProgramToken
from stagewarden.identity.sessions import Seen
from stagewarden.model import Answer, HoldState, Seat, Stage, Tier, Vote
from stagewarden.modes import Kill
from stagewarden.registry import Widening
from stagewarden.store import Confirmation, Revision
from stagewarden.web import render
from stagewarden.web.people import answers, openapi, views
from stagewarden.web.people.api import Api
from stagewarden.web.people.routes import EVENTS, PREFIX, Route
from tests.fakes import held, registry

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from stagewarden.model import Hold
    from tests.people_listener import Served

TABLE = Api.__new__(Api).table()  # the table reads no state
DOCUMENT: dict[str, Any] = openapi.document(TABLE, "newsroom")
OPERATIONS = [(route, DOCUMENT["paths"][route.path][route.method.lower()]) for route in TABLE]
every_operation = pytest.mark.parametrize(("route", "operation"), OPERATIONS, ids=[f"{route.method} {route.path}" for route in TABLE])


def test_the_document_is_openapi() -> None:
    """OpenAPI 3.1, by its meta-schema, with every reference leading somewhere and no operation named twice."""
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


@every_operation
def test_a_route_says_all_of_itself(route: Route, operation: dict[str, Any]) -> None:
    """A route without a sentence, the shape of its answer, or that of its body is not done; every problem it can give is there."""
    assert route.says.endswith(".")
    assert route.gives is not None
    content = operation["responses"]["200"]["content"]
    assert content.keys() == {route.media}
    assert ("$ref" in content[route.media]["schema"]) == (route.media != EVENTS)
    assert ("requestBody" in operation) == (route.body is not None)
    assert (operation.get("security") == []) == (route.needs == "nobody")
    assert {int(status) for status in operation["responses"]} == {200} | {render.status_of(code) for code in route.codes()}
    problems = [one for status, one in operation["responses"].items() if status != "200"]
    assert all(one["content"] == openapi._PROBLEM for one in problems)


@every_operation
def test_a_routes_parameters(route: Route, operation: dict[str, Any]) -> None:
    """Those of the path and the query, `Idempotency-Key` on every write of somebody, pages on every list."""
    told = {(one["in"], one["name"]) for one in operation["parameters"]}
    expected = {("query", name) for name in route.query} | ({("path", "id")} if "{id}" in route.path else set())
    expected |= {("header", "Idempotency-Key")} if route.writes and route.needs == "caller" else set()
    expected |= {("header", "Last-Event-ID")} if route.media == EVENTS else set()
    assert told == expected
    shown = DOCUMENT["components"]["schemas"].get(route.gives.__name__, {})
    assert ({"items", "next"} <= shown.get("properties", {}).keys()) == ({"cursor", "limit"} <= set(route.query))


def test_a_parameter_nobody_described_is_missed() -> None:
    """It fails here, and not at a client."""
    with pytest.raises(KeyError):
        openapi.document([Route("GET", "/x", TABLE[0].act, query=("mystery",), gives=answers.Nothing, says="x.")], "newsroom")


async def test_who_is_told(served: Served, http: ClientSession) -> None:
    """A stranger is not told what there is; whoever has a credential gets the document as it was checked here."""
    async with http.get(f"{served.url}{PREFIX}/openapi.json") as stranger:
        assert stranger.status == 401
    async with http.get(f"{served.url}{PREFIX}/openapi.json", headers={"Authorization": f"Bearer {served.tokens['stopper']}"}) as known:
        assert (known.content_type, await known.json()) == ("application/json", DOCUMENT)


GRAVE = {"/holds/{id}/votes": "vote", "/grants/{id}/votes": "vote_grant", "/agents/{id}/mode": "set_mode", "/kill": "unkill"}


@every_operation
async def test_what_asks_for_a_fresh_sign_in_says_so(
    served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch, route: Route, operation: dict[str, Any]
) -> None:
    """`step_up` stands with the 403 of what is grave, and of nothing else; it is answered as a 403 of its own."""
    act = GRAVE.get(route.path) if route.method != "GET" and (route.path, route.method) != ("/kill", "PUT") else None
    assert ("`step_up`" in operation["responses"]["403"]["description"]) == (act is not None)
    if act is None:
        return

    async def ask_again(*_: object) -> None:
        raise StepUp("this takes a sign-in not older than 300 s")

    monkeypatch.setattr(served.gate, act, ask_again)
    body = {
        "vote": {"decision": "approve", "function": "reviewer", "digest": PLAIN.digest, "view_digest": PLAIN.view_digest},
        "vote_grant": {"decision": "approve", "function": "business", "digest": PLAIN.digest},
        "set_mode": {"mode": "active", "reason": "over"},
        "unkill": {"id": "k_1", "reason": "over"},
    }[act]
    headers = {"Authorization": f"Bearer {served.tokens['ines']}"}
    async with http.request(route.method, f"{served.url}{PREFIX}{route.path.replace('{id}', 'x')}", json=body, headers=headers) as answer:
        assert (answer.status, (await answer.json(content_type=None))["type"]) == (403, "urn:stagewarden:problem:step_up")


INES = Caller("ines", None, frozenset(), "token")
NOW = time.time_ns()
STOP = Kill(id="k_1", scope="all", by="aiko", at_ns=NOW, reason="")
PLAIN = held(NOW)
ANSWERED = held(
    NOW, before={"title": "Old"}, state=HoldState.DONE, response=Answer(201, (("Location", "/1"),), b"\x00"), use_by_ns=NOW, ended_at_ns=NOW,
    votes=(Vote("v_1", "ines", "reviewer", "approve", None, "fine", PLAIN.digest, PLAIN.view_digest, NOW, (("factual", True),)),),
)  # fmt: skip
EDITED = held(
    NOW, {"title": "New"}, state=HoldState.UNKNOWN, original=b'{"title": "Old"}', editor="mara", predecessor="h_0", evidence="looked", sends=1
)
REVISION = Revision("c_1", "waiting", "sha256:0", "sha256:1", registry(), NOW, (Confirmation("mara", NOW),))
TERMS = Terms(
    agent="drafter-7", workflow="newsletter", stage=Stage.QUEUE, kind="post.queue", upstream="cms", destination="site", fields=("title",),
    classes=("contact",), purpose="news", evidence="a ticket", ttl=3600, uses=2, template=True, bounds=(Bound(pointer="/title", const=None),),
    review_within=60,
)  # fmt: skip
GRANT = Grant(
    id="g_1", state=GrantState.REVOKED, terms=TERMS, digest=TERMS.fingerprint(), tier=Tier.MEDIUM, seats=(Seat(("business",), 1),),
    requested_by="jonas", asked_at_ns=NOW, decide_by_ns=NOW, approved_at_ns=NOW, expires_at_ns=NOW, review_by_ns=NOW, ended_at_ns=NOW,
    ended_by="aiko", ended_why="over", used=1, votes=(Vote("v_1", "mara", "business", "approve", None, None, TERMS.fingerprint(), "", NOW),),
)  # fmt: skip
USE = Use(id="u_1", grant="g_1", ruling="r_1", state="sent", digest=PLAIN.digest, fields=("title",), at_ns=NOW)


def seen(hold: Hold, why_not: str | None, *functions: str) -> HoldView:
    """The hold as somebody sees it."""
    return HoldView(hold=hold, seats=(), payload=True, why_not=why_not, functions=functions)


@pytest.mark.parametrize(
    ("document", "shape"),
    [
        (views.hold(seen(PLAIN, None, "reviewer"), INES, payload=True), answers.Hold),
        (views.hold(seen(PLAIN, "no"), INES, payload=False), answers.Hold),
        (views.hold(seen(ANSWERED, "over"), INES, payload=True), answers.Hold),
        (views.hold(seen(EDITED, "over"), INES, payload=True), answers.Hold),
        (views.summary(ANSWERED), answers.HoldChanged),
        (views.grant(GrantView(GRANT, (SeatView(("business",), 1, 1),), "over", (), report(GRANT, (USE,)), (USE,))), answers.Grant),
        (views.revision(RevisionView(REVISION, (Widening("agents.x", "is new", ("mara",)),), "gains")), answers.Revision),
        (views.agent(AgentView("drafter-7", registry().data.agents["drafter-7"], "paused", "aiko", "drill", NOW)), answers.Agent),
        (views.moded(AgentView("drafter-7", registry().data.agents["drafter-7"], "paused", owed=("log",))), answers.AgentModed),
        (views.kill(STOP), answers.Kill),
        (views.token(ProgramToken("9f2c41ab03de", "reader", ("read",), "aiko", NOW, 0, "good")), answers.Token),
        (views.session(Seen("s_1", "terminal", "ines@desk", NOW, NOW, NOW, here=True)), answers.SignedIn),
        (views.engaged(Engaged(STOP, ("log",))), answers.KillEngaged),
        (views.agent(AgentView("drafter-7", registry().data.agents["drafter-7"], "active")), answers.Agent),
    ],
    ids=[
        "payload",
        "no-payload",
        "answered",
        "edited",
        "changed",
        "grant",
        "revision",
        "agent-set",
        "moded",
        "kill",
        "token",
        "session",
        "engaged",
        "agent",
    ],
)
def test_an_answer_has_the_members_its_shape_names(document: dict[str, Any], shape: type) -> None:
    """All of them that must be there, none that is not named."""
    assert strangers(document, DOCUMENT["components"]["schemas"][shape.__name__]) == []


def strangers(value: Any, schema: dict[str, Any], where: str = "") -> list[str]:
    """Members that the document does not name, or misses."""
    if "$ref" in schema:
        return strangers(value, DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], where)
    if isinstance(value, list):
        return [found for one in value for found in strangers(one, schema.get("items") or {}, f"{where}[]")]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    known = schema["properties"]
    found = [f"{where}.{name}" for name in (value.keys() - known.keys()) | (set(schema.get("required", ())) - value.keys())]
    return found + [each for name in value.keys() & known.keys() for each in strangers(value[name], known[name], f"{where}.{name}")]


def test_the_check_above_is_not_blind() -> None:
    """A member too many, one too few, one deep inside."""
    schema = DOCUMENT["components"]["schemas"]["HoldChanged"]
    good = views.summary(PLAIN)
    assert strangers(good | {"secret": 1}, schema) == [".secret"]
    assert strangers({name: value for name, value in good.items() if name != "digest"}, schema) == [".digest"]
    assert strangers(good | {"request": {**good["request"], "secret": 1}}, schema) == [".request.secret"]
