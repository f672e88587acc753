"""Health and metrics as probes and Prometheus see them, over a real socket."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stagewarden.clock import SystemClock
from stagewarden.errors import AuditUnavailable, StateUnavailable
from stagewarden.metrics import Metrics
from stagewarden.web.operations import LoopWatch, Readiness, operations


class Hands(SystemClock):
    """Monotonic time moved by hand."""

    now = 100.0

    def monotonic(self) -> float:
        """Seconds, as set."""
        return self.now


async def fine() -> str | None:
    """A part that works."""
    return None


async def full() -> str | None:
    """A part that says why it does not."""
    return "the disk is full"


async def gone() -> str | None:
    """A part that could not tell."""
    raise StateUnavailable("database is locked")


async def nothing() -> None:
    """Nothing to refresh."""


def ready(**checks) -> Readiness:
    """Started, with these parts."""
    readiness = Readiness(checks, lambda: {"policy": "rev-1", "reload": None})
    readiness.started = True
    return readiness


@pytest.fixture
def client(aiohttp_client):
    """A client of the operators' listener."""

    async def make(readiness: Readiness, refresh=nothing, metrics=None):
        return await aiohttp_client(operations(readiness, metrics or Metrics("1"), refresh))

    return make


@pytest.mark.parametrize(
    ("checks", "status", "reasons"),
    [
        pytest.param({"policy": fine, "audit": fine}, 200, [], id="all parts work"),
        pytest.param({"policy": fine, "audit": full}, 503, [{"part": "audit", "why": "the disk is full"}], id="one says why not"),
        pytest.param({"state": gone}, 503, [{"part": "state", "why": "database is locked"}], id="one could not tell"),
    ],
)
async def test_readiness_names_the_part_that_will_not_do(client, checks, status, reasons) -> None:
    """503 with reasons; the details are shown and judge nothing."""
    answer = await (await client(ready(**checks))).get("/readyz")
    assert answer.status == status
    assert await answer.json() == {"ready": not reasons, "reasons": reasons, "details": {"policy": "rev-1", "reload": None}}


async def test_a_part_that_does_not_answer_is_not_ready(client) -> None:
    """The probe is answered in time all the same."""

    async def hangs() -> str | None:
        await asyncio.sleep(60)
        return None

    slow = Readiness({"state": hangs, "policy": fine}, dict, deadline=0.02)
    slow.started = True
    answer = await (await client(slow)).get("/readyz")
    assert (await answer.json())["reasons"] == [{"part": "state", "why": "no answer within 0.02 s"}]


@pytest.mark.parametrize(("member", "value", "why"), [("started", False, "starting"), ("draining", True, "shutting down")])
async def test_before_the_start_and_while_draining_nobody_is_sent_here(client, member, value, why) -> None:
    """Alive, but not ready."""
    readiness = ready(policy=fine)
    setattr(readiness, member, value)
    there = await client(readiness)
    answer = await there.get("/readyz")
    assert answer.status == 503
    assert (await answer.json())["reasons"] == [{"part": "process", "why": why}]
    assert (await there.get("/livez")).status == 200
    assert (await there.get("/startupz")).status == (200 if readiness.started else 503)


async def test_liveness_asks_nobody(client) -> None:
    """A full disk is not mended by a restart."""
    there = await client(ready(audit=full, state=gone))
    assert (await there.get("/livez")).status == 200
    assert (await there.head("/livez")).status == 200


async def test_a_scrape_refreshes_and_parses(client) -> None:
    """Prometheus' own parser reads it, under its content type."""
    metrics = Metrics("1.2.3")

    async def refresh() -> None:
        metrics.pending({"high": (4, 60.0)})

    answer = await (await client(ready(), refresh, metrics)).get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    samples = [sample for family in text_string_to_metric_families(await answer.text()) for sample in family.samples]
    assert [s.value for s in samples if s.name == "stagewarden_approvals_pending" and s.labels == {"risk": "high"}] == [4]


@pytest.mark.parametrize("failure", [StateUnavailable("locked"), AuditUnavailable("full")], ids=["state", "audit"])
async def test_a_scrape_works_while_a_part_is_down(client, failure) -> None:
    """What could not be refreshed is counted as an error: monitoring is needed most when something is broken."""
    metrics = Metrics("1")

    async def refresh() -> None:
        raise failure

    answer = await (await client(ready(), refresh, metrics)).get("/metrics")
    assert answer.status == 200
    component = "state" if isinstance(failure, StateUnavailable) else "audit"
    assert f'stagewarden_errors_total{{component="{component}",kind="unavailable"}} 1.0' in await answer.text()


@pytest.mark.parametrize("path", ["/", "/metrics/", "/debug", "/readyz/x", "/api/v1/kill"])
async def test_there_is_nothing_else_here(client, path) -> None:
    """No control is reachable on this listener."""
    there = await client(ready())
    assert (await there.get(path)).status == 404
    assert (await there.post("/metrics")).status == 405


async def test_a_stalled_event_loop_fails_readiness_for_a_while() -> None:
    """A probe that arrives up to ten seconds after the stall still sees it."""
    clock, seen = Hands(), asyncio.Queue[float]()
    watch = LoopWatch(clock, seen.put_nowait, every=0.01, late=0.1)
    task = asyncio.create_task(watch.watch())
    assert await seen.get() == 0
    assert await watch.trouble() is None
    clock.now += 0.2  # while it sleeps
    assert await seen.get() == pytest.approx(0.19)
    assert "stood still for 0.2 s" in (await watch.trouble() or "")
    assert await seen.get() == 0
    assert await watch.trouble() is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    clock.now += 10
    assert await watch.trouble() is not None
    clock.now += 0.1
    assert await watch.trouble() is None


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:9", 200), ("[::1]", 200), ("10.1.2.3", 200), ("localhost:8082", 200), ("metrics.internal", 200), ("evil.test", 421), ("a b", 400)],
)
async def test_cve_2025_66414_a_name_that_is_not_ours_reads_nothing(aiohttp_client, host, status):
    """A page whose name resolves to us gets no metrics; probes and scrapers, which come by address or a listed name, do."""
    client = await aiohttp_client(operations(ready(), Metrics("1"), nothing, frozenset({"localhost", "metrics.internal"})))
    answer = await client.get("/metrics", headers={"Host": host})
    assert answer.status == status
    assert (b"stagewarden_" in await answer.read()) == (status == 200)
