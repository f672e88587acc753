"""Evidence cards: only policy and registry make one good; what the request names or the agent asserts can only make one worse."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from stagewarden.gate.people import Around
from stagewarden.model import Reason
from stagewarden.registry import Actions, Attested, Capabilities, Destination, Owners, Risk, Rollback, Workflow
from stagewarden.web.console.evidence import STATES, Card, evidence
from tests.fakes import held

NOW = int(datetime(2026, 11, 27, tzinfo=UTC).timestamp()) * 10**9
RISK = Risk(data_sensitivity="low", external_impact="low", regulatory_exposure="low", rollback_difficulty="low", approval_level="medium")
REQUIRES = "The policy in force requires it."


def workflow(**rollback: object) -> Workflow:
    """With this way back."""
    return Workflow(
        summary="s", process="p", owners=Owners(), risk=RISK, purpose="news", actions=Actions(), rollback=Rollback(**rollback)  # type: ignore[arg-type]
    )  # fmt: skip


def site(**changes: object) -> Destination:
    """A destination that can be cut off, vouched for this year."""
    kept = {"channel": "public", "capabilities": Capabilities(revoke=True, rollback=True), "attested": Attested(at="2026-08-01", by="aiko")}
    return Destination(**{**kept, **changes})  # type: ignore[arg-type]


def cards(facts: object = None, *codes: str, around: Around | None = None, payload: bool = True, **question: object) -> dict[str, Card]:
    """By key."""
    hold = held(NOW)
    reasons = tuple(Reason(code, "r", f"About {code}", {"on": "2026-11-01"}) for code in codes)
    hold = replace(hold, reasons=reasons, question={**hold.question, "facts": facts or {}, **question})
    found = evidence(hold, around or Around("rev", workflow(kind="restore", tested_at="2026-09-14"), site()), NOW, payload=payload)
    return {card.key: card for card in found.cards}


@pytest.mark.parametrize(
    ("rollback", "state", "says"),
    [
        ({"kind": "restore", "tested_at": "2026-09-14"}, "good", "Last tested 14 Sep 2026, 74 days ago."),
        ({"kind": "compensate", "tested_at": "2025-09-14"}, "check", "439 days ago"),
        ({"kind": "restore", "tested_at": "2026-11-27"}, "good", "27 Nov 2026, today."),
        ({"kind": "restore", "tested_at": "2026-11-26"}, "good", "1 day ago."),
        ({"kind": "restore", "tested_at": "2026-11-30"}, "check", "30 Nov 2026, 3 days ahead."),
        ({"kind": "restore", "tested_at": "2027-09-14"}, "check", "Last tested"),
        ({"kind": "restore"}, "missing", "It was never tested. The policy in force does not require it."),
        ({"kind": "restore", "tested_at": "soon"}, "missing", "never tested"),
        ({"kind": "none", "steps": "A notice is sent.", "rto": "30 min", "tested_at": "2026-09-14"}, "check", "Nothing can be recalled: A notice"),
    ],
    ids=["tested", "long ago", "today", "yesterday", "to come", "in the future", "never", "no date", "no way back"],
)  # fmt: skip
def test_the_way_back(rollback: dict[str, str], state: str, says: str) -> None:
    """Good is a way back that was tested within the year; everything else is looked at or missing."""
    card = cards(around=Around("rev", workflow(**rollback), site()))["rollback"]
    assert (card.state, says in card.text) == (state, True), card.text


@pytest.mark.parametrize(
    ("destination", "state"),
    [
        (site(), "good"),
        (site(capabilities=Capabilities()), "check"),
        (site(attested=Attested(at="2025-08-01", by="aiko")), "check"),
        (site(attested=None), "check"),
        (site(attested=None, capabilities=Capabilities()), "missing"),
        (None, "missing"),
    ],
    ids=["vouched for", "cannot be cut off", "stale", "nobody vouched", "nothing", "unknown"],
)
def test_the_systems_it_reaches(destination: Destination | None, state: str) -> None:
    """Good is one that can be cut off, vouched for within the year."""
    assert cards(around=Around("rev", None, destination))["systems"].state == state


@pytest.mark.parametrize(
    ("code", "key", "state"),
    [
        ("legal_or_price", "claims", "check"), ("claim_unsubstantiated", "claims", "fails"), ("offer_expired", "offer", "fails"),
        ("consent_missing", "consent", "missing"), ("consent_expired", "consent", "fails"), ("rights_unclear", "rights", "missing"),
        ("rights_expired", "rights", "fails"), ("provenance_incomplete", "provenance", "missing"), ("source_tainted", "source", "fails"),
        ("rollback_missing", "rollback", "missing"), ("drill_overdue", "rollback", "fails"), ("attestation_stale", "systems", "fails"),
    ],
)  # fmt: skip
def test_what_the_policy_found_outweighs_everything(code: str, key: str, state: str) -> None:
    """Also a registry that looks well; missing then says that it is required."""
    card = cards({"claims": ["c"], "offers": ["o"]}, code)[key]
    assert (card.state, card.text.startswith(f"About {code}."), REQUIRES in card.text) == (state, True, state == "missing")


@pytest.mark.parametrize(
    ("offer", "state", "says"),
    [
        ({"id": "spring", "valid_to": "2026-11-20"}, "fails", "one ended on 20 Nov 2026, 7 days ago"),
        ({"id": "spring", "valid_to": "2026-11-27"}, "missing", "valid to 27 Nov 2026, in 0 days"),
        ({"id": "spring", "valid_to": "2026-12-01", "confirmed": True}, "missing", "No record of offers is connected"),
        ("spring", "missing", "1 offer named."),
    ],
    ids=["over", "today", "says it is confirmed", "by id"],
)
def test_an_offer_by_its_own_dates(offer: object, state: str, says: str) -> None:
    """The request's own dates can condemn it; nothing in the request can make it good."""
    card = cards({"offers": [offer]})["offer"]
    assert (card.state, says in card.text, "".join(run.text for run in card.named[0])) == (state, True, "spring")


