"""`check`: every problem as a table or as JSON, exit 0 or 1; the examples to copy pass it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from stagewarden.cli.check import check as command
from stagewarden.cli.check import findings
from stagewarden.cli.init import init
from stagewarden.decision import bundle
from tests.authority import Authority, Issued
from tests.databases import PASSWORD, cluster
from tests.needs import needs

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "deploy" / "examples"
TEMPLATES = ROOT / "src" / "stagewarden" / "templates"
SAME = {"newsroom": "newsletter", "wordpress": "wordpress"}
MADE = ("holds.key", "agent-keys.yaml", "people.yaml", "people-tokens.yaml", "secrets")


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A house of the newsletter template."""
    folder = tmp_path_factory.mktemp("check") / "house"
    assert CliRunner().invoke(init, [str(folder)]).exit_code == 0
    return folder


@pytest.fixture
def house(ready, tmp_path):
    """A copy to break."""
    shutil.copytree(ready, tmp_path / "house")
    return tmp_path / "house"


def change(path: Path, old: str, new: str) -> None:
    """One edit, which must be one."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def run(folder: Path, *options: str):
    """The command, as a terminal runs it."""
    return CliRunner().invoke(command, ["--config", str(folder / "stagewarden.yaml"), *options])


def test_a_sound_house_exits_0(ready):
    """And says so in one line."""
    result = run(ready)
    assert result.exit_code == 0
    assert "errors 0, warnings 0" in result.output


def test_a_cache_before_a_topic_that_may_read_the_clock_is_an_error(house):
    """`policy.cache` with the shipped bundle is fine; with a topic whose author does not say `timeless: true` it is refused by name."""
    change(house / "stagewarden.yaml", "policy: {", "policy: {cache: {age: 1s}, ")
    assert run(house).exit_code == 0
    shipped = bundle.read(ROOT / "src" / "stagewarden" / "bundle" / "stagewarden.tar.gz")
    rego = tuple(sorted((*shipped.rego, ("stagewarden/rules/hours/hours.rego", b"package stagewarden.rules.hours\n"))))
    (house / "bundle.tar.gz").write_bytes(bundle.pack(bundle.Bundle(rego, shipped.wasm)))
    change(house / "stagewarden.yaml", "bundle: builtin", "bundle: bundle.tar.gz")
    result = run(house, "--json")
    assert result.exit_code == 1
    (problem,) = [each for each in json.loads(result.output) if each["severity"] == "error"]
    assert "stagewarden.rules.hours" in problem["message"]
    assert problem["key"] == "policy.cache"


def test_a_warning_exits_0(house):
    """Gaps are for reading."""
    change(house / "registry.yaml", "article.read, article.draft", "article.draft")
    result = run(house)
    assert result.exit_code == 0
    assert "warning" in result.output
    assert any("prohibited for everybody" in problem.message for problem in findings(house / "stagewarden.yaml"))


def test_an_error_exits_1_with_file_line_key_and_remedy(house):
    """As a table."""
    change(house / "stagewarden.yaml", "destination: newsroom-site", "destination: nowhere")
    result = run(house)
    line = (house / "stagewarden.yaml").read_text().splitlines().index("    destination: nowhere") + 1
    assert result.exit_code == 1
    flat = "".join(result.output.split())
    assert f"stagewarden.yaml:{line}" in flat
    for part in ("error", "upstreams.newsroom", "`nowhere`isnotadestination", "destinations"):
        assert part in flat


def test_json_is_for_machines(house):
    """Every finding with its parts, nothing else on the output."""
    change(house / "stagewarden.yaml", "deadline: 200ms", "deadline: 200")
    result = run(house, "--json")
    (found,) = json.loads(result.output)
    assert result.exit_code == 1
    assert found.keys() == {"file", "line", "key", "message", "remedy", "severity"}
    assert found["key"] == "policy.deadline"


def test_all_problems_at_once(house):
    """Of the configuration, and of what the two files say to each other."""
    change(house / "registry.yaml", "stages: [generate, edit]", "stages: [generate, export]")
    change(house / "registry.yaml", "control_owner: alice", "control_owner: zed")
    (house / "secrets" / "drafter").unlink()
    keys = {problem.key for problem in findings(house / "stagewarden.yaml") if problem.severity == "error"}
    assert keys == {"agents.drafter.stages", "processes.editorial.control_owner", "upstreams.newsroom.credentials.generate.value"}


def test_nothing_is_written(house):
    """Checking a house leaves it as it was."""
    before = sorted((path, path.stat().st_mtime_ns) for path in house.rglob("*"))
    run(house)
    assert sorted((path, path.stat().st_mtime_ns) for path in house.rglob("*")) == before


@pytest.mark.parametrize("name", ["stagewarden.yaml", "registry.yaml"])
def test_a_file_that_is_no_yaml_exits_1(house, name):
    """With its line."""
    (house / name).write_text("a: [1\n")
    result = run(house)
    assert result.exit_code == 1
    assert f"{name}:" in "".join(result.output.split())


def test_a_missing_configuration_is_usage(tmp_path):
    """Exit 2, as for any wrong argument."""
    assert run(tmp_path).exit_code == 2


def test_a_markup_like_key_is_printed_as_it_is(house):
    """`routes[0]` is no style instruction."""
    change(house / "stagewarden.yaml", "match: GET /articles,", "match: FETCH /articles,")
    assert "routes[0]" in "".join(run(house).output.split())


HOUSES = {
    "workflow_without_reviewers": (
        ("registry.yaml", "functions: [reviewer]", "functions: []"),
        ("registry.yaml", "functions: [manager, reviewer]", "functions: [manager]"),
        "holds of tier medium cannot be answered",
    ),
    "reviewers_with_a_conflict": (
        ("registry.yaml", "functions: [reviewer]", "functions: [reviewer], conflicts: ['workflow:newsletter']"),
        ("registry.yaml", "functions: [manager, reviewer]", "functions: [manager]"),
        "holds of tier medium cannot be answered",
    ),
    "two_seats_one_person": (
        ("registry.yaml", "functions: [reviewer]", "functions: []"),
        ("registry.yaml", "functions: [legal, compliance]", "functions: []"),
        "holds of tier high cannot be answered",
    ),
    "the_owner_is_the_only_reviewer": (
        ("registry.yaml", "functions: [reviewer]", "functions: []"),
        ("registry.yaml", "owners: {human: alice,", "owners: {human: carol,"),
        "`carol` answers for the agent",
    ),
}


@pytest.mark.parametrize(("first", "second", "text"), HOUSES.values(), ids=HOUSES)
def test_holds_that_nobody_could_answer_are_listed(house, first, second, text):
    """They would be denied at once (`seats_unfillable`); an alias is nobody different."""
    for name, old, new in (first, second):
        change(house / name, old, new)
    found = [problem for problem in findings(house / "stagewarden.yaml") if problem.key == "workflows.newsletter"]
    assert any(text in f"{problem.message} {problem.remedy}" for problem in found)
    assert {problem.severity for problem in found} == {"warning"}


def test_a_key_of_nobody_and_an_agent_without_key_are_warnings(house):
    """Both only look as if they worked."""
    keys = yaml.safe_load((house / "agent-keys.yaml").read_text())
    (house / "agent-keys.yaml").write_text(yaml.safe_dump({"ghost": keys["drafter"]}, default_style='"'))
    found = {problem.key: problem.severity for problem in findings(house / "stagewarden.yaml")}
    assert found == {"identity.agents[0].keys": "warning", "agents.drafter.identity.key": "warning"}


BROKEN = {
    "keys": ("agent-keys.yaml", "drafter: sw_drafter_oops\n", "agent-keys.yaml"),
    "users": ("people.yaml", "alice: hunter2\n", "people.yaml"),
    "tokens": ("people-tokens.yaml", "- {person: alice}\n", "people-tokens.yaml"),
}


@pytest.mark.parametrize(("name", "text", "file"), BROKEN.values(), ids=BROKEN)
def test_identity_files_are_read_as_what_they_are(house, name, text, file):
    """With their own line, and without repeating what may be a secret."""
    (house / name).write_text(text)
    found = findings(house / "stagewarden.yaml")
    assert any(file in problem.file and problem.severity == "error" for problem in found)
    assert "hunter2" not in str(found)
    assert "oops" not in str(found)


HOOK = "notify: [{name: desk, kind: webhook, url: https://receiver.example/, secrets: [file:hook]}]\n"


@pytest.mark.parametrize(
    ("text", "said"), [(None, "cannot be read"), ("hunter2", "whsec_"), ("whsec_c2hvcnQ=", "holds 5 bytes")], ids=["missing", "another kind", "short"]
)
def test_what_a_channel_needs_is_looked_at(house, text, said):
    """A notification's secret that is not there, or is none: found before the start, by place and without showing it."""
    settings = house / "stagewarden.yaml"
    settings.write_text(f"{settings.read_text()}\n{HOOK}")
    if text is not None:
        secret(house / "hook", text)
    found = [problem for problem in findings(settings) if problem.key == "notify[0].secrets[0]"]
    assert [said in str(problem) and problem.line > 0 for problem in found] == [True]
    assert text is None or text not in str(found)


