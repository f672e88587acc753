"""The decision cache in the whole product: every hit is a ruling of its own, and stops, modes and reloads are felt by the next request."""

import asyncio

import pytest
import yaml

from tests.product import product, rulings

ENGINE = "{engine: wasm, deadline: 2s, cache: {age: 10s}}"


async def draft(running):
    """The same draft, sent once more: the newsroom makes an article of each."""
    return await running.ask("POST", "/newsroom/articles", json={"title": "Winter opening hours"})


@pytest.fixture
async def running(tmp_path):
    """The product with the cache switched on."""
    async with product(tmp_path / "house", ENGINE) as made:
        yield made


async def cached(running):
    """Questions the cache had an answer for, and those it had none for."""
    lines = (await running.operations("/metrics")).body.decode().splitlines()
    found = {line.partition('result="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines if "cache_requests_total{" in line}
    return found.get("hit", 0), found.get("miss", 0)


async def test_each_hit_is_a_ruling_of_its_own_and_sent(running):
    """Three equal drafts: one question to the policy, three rulings in the log, three requests at the upstream."""
    replies = [await draft(running) for _ in range(3)]
    assert [reply.status for reply in replies] == [201] * 3
    assert await cached(running) == (2, 1)
    made = [entry for entry in rulings(running.house.folder) if entry["kind"] == "ruling"]
    assert len({reply.headers["Stagewarden-Ruling"] for reply in replies}) == len(made) == len(running.newsroom.arrivals) == 3
    assert len({str([entry["effect"], entry["reasons"], entry["proposed"]]) for entry in made}) == 1


async def test_another_body_or_header_is_another_question(running):
    """Hits are exact repeats: the request's digest is part of the question."""
    for number, header in ((1, "a"), (2, "a"), (2, "b")):
        assert (await running.ask("POST", "/newsroom/articles", json={"title": number}, headers={"traceparent": header})).status == 201
    assert await cached(running) == (0, 3)


async def test_ghsa_x883_2vmg_xwf7_a_kill_and_a_mode_are_felt_by_the_next_request(running):
    """Authelia: a revoked session was let through from a cache. A stop is looked at before the policy, and voids what was kept."""
    assert (await draft(running)).status == 201
    kill = await running.sidecar.rooms.modes.kill("agent:drafter", "rita", "looks wrong")
    assert (await draft(running)).json["type"].endswith(":killed")
    await running.sidecar.rooms.modes.unkill(kill.id, "lena", "checked")
    assert (await draft(running)).status == 201
    assert await cached(running) == (0, 2)
    assert len(running.newsroom.arrivals) == 2


async def test_cve_2021_41230_what_the_registry_no_longer_allows_is_refused_at_once(running):
    """Pomerium: stale claims outlived their revocation. A registry without the kind is asked anew."""
    assert (await draft(running)).status == 201
    path = running.house.folder / "registry.yaml"
    registry = yaml.safe_load(path.read_text())
    registry["workflows"]["newsletter"]["actions"]["allowed"].remove("article.draft")
    path.write_text(yaml.safe_dump(registry))
    await running.sidecar.reload()
    reply = await draft(running)
    assert (reply.status, reply.json["reasons"][0]["code"]) == (403, "prohibited")
    assert len(running.newsroom.arrivals) == 1


async def test_a_hold_is_asked_for_every_time(running):
    """What people decide is never kept, whoever repeats it."""
    running.newsroom.articles["1"] = {"id": "1", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
    for _ in range(2):
        assert (await running.ask("POST", "/newsroom/articles/1/publish")).json["type"].endswith(":held")
    assert (await cached(running))[0] == 0


async def test_equal_requests_at_once_are_each_recorded(running):
    """Ten clients, ten rulings."""
    assert {reply.status for reply in await asyncio.gather(*(draft(running) for _ in range(10)))} == {201}
    assert len([entry for entry in rulings(running.house.folder) if entry["kind"] == "ruling"]) == 10
