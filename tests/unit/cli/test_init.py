"""`init`: a sandbox that works, fresh secrets shown once, nothing half-written, nothing overwritten."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from stagewarden import config as configuration
from stagewarden import registry as registries
from stagewarden.cli.check import findings
from stagewarden.cli.init import init as command
from stagewarden.cli.init import write
from stagewarden.config import Secrets
from stagewarden.identity.bearer import fingerprint
from stagewarden.identity.keys import key_id, parse_keys
from stagewarden.identity.tokens import is_token, parse_tokens

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATES = ["newsletter", "wordpress"]


def run(*arguments: object):
    """The command, as a terminal runs it."""
    return CliRunner().invoke(command, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """One of each template, and what was printed."""
    made = {}
    for name in TEMPLATES:
        folder = tmp_path_factory.mktemp("init") / name
        result = run(folder, "--template", name)
        assert result.exit_code == 0, result.output
        made[name] = (folder, result.output)
    return made


def errors(folder: Path) -> list[str]:
    """What `check` says must not run; the bundle is another test's business."""
    return [problem.key for problem in findings(folder / "stagewarden.yaml") if problem.severity == "error"]


def test_a_newsletter_is_ready_to_serve(houses):
    """No error, no warning: it needs nothing more."""
    assert findings(houses["newsletter"][0] / "stagewarden.yaml") == ()


def test_a_wordpress_says_what_is_missing(houses, tmp_path):
    """Its two accounts; once they are filled in, nothing."""
    folder, _ = houses["wordpress"]
    assert errors(folder) == ["upstreams.cms.credentials.generate.value", "upstreams.cms.credentials.export.value"]
    for name in ("drafter", "publisher"):
        given = (folder / "secrets" / name).read_text()
        assert registries.PLACEHOLDER in given
        assert "base64" in given
        (folder / "secrets" / name).write_text("Basic ZHJhZnRlcjpzZWNyZXQ=\n")
    assert findings(folder / "stagewarden.yaml") == ()


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_secret_is_ours_alone(houses, template):
    """0600 for files, 0700 for folders; configuration and registry are no secrets."""
    folder, _ = houses[template]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        if path.name not in {"stagewarden.yaml", "registry.yaml", ".gitignore"}:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("template", TEMPLATES)
def test_keys_and_tokens_are_kept_hashed_and_shown_once(houses, template):
    """The files the sidecar reads hold hashes; the secrets are in secrets/ and on the terminal, once."""
    folder, output = houses[template]
    key = (folder / "secrets/agents/drafter.key").read_text().strip()
    assert key_id(key) == "drafter"
    assert parse_keys((folder / "agent-keys.yaml").read_text(), "f") == {"drafter": fingerprint(key)}
    grants = parse_tokens((folder / "people-tokens.yaml").read_text(), "f", sandbox=True)
    people = registries.load(folder / "registry.yaml").data.people
    assert {grant.person for grant in grants.values()} == people.keys()
    secrets = [path.read_text().strip() for path in (folder / "secrets" / "people").iterdir()] + [key]
    assert [output.count(secret) for secret in secrets] == [1] * len(secrets)
    tokens = [secret for secret in secrets if is_token(secret)]
    assert {fingerprint(token) for token in tokens} == grants.keys()
    read = "".join(
        (folder / name).read_text() for name in ("agent-keys.yaml", "people-tokens.yaml", "people.yaml", "stagewarden.yaml", "registry.yaml")
    )
    assert not [secret for secret in secrets if secret in read]


def test_two_houses_share_no_secret(houses, tmp_path):
    """Nothing is fixed, seeded or shipped."""
    run(tmp_path / "second")
    first = {path.read_text() for path in (houses["newsletter"][0] / "secrets").rglob("*") if path.is_file()}
    second = {path.read_text() for path in (tmp_path / "second" / "secrets").rglob("*") if path.is_file()}
    assert first & second == set()
    assert (tmp_path / "second" / "holds.key").read_text() != (houses["newsletter"][0] / "holds.key").read_text()


def test_the_key_that_encrypts_is_random(houses):
    """256 bits, accepted by the reader that would refuse a placeholder."""
    folder, _ = houses["newsletter"]
    config = configuration.load(folder / "stagewarden.yaml")
    assert len(Secrets(folder, {}).key(config.holds.key)) == 32


def test_the_day_is_todays(houses):
    """An attestation holds for a year from the day it was written."""
    registry = (houses["newsletter"][0] / "registry.yaml").read_text()
    assert "@TODAY@" not in registry
    assert re.search(r"attested: \{at: \"\d{4}-\d{2}-\d{2}\"", registry)


@pytest.mark.parametrize("name", ["stagewarden.yaml", ".hidden", "sub"])
def test_a_folder_that_holds_anything_is_left_alone(tmp_path, name):
    """Refused, and nothing changed."""
    target = tmp_path / "house"
    target.mkdir()
    (target / name).mkdir() if name == "sub" else (target / name).write_text("mine")
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    result = run(target)
    assert result.exit_code == 1
    assert "not empty" in result.output
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_an_empty_folder_is_filled_and_parents_are_made(tmp_path):
    """New or empty, as the help says."""
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty").exit_code == 0
    assert run(tmp_path / "a" / "b" / "c").exit_code == 0
    assert (tmp_path / "a/b/c/stagewarden.yaml").is_file()


def test_a_file_in_the_way_is_usage(tmp_path):
    """It is not a folder."""
    (tmp_path / "file").write_text("mine")
    assert run(tmp_path / "file").exit_code == 2
    assert (tmp_path / "file").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_a_refusal(tmp_path):
    """Exit 1 with the system's words, and nothing changed."""
    (tmp_path / "file").write_text("mine")
    result = run(tmp_path / "file" / "house")
    assert result.exit_code == 1
    assert "cannot be written" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_half_written_stays_behind(tmp_path):
    """A failure in the middle leaves neither the folder nor what was made beside it."""

    class Broken:
        """A clock that stops working once the work has begun."""

        def now_ns(self) -> int:
            raise OSError(5, "Input/output error")

        def monotonic(self) -> float:
            return 0.0

    with pytest.raises(OSError, match="Input/output"):
        write(tmp_path / "house", "newsletter", Broken())
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_template_is_usage(tmp_path):
    """Exit 2, the known ones named, nothing written."""
    result = run(tmp_path / "house", "--template", "social")
    assert result.exit_code == 2
    assert "newsletter" in result.output
    assert not (tmp_path / "house").exists()