def secured(house, trusted: Authority) -> None:
    """The agents' listener over TLS, the drafter known by certificate, the upstream by an authority of its own."""
    for name in ("bundle.pem", "cms-ca.pem"):
        (house / name).write_text(trusted.pem)
    trusted.server_certificate("localhost").save(house / "svid.pem", house / "svid_key.pem")
    document = yaml.safe_load((house / "stagewarden.yaml").read_text())
    document["listen"]["agents"]["tls"] = {"certificate": "file:svid.pem", "key": "file:svid_key.pem", "client_ca": "file:bundle.pem"}
    document["identity"]["agents"] = [{"kind": "mtls", "trust_domain": "example.org"}]
    document["upstreams"]["newsroom"] |= {"url": "https://localhost:9000", "ca": "file:cms-ca.pem"}
    (house / "stagewarden.yaml").write_text(yaml.safe_dump(document))
    change(house / "registry.yaml", "identity: {key: drafter}", 'identity: {spiffe: "spiffe://example.org/drafter"}')


CERTIFICATES = {
    "another_key": (lambda house, ca: (house / "svid_key.pem").write_bytes(ca.svid().key_pem), "listen.agents.tls.key", "not the key of the first"),
    "no_authority": (lambda house, ca: (house / "bundle.pem").write_bytes(ca.svid().pem), "listen.agents.tls.client_ca", "no authority"),
    "weak_key": (
        lambda house, ca: weak(ca).save(house / "svid.pem", house / "svid_key.pem"),
        "listen.agents.tls",
        "cannot be used: EE_KEY_TOO_SMALL",
    ),
    "upstream": (lambda house, _: (house / "cms-ca.pem").write_text("none"), "upstreams.newsroom.ca", "holds no certificate"),
}


