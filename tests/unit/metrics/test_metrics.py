"""What is counted, under which names, and that nothing anybody sends can add a series."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count, product
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from stagewarden.audit.log import Flushed
from stagewarden.errors import AuditUnavailable, CannotTell, PolicyUnavailable, StateUnavailable, UpstreamTimeout, UpstreamUnavailable
from stagewarden.metrics import Metrics, families, labels
from stagewarden.model import Deny, Hold, HoldState, Outcome, Reason, Request, Stage, Tier, Vote
from tests.unit.audit.parts import DIGEST, NOON, ruling

if TYPE_CHECKING:
    from stagewarden.metrics.cells import Family

BUDGET = 2650  # series per replica (reference: governance.md D2)


@dataclass
class Fact:
    """An outbox entry as the metrics see it."""

    kind: str
    body: dict = field(default_factory=dict)


@pytest.fixture
def metrics() -> Metrics:
    """With one workflow, agent and upstream known."""
    made = Metrics("1.2.3")
    made.registry_loaded("registry-1", ["newsletter"], ["drafter-7"], ["cms"])
    return made


def series(metrics: Metrics) -> dict[str, float]:
    """Every sample as Prometheus would store it, but for the process's own."""
    return {
        f"{sample.name}{{{','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))}}}": sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name.startswith("stagewarden_")
    }


def changed(metrics: Metrics, act) -> dict[str, float]:
    """What an act added to which series; buckets left out."""
    before = series(metrics)
    act()
    after = series(metrics)
    found = {name: round(value - before.get(name, 0), 6) for name, value in after.items() if value != before.get(name, 0) and "_bucket" not in name}
    return {name.removeprefix("stagewarden_"): value for name, value in found.items()}


def hold(**members) -> Hold:
    """A high-risk hold asked at noon."""
    request = Request("cms", "POST", "https", "cms.internal", "/", (), b"")
    plain = Hold(
        id="h_1", state=HoldState.PENDING, ruling="r_1", digest=DIGEST, view_digest=DIGEST, repeat_digest=DIGEST, agent="drafter-7",
        workflow="newsletter", initiator="", upstream="cms", stage=Stage.EXPORT, kind="post.publish", asset=None, lookup_digest=None, tier=Tier.HIGH,
        reasons=(Reason("legal_or_price", "r", "t"),), seats=(), questions=(), votes=(), asked_at_ns=NOON, expires_at_ns=0, approved_at_ns=0,
        use_by_ns=0, ended_at_ns=0, attempt=None, successor=None, ended_by=None, request=request, question={},
    )  # fmt: skip
    return replace(plain, **members)


def test_a_ruling_is_counted_by_stage_effect_risk_reason_and_workflow(metrics) -> None:
    """With its phases, and the engine's answer."""
    assert changed(metrics, lambda: metrics.observe(ruling("hold"))) == {
        "decisions_total{effect=hold,risk=high,stage=export}": 1,
        "decision_reasons_total{effect=hold,reason=publish_not_granted}": 1,
        "workflow_decisions_total{effect=hold,workflow=newsletter}": 1,
        "phase_duration_seconds_count{phase=authn}": 1,
        "phase_duration_seconds_sum{phase=authn}": 0.0001,
        "phase_duration_seconds_count{phase=context}": 1,
        "phase_duration_seconds_sum{phase=context}": 0.0002,
        "phase_duration_seconds_count{phase=policy}": 1,
        "phase_duration_seconds_sum{phase=policy}": 0.0003,
        "opa_requests_total{result=ok}": 1,
        "opa_up{}": 1,
    }


