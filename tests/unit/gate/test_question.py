"""The question: equal to its schema, and what the release question keeps and renews."""

import json
from pathlib import Path

import jsonschema
import pytest

from stagewarden.classify import Looked
from stagewarden.gate.question import Circumstances, Parts, again, approval, build
from stagewarden.model import Action, Asset, Credential, Link, Principal, Request, Stage
from stagewarden.wire.target import parse_target

SCHEMA = json.loads((Path(__file__).parents[3] / "rego" / "schemas" / "question.json").read_text())
NOW = 1_795_251_600_000_000_000


def parts(**changed):
    """What a question is made of."""
    request = Request(
        "cms", "POST", "https", "cms.internal", "/a/b?x=1", (("Content-Type", "application/json"), ("X-A", "1"), ("x-a", "2")), b'{"t":1}'
    )
    principal = Principal("drafter", Credential("key", "keys", 0), (Link("agent", "drafter", verified=True),), "newsletter")
    action = Action(
        "cms", "POST /a/b", Stage.EXPORT, "k", Asset("7", "sha256:1", "draft"), ("t",), (), "site", external=True, reversible="compensate"
    )
    return Parts(request, request.digest("drafter", "export"), parse_target(b"/a/b?x=1", 100), "localhost", {"t": 1}, principal, action,
                 {"claims": [], "offers": [], "content": None}, {"confidence": 0.5}, **changed)  # fmt: skip


CIRCUMSTANCES = Circumstances(NOW, "rev", "production", "active")


def test_a_question_is_what_its_schema_says():
    """The document that leaves the gate is valid against rego/schemas/question.json."""
    jsonschema.validate(build(parts(), CIRCUMSTANCES).document, SCHEMA)


def test_headers_are_lists_by_lower_case_name_and_time_is_the_clocks():
    """Repeated headers keep both values; the time is written in both forms."""
    document = build(parts(), CIRCUMSTANCES).document
    assert document["request"]["headers"] == {"content-type": ["application/json"], "x-a": ["1", "2"]}
    assert (document["time"], document["time_ns"]) == ("2026-11-21T09:00:00Z", NOW)
    assert document["request"]["query"] == {"x": "1"}


def test_the_release_question_renews_circumstances_and_keeps_the_rest():
    """Time, registry, mode and look-up are new and the approval is added; request, principal, asserted and sample stay."""
    stored = build(parts(), CIRCUMSTANCES).document
    looked = Looked({}, b"{}", "queued", "sha256:2")
    asked = again(stored, Circumstances(NOW + 1_000_000_000, "rev2", "production", "paused"), looked, {"hold": "h_1"}).document
    assert {name for name in stored if stored[name] != asked[name]} == {"time", "time_ns", "action", "approval", "state"}
    assert (asked["action"]["asset"], asked["state"]["registry"], asked["state"]["mode"]) == (
        {"id": "7", "digest": "sha256:2", "state": "queued"},
        "rev2",
        "paused",
    )
    assert stored["action"]["asset"]["digest"] == "sha256:1", "the stored question is never changed"


def test_what_reviews_looked_like_stays_as_it_was_when_people_were_asked():
    """Like a sample that was drawn: no vote on a hold asks for one person more on it, and none fewer. An earlier release's says nothing."""
    stored = build(parts(), Circumstances(NOW, "rev", "production", "active", ("run",))).document
    assert stored["state"]["review"] == ["run"]
    assert again(stored, CIRCUMSTANCES, None, None).document["state"]["review"] == ["run"]
    later = Circumstances(NOW, "rev", "production", "active", ("always", "fast"))
    assert again(build(parts(), CIRCUMSTANCES).document, later, None, None).document["state"]["review"] == []
    old = {**stored, "state": {name: value for name, value in stored["state"].items() if name != "review"}}
    assert again(old, later, None, None).document["state"]["review"] == []


@pytest.mark.parametrize("looked", [None, Looked({}, b"{}", "draft", "sha256:1")])
def test_the_release_question_is_valid_too(looked, a_hold):
    """With an approval the question is valid against the schema as well."""
    asked = again(build(parts(), CIRCUMSTANCES).document, CIRCUMSTANCES, looked, approval(a_hold, a_hold.votes))
    jsonschema.validate(asked.document, SCHEMA)