def weak(trusted: Authority) -> Issued:
    """A certificate whose key OpenSSL does not accept."""
    return trusted.issue([x509.DNSName("localhost")], key=rsa.generate_private_key(65537, 1024))


@pytest.mark.parametrize(("spoil", "key", "text"), CERTIFICATES.values(), ids=CERTIFICATES)
def test_certificates_are_tried_before_they_are_served(house, tmp_path, spoil, key, text):
    """Sound ones have no finding; each problem stands at the key that names the file, with its line."""
    trusted = Authority.make(tmp_path)
    secured(house, trusted)
    assert [str(problem) for problem in findings(house / "stagewarden.yaml")] == []
    spoil(house, trusted)
    (found,) = findings(house / "stagewarden.yaml")
    assert (found.severity, found.key) == ("error", key)
    assert text in found.message
    assert found.line
    assert run(house).exit_code == 1


@pytest.mark.parametrize("name", SAME)
def test_an_example_passes_with_fresh_keys(tmp_path, name):
    """As its first lines say: copy it, let init make the secrets, check it."""
    made, folder = tmp_path / "made", tmp_path / "example"
    assert CliRunner().invoke(init, [str(made), "--template", SAME[name]]).exit_code == 0
    shutil.copytree(EXAMPLES / name, folder)
    for part in MADE:
        (shutil.copytree if (made / part).is_dir() else shutil.copy2)(made / part, folder / part)
    for credential in ("drafter", "publisher"):
        (folder / "secrets" / credential).write_text("Bearer given-by-the-upstream\n")
    assert [str(problem) for problem in findings(folder / "stagewarden.yaml")] == []