@pytest.mark.parametrize(
    ("code", "effect", "violation"),
    [
        pytest.param("unregistered", "deny", "identity", id="identity"),
        pytest.param("route_not_listed", "deny", "request", id="an unlisted route"),
        pytest.param("killed", "deny", "stop", id="a kill"),
        pytest.param("cannot_tell", "error", None, id="we could not find out: an error, no violation"),
        pytest.param("a_customers_own_code", "deny", None, id="a code of the customer's own policy"),
    ],
)
def test_a_no_is_told_apart_from_our_own_fault(metrics, code, effect, violation) -> None:
    """The availability objective counts our faults only; violations count the agent's."""
    added = changed(metrics, lambda: metrics.observe(ruling("deny", known=False, code=code)))
    assert added[f"decisions_total{{effect={effect},risk=low,stage=none}}"] == 1
    reason = code if code in labels.REASONS else "other"
    assert added[f"decision_reasons_total{{effect={effect},reason={reason}}}"] == 1
    assert [name for name in added if name.startswith("policy_violations")] == ([f"policy_violations_total{{kind={violation}}}"] if violation else [])


@pytest.mark.parametrize(
    ("result", "status", "audited", "expected"),
    [
        pytest.param("done", 201, True, {"class=2xx": 1, "audited=yes": 1}, id="done"),
        pytest.param("failed", 404, True, {"class=4xx": 1, "audited=yes": 1}, id="refused by the upstream"),
        pytest.param("unknown", 0, True, {"class=none": 1, "audited=yes": 1}, id="bytes left, no answer"),
        pytest.param("not_sent", 0, True, {"class=none": 1}, id="nothing left: no effect"),
        pytest.param("done", 200, False, {"class=2xx": 1, "audited=no": 1}, id="an effect whose outcome could not be recorded"),
    ],
)
def test_an_outcome_is_an_effect_when_bytes_left(metrics, result, status, audited, expected) -> None:
    """`audited="no"` is an incident; it is counted where it happens."""
    added = changed(metrics, lambda: metrics.finish(Outcome("r_1", result, status, DIGEST, None, 0, 0.25), "cms", audited=audited))
    assert added.pop("upstream_duration_seconds_count{upstream=cms}") == 1
    assert added.pop("upstream_duration_seconds_sum{upstream=cms}") == 0.25
    assert {name.partition("{")[2].rstrip("}").removesuffix(",upstream=cms"): value for name, value in added.items()} == expected


def test_what_we_cost_is_the_request_without_its_upstream(metrics) -> None:
    """A clock that went back does not make it negative."""
    assert changed(metrics, lambda: metrics.served("allow", 0.3, 0.25)) == {
        "request_duration_seconds_count{outcome=allow}": 1,
        "request_duration_seconds_sum{outcome=allow}": 0.3,
        "overhead_duration_seconds_count{}": 1,
        "overhead_duration_seconds_sum{}": 0.05,
    }
    assert changed(metrics, lambda: metrics.served("deny", -1))["overhead_duration_seconds_count{}"] == 1


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        pytest.param(PolicyUnavailable("x", cause="timeout"), {"component=policy,kind=timeout": 1, "result=timeout": 1}, id="policy too slow"),
        pytest.param(PolicyUnavailable("x"), {"component=policy,kind=error": 1, "result=error": 1}, id="policy failed"),
        pytest.param(StateUnavailable("x"), {"component=state,kind=unavailable": 1}, id="database gone"),
        pytest.param(AuditUnavailable("x"), {"component=audit,kind=unavailable": 1}, id="log not writable"),
        pytest.param(UpstreamTimeout("x"), {"component=upstream,kind=timeout": 1}, id="upstream too slow"),
        pytest.param(UpstreamUnavailable("x"), {"component=upstream,kind=unavailable": 1}, id="upstream gone"),
        pytest.param(CannotTell("x"), {"component=gate,kind=error": 1}, id="anything else"),
    ],
)
def test_an_error_is_counted_by_part(metrics, failure, expected) -> None:
    """Policy faults are the engine's results as well."""
    added = changed(metrics, lambda: metrics.error(failure))
    assert {name.partition("{")[2].rstrip("}"): value for name, value in added.items()} == expected


