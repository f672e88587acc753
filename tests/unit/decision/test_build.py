"""Rego becomes a bundle only after it was checked and tested; the built-in one is what `policy build rego` makes."""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from stagewarden.cli.opa import opa as opa_command
from stagewarden.cli.policy import policy as policy_command
from stagewarden.config import Places
from stagewarden.decision import build, load_bundle, toolchain
from stagewarden.decision.bundle import pack, read
from stagewarden.errors import ConfigError
from tests.needs import NEEDS, needs
from tests.unit.decision.policies import AGENTS

ROOT = Path(__file__).parents[3]
PLATFORM = (platform.system().lower(), platform.machine().lower())
TEST = """package stagewarden.main_test

import data.stagewarden.main

test_deny if main.verdict.effect == "deny" with input as {"principal": {"agent": "x"}} with data.registry as {"agents": {}}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A small policy with a test, a schema and a helper of its tests."""
    folder = tmp_path / "rules"
    (folder / "stagewarden" / "testing").mkdir(parents=True)
    (folder / "stagewarden" / "main.rego").write_text(AGENTS)
    (folder / "stagewarden" / "main_test.rego").write_text(TEST)
    (folder / "stagewarden" / "testing" / "shapes.rego").write_text("package stagewarden.testing\n\nagent := 1\n")
    (folder / "schemas").mkdir()
    (folder / "schemas" / "input.json").write_text('{"type": "object"}')
    return folder


def test_the_committed_bundle_is_a_fresh_build() -> None:
    """CI gate: what is shipped is what the sources say."""
    opa = needs("opa")
    shipped = load_bundle("builtin", ROOT, Places("", ROOT))
    fresh = build.build(ROOT / "rego", opa)
    assert fresh.revision == shipped.revision, "run: stagewarden policy build rego -o src/stagewarden/bundle/stagewarden.tar.gz"


def test_a_build_is_the_same_twice_and_without_tests(rules: Path) -> None:
    """Same rules, same bytes; tests, their helpers and schemas stay out."""
    opa = needs("opa")
    one, other = (pack(build.build(rules, opa)) for _ in range(2))
    assert one == other
    with tarfile.open(fileobj=io.BytesIO(one)) as archive:
        assert archive.getnames() == ["/.manifest", "/policy.wasm", "/stagewarden/main.rego"]


BROKEN = {
    "syntax": ("stagewarden/main.rego", "package stagewarden.main\n\nverdict := {", "opa check says"),
    "unused import": ("stagewarden/more.rego", "package stagewarden.more\n\nimport data.stagewarden.main\n\nx := 1\n", "opa check says"),
    "failing test": ("stagewarden/main_test.rego", TEST.replace('"deny"', '"allow"'), "opa test says"),
    "no entrypoint": ("stagewarden/main.rego", "package stagewarden.other\n\nx := 1\n", "opa"),
    "data": ("stagewarden/limits.yaml", "a: 1\n", "belong into the registry"),
}


@pytest.mark.parametrize(("name", "content", "says"), BROKEN.values(), ids=BROKEN)
def test_broken_rules_give_no_bundle(rules: Path, name: str, content: str, says: str) -> None:
    """What OPA says is shown; the output is not touched."""
    needs("opa")
    (rules / name).write_text(content)
    output = rules.parent / "bundle.tar.gz"
    output.write_bytes(b"last good")
    done = CliRunner().invoke(policy_command, ["build", str(rules), "-o", str(output)], env=_environment())
    assert done.exit_code == 1, done.output
    assert says in done.output
    assert output.read_bytes() == b"last good"
    assert sorted(path.name for path in rules.parent.iterdir()) == ["bundle.tar.gz", "rules"]


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    """A directory without Rego is a mistake."""
    with pytest.raises(ConfigError, match="holds no Rego"):
        build.sources(tmp_path)


def test_build_writes_a_bundle_that_loads(rules: Path) -> None:
    """The command's output is a bundle, and says its revision."""
    needs("opa")
    output = rules.parent / "bundle.tar.gz"
    done = CliRunner().invoke(policy_command, ["build", str(rules), "-o", str(output)], env=_environment())
    assert done.exit_code == 0, done.output
    assert read(output).revision in done.output


def test_build_refuses_a_builtin_the_engine_lacks(rules: Path) -> None:
    """What would be refused at start is refused at build."""
    needs("opa")
    (rules / "stagewarden" / "main.rego").write_text(AGENTS + "\nverdict := {} if time.now_ns() == 0\n")
    done = CliRunner().invoke(policy_command, ["build", str(rules), "-o", str(rules.parent / "b.tar.gz")], env=_environment())
    assert done.exit_code == 1
    assert "time.now_ns" in done.output


