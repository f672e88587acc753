"""A reload over several processes: all of the new everywhere, or all of the old everywhere; and workers that do not answer."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from pathlib import Path

import stagewarden
from stagewarden.identity.keys import new_key
from tests.e2e.crew import Door, doors, end, metric, workers
from tests.e2e.houses import NOWHERE, edit, put
from tests.e2e.opa import opa_server
from tests.e2e.processes import SidecarProcess, serving, until
from tests.e2e.test_serve import BROKEN, details, pause_the_drafter
from tests.e2e.test_workers_crash import Load
from tests.product import house, rulings

BUNDLE = Path(stagewarden.__file__).parent / "bundle" / "stagewarden.tar.gz"
DRAFT = "/newsroom/articles"


def code(door: Door) -> str:
    """What this worker says to the drafter's request for something no route lists: its first reason, or its stop."""
    return door.ask("GET", "/newsroom/nothing").json["type"].rpartition(":")[2]


def test_a_reload_reaches_every_worker_or_none(tmp_path):
    """Whatever is broken, every worker keeps the old; mended, every worker has the new, a new key included."""
    made = house(tmp_path, NOWHERE)
    good = {name: (tmp_path / name).read_bytes() for name in ("registry.yaml", "agent-keys.yaml", "people-tokens.yaml")}
    with serving(made, workers=2) as sidecar, doors(sidecar) as each:
        revision = details(sidecar)["registry"]
        for count, (name, breaks) in enumerate(BROKEN.items(), 1):
            pause_the_drafter(made)
            breaks(made)
            sidecar.signal(signal.SIGHUP)
            until(lambda count=count: metric(sidecar, "stagewarden_reload_failures_total", what="registry") == count, name)
            assert details(sidecar)["registry"] == revision
            assert {code(door) for door in each} == {"denied"}
            for path, content in good.items():
                put(path, content)(made)
        pause_the_drafter(made)
        key, fingerprint = new_key("briefer")
        edit("agent-keys.yaml", good["agent-keys.yaml"].decode().split("briefer: ")[1].split("\n")[0], fingerprint)(made)
        sidecar.signal(signal.SIGHUP)
        until(lambda: details(sidecar)["registry"] != revision, "the reload")
        assert {code(door) for door in each} == {"paused"}
        for door in each:
            door.key = key
        assert {code(door) for door in each} == {"denied"}
        end(workers(sidecar)[0])
        until(lambda: sidecar.operations("/readyz").status == 200 and metric(sidecar, "stagewarden_worker_deaths_total") == 1, "the next worker")
        with doors(sidecar) as after:  # the one that came later judges by the same
            assert {code(door) for door in after} == {"paused"}
    assert [entry["result"] for entry in rulings(tmp_path) if entry["kind"] == "registry"] == ["kept"] * len(BROKEN) + ["loaded"]


def test_a_refused_reload_leaves_old_keys_in_force(tmp_path):
    """All or nothing over files: new agents' keys beside broken people's tokens do not count, in any worker."""
    made = house(tmp_path, NOWHERE)
    key, fingerprint = new_key("drafter")
    with serving(made, workers=2) as sidecar, doors(sidecar) as each:
        keys = (tmp_path / "agent-keys.yaml").read_text()
        edit("agent-keys.yaml", keys.split("drafter: ")[1].split("\n")[0], fingerprint)(made)
        BROKEN["people's tokens"](made)
        sidecar.signal(signal.SIGHUP)
        until(lambda: details(sidecar)["reload"] is not None, "the refusal")
        assert {code(door) for door in each} == {"denied"}
        for door in each:
            door.key = key
        assert {code(door) for door in each} == {"unauthenticated"}


def test_a_reload_overtakes_a_worker_that_is_starting(tmp_path):
    """One is killed and the registry changes while the next one starts: whenever all serve again, all serve by the new one."""
    made = house(tmp_path, NOWHERE)
    with serving(made, workers=2) as sidecar:
        for turn in range(3):
            revision = details(sidecar)["registry"]
            end(workers(sidecar)[0])
            until(lambda turn=turn: metric(sidecar, "stagewarden_worker_deaths_total") == turn + 1, "its death")
            time.sleep(random.uniform(0, 1.5))  # any moment of the next one's start
            edit("registry.yaml", "name: Rita Lund", f"name: Rita Lund {turn}")(made) if turn < 2 else pause_the_drafter(made)
            sidecar.signal(signal.SIGHUP)
            until(lambda revision=revision: in_force(sidecar) not in {None, revision}, "the reload")
        with doors(sidecar) as each:
            assert {code(door) for door in each} == {"paused"}