def test_the_engine_is_down_until_it_answers_again(metrics) -> None:
    """From its own answers and from its health check."""
    metrics.policy_loaded("rev", "opa", NOON)
    assert series(metrics)["stagewarden_opa_up{}"] == 1
    metrics.error(PolicyUnavailable("gone"))
    assert series(metrics)["stagewarden_opa_up{}"] == 0
    metrics.observe(ruling())
    assert series(metrics)["stagewarden_opa_up{}"] == 1
    metrics.engine_up(up=False)
    assert series(metrics)["stagewarden_opa_up{}"] == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"from": "pending", "state": "approved"}, {"approvals_total{outcome=approved,risk=high}": 1}, id="approved"),
        pytest.param({"from": "claimed", "state": "approved"}, {}, id="a claim given back is no second approval"),
        pytest.param({"from": None, "state": "pending"}, {}, id="opened"),
        pytest.param({"from": "pending", "state": "settling"}, {"approvals_total{outcome=approved,risk=high}": 1}, id="approved, and settling"),
        pytest.param({"from": "sent", "state": "approved"}, {}, id="a send that is repeated is no second approval"),
        pytest.param({"from": "pending", "state": "sent_back"}, {"approvals_total{outcome=sent_back,risk=high}": 1}, id="sent back"),
        pytest.param(
            {"event": "escalated", "from": "pending", "state": "pending"}, {"escalations_total{trigger=legal_or_price}": 1}, id="others were called"
        ),
        pytest.param({"from": "pending", "state": "expired"}, {"approvals_total{outcome=expired,risk=high}": 1}, id="expired"),
        pytest.param({"from": "sent", "state": "done"}, {}, id="sent: the outcome counts it"),
        pytest.param(
            {"from": "claimed", "state": "superseded", "reason": "digest_mismatch"},
            {"approvals_total{outcome=superseded,risk=high}": 1, "digest_mismatch_total{}": 1},
            id="the content changed after it was approved",
        ),
    ],
)
def test_a_hold_is_counted_when_it_is_decided(metrics, body, expected) -> None:
    """Once, by how."""
    assert changed(metrics, lambda: metrics.moved(hold(), [Fact("hold", body)])) == expected


@pytest.mark.parametrize(
    ("function", "seat"), [("business", "business"), ("privacy", "privacy"), ("legal", "review"), ("manager", "review"), ("wizard", "review")]
)
def test_a_vote_is_counted_by_seat_never_by_person(metrics, function, seat) -> None:
    """How long people took, by function; a rejection by its reason."""
    vote = Vote("v_1", "alice", function, "reject", "off_brand", None, DIGEST, DIGEST, NOON + 90 * 10**9)
    fact = Fact("vote", {"vote": "v_1", "decision": "reject", "function": function, "reason": "off_brand", "person": "alice"})
    added = changed(metrics, lambda: metrics.moved(hold(votes=(vote,)), [fact]))
    assert added == {
        "votes_total{decision=reject,risk=high}": 1,
        "rejections_total{reason=off_brand}": 1,
        f"approval_wait_seconds_count{{risk=high,seat={seat}}}": 1,
        f"approval_wait_seconds_sum{{risk=high,seat={seat}}}": 90,
    }
    assert b"alice" not in metrics.render()


def test_how_long_a_vote_took_is_counted_by_risk_alone(metrics) -> None:
    """From the first view on; of who never looked there is no time to tell."""
    expected = {"approval_review_seconds_count{risk=high}": 1, "approval_review_seconds_sum{risk=high}": 42}
    assert changed(metrics, lambda: metrics.reviewed("high", 42.0)) == expected
    assert changed(metrics, lambda: metrics.reviewed("high", None)) == {}


