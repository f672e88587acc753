"""`serve` as operators meet it: what it refuses to start with, its health, and what a reload takes over."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.errors import ConfigError
from tests.e2e.houses import NOWHERE, edit, put
from tests.e2e.processes import SidecarProcess, command, serving, until
from tests.product import House, house, product, rulings

if TYPE_CHECKING:
    from pathlib import Path

    from stagewarden.errors import Problem


def contents(folder: Path) -> dict[str, bytes | None]:
    """Everything in it."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# -- refusing to start --


CONFIG = "stagewarden.yaml"


def put_policy(made: House) -> None:
    """A bundle that is named and is none."""
    edit(CONFIG, "policy: {", "policy: {bundle: b.tar.gz, ")(made)
    put("b.tar.gz", b"no bundle")(made)


REFUSED = {
    "unknown key": (edit(CONFIG, "name: scenarios", "name: scenarios\ncolour: blue"), f"{CONFIG}:4", "colour", "known here"),
    "key written twice": (edit(CONFIG, "version: 1", "version: 1\nversion: 1"), f"{CONFIG}:3", "version", "keep one"),
    "no unit": (edit(CONFIG, "use_within: 15m", "use_within: 15"), f"{CONFIG}:16", "holds.use_within", "as in 30s"),
    "later feature": (edit(CONFIG, "name: scenarios", "name: scenarios\nevidence: {offers: {}}"), f"{CONFIG}:4", "evidence", "remove the section"),
    "open to others": (edit(CONFIG, 'people: {bind: "127.0.0.1', 'people: {bind: "0.0.0.0'), f"{CONFIG}:7", "listen.people.bind", "terminate TLS"),
    "no registry": (put("registry.yaml", None), "registry.yaml", "", "give the path"),
    "registry is not text": (put("registry.yaml", b"\xff\xfe\x00"), "registry.yaml:1", "", "UTF-8"),
    "registry is not YAML": (edit("registry.yaml", "people:", "people: ["), "registry.yaml:4", "", "mend the syntax"),
    "nobody of that name": (edit("registry.yaml", "owner: rita", "owner: zoe"), "registry.yaml:10", "processes.editorial.control_owner", "add them"),
    "no key for holds": (put("holds.key", None), f"{CONFIG}:16", "holds.key", "mode 0600"),
    "key everybody can read": (put("holds.key", b"00" * 32, 0o644), f"{CONFIG}:16", "holds.key", "chmod 0600"),
    "key that is none": (put("holds.key", b"short"), f"{CONFIG}:16", "holds.key", "openssl rand"),
    "no credential": (put("secrets/publisher", None), f"{CONFIG}:27", "upstreams.newsroom.credentials.export.value", "mode 0600"),
    "agents' keys": (put("agent-keys.yaml", b"drafter: zzz\n"), "file:agent-keys.yaml:1", "drafter", "64 hexadecimal digits"),
    "people's tokens": (put("people-tokens.yaml", b"- {sha256: x}\n"), "file:people-tokens.yaml:1", "[0]", "add `expires:`"),
    "a policy that is none": (put_policy, "b.tar.gz", "policy.bundle", "name a bundle"),
    "no policy": (edit(CONFIG, "policy: {", "policy: {bundle: b.tar.gz, "), f"{CONFIG}:15", "policy.bundle", "builtin"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "where", "key", "remedy"), REFUSED.values(), ids=REFUSED)
async def test_bad_input_is_named_and_leaves_nothing_behind(tmp_path, change, where, key, remedy):
    """The problem has file, line, key and remedy; there is not a file more or less than before, and no task still runs."""
    made = house(tmp_path, NOWHERE)
    change(made)
    before, tasks = contents(tmp_path), asyncio.all_tasks()
    with pytest.raises(ConfigError) as refused:
        async with running(configuration.load(made.config)):
            pytest.fail("it runs")
    named = [problem for problem in refused.value.problems if (named_place(problem), problem.key) == (where, key)]
    assert remedy in named[0].remedy, refused.value.problems
    assert contents(tmp_path) == before
    assert asyncio.all_tasks() == tasks


