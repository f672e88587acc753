"""Configuration and registry held against each other: names that lead nowhere, gaps, secrets that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stagewarden import registry as registries
from tests.unit.config import parts as configs
from tests.unit.registry import parts

if TYPE_CHECKING:
    from pathlib import Path

    from stagewarden.errors import Problem

HEX = "00112233445566778899aabbccddeeff" * 2
FILES = {"agent-keys.yaml": "drafter: x", "people.yaml": "alice: x", "secrets/drafter": "Bearer x", "holds.key": HEX}
ROUTES = "upstreams.cms.routes"


def house(
    folder: Path, config: object = configs.SMALL, registry: object = parts.SMALL, files: dict[str, str | None] | None = None
) -> tuple[Problem, ...]:
    """Everything found about the two, with the secrets in place but for `files`."""
    for name, text in {**FILES, **(files or {})}.items():
        if text is not None:
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(text)
    return registries.check(configs.loaded(folder, config), parts.loaded(folder, registry), environ={})


def test_a_sound_house_has_no_finding(tmp_path):
    """The base that the tables change one thing in."""
    assert house(tmp_path) == ()


SECOND = ("agents/second", parts.SMALL["agents"]["drafter"] | {"identity": {"key": "second"}, "workflows": ["newsletter", "other"]})
OTHER = ("workflows/other", parts.SMALL["workflows"]["newsletter"])
SPIFFE_AGENT = ("agents/drafter/identity", {"spiffe": "spiffe://example.org/d"})
JWT_AGENT = ("agents/drafter/identity", {"issuer": "https://issuer.example", "subject": "d"})

FOUND = {
    "destination": ("error", configs.changed("upstreams.cms.destination", "nowhere"), parts.SMALL, "upstreams.cms.destination", "not a destination"),
    "workflow": ("error", configs.changed(f"{ROUTES}.0.workflow", "nothing"), parts.SMALL, f"{ROUTES}[0].workflow", "not a workflow"),
    "kind_nowhere": ("warning", configs.changed(f"{ROUTES}.0.kind", "post.pubish"), parts.SMALL, f"{ROUTES}[0]", "prohibited for everybody"),
    "case_kind_nowhere": ("warning", configs.changed(f"{ROUTES}.0.cases.0.kind", "post.daft"), parts.SMALL, f"{ROUTES}[0]", "`post.daft`"),
    "kind_without_route": (
        "warning",
        configs.SMALL,
        parts.changed(("workflows/newsletter/actions/allowed/2", "post.read")),
        "workflows.newsletter.actions.allowed[2]",
        "no route is of kind",
    ),
    "several_workflows": ("warning", configs.SMALL, parts.changed(SECOND, OTHER), "agents.second.workflows", "shared_identity"),
    "issuer": ("warning", configs.SMALL, parts.changed(JWT_AGENT), "agents.drafter.identity", "not configured"),
    "trust_domain": ("warning", configs.SMALL, parts.changed(SPIFFE_AGENT), "agents.drafter.identity", "trust domain that is not configured"),
    "several_workflows_by_svid": (
        "warning",
        configs.SMALL,
        parts.changed(SPIFFE_AGENT, ("agents/drafter/workflows", ["newsletter", "other"]), OTHER),
        "agents.drafter.workflows",
        "shared_identity",
    ),
    "no_key_file": (
        "warning",
        configs.changed("identity.agents", [{"kind": "jwt", "issuer": "https://i.example", "audience": "a", "keys": "https://i.example/k"}]),
        parts.SMALL,
        "agents.drafter.identity",
        "no key file",
    ),
    "sandbox_export": (
        "warning",
        configs.changed("upstreams.cms.url", "https://cms.example"),
        parts.SMALL,
        "upstreams.cms.destination",
        "sandbox_export",
    ),
    "production": (
        "warning",
        configs.changed("identity.people", [{"kind": "token", "tokens": "file:people.yaml"}]) | {"environment": "production"},
        parts.SMALL,
        "environment",
        "no provider is configured",
    ),
    "directory_group": ("error", configs.SMALL, parts.changed(("people/bob/group", "reviewers")), "people.bob.group", "no provider says groups"),
    "nobody_at_the_provider": (
        "warning",
        configs.changed("identity.people", [{"kind": "oidc", "issuer": "https://idp.example", "client_id": "x"}])
        | {"people": {"url": "https://approve.example"}},
        parts.SMALL,
        "people.bob",
        "has no identity",
    ),
    "jwks_missing": (
        "error",
        configs.changed("identity.agents.1", {"kind": "jwt", "issuer": "https://i.example", "audience": "a", "keys": "file:jwks.json"}),
        parts.SMALL,
        "identity.agents[1].keys",
        "not a file",
    ),
    "bundle_missing": ("error", configs.changed("policy.bundle", "policies"), parts.SMALL, "policy.bundle", "does not exist"),
    "lint": ("error", configs.SMALL, parts.changed(("workflows/newsletter/summary", "")), "workflows.newsletter.summary", "blank"),
    "rules": ("warning", configs.changed("upstreams.cms.url", "http://cms.example"), parts.SMALL, "upstreams.cms.url", "plain http"),
}


@pytest.mark.parametrize(("severity", "config", "registry", "key", "message"), FOUND.values(), ids=FOUND)
def test_what_is_between_the_two_is_found(tmp_path, severity, config, registry, key, message):
    """At the key, in the file where a person mends it."""
    hits = [each for each in house(tmp_path, config, registry) if each.key == key and message in each.message]
    assert [each.severity for each in hits] == [severity]
    assert hits[0].line > 0
    assert hits[0].remedy


def test_catalogue_kinds_nobody_uses_are_no_gap(tmp_path):
    """A catalogue lists more than one workflow needs."""
    assert house(tmp_path, configs.changed("upstreams.cms.catalogue", "wordpress")) == ()


SECRETS = {
    "missing": ({"secrets/drafter": None}, "upstreams.cms.credentials.generate.value", "cannot be read"),
    "empty": ({"secrets/drafter": "\n"}, "upstreams.cms.credentials.generate.value", "empty"),
    "two_lines": ({"secrets/drafter": "Bearer a\nX-Other: b"}, "upstreams.cms.credentials.generate.value", "header"),
    "not_ascii": ({"secrets/drafter": "Bearer é"}, "upstreams.cms.credentials.generate.value", "header"),
    "placeholder": ({"secrets/drafter": f"{registries.PLACEHOLDER} with yours"}, "upstreams.cms.credentials.generate.value", "placeholder"),
    "keys_missing": ({"agent-keys.yaml": None}, "identity.agents[0].keys", "cannot be read"),
    "users_missing": ({"people.yaml": None}, "identity.people[0].users", "cannot be read"),
    "key_missing": ({"holds.key": None}, "holds.key", "cannot be read"),
    "key_short": ({"holds.key": "abcd"}, "holds.key", "256-bit"),
    "key_of_a_demo": ({"holds.key": "00" * 32}, "holds.key", "not random"),
}


@pytest.mark.parametrize(("files", "key", "message"), SECRETS.values(), ids=SECRETS)
def test_a_secret_that_is_not_there_or_not_one_is_an_error(tmp_path, files, key, message):
    """At the key that names it, with what to do; the secret itself is not repeated."""
    (found,) = house(tmp_path, files=files)
    assert (found.severity, found.key) == ("error", key)
    assert message in found.message
    assert "Bearer" not in str(found)


def test_a_secret_open_to_everybody_is_an_error(tmp_path):
    """World-readable private files refuse to start (hardening.md)."""
    house(tmp_path)
    (tmp_path / "holds.key").chmod(0o644)
    (found,) = house(tmp_path)
    assert "open to every user" in found.message


def test_a_secret_in_the_environment_counts(tmp_path):
    """`env:` is read from the environment handed in."""
    config = configs.changed("upstreams.cms.credentials.generate.value", "env:CMS_TOKEN")
    assert [each.key for each in house(tmp_path, config)] == ["upstreams.cms.credentials.generate.value"]
    sound = registries.check(configs.loaded(tmp_path, config), parts.loaded(tmp_path), environ={"CMS_TOKEN": "Bearer x"})
    assert sound == ()