def test_what_waits_and_what_stands_is_set_whole(metrics) -> None:
    """A tier without holds is zero again, a lifted kill too; an agent has exactly one mode."""
    metrics.pending({"high": (2, 60.0)})
    metrics.pending({"low": (1, 5.0)})
    metrics.standing(["all", "agent:a", "agent:b"], {"drafter-7": "paused"})
    now = series(metrics)
    assert [now[f"stagewarden_approvals_pending{{risk={tier}}}"] for tier in ("low", "medium", "high")] == [1, 0, 0]
    assert [now[f"stagewarden_approvals_oldest_seconds{{risk={tier}}}"] for tier in ("low", "medium", "high")] == [5, 0, 0]
    assert [now[f"stagewarden_kills_engaged{{scope={scope}}}"] for scope in ("all", "agent", "stage")] == [1, 2, 0]
    assert [now[f"stagewarden_agent_mode{{agent=drafter-7,mode={mode}}}"] for mode in labels.MODES] == [0, 0, 1, 0]
    metrics.standing([], {"drafter-7": "active"})
    assert series(metrics)["stagewarden_kills_engaged{scope=agent}"] == 0


def test_durable_writes_are_counted_by_entry_and_timed_by_flush(metrics) -> None:
    """A refused entry was never written, and is not timed."""
    added = changed(metrics, lambda: (metrics.flushed(Flushed(7, 0.002, "ok")), metrics.flushed(Flushed(1, 0.0, "refused"))))
    assert added == {
        "audit_appends_total{result=ok}": 7,
        "audit_appends_total{result=refused}": 1,
        "audit_append_seconds_count{}": 1,
        "audit_append_seconds_sum{}": 0.002,
    }


def test_the_other_facts(metrics) -> None:
    """One series each."""

    def all_of_them() -> None:
        metrics.refused("unauthenticated")
        metrics.counted(lambda: 3)
        metrics.mode_changed("paused")
        metrics.killed("all")
        metrics.revoked(0.5)
        metrics.disk(1000)
        metrics.reload_failed("policy")
        metrics.loop_lag(0.1)
        metrics.cache_asked("hit")
        metrics.phase("audit", 0.001)

    assert changed(metrics, all_of_them) == {
        "refusals_total{code=unauthenticated}": 1,
        "inflight_requests{}": 3,
        "mode_changes_total{to=paused}": 1,
        "kills_total{scope=all}": 1,
        "revocation_seconds_count{}": 1,
        "revocation_seconds_sum{}": 0.5,
        "audit_disk_free_bytes{}": 1000,
        "reload_failures_total{what=policy}": 1,
        "event_loop_lag_seconds{}": 0.1,
        "cache_requests_total{cache=decision,result=hit}": 1,
        "phase_duration_seconds_count{phase=audit}": 1,
        "phase_duration_seconds_sum{phase=audit}": 0.001,
    }


def test_one_live_series_says_what_is_in_force(metrics) -> None:
    """A reload replaces the revision instead of adding one."""
    for revision in ("a", "b", 'c"\n'):
        metrics.policy_loaded(revision, "wasm", NOON)
    now = [name for name in series(metrics) if "policy_info" in name]
    assert now == ['stagewarden_policy_info{engine=wasm,revision=c"\n}']
    assert series(metrics)["stagewarden_policy_loaded_timestamp_seconds{}"] == NOON / 10**9
    assert series(metrics)["stagewarden_build_info{version=1.2.3}"] == 1


def test_fail_open_is_there_and_zero(metrics) -> None:
    """Structurally: nothing in the program can count it, and the series proves that it was looked at."""
    assert series(metrics)["stagewarden_fail_open_total{}"] == 0
    assert not any("fail_open" in name for name in vars(Metrics))


def _everything(metrics: Metrics, word: str) -> None:
    """Each method with a word of somebody's choice wherever a label could come from."""
    base = ruling("deny", agent=word, asserted={word: word})
    principal = replace(base.principal, workflow=word)
    metrics.observe(replace(base, verdict=Deny((Reason(word, word, word),)), principal=principal, phases={word: 0.1, "policy": 0.1}))
    metrics.finish(Outcome(word, "done", 299, word, word, 0, 0.1, word, word), word)
    metrics.served(word, 0.1)
    metrics.refused(word)
    metrics.error(PolicyUnavailable(word, cause=word))
    metrics.phase(word, 0.1)
    vote = Vote(word, word, word, "reject", word, word, word, word, NOON)
    metrics.moved(
        hold(votes=(vote,)), [Fact("vote", {"vote": word, "decision": word, "function": word, "reason": word}), Fact("hold", {"state": word})]
    )
    metrics.pending({word: (1, 1.0)})
    metrics.mode_changed(word)
    metrics.killed(word)
    metrics.standing([word, f"agent:{word}"], {word: word})
    metrics.flushed(Flushed(1, 0.1, word))
    metrics.reload_failed(word)


