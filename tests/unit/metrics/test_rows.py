"""Several processes as one exposition."""

from __future__ import annotations

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stagewarden.errors import StateUnavailable
from stagewarden.metrics import Metrics
from stagewarden.metrics.rows import Rows, joined


def samples(metrics: Metrics) -> dict[str, float]:
    """`name{label=value,…}` → value, of what is rendered."""
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def worker(served: int, lag: float = 0.0, *, up: bool = True) -> Metrics:
    """One that has answered so many."""
    metrics = Metrics("1")
    for _ in range(served):
        metrics.served("allow", 0.02)
        metrics.refused("ambiguous_request")
    metrics.error(StateUnavailable("x"))
    metrics.counted(lambda: served)
    metrics.loop_lag(lag)
    metrics.engine_up(up=up)
    return metrics


def over_the_wire(rows: Rows) -> Rows:
    """As it arrives."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(rows), type=Rows)


@pytest.fixture
def house() -> Metrics:
    """With two workers of 2 and 3 requests."""
    metrics = Metrics("1")
    metrics.policy_loaded("rev", "wasm", 1)
    metrics.refused("ambiguous_request")
    metrics.disk(7)
    metrics.speak_for([over_the_wire(worker(2, 0.5).rows()), over_the_wire(worker(3, 0.25, up=False).rows())], Rows())
    return metrics


def test_counters_and_histograms_add_up(house):
    """Each bucket, count and sum; the house's own included."""
    now = samples(house)
    assert now["stagewarden_refusals_total{code=ambiguous_request}"] == 6
    assert now["stagewarden_request_duration_seconds_count{outcome=allow}"] == 5
    assert now["stagewarden_request_duration_seconds_bucket{le=0.01,outcome=allow}"] == 0
    assert now["stagewarden_request_duration_seconds_bucket{le=0.025,outcome=allow}"] == 5
    assert now["stagewarden_request_duration_seconds_sum{outcome=allow}"] == pytest.approx(0.1)
    assert now["stagewarden_errors_total{component=state,kind=unavailable}"] == 2


def test_gauges_are_joined_as_they_mean(house):
    """Under way: the sum; late: the worst; the engine: the least; everything else is the house's; an info series stands once."""
    now = samples(house)
    assert now["stagewarden_inflight_requests{}"] == 5
    assert now["stagewarden_event_loop_lag_seconds{}"] == 0.5
    assert now["stagewarden_opa_up{}"] == 0
    assert now["stagewarden_audit_disk_free_bytes{}"] == 7
    assert [name for name in now if name.startswith("stagewarden_build_info")] == ["stagewarden_build_info{version=1}"]
    assert now["stagewarden_policy_info{engine=wasm,revision=rev}"] == 1


def test_no_sum_goes_back_when_a_worker_ends(house):
    """What it had counted stays; a new one begins at zero and adds to it; its gauges go with it."""
    before = samples(house)
    departed = joined(joined(Rows(), over_the_wire(worker(3).rows())), Rows())
    house.speak_for([worker(2).rows(), worker(0).rows()], departed)
    after = samples(house)
    assert {name for name, value in before.items() if name.startswith("stagewarden_re") and after[name] < value} == set()
    assert after["stagewarden_request_duration_seconds_count{outcome=allow}"] == 5
    assert after["stagewarden_inflight_requests{}"] == 2


def test_one_process_alone_shows_what_it_did():
    """Without workers nothing is added."""
    metrics = worker(4)
    assert samples(metrics)["stagewarden_request_duration_seconds_count{outcome=allow}"] == 4
    assert samples(metrics)["stagewarden_workers{state=ready}"] == 0