def named_place(problem: Problem) -> str:
    """File and line, the file without its folder."""
    file = problem.file.rpartition("/")[2]
    return f"{file}:{problem.line}" if problem.line else file


@pytest.mark.parametrize("row", ["no unit", "nobody of that name", "no credential", "people's tokens"])
def test_serve_says_so_and_exits_with_1(tmp_path, row):
    """As a process: a table on standard error, nothing on standard output, no traceback."""
    change, where, key, remedy = REFUSED[row]
    made = house(tmp_path, NOWHERE)
    change(made)
    before = contents(tmp_path)
    done = command("serve", "--config", CONFIG, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    found = [cells for cells in findings(done.stderr) if cells[1].endswith(where) and cells[2] == key]
    assert remedy in found[0][4], done.stderr
    assert "Traceback" not in done.stderr
    assert contents(tmp_path) == before


def test_too_few_file_descriptors_are_said_at_start(tmp_path):
    """Exit 1 with the key and how to mend it, instead of clients that wait for nothing later; nothing was written."""
    made = house(tmp_path, NOWHERE)
    edit(CONFIG, "limits: {", "limits: {connections: 900000000, ")(made)
    before = contents(tmp_path)
    done = command("serve", "--config", CONFIG, cwd=tmp_path)
    assert (done.returncode, "limits.connections" in done.stderr, "LimitNOFILE" in done.stderr) == (1, True, True)
    assert contents(tmp_path) == before


def test_cve_2023_47627_the_pure_python_parser_does_not_start(tmp_path, monkeypatch):
    """Aiohttp's fallback reads requests its other parser refuses: exit 1 with the remedy, and nothing was written."""
    made = house(tmp_path, NOWHERE)
    before = contents(tmp_path)
    monkeypatch.setenv("AIOHTTP_NO_EXTENSIONS", "1")
    done = command("serve", "--config", made.config)
    assert (done.returncode, "AIOHTTP_NO_EXTENSIONS" in done.stderr, "Traceback" in done.stderr) == (1, True, False)
    assert contents(tmp_path) == before


def test_no_configuration_is_a_usage_error(tmp_path):
    """Exit 2, naming the file."""
    done = command("serve", "--config", tmp_path / "nowhere.yaml")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr


@pytest.mark.parametrize("listener", ["agents", "operations"])
def test_a_taken_port_starts_nothing(tmp_path, listener):
    """Exit 1 naming the address; no other listener is left; once the port is free, the same house starts."""
    sidecar = SidecarProcess(house(tmp_path, NOWHERE))
    with socket.create_server(("127.0.0.1", sidecar.ports[listener])):
        done = command("serve", "--config", sidecar.house.config)
        assert (done.returncode, str(sidecar.ports[listener]) in done.stderr, "Traceback" in done.stderr) == (1, True, False)
    for port in sidecar.ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    try:
        sidecar.start()
    finally:
        sidecar.close()


def test_a_second_process_on_the_same_state_does_not_start(tmp_path):
    """The database has one owner: the second exits 1 and says so, the first goes on."""
    with serving(house(tmp_path, NOWHERE)) as first:
        entries = rulings(tmp_path)
        second = SidecarProcess(first.house)
        done = command("serve", "--config", second.house.config)
        assert (done.returncode, "another process is using it" in done.stderr) == (1, True)
        assert first.operations("/readyz").status == 200
        assert rulings(tmp_path) == entries


def test_a_broken_log_does_not_start(tmp_path):
    """A log that was edited is not continued: exit 1, naming the file, and the log stays as it is."""
    made = house(tmp_path, NOWHERE)
    with serving(made) as sidecar:
        sidecar.ask("GET", "/newsroom/articles")
        sidecar.signal(signal.SIGTERM)
        assert sidecar.ended() == 0
    (segment,) = (tmp_path / "audit").glob("*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b'"drafter"', b'"briefer"', 1))
    edited = segment.read_bytes()
    done = command("serve", "--config", made.config)
    assert (done.returncode, segment.name in done.stderr, "Traceback" in done.stderr) == (1, True, False)
    assert segment.read_bytes() == edited


def findings(table: str) -> list[list[str]]:
    """The rows of a printed table, each folded cell joined again: severity, where, key, problem, remedy."""
    rows: list[list[str]] = []
    fresh = True
    for line in table.splitlines():
        if not line.startswith("│"):
            fresh = True
            continue
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        if fresh:
            rows.append(cells)
        else:
            glue = ("", "", "", " ", " ")  # a place is cut anywhere, words between words
            rows[-1] = [before + between + cell for before, between, cell in zip(rows[-1], glue, cells, strict=True)]
        fresh = False
    return rows


# -- health and reload --


async def test_health_of_a_running_product(tmp_path):
    """Live, ready, started, measured; and nothing else is there."""
    async with product(tmp_path) as served:
        assert ((await served.operations("/livez")).status, (await served.operations("/livez")).json) == (200, {"live": True})
        ready = await served.operations("/readyz")
        assert (ready.status, ready.json["ready"], ready.json["reasons"], ready.json["details"]["reload"]) == (200, True, [], None)
        assert ready.json["details"]["registry"] == served.sidecar.rooms.registry.revision
        assert (await served.operations("/startupz")).json == {"started": True}
        assert (await served.ask("POST", "/newsroom/articles", json={"title": "x"})).status == 201
        metrics = await served.operations("/metrics")
        assert metrics.headers["Content-Type"].startswith("text/plain")
        assert b'stagewarden_decisions_total{effect="allow",risk="low",stage="generate"} 1.0' in metrics.body
        for path in ("/", "/metricsz", "/api/v1/holds"):
            assert (await served.operations(path)).status == 404


BROKEN = {
    "not YAML": edit("registry.yaml", "people:", "people: ["),
    "gone": put("registry.yaml", None),
    "a person who is not there": edit("registry.yaml", "control_owner: rita", "control_owner: nobody"),
    "agents' keys": put("agent-keys.yaml", b"drafter: zzz\n"),
    "people's tokens": put("people-tokens.yaml", b"- {sha256: x}\n"),
}


def test_a_broken_reload_keeps_the_last_good_one(tmp_path):
    """Whatever is broken, all of the old stays in force; `/readyz`, a metric and the log say so; mended, all of the new counts."""
    made = house(tmp_path, NOWHERE)
    good = {name: (tmp_path / name).read_bytes() for name in ("registry.yaml", "agent-keys.yaml", "people-tokens.yaml")}
    with serving(made) as sidecar:
        revision = details(sidecar)["registry"]
        for count, (name, breaks) in enumerate(BROKEN.items(), 1):
            failures = f'stagewarden_reload_failures_total{{what="registry"}} {count}.0'
            pause_the_drafter(made)
            breaks(made)
            sidecar.signal(signal.SIGHUP)
            until(lambda failures=failures: failures in sidecar.operations("/metrics").body.decode(), name)
            assert details(sidecar)["registry"] == revision
            assert details(sidecar)["reload"]
            assert sidecar.ask("GET", "/newsroom/nothing").json["reasons"][0]["code"] == "route_not_listed"  # the drafter is not paused
            assert sidecar.person("GET", "/me", "rita").status == 200
            for path, content in good.items():
                put(path, content)(made)
        pause_the_drafter(made)
        sidecar.signal(signal.SIGHUP)
        until(lambda: details(sidecar)["reload"] is None, "the reload")
        assert details(sidecar)["registry"] != revision
        assert sidecar.ask("GET", "/newsroom/nothing").json["type"] == "urn:stagewarden:problem:paused"
    results = [entry["result"] for entry in rulings(tmp_path) if entry["kind"] == "registry"]
    assert results == ["kept"] * len(BROKEN) + ["loaded"]


def pause_the_drafter(made: House) -> None:
    """In the registry's own words."""
    edit("registry.yaml", "drafter: {identity: {key: drafter},", "drafter: {mode: paused, identity: {key: drafter},")(made)


def details(sidecar: SidecarProcess) -> dict[str, Any]:
    """Of `/readyz`, which is ready."""
    reply = sidecar.operations("/readyz")
    assert reply.status == 200, reply
    return reply.json["details"]
