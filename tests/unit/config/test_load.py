"""`stagewarden.yaml` → Config: defaults, every problem with its place, nothing ignored."""

from __future__ import annotations

import msgspec
import pytest

from stagewarden.config import Bytes, Config, KeyIdentity, Seconds, load, stops_path
from stagewarden.config.later import CONFIGURATION, LATER_WORDS
from stagewarden.config.shapes import INTERNAL
from stagewarden.errors import ConfigError
from stagewarden.model import Stage
from tests.unit.config.parts import REMOVED, SMALL, changed, loaded, refusals, warnings, written


def test_a_small_configuration_loads_without_a_finding(tmp_path):
    """The base that the tables below change one thing in."""
    assert warnings(tmp_path, SMALL) == ()


def test_defaults_are_the_contracts(tmp_path):
    """Contract section 2, where it gives a value."""
    config = loaded(tmp_path)
    assert (config.holds.wait, config.holds.decide_within, config.holds.use_within, config.holds.replay) == (0, 4 * 3600, 900, 86400)
    assert (config.policy.engine, config.policy.bundle, config.policy.deadline, config.state) == ("wasm", "builtin", 0.2, "sqlite:state.db")
    limits = config.limits
    assert (limits.body, limits.target, limits.headers, limits.header_bytes, limits.json_depth) == (1 << 20, 8 << 10, 100, 32 << 10, 64)
    assert (limits.header_deadline, limits.body_deadline, limits.inflight_per_agent, limits.holds_per_agent) == (10, 30, 64, 50)
    assert (config.people.session.idle, config.people.session.absolute, config.audit.durability) == (1800, 28800, "before_effect")


def test_values_are_typed_once(tmp_path):
    """Stages, durations, sizes, tagged sections: inside, nothing is text that means something else."""
    config = loaded(tmp_path, changed("limits.body", "2MiB"))
    assert isinstance(config.limits.body, Bytes)
    assert isinstance(config.holds.wait, Seconds)
    assert config.upstreams["cms"].routes[0].stage is Stage.EXPORT
    assert list(config.upstreams["cms"].credentials) == [Stage.GENERATE]
    assert isinstance(config.identity.agents[0], KeyIdentity)


def test_base_is_the_files_folder_and_the_revision_its_content(tmp_path):
    """The same content has the same revision however it is laid out; another content has another."""
    config = loaded(tmp_path)
    path = tmp_path / "stagewarden.yaml"
    path.write_text("# a comment\n" + path.read_text())
    assert config.base == tmp_path.resolve()
    assert load(path).revision == config.revision
    assert loaded(tmp_path, changed("name", "other")).revision != config.revision


def test_the_stop_file_stands_beside_the_state(tmp_path):
    """On the volume that is written to."""
    assert stops_path(loaded(tmp_path)) == tmp_path.resolve() / "stops.json"
    assert str(stops_path(loaded(tmp_path, changed("state", "sqlite:/var/lib/x/state.db")))) == "/var/lib/x/stops.json"


PLACES = {
    "unknown_key": (changed("listn", {}), "listn", "unknown key", "`listen`"),
    "unknown_key_deep": (changed("listen.agents.bnd", "x"), "listen.agents.bnd", "unknown key", "`bind`"),
    "unknown_key_in_list": (changed("upstreams.cms.routes.0.stge", "x"), "upstreams.cms.routes[0].stge", "unknown key", "`stage`"),
    "unknown_key_in_case": (changed("upstreams.cms.routes.0.cases.0.whn", {}), "upstreams.cms.routes[0].cases[0].whn", "unknown key", "`when`"),
    "internal_key": (changed("base", "/"), "base", "unknown key", ""),
    "missing_key": (changed("upstreams.cms.destination", REMOVED), "upstreams.cms", "lacks the key `destination`", ""),
    "missing_top_key": (changed("registry", REMOVED), "", "lacks the key `registry`", ""),
    "wrong_unit": (changed("holds.wait", 30), "holds.wait", "no unit", "30s"),
    "wrong_size": (changed("limits.body", "1MB"), "limits.body", "unit `MB`", "1MiB"),
    "wrong_stage": (changed("upstreams.cms.routes.0.stage", "exprot"), "upstreams.cms.routes[0].stage", "not a value", "`export`"),
    "wrong_credential_stage": (
        changed("upstreams.cms.credentials.publish", {"header": "A", "value": "env:A"}),
        "upstreams.cms.credentials.publish",
        "not a value",
        "generate",
    ),
    "no_rate": (changed("limits.rate_per_agent", "50"), "limits.rate_per_agent", "is not a rate", "50/s"),
    "wrong_type": (changed("limits.headers", "100"), "limits.headers", "is text", "whole number"),
    "boolean_for_number": (changed("limits.headers", value=True), "limits.headers", "true or false", "whole number"),
    "number_for_text": (changed("name", 7), "name", "whole number, not text", ""),
    "list_for_mapping": (changed("holds", []), "holds", "a list, not a mapping", ""),
    "text_for_list": (changed("upstreams.cms.hosts", "a"), "upstreams.cms.hosts", "text, not a list", ""),
    "version": (changed("version", 2), "version", "not a value", "1"),
    "version_as_boolean": (changed("version", value=True), "version", "not a value", "1"),
    "bad_bind": (changed("listen.agents.bind", "8080"), "listen.agents.bind", "not HOST:PORT", "127.0.0.1:8080"),
    "unknown_kind": (changed("identity.agents.0.kind", "saml"), "identity.agents[0].kind", "not a kind", "jwt, key"),
    "missing_kind": (changed("identity.agents.0.kind", REMOVED), "identity.agents[0]", "lacks the key", "jwt, key"),
    "key_of_another_kind": (changed("identity.agents.0.issuer", "x"), "identity.agents[0].issuer", "unknown key", "keys"),
}


