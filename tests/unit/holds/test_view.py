from __future__ import annotations

import json

import pytest

from stagewarden.holds.seats import SeatView
from stagewarden.holds.view import agent_view, person_view, seat_documents
from stagewarden.model import Answer
from tests.unit.holds.bench import ballot, request

CONTRACT = {
    "id", "state", "digest", "view_digest", "agent", "workflow", "upstream", "stage", "kind", "tier", "reasons", "asked", "questions",
    "seats", "votes", "asked_at", "expires_at", "request",
}  # fmt: skip
SECRET = {"votes", "view_digest", "questions"}


async def test_a_person_sees_the_contracts_members(bench):
    """Every member of contract section 3, and the response once there is one."""
    hold = await bench.ended()
    shown = person_view(hold, payload=True)
    assert shown.keys() >= CONTRACT | {"response"}
    assert shown["request"] == {
        "method": "POST", "target": "/posts?draft=no", "headers": [["Content-Type", "application/json"], ["X-Request-Id", "1"]],
        "body": hold.request.body.decode(),
    }  # fmt: skip
    assert shown["response"] == {"status": 201, "headers": [["Content-Type", "application/json"]], "body": '{"id": 42}'}
    assert shown["seats"] == [{"functions": ["reviewer"], "needed": 1, "filled": 1}]
    assert (shown["asked"], shown["asked_at"], shown["expires_at"]) == (True, "2026-11-21T09:00:00Z", "2026-11-21T13:00:00Z")
    json.dumps(shown)


async def test_the_agent_sees_no_votes_names_or_view_digest(bench):
    """Who decided is not for the agent to know, nor what would make its next vote fit."""
    hold = await bench.pending(initiator="ravi")
    hold = (await bench.holds.vote(hold.id, ballot(hold, decision="reject", note="by rita"), bench.registry)).hold
    shown = agent_view(hold)
    assert shown.keys() >= CONTRACT - SECRET
    assert not shown.keys() & SECRET
    assert not any(name in json.dumps(shown) for name in ("rita", "ravi", hold.view_digest, "off_brand"))
    assert shown["request"]["body"] == hold.request.body.decode()


async def test_without_the_right_to_payloads_no_byte_is_shown(bench):
    """Digests and the path are left: no query, header, body, state before, answer or note."""
    hold = await bench.pending(before=b"CANARY", sent=request(b"CANARY", target="/p?q=CANARY", headers=(("X", "CANARY"),)))
    hold = (await bench.holds.vote(hold.id, ballot(hold, note="CANARY"), bench.registry)).hold
    shown = person_view(hold, payload=False)
    assert "CANARY" not in json.dumps(shown)
    assert shown["request"] == {"method": "POST", "target": "/p"}
    assert shown["digest"] == hold.digest
    full = person_view(hold, payload=True)
    assert (full["before"], full["votes"][0]["note"]) == ({"body": "CANARY"}, "CANARY")


async def test_seats_are_those_of_today_where_they_are_given(bench):
    """Who has the registry counts eligible votes; who has not counts votes as cast."""
    hold = await bench.approved()
    assert agent_view(hold, [SeatView(("reviewer",), 1, 0)])["seats"][0]["filled"] == 0
    assert agent_view(hold)["seats"][0]["filled"] == 1
    assert seat_documents([SeatView(("a", "b"), 2, 1)]) == [{"functions": ["a", "b"], "needed": 2, "filled": 1}]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        pytest.param(b"", {"body": ""}, id="empty"),
        pytest.param("Grüße\r\n\t".encode(), {"body": "Grüße\r\n\t"}, id="text"),
        pytest.param(b"\xff\xfe", {"body_base64": "//4="}, id="not UTF-8"),
        pytest.param(b"a\x00b", {"body_base64": "YQBi"}, id="a control is no text"),
        pytest.param(b"\x1b[31m", {"body_base64": "G1szMW0="}, id="an escape is no text"),
    ],
)
async def test_a_body_is_text_or_base64(bench, body, shown):
    """A string when the bytes are UTF-8 text, else body_base64; never both."""
    hold = await bench.pending(sent=request(body))
    assert {name: value for name, value in agent_view(hold)["request"].items() if name.startswith("body")} == shown


async def test_a_deleted_payload_is_shown_as_what_is_left(bench):
    """After purging there is method and path, and no made-up body."""
    hold = await bench.ended(Answer(404, (), b"no"))
    bench.clock.advance(24 * 3600)
    await bench.holds.purge()
    gone = await bench.holds.get(hold.id)
    for shown in (agent_view(gone), person_view(gone, payload=True)):
        assert shown["request"] == {"method": "POST", "target": "/posts"}
        assert "response" not in shown