def test_policy_test_asks_for_every_line(rules: Path) -> None:
    """Lines no test runs are named, and are a finding unless coverage is not asked for."""
    needs("opa")
    run = CliRunner()
    done = run.invoke(policy_command, ["test", str(rules)], env=_environment())
    assert done.exit_code == 1
    assert "main.rego:" in done.output
    assert run.invoke(policy_command, ["test", str(rules), "--no-coverage"], env=_environment()).exit_code == 0


def test_without_opa_the_commands_end_with_three(tmp_path: Path) -> None:
    """Not reachable, and the line that installs it."""
    nowhere = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    for command, arguments in (
        (policy_command, ["build", str(tmp_path), "-o", str(tmp_path / "b")]),
        (policy_command, ["test", str(tmp_path)]),
        (opa_command, ["path"]),
    ):
        done = CliRunner().invoke(command, arguments, env=nowhere)
        assert done.exit_code == 3
        assert "stagewarden opa install" in done.output


def test_usage_errors_end_with_two(tmp_path: Path) -> None:
    """A directory that is not there is a mistake in the command line."""
    assert CliRunner().invoke(policy_command, ["test", str(tmp_path / "nowhere")]).exit_code == 2


def test_opa_is_found_on_the_path_first_and_then_in_the_cache(tmp_path: Path) -> None:
    """PATH wins; the cache is ours."""
    places = Places(str(tmp_path / "bin"), tmp_path / "cache")
    assert toolchain.find(places) is None
    _program(toolchain.cached(places), "1.22.0")
    assert toolchain.find(places) == toolchain.cached(places)
    _program(tmp_path / "bin" / "opa", "1.22.0")
    assert toolchain.find(places) == tmp_path / "bin" / "opa"
    assert toolchain.version(tmp_path / "bin" / "opa") == "1.22.0"


def test_tests_look_where_the_command_installs() -> None:
    """`stagewarden opa install` makes the end-to-end tests run."""
    places = Places.of({"HOME": "~"})
    assert str(toolchain.cached(places)) in NEEDS["opa"].paths
    assert Places.of({"HOME": "/h", "XDG_CACHE_HOME": "/c"}).cache == Path("/c/stagewarden")
    assert Places.of({"HOME": "/h", "XDG_CACHE_HOME": "relative"}).cache == Path("/h/.cache/stagewarden")


def test_a_download_is_installed_only_with_the_pinned_sum(tmp_path: Path) -> None:
    """The right bytes land in the cache; wrong ones leave nothing behind."""
    places = Places("", tmp_path)
    pinned = {PLATFORM: ("opa_x", hashlib.sha256(b"good").hexdigest())}
    asked = []

    def get(url: str) -> bytes:
        asked.append(url)
        return b"bad"

    with pytest.raises(toolchain.NoOpa, match="SHA-256 differs"):
        toolchain.install(places, pinned, get)
    assert not list(toolchain.cached(places).parent.iterdir())
    assert toolchain.install(places, pinned, lambda _url: b"good").read_bytes() == b"good"
    assert asked == [toolchain.RELEASES + "opa_x"]


def test_a_failed_download_is_not_reachable(tmp_path: Path) -> None:
    """The network's error becomes NoOpa."""

    def get(_url: str) -> bytes:
        raise OSError("no route")

    with pytest.raises(toolchain.NoOpa, match="no route"):
        toolchain.install(Places("", tmp_path), {PLATFORM: ("opa_x", "0" * 64)}, get)


def test_without_a_pinned_sum_nothing_is_downloaded(tmp_path: Path) -> None:
    """Go builds it instead; without Go the remedy is said."""

    def get(_url: str) -> bytes:
        raise AssertionError("asked the network")

    with pytest.raises(toolchain.NoOpa, match="no checksum is pinned"):
        toolchain.install(Places(str(tmp_path), tmp_path), {}, get)


def test_go_installs_the_pinned_version(tmp_path: Path) -> None:
    """`go install` gets the exact module version, and its result lands in the cache."""
    places = Places(f"{tmp_path / 'bin'}:/usr/bin:/bin", tmp_path / "cache")
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text('#!/bin/sh\necho "$@" > "$GOBIN/opa"\n')
    go.chmod(0o700)
    assert toolchain.install(places, {}).read_text() == f"install {toolchain.MODULE}\n"
    go.write_text("#!/bin/sh\necho no such version >&2\nexit 1\n")
    with pytest.raises(toolchain.NoOpa, match="no such version"):
        toolchain.install(Places(places.search, tmp_path / "other"), {})


def _program(path: Path, version: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'Version: {version}'\n")
    path.chmod(0o700)


def _environment() -> dict[str, str]:
    return {"PATH": f"{needs('opa').parent}:/usr/bin:/bin"}