def test_ten_thousand_random_ids_add_no_series(metrics) -> None:
    """Whatever agents, people and policies say: the first unknown word makes `other`, ten thousand more make nothing."""
    for number in range(20):
        _everything(metrics, f"first-{number}")
    metrics.policy_loaded("rev", "wasm", NOON)
    before = set(series(metrics))
    for number in range(10_000 // 20):
        for word in (f"w{number}-{n}" for n in range(20)):
            _everything(metrics, word)
    assert set(series(metrics)) == before
    assert not any("w1-1" in name for name in before)


def test_a_full_registry_stays_within_the_budget() -> None:
    """A thousand workflows, agents and upstreams: the budget's first ones have a name, the rest are `other`; all label sets filled."""
    metrics = Metrics("1")
    names = [f"n{number}" for number in range(1000)]
    metrics.registry_loaded("rev", names, names, names)
    metrics.policy_loaded("rev", "wasm", NOON)
    for rows in (*metrics._all.counts.values(), *metrics._all.spreads.values()):
        _fill(rows)
    found = set(series(metrics))
    assert sum("workflow_decisions_total" in name and "allow" in name for name in found) == 51
    assert sum("agent_mode" in name and "active" in name for name in found) == 101
    assert len(found) <= BUDGET + _extensions()


def _fill(rows) -> None:
    """Every listed combination of one family, as far as facts can make them."""
    closed = [sorted(values) + ["other"] * (not fixed) for values, fixed in zip(rows._closed, rows.family.values, strict=True)]
    numbers = count()
    for key in _keys(closed, rows.family):
        (rows.observe(0.1, key) if rows.family.kind == "histogram" else rows.set(next(numbers), key))


def _keys(closed, family: Family):
    if family is families.REASONS:  # an effect's codes are a part of all codes: one code has one effect, or two
        return [(effect, code) for code in labels.REASONS for effect in ("deny", "hold")]
    return product(*closed) if not family.name.endswith("_info") else ()


def _extensions() -> int:
    """Series of families that stand here beyond the reference's table."""
    beyond = (
        families.REFUSALS,
        families.KILLS,
        families.KILLS_ENGAGED,
        families.VOTES,
        families.LOOP_LAG,
        families.REGISTRY_INFO,
        families.RELOAD_FAILURES,
    )
    return sum(max(1, len([*_keys(family.values, family)])) for family in beyond)


def test_names_removed_from_the_registry_stay_known(metrics) -> None:
    """A counter never goes back; a new name takes a free place."""
    metrics.observe(ruling())
    metrics.registry_loaded("registry-2", ["other-flow"], [], [])
    metrics.observe(ruling())
    assert series(metrics)["stagewarden_workflow_decisions_total{effect=allow,workflow=newsletter}"] == 2
    assert "stagewarden_registry_info{revision=registry-1}" not in series(metrics)


def test_what_an_alert_waits_for_is_there_from_the_start(metrics) -> None:
    """`increase` sees the first error only if the series was zero before it."""
    now = series(metrics)
    for name in (
        "effects_total{audited=no}", "audit_appends_total{result=failed}", "errors_total{component=audit,kind=unavailable}",
        "digest_mismatch_total{}",
        "opa_requests_total{result=breaker_open}", "reload_failures_total{what=policy}", "fail_open_total{}",
    ):  # fmt: skip
        assert now[f"stagewarden_{name}"] == 0
