"""Dockerfile, compose file and the example it runs, as far as they can be held without an engine; the example itself is run."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import re
import shutil
import sys

import pytest
import yaml
from click.testing import CliRunner

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.cli import main
from stagewarden.cli.init import write
from stagewarden.cli.newsroom import Newsroom
from stagewarden.clock import SystemClock
from tests.product import serving
from tests.unit.shipping.manuals import OPERATORS, ROOT, lines

DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
INSTRUCTIONS = [tuple(line.split(maxsplit=1)) for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
STAGES = DOCKERFILE.count("\nFROM ") + DOCKERFILE.startswith("FROM ")
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
EXAMPLE = ROOT / "deploy" / "examples" / "newsroom"
UPSTREAM_PORT = 9000


def said(instruction: str) -> list[str]:
    """What the Dockerfile says for one instruction, in order."""
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def test_the_image_is_built_in_two_stages_and_carries_one_environment() -> None:
    """The second stage copies from the first only; pip stays behind."""
    assert len(said("FROM")) == 2
    last = DOCKERFILE.split("\nFROM ")[-1]
    assert re.findall(r"^COPY (.*)$", last, re.MULTILINE) == ["--from=builder /opt/stagewarden /opt/stagewarden"]
    assert "pip uninstall" in DOCKERFILE
    assert "--constraint constraints.txt" in DOCKERFILE


def test_the_process_is_nobody_special() -> None:
    """A numeric user of at least 10000, set after the last RUN; no shell in what is started."""
    (user,) = said("USER")
    assert all(int(part) >= 10_000 for part in user.split(":"))
    assert [name for name, _ in INSTRUCTIONS][-8:].count("RUN") == 0
    (entry,), (command,) = said("ENTRYPOINT"), said("CMD")
    assert json.loads(entry) == ["/opt/stagewarden/bin/stagewarden"]
    assert json.loads(command)[:1] == ["serve"]
    assert not {"sh", "bash", "/bin/sh"} & {*json.loads(entry), *json.loads(command)}


def test_what_is_copied_is_there_and_let_through() -> None:
    """Each file of a COPY exists; .dockerignore hides everything else, secrets beside the examples first of all."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    copied = [name for rest in said("COPY") if "--from" not in rest for name in rest.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in rules, name
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(copied)
    assert not any(fnmatch.fnmatch("deploy/examples/newsroom/holds.key", rule[1:]) for rule in rules if rule.startswith("!"))


def test_the_services_of_compose() -> None:
    """Agent, sidecar, upstream, Prometheus; each with an image that is named with a version; nothing is published beyond the host's loopback."""
    assert SERVICES.keys() == {"agent", "stagewarden", "newsroom", "prometheus"}
    assert all(re.fullmatch(r"[a-z/]+:v?\d+\.[\w.-]+", service["image"]) for service in SERVICES.values())
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    ours = [SERVICES[name] for name in ("stagewarden", "newsroom", "agent")]
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in ours)


def test_the_agent_cannot_reach_the_newsroom() -> None:
    """The newsroom listens on the loopback of the sidecar's network namespace; the agent shares an inner network with the sidecar alone."""
    newsroom, agent = SERVICES["newsroom"], SERVICES["agent"]
    assert newsroom["network_mode"] == "service:stagewarden"
    assert f"--bind=127.0.0.1:{UPSTREAM_PORT}" in newsroom["command"]
    assert agent["networks"] == ["agents"]
    assert COMPOSE["networks"]["agents"]["internal"] is True
    config = yaml.safe_load((EXAMPLE / "stagewarden.yaml").read_text())
    assert config["upstreams"]["newsroom"]["url"] == f"http://127.0.0.1:{UPSTREAM_PORT}"
    host, port, mount = re.fullmatch(r"http://([^:/]+):(\d+)(/.+)", agent["environment"]["STAGEWARDEN_URL"]).groups()
    assert host in config["listen"]["agents"]["hosts"]
    assert config["listen"]["agents"]["bind"].endswith(f":{port}")
    assert mount == config["upstreams"]["newsroom"]["mount"]
    assert not [mounted for mounted in agent["volumes"] if mounted.split(":")[0].rstrip("/").endswith(("newsroom", "secrets"))]


def test_what_compose_mounts_and_starts_is_there() -> None:
    """Paths of the project exist, but for the secrets that the manual's steps make; named volumes are declared; modules and files are ours."""
    for name, service in SERVICES.items():
        for mounted in service.get("volumes", []):
            source = mounted.split(":")[0]
            made_later = source.endswith("secrets/agents")
            assert made_later or (ROOT / "deploy" / source).exists() or source in COMPOSE["volumes"], f"{name}: {source}"
    assert (ROOT / "src" / "stagewarden" / "cli" / "newsroom.py").exists()
    targets = yaml.safe_load((ROOT / "deploy" / "monitoring" / "prometheus.yml").read_text())["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == ["stagewarden:8082"]


def test_the_variables_of_compose_are_set_by_the_manual() -> None:
    """Every variable compose asks for is exported in the steps, from a file that exists after them."""
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "deploy" / "compose.yaml").read_text()))
    exported = {found[1] for line in lines(OPERATORS) if (found := re.match(r"export (\w+)=", line))}
    assert asked
    assert asked <= exported


@pytest.fixture
def example(tmp_path):
    """The example's folder after the manual's steps, its volume in a folder of the test, its ports the system's choice."""
    folder, volume = tmp_path / "newsroom", tmp_path / "volume"
    volume.mkdir()
    shutil.copytree(EXAMPLE, folder)
    write(tmp_path / "house", "newsletter", SystemClock())
    (copying,) = (line for line in lines(OPERATORS) if line.startswith("cp -r /tmp/house/"))
    for name in re.findall(r"/tmp/house/(\S+)", copying):
        source = tmp_path / "house" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    path = folder / "stagewarden.yaml"
    text = (
        re.sub(r"0\.0\.0\.0:\d+", "127.0.0.1:0", path.read_text())
        .replace("/var/lib/stagewarden", str(volume))
        .replace("[stagewarden]", "[127.0.0.1]")
    )
    path.write_text(text)
    return path


def test_the_example_passes_the_check(example) -> None:
    """After the manual's steps `check` finds no error and no gap."""
    result = CliRunner().invoke(main, ["check", "--config", str(example)])
    assert result.exit_code == 0, result.output
    assert "errors 0, warnings 0" in result.output


async def test_the_example_agent_gets_what_it_should(example) -> None:
    """The agent's own script against the example's sidecar: drafts and edits pass, the publish is held, the delete is refused."""
    tokens = {name: (example.parent / "secrets" / name).read_text().split()[1] for name in ("drafter", "publisher")}
    newsroom = Newsroom(**tokens)
    async with serving(newsroom.application()) as address:
        example.write_text(example.read_text().replace(f"http://127.0.0.1:{UPSTREAM_PORT}", address))
        async with running(configuration.load(example)) as sidecar:
            host, port = sidecar.agents_address
            environment = {
                "STAGEWARDEN_URL": f"http://{host}:{port}/newsroom",
                "STAGEWARDEN_KEY_FILE": str(example.parent / "secrets/agents/drafter.key"),
            }
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(example.parent / "agent.py"), env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            output, _ = await process.communicate()
    told = [line.split(maxsplit=2) for line in output.decode().splitlines()]
    assert [line[:2] for line in told] == [["draft", "201"], ["edit", "200"], ["publish", "403"], ["delete", "403"]], output.decode()
    assert "publish_not_granted" in told[2][2]
    assert "prohibited" in told[3][2]
    assert newsroom.published == []