@pytest.mark.parametrize(("document", "key", "message", "remedy"), PLACES.values(), ids=PLACES)
def test_a_problem_names_file_line_key_and_remedy(tmp_path, document, key, message, remedy):
    """Exactly one finding, at the exact key."""
    (found,) = refusals(tmp_path, document)
    assert found.key == key
    assert message in found.message
    assert remedy in found.remedy
    assert found.file.endswith("stagewarden.yaml")
    text = (tmp_path / "stagewarden.yaml").read_text().splitlines()
    last = key.rpartition(".")[2]
    assert found.line >= 1
    assert not key or last.endswith("]") or last in text[found.line - 1]


def test_all_problems_are_reported_in_the_order_of_the_file(tmp_path):
    """Not the first of them."""
    document = changed("holds.wait", 30) | {"nmae": 1, "limits": {"body": "x", "headers": None}}
    lines = [found.line for found in refusals(tmp_path, document)]
    assert len(lines) == 4
    assert lines == sorted(lines)


@pytest.mark.parametrize("place", ["identity.agents.0.keys", "upstreams.cms.credentials.generate.value", "holds.key"])
def test_an_in_line_secret_is_refused_and_never_repeated(tmp_path, place):
    """Only file: and env: (contract section 2)."""
    found = refusals(tmp_path, changed(place, "hunter2"))
    assert "not a reference to a secret" in found[0].message
    assert "hunter2" not in str(found)


def _later_document(shape: type, key: str, value: object) -> dict[str, object]:
    """A document with a key of a later release where its section stands."""
    section = "" if shape.__name__ == "Config" else "listen.agents." if shape.__name__ == "Listener" else f"{shape.__name__.lower()}."
    return changed(f"{section}{key}", value)


@pytest.mark.parametrize(("shape", "key"), CONFIGURATION, ids=[f"{shape.__name__}.{key}" for shape, key in CONFIGURATION])
def test_a_key_of_a_later_release_is_refused_by_name(tmp_path, shape, key):
    """Never ignored, never called unknown."""
    (found,) = refusals(tmp_path, _later_document(shape, key, {"some": "thing"}))
    assert found.key.endswith(key)
    assert "not in this release" in found.message


@pytest.mark.parametrize(("shape", "key"), CONFIGURATION, ids=[f"{shape.__name__}.{key}" for shape, key in CONFIGURATION])
def test_a_later_key_that_asks_for_nothing_is_accepted(tmp_path, shape, key):
    """`notify: []`, `settle: 0s`, `hours: null`: a file may say so."""
    for value in CONFIGURATION[shape, key].harmless:
        assert refusals(tmp_path, _later_document(shape, key, value)) == ()


LATER_VALUES = {
    "oidc": ("identity.people.0", {"kind": "oidc", "issuer": "https://idp.example"}),
    "batched": ("audit.durability", "batched"),
    "bundle_url": ("policy.bundle", "https://bundles.example/b.tar.gz"),
    "ghost": ("upstreams.cms.catalogue", "ghost"),
    "settle": ("holds.settle", "5m"),
}


@pytest.mark.parametrize(("place", "value"), LATER_VALUES.values(), ids=LATER_VALUES)
def test_a_value_of_a_later_release_is_refused_by_name(tmp_path, place, value):
    """The contract's own words for what comes later."""
    found = refusals(tmp_path, changed(place, value))
    assert any("not in this release" in each.message for each in found)


def test_no_key_is_both_read_and_refused():
    """A later key that gains a field must leave the table."""
    for shape, key in CONFIGURATION:
        assert key not in {field.encode_name for field in msgspec.structs.fields(shape)}
    assert {"oidc", "batched"} <= LATER_WORDS.keys()


def test_internal_fields_are_fields():
    """What the file may not set."""
    assert {field.name for field in msgspec.structs.fields(Config)} >= INTERNAL


def test_an_empty_file_is_refused(tmp_path):
    """Nothing is guessed."""
    path = tmp_path / "stagewarden.yaml"
    path.write_text("")
    with pytest.raises(ConfigError):
        load(path)


def test_secrets_are_not_opened_by_loading(tmp_path):
    """None of the files named exists, and it loads."""
    assert not (tmp_path / "agent-keys.yaml").exists()
    assert load(written(tmp_path, SMALL)).name == "newsroom"