@pytest.mark.parametrize("instance", ["sidecar", "people"])
def test_the_example_of_a_fleet_passes_with_fresh_keys(tmp_path, instance):
    """A sidecar, and the people's instance without the upstreams' credentials; on a database that answers."""
    needs("postgresql")
    made, folder = tmp_path / "made", tmp_path / "example"
    assert CliRunner().invoke(init, [str(made)]).exit_code == 0
    shutil.copytree(EXAMPLES / "fleet", folder)
    for part in MADE if instance == "sidecar" else ("holds.key", "people.yaml", "people-tokens.yaml"):
        (shutil.copytree if (made / part).is_dir() else shutil.copy2)(made / part, folder / instance / part)
    secret(folder / instance / "secrets" / "state-password", PASSWORD)
    with cluster().new() as database:
        change(folder / instance / "stagewarden.yaml", "@db.internal:5432/stagewarden?", f"@127.0.0.1:{cluster().port}/{database}?")
        found = findings(folder / instance / "stagewarden.yaml")
        assert {problem.message for problem in found} == {"the server runs with fsync=off", "the server runs with full_page_writes=off"}
        assert cluster().run(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")[0][0] == 0


STATES = {
    "refuses": ("postgresql://sw@127.0.0.1:1/state", "warning", "cannot be used now: "),
    "somebody else's": ("postgresql://stagewarden@127.0.0.1:PORT/FOREIGN", "warning", "not a Stagewarden state database"),
    "without its password": ("postgresql://sw@127.0.0.1/state?password=file:secrets/none", "error", "cannot be read"),
    "without its authority": ("postgresql://sw@localhost/state?sslmode=verify-full&sslrootcert=none.pem", "error", "cannot be read"),
    "an empty secret": ("env:NOT_SET_ANYWHERE", "error", "is not set"),
    "unverified": ("postgresql://sw@db.example/state?sslmode=require", "error", "does not check whom it talks to"),
}


@pytest.mark.parametrize(("state", "severity", "text"), STATES.values(), ids=STATES)
def test_a_shared_state_is_looked_at(house, state, severity, text):
    """What is wrong in the file is an error at its line; a database that does not answer now is a warning. No password is shown."""
    needs("postgresql")
    with cluster().new() as foreign:
        cluster().run(foreign, "CREATE TABLE customers (id integer)")
        written = state.replace("PORT", str(cluster().port)).replace("FOREIGN", foreign)
        change(house / "stagewarden.yaml", "state: sqlite:state.db", f"state: {written}")
        (found,) = findings(house / "stagewarden.yaml")
        assert (found.severity, found.key) == (severity, "state")
        assert found.line
        assert text in found.message
        assert run(house).exit_code == (1 if severity == "error" else 0)


def secret(path: Path, text: str) -> None:
    """For its owner alone."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)


@pytest.mark.parametrize("name", SAME)
def test_an_example_has_the_templates_registry(name):
    """They differ in the day only."""
    template = (TEMPLATES / SAME[name] / "registry.yaml").read_text()
    assert (EXAMPLES / name / "registry.yaml").read_text() == template.replace("@TODAY@", "2026-11-21")


def test_no_example_holds_a_secret():
    """Only configuration, registry, an agent to read, and what keeps secrets out of a commit."""
    assert {path.name for path in EXAMPLES.rglob("*") if path.is_file()} == {"stagewarden.yaml", "registry.yaml", "agent.py", ".gitignore"}
