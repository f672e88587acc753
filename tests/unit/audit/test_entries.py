"""What entries say, and what they must not."""

from __future__ import annotations

import orjson
import pytest

from stagewarden.audit.entries import NEVER_ABSENT, NOT_APPLICABLE, NOT_RECORDED, REDACTED, Standing, loaded_entry, outcome_entry, ruling_entry
from stagewarden.audit.line import bounded, canonical
from stagewarden.model import Credential, Deny, Link, Outcome, Principal, Reason, Ruling
from stagewarden.registry import Actions, Approval, Owners, RegistryData, Risk, Rollback, Workflow
from tests.unit.audit.parts import DIGEST, ruling

HOSTILE = '"}\n{"kind":"ruling"\r\x1b[31m\u202e\u2028\x00\x9b'


@pytest.mark.parametrize("effect", ["allow", "hold", "deny"])
@pytest.mark.parametrize("known", [True, False], ids=["judged", "refused before it was classified"])
@pytest.mark.parametrize(
    "asserted", [None, {"model": "m-1", "prompt_digest": DIGEST, "sources": ["s1"]}, {"prompt": "Write me a poem"}], ids=["silent", "said", "prompt"]
)
def test_seven_things_are_never_absent(effect, known, asserted) -> None:
    """Each is a value, a digest, `redacted` or `not_applicable`; never null, never missing."""
    entry = ruling_entry(ruling(effect, known=known, asserted=asserted))
    assert all(entry[name] not in (None, "", [], {}) for name in NEVER_ABSENT)


def test_a_ruling_answers_who_what_why_and_under_which_revisions() -> None:
    """The questions audit.md says a ruling answers, from the entry alone."""
    registry = RegistryData(
        workflows={
            "newsletter": Workflow(
                summary="News", process="publishing", owners=Owners(), risk=_risk(), purpose="inform", actions=Actions(),
                rollback=Rollback(kind="restore", owner="bob", rto="1h", tested_at="2026-10-01"),
                approved=(Approval(function="business", person="alice", at="2026-09-01", evidence="minutes"),),
            )
        }
    )  # fmt: skip
    entry = ruling_entry(ruling("hold"), Standing.of(registry, "config-1"))
    assert entry["effect"] == "hold"
    assert entry["principal"]["chain"] == [{"kind": "agent", "id": "drafter-7", "verified": True}]
    assert entry["workflow"] == "newsletter"
    assert entry["scope"]["process"] == "publishing"
    assert entry["scope"]["approved"] == [{"function": "business", "person": "alice", "at": "2026-09-01", "evidence": "minutes"}]
    assert entry["scope"]["rollback"] == {"kind": "restore", "owner": "bob", "rto": "1h", "tested_at": "2026-10-01"}
    assert entry["proposed"]["digest"] == DIGEST
    assert (entry["proposed"]["route"], entry["proposed"]["stage"]) == ("POST /wp-json/wp/v2/posts/{id}", "export")
    assert (entry["proposed"]["fields"], entry["proposed"]["destination"]) == (["status"], "site")
    assert entry["reasons"] == [{"code": "publish_not_granted", "rule": "stagewarden.rules.stages", "text": "As the rule says"}]
    assert entry["seats"] == [{"functions": ["legal", "compliance"], "count": 1}]
    assert entry["revisions"] == {"policy": "policy-1", "registry": "registry-1", "configuration": "config-1"}
    assert entry["took_us"] == {"authn": 100, "context": 200, "policy": 300}


def _risk() -> Risk:
    return Risk(data_sensitivity="low", external_impact="low", regulatory_exposure="low", rollback_difficulty="low", approval_level="low")


def test_an_unapproved_scope_is_said_to_be_so() -> None:
    """Absent is recorded as `not_recorded`."""
    assert ruling_entry(ruling())["scope"] == NOT_RECORDED


def test_no_secret_no_body_and_no_query_value_is_written_down() -> None:
    """The credential, the query's values and what the agent says about its own text stay out; the query's names stay in."""
    asserted = {"rationale": "because of the customer Jane", "claims": ["50 % off"], "prompt": "secret plan", "confidence": 0.91}
    entry = ruling_entry(ruling(asserted=asserted))
    line = canonical(entry)
    for secret in (b"hunter2", b"SECRET", b"Bearer", b"Jane", b"50 %", b"secret plan"):
        assert secret not in line
    assert entry["request"]["query"] == ["token"]
    assert entry["asserted"] == {"rationale": REDACTED, "claims": REDACTED, "prompt": REDACTED, "confidence": "0.91"}
    assert entry["prompt"] == REDACTED


def test_a_body_that_was_not_read_is_recorded_as_such() -> None:
    """Nobody can say later that it was judged."""
    assert ruling_entry(ruling("deny", known=False))["request"]["body"] == "not_read"


@pytest.mark.parametrize("effect", ["allow", "hold", "deny"])
def test_cve_2024_45808_hostile_strings_stay_inside_their_value(effect) -> None:
    """Log forging: a line break, an escape or JSON in any string an agent chooses changes no other member, and leaves one line."""
    said = {"model": HOSTILE, "sources": [HOSTILE], HOSTILE: HOSTILE}
    one = ruling(effect, agent=HOSTILE, asserted=said)
    line = canonical(ruling_entry(one))
    assert line.count(b"\n") == 0
    entry = orjson.loads(line)
    assert entry["principal"]["agent"] == HOSTILE
    assert entry["version"]["model"] == HOSTILE
    assert entry["effect"] == effect


def test_every_entry_has_the_canonical_form_as_it_is() -> None:
    """Rulings and outcomes skip `bounded` in the log for speed: for them it changes nothing, whatever detail a policy gives."""
    principal = Principal("a\ud800", Credential("jwt", "i\ud800", 10**18), (Link("human", "h\ud800", verified=True),), None, {"at": 0.5})
    strange = ruling("deny")
    odd = Ruling(
        strange.id, strange.at_ns, strange.head, Deny((Reason("c", "r", "t" * 500, {"n": 0.5, "big": 10**30, "\U00010000": "\udfff"}),)), principal
    )
    outcome = Outcome("r_1", "unknown", 502, DIGEST, None, 0, 1.25, "outcome_unknown", "h_1")
    for entry in (ruling_entry(odd), *(ruling_entry(ruling(effect)) for effect in ("allow", "hold", "deny")), outcome_entry(outcome)):
        assert canonical(entry) == canonical(bounded(entry))


@pytest.mark.parametrize(
    ("sent", "approved", "expected"),
    [
        pytest.param(DIGEST, DIGEST, True, id="the approved bytes"),
        pytest.param(DIGEST, "sha256:00", False, id="other bytes"),
        pytest.param(None, DIGEST, NOT_APPLICABLE, id="nothing sent"),
        pytest.param(DIGEST, None, NOT_APPLICABLE, id="nobody said"),
    ],
)
def test_an_outcome_compares_what_was_sent_with_what_was_approved(sent, approved, expected) -> None:
    """By digest."""
    assert outcome_entry(Outcome("r_1", "done", 201, sent, None, 0, 0.1), approved)["as_approved"] is expected or expected == NOT_APPLICABLE


def test_a_refused_reload_names_the_last_good_one() -> None:
    """What is in force can be told from the log alone."""
    assert loaded_entry("new", kept="old", why="line 3: …")["result"] == "kept"
    assert loaded_entry("new")["result"] == "loaded"