def in_force(sidecar: SidecarProcess) -> str | None:
    """The registry's revision, once everybody serves."""
    reply = sidecar.operations("/readyz")
    return reply.json["details"]["registry"] if reply.status == 200 else None


def test_a_worker_that_does_not_answer_keeps_everybody_on_the_old(tmp_path):
    """One worker stands still (SIGSTOP): a scrape still answers and says so, a reload is refused for all; it goes on, and the next one counts."""
    made = house(tmp_path, NOWHERE)
    with serving(made, workers=2) as sidecar, doors(sidecar) as each:
        revision = details(sidecar)["registry"]
        assert [door.ask("GET", "/newsroom/nothing").status for door in each] == [403, 403]
        assert metric(sidecar, "stagewarden_decisions_total") == 2
        end(each[0].pid, signal.SIGSTOP)
        try:
            assert metric(sidecar, "stagewarden_workers", state="silent") == 1
            assert metric(sidecar, "stagewarden_decisions_total") == 2
            pause_the_drafter(made)
            sidecar.signal(signal.SIGHUP)
            refused = until(lambda: sidecar.operations("/readyz").json["details"]["reload"], "the refusal")
            assert "worker" in refused
            reasons = sidecar.operations("/readyz").json["reasons"]
            assert [reason["part"] for reason in reasons] == ["workers"]
        finally:
            end(each[0].pid, signal.SIGCONT)
        until(lambda: sidecar.operations("/readyz").status == 200, "its voice")
        with doors(sidecar) as after:
            assert {code(door) for door in after} == {"denied"}
        assert details(sidecar)["registry"] == revision
        sidecar.signal(signal.SIGHUP)
        until(lambda: details(sidecar)["registry"] != revision, "the reload")
        with doors(sidecar) as after:
            assert {code(door) for door in after} == {"paused"}


async def test_workers_beside_an_opa_server(upstream, tmp_path):
    """Each asks it by itself; a reload reaches OPA once and every worker; what comes between the two is a no, and afterwards all agree."""
    async with opa_server(tmp_path, BUNDLE) as opa:
        made = house(tmp_path / "house", upstream.url, f"{{engine: opa, deadline: 2s, opa: {{url: '{opa.url}'}}}}")
        with serving(made, workers=2) as sidecar:
            with doors(sidecar) as each:
                told = [await asyncio.to_thread(door.ask, "POST", DRAFT, json={"title": "x"}) for door in each]
                assert [reply.status for reply in told] == [200, 200]
            async with Load(sidecar) as load:
                for number in range(3):
                    revision = (await asyncio.to_thread(details, sidecar))["registry"]
                    edit("registry.yaml", "name: Rita Lund", f"name: Rita Lund {number}")(made)
                    sidecar.signal(signal.SIGHUP)
                    await asyncio.to_thread(until, lambda: details(sidecar)["registry"] != revision, "the reload")  # noqa: B023 - awaited here
                    await load.more(20)
            assert set(load.others) <= {403}
            with doors(sidecar) as each:
                for door in each:
                    await asyncio.to_thread(until, lambda: door.ask("POST", DRAFT, json={"title": "y"}).status == 200, "a yes")  # noqa: B023


async def test_reloads_under_load_refuse_nobody(upstream, tmp_path):
    """Ten reloads while clients draft: no request is refused, every worker ends on the last registry."""
    made = house(tmp_path, upstream.url)
    with serving(made, workers=2) as sidecar:
        async with Load(sidecar) as load:
            for number in range(10):
                revision = (await asyncio.to_thread(details, sidecar))["registry"]
                edit("registry.yaml", "name: Rita Lund", f"name: Rita Lund {number}")(made)
                sidecar.signal(signal.SIGHUP)
                await asyncio.to_thread(until, lambda: details(sidecar)["registry"] != revision, "the reload")  # noqa: B023 - awaited here
                await load.more(20)
        assert (load.others, load.broken) == ({}, 0)
        pause_the_drafter(made)
        sidecar.signal(signal.SIGHUP)
        await asyncio.to_thread(until, lambda: details(sidecar)["registry"] != revision, "the reload")
        with doors(sidecar) as each:
            assert {code(door) for door in each} == {"paused"}