@pytest.mark.parametrize("claims", [["a", "b", "c", "d", "e"], ["x" * 5000], [{"id": "\u202ec"}]], ids=["many", "long", "hidden characters"])
def test_names_are_the_agents_and_are_bounded(claims: list[object]) -> None:
    """Three at most, the rest counted; a long one by its length; hidden characters named."""
    named = ["".join(run.text for run in runs) for runs in cards({"claims": claims})["claims"].named]
    assert len(named) <= 4
    assert all(len(name) < 200 for name in named)
    assert (len(claims) > 3) == (named[-1] == "and 2 more")
    assert "\u202e" not in "".join(named)


def test_what_the_agent_asserts_makes_no_card() -> None:
    """AISVS 9.2.2, ASI09: its word changes nothing."""
    said = {"claims": ["proven"], "consent": True, "rollback": "tested today", "sources": ["crm"]}
    assert cards(asserted=said) == cards()


def test_worst_first_and_counted() -> None:
    """Fails, check, missing, good; the head counts them."""
    hold = replace(held(NOW), reasons=tuple(Reason(code, "r", code) for code in ("rights_unclear", "offer_expired", "legal_or_price")))
    found = evidence(hold, Around("rev", workflow(kind="restore", tested_at="2026-09-14"), site()), NOW, payload=True)
    assert [card.state for card in found.cards] == sorted((card.state for card in found.cards), key=STATES.index)
    assert found.counts == (("good", 2), ("check", 1), ("missing", 1), ("fails", 1))


def test_without_a_right_to_payloads_nothing_comes_from_the_body() -> None:
    """Registry and codes alone: no name, no detail, no card that only the content asks for."""
    facts = {"claims": ["secret claim"], "offers": [{"id": "secret offer"}], "recipients": {"count": 3}}
    seen = cards(facts, "legal_or_price", payload=False)
    assert set(seen) == {"claims", "rollback", "systems"}
    assert not any(card.named for card in seen.values())


def test_another_registry_than_when_it_was_asked() -> None:
    """It is said that this is what stands now."""
    hold = held(NOW)
    for asked, changed in (({"registry": "old"}, True), ({"registry": "rev"}, False)):
        asked_then = replace(hold, question={**hold.question, "state": asked})
        assert evidence(asked_then, Around("rev"), NOW, payload=True).changed is changed
